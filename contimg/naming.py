"""Every name and path of the project: parsed, formatted and converted here and nowhere else.

Ids are ``YYYY-MM-DDTHH:MM:SS`` (UTC) in metadata, tables and messages, and ``YYYYMMDDTHHMMSS`` in file
names. A mosaic's id is ``mosaic_<group id in file-name form>``, a calibration's ``cal_<tile id in
file-name form>``; both are the same string everywhere.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from contimg.errors import InputError, UnknownIdError
from contimg.times import datetime_from_mjd

SUBBAND_FILE = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})_sb(\d{2})\.hdf5", re.ASCII)
_ID = re.compile(r"(?:mosaic_|cal_)?(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}|\d{8}T\d{6})", re.ASCII)
_VERSIONED = re.compile(r"((?:mosaic_|cal_)?[\dT:-]+)\.v([1-9]\d*)", re.ASCII)
_DATE_ALONE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

ARCHIVE_MARKER = ".contimg-archive.json"  # in the root of an archive: names its registry

# Wildcards of the workflow: constrained once, free of colons (CASA reads '::' as a subtable).
DATE_PATTERN = r"\d{4}-\d{2}-\d{2}"
STEM_PATTERN = r"\d{8}T\d{6}"
CALIBRATION_PATTERN = rf"cal_{STEM_PATTERN}"
MOSAIC_PATTERN = rf"mosaic_{STEM_PATTERN}"


@dataclass(frozen=True, order=True)
class SubbandName:
    """The name of one subband file: the host's UTC clock when it opened the file, and the subband."""

    time: datetime
    subband: int

    @classmethod
    def parse(cls, name: str) -> SubbandName | None:
        """Read a file name; None when it is not a closed subband file's."""
        match = SUBBAND_FILE.fullmatch(name)
        if match is None:
            return None
        try:
            return cls(datetime.fromisoformat(match[1]).replace(tzinfo=UTC), int(match[2]))
        except ValueError:  # 2026-02-30: the right shape, but no date
            return None

    def __str__(self) -> str:
        return f"{id_from_datetime(self.time)}_sb{self.subband:02d}.hdf5"


def parse_id(text: str) -> datetime:
    """Read an id in either form, with or without the ``mosaic_`` or ``cal_`` prefix, as UTC.

    Raises
    ------
    InputError
        If the text is neither form.
    """
    match = _ID.fullmatch(text)
    if match is not None:
        with contextlib.suppress(ValueError):  # the right shape, but no date
            return datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    if (versioned := _VERSIONED.fullmatch(text)) is not None:
        raise InputError(
            f"'{text}' names a version: write {versioned[1]}, and --version {versioned[2]} where the command takes one"
        )
    if _DATE_ALONE.fullmatch(text):
        raise InputError(
            f"'{text}' is a date and no id: 'contimg report --night {text}' lists what there is of that night"
        )
    raise InputError(f"'{text}' is not an id: write it as 2026-02-11T00:26:49 or 20260211T002649")


def is_id(text: str) -> bool:
    """Return whether a text is an id in either form, as `parse_id` reads it."""
    with contextlib.suppress(InputError):
        parse_id(text)
        return True
    return False


def id_from_datetime(moment: datetime) -> str:
    """Return the id of an aware UTC datetime, floored to 1 s."""
    return moment.isoformat()[:19]  # not strftime, which writes years before 1000 without their zeros


def id_from_mjd(mjd: float) -> str:
    """Return the id of a UTC time in MJD days, floored to 1 s.

    A float64 Julian Date has a granularity of 40 µs, so a time within 1 ms below a full second is
    that second.
    """
    moment = datetime_from_mjd(mjd) + timedelta(milliseconds=1)
    return id_from_datetime(moment)


def stem(any_id: str) -> str:
    """Return an id in its file-name form, ``YYYYMMDDTHHMMSS``."""
    return _stem(iso(any_id))


def iso(any_id: str) -> str:
    """Return an id in its metadata form, ``YYYY-MM-DDTHH:MM:SS``."""
    return id_from_datetime(parse_id(any_id))


def date(any_id: str) -> str:
    """Return the UTC date of an id, ``YYYY-MM-DD``: the folder that its products stand in."""
    return iso(any_id)[:10]


def _stem(iso_form: str) -> str:
    return iso_form.replace("-", "").replace(":", "")


def mosaic_id(group_id: str) -> str:
    """Return the id of the mosaic of a group."""
    return f"mosaic_{stem(group_id)}"


def calibration_id(tile_id: str) -> str:
    """Return the id of the calibration solved on a tile."""
    return f"cal_{stem(tile_id)}"


def as_mosaic_id(text: str) -> str:
    """Return the mosaic id that a person means by a group id in any form.

    Raises
    ------
    UnknownIdError
        If the text cannot be the id of a mosaic.
    """
    if text.startswith("cal_"):
        raise UnknownIdError(f"'{text}' is the id of a calibration: name a mosaic, mosaic_YYYYMMDDTHHMMSS")
    try:
        return mosaic_id(text)
    except InputError as error:
        if _VERSIONED.fullmatch(text):
            raise UnknownIdError(str(error)) from None
        raise UnknownIdError(
            f"'{text}' is not the id of a mosaic: write mosaic_20260211T002649 (contimg registry list)"
        ) from None


# kind of product -> its path below the stage root; its twin stands beside it, with the suffix .json.
KINDS = {
    "ms": "ms/{date}/{stem}.ms",
    "calibration": "calibrations/{date}/cal_{stem}",
    "calibrated": "calibrated/{date}/{stem}.ms",
    "image": "images/{date}/{stem}",
    "mosaic": "mosaics/{date}/mosaic_{stem}",
    "crossmatch": "crossmatch/{date}/mosaic_{stem}",
    "summary": "reports/{date}/mosaic_{stem}.html",
    "registered": "registered/{date}/mosaic_{stem}",
    "published": "published/{date}/mosaic_{stem}",
}


def relative(kind: str, any_id: str) -> str:
    """Return the path of a product below the stage root."""
    iso_form = iso(any_id)
    return KINDS[kind].format(date=iso_form[:10], stem=_stem(iso_form))


@dataclass(frozen=True)
class Publisher:
    """How an archive is known: to the web, to the Virtual Observatory, and under which terms its data are used.

    Attributes
    ----------
    base_url : str or None
        Web address of ``paths.products``, without a slash at its end.
    ivoid : str
        Identifier in the Virtual Observatory.
    licence : str
        Name in the list of SPDX.
    """

    base_url: str | None = None
    ivoid: str = "ivo://dsa110.ovro/continuum"
    licence: str = "CC-BY-4.0"


@dataclass(frozen=True)
class Layout:
    """Where everything stands below the four configured roots (all absolute and resolved).

    Attributes
    ----------
    incoming, stage, products, state : Path
        The roots.
    archive_mode : int
        Permissions of files below `products`; folders can also be entered by whom files can be read.
    publisher : Publisher
        What its bundles and tables say of the archive.
    """

    incoming: Path
    stage: Path
    products: Path
    state: Path
    archive_mode: int = 0o644
    publisher: Publisher = Publisher()

    def product(self, kind: str, any_id: str) -> Path:
        """Return the path of a product: a directory, an MS, or a page."""
        return self.stage / relative(kind, any_id)

    def twin(self, kind: str, any_id: str) -> Path:
        """Return the path of a product's twin, or of the marker of ``registered`` and ``published``."""
        place = self.product(kind, any_id)
        return place.with_name(place.name.removesuffix(".ms").removesuffix(".html") + ".json")

    def group(self, group_id: str) -> Path:
        """Return the path of a group's committed membership."""
        return self.stage / "groups" / f"{stem(group_id)}.json"

    def pruned(self, group_id: str) -> Path:
        """Return the path of the note that products of a settled group were removed to make room."""
        return self.stage / "pruned" / f"{stem(group_id)}.json"

    def templates(self, strip: str) -> Path:
        """Return the folder of a strip's templates, one product ``v<number>`` a version."""
        return self.stage / "templates" / strip

    def difference(self, any_id: str) -> Path:
        """Return the path of a mosaic's difference from the template of its strip."""
        return self.stage / "differences" / date(any_id) / mosaic_id(any_id)

    def quarantine(self, day: str) -> Path:
        """Return the path of the list of what was set aside on a UTC date, with reasons."""
        return self.stage / "quarantine" / f"{day}.json"

    def bundle(self, any_id: str, version: int) -> Path:
        """Return the final path of a published bundle; version 1 has no suffix."""
        name = mosaic_id(any_id) + (f".v{version}" if version > 1 else "")
        return self.products / "mosaics" / date(any_id) / name

    def address(self, path: Path) -> str:
        """Return the address of a file of the archive: below `publish.base_url`, else that of the file.

        Raises
        ------
        ValueError
            If it is not below `paths.products`.
        """
        if self.publisher.base_url is None:
            return path.as_uri()
        return f"{self.publisher.base_url}/{quote(path.relative_to(self.products).as_posix())}"

    @property
    def registry_file(self) -> Path:
        """The registry's database where `registry.url` is not set."""
        return self.state / "registry.sqlite3"

    @property
    def cache(self) -> Path:
        """The folder of what may be forgotten: headers already read."""
        return self.state / "cache"

    @property
    def frozen_plan(self) -> Path:
        """The plan of the run that is under way."""
        return self.state / "plan.json"
