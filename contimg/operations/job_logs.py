"""Finding the log files of the jobs behind a product (``contimg log``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contimg import naming
from contimg.config import Config
from contimg.errors import UnknownIdError
from contimg.plan.frozen import working_folder


@dataclass(frozen=True)
class JobLog:
    """The log of one job: the rule, and the file."""

    rule: str
    path: Path


def find_logs(config: Config, text: str, *, folder: Path | None = None, rule: str | None = None) -> list[JobLog]:
    """Return the logs of the jobs that made a product, oldest first.

    Parameters
    ----------
    config : Config
    text : str
        The id of a tile, calibration or mosaic.
    folder : Path, optional
        Snakemake's working folder; that of the last run, and the present folder, by default.
    rule : str, optional
        Only the log of this rule.

    Raises
    ------
    UnknownIdError
        If the text is no id, or there is no such log.
    """
    date, name = naming.date(text), _file_name(text)
    folders = [folder] if folder is not None else [working_folder(config), Path.cwd()]
    places = list(dict.fromkeys(one.resolve() for one in folders if one is not None))
    paths = [path for place in places for path in (place / "logs").glob(f"{rule or '*'}/{date}/{name}.log")]
    if not paths:
        which = f"log of {rule}" if rule else "log"
        where = " or ".join(str(place / "logs") for place in places)
        raise UnknownIdError(
            f"no {which} for {text} stands in {where}: name the folder that snakemake worked in,"
            f" contimg -d FOLDER log {text}, or see 'contimg status'"
        )
    return [JobLog(path.parts[-3], path) for path in sorted(paths, key=lambda one: (one.stat().st_mtime, one))]


def _file_name(text: str) -> str:
    """Return the name of a product's files: that of a tile has no prefix."""
    for prefix in ("mosaic_", "cal_"):
        if text.startswith(prefix):
            return f"{prefix}{naming.stem(text)}"
    return naming.stem(text)
