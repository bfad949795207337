"""Products and their twins: made under a temporary name, renamed when whole, described by a JSON.

A product is a directory or file that a rule makes. Its *twin*, the JSON beside it, is written last
and holds the verdict, the measured numbers and the provenance. Bad data is a verdict in the twin;
a broken machine is an exception, after which nothing half-made stays under a final name.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import resource
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contimg import __version__
from contimg.errors import InputError
from contimg.storage.atomic import write_json
from contimg.storage.json_files import NoPlainFile, plain_bytes
from contimg.times import now

Verdict = Literal["passed", "warning", "failed"]
_RANK: dict[str, int] = {"passed": 0, "warning": 1, "failed": 2}


class DamagedTwinError(InputError):
    """A twin is torn, edited or of another product: the product it describes is to be made again."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Reason(_Record):
    """Why a verdict is not 'passed': a code, what was measured and the threshold it met."""

    code: str
    severity: Literal["warning", "failed"]
    message: str
    measured: float | int | str | None = None
    threshold: float | int | str | None = None


class Input(_Record):
    """A product or file that went into another: its path, kind, id and digest.

    For a product ``sha256`` is `twin_digest` of its twin; for a file, that of its bytes.
    """

    path: str
    kind: str
    id: str
    sha256: str


class FileRecord(_Record):
    """A file of a product: its size (bytes) and the SHA-256 of its content."""

    size: int
    sha256: str


class Twin(_Record):
    """The JSON beside a product.

    Attributes
    ----------
    kind, id : str
        Kind of product (``ms``, ``calibration``, ``calibrated``, ``image``, ``mosaic``,
        ``crossmatch``) and its id (ISO form for tiles).
    verdict, reasons
        What the measurements say; ``verdict`` is the worst severity among the reasons.
    notes : list of str
        What a reader should know that is no fault (a subband missing, a tile left out).
    facts : dict
        What the product is: frequencies, beams, counts, names of the files within.
    qa : dict
        Measured quality numbers; null means 'not measured'.
    files : dict of str to FileRecord, or None
        The product's files, by name relative to its folder; None in twins of before version 0.2.
    inputs, parameters, code_version, libraries
        Provenance.
    judged_with : dict
        The thresholds behind the verdict, by section of the configuration.
    synthetic : bool
        True when any input was simulated.
    run : dict
        When, where and at what cost it was made; not part of `twin_digest`.
    """

    schema_version: Literal[1, 2] = 2
    kind: str
    id: str
    verdict: Verdict
    reasons: list[Reason] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    facts: dict[str, Any] = Field(default_factory=dict)
    qa: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, FileRecord] | None = None
    inputs: list[Input] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)
    judged_with: dict[str, dict[str, Any]] = Field(default_factory=dict)
    synthetic: bool
    code_version: str = __version__
    libraries: dict[str, str] = Field(default_factory=dict)
    run: dict[str, Any] = Field(default_factory=dict)


def verdict_of(reasons: Sequence[Reason]) -> Verdict:
    """Return the worst severity among reasons; 'passed' when there are none."""
    return max((r.severity for r in reasons), key=_RANK.__getitem__, default="passed")


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst of several verdicts; 'passed' when there are none."""
    return max(verdicts, key=_RANK.__getitem__, default="passed")


def simulated_words(flags: Iterable[bool]) -> str | None:
    """Return what a page says of data of which all or some are simulated: `synthetic` of each; None where none is."""
    found = set(flags)
    return None if True not in found else "partly simulated" if False in found else "simulated"


class Stopwatch:
    """Wall time, CPU time (with children) and peak memory since it was made, for a twin's ``run``."""

    def __init__(self) -> None:
        self._started = now(0)
        self._wall = time.monotonic()
        self._cpu = self._cpu_now()

    @staticmethod
    def _cpu_now() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    def read(self) -> dict[str, Any]:
        """Return the cost so far (seconds, MiB)."""
        peak_kib = max(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        )
        return {
            "started": self._started,
            "wall_s": round(time.monotonic() - self._wall, 2),
            "cpu_s": round(self._cpu_now() - self._cpu, 2),
            "peak_memory_mib": round(peak_kib / 1024, 1),
            "host": socket.gethostname(),
            "python": platform.python_version(),
        }


def library_versions(*names: str) -> dict[str, str]:
    """Return the installed versions of the named distributions."""
    return {name: importlib.metadata.version(name) for name in names}


# What a digest leaves out: what making a product cost, and the verdict, which is judged again from the numbers.
_NOT_DIGESTED = frozenset({"run", "verdict", "reasons", "judged_with"})
_NOT_DIGESTED_V1 = frozenset({"run", "files", "judged_with"})


def twin_digest(twin: Twin) -> str:
    """Return the SHA-256 of what a twin says of its product: equal products, equal digests.

    It names a product as an input. Neither what making it cost belongs to it, or remaking a product bit for bit
    would look like a change; nor its verdict, or a changed threshold would.
    """
    content = twin.model_dump(mode="json", exclude=set(_NOT_DIGESTED if twin.schema_version > 1 else _NOT_DIGESTED_V1))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def input_from_twin(path: Path) -> tuple[Twin, Input]:
    """Read a twin and the record with which a product names it as its input."""
    twin = read_twin(path)
    return twin, Input(path=str(path), kind=twin.kind, id=twin.id, sha256=twin_digest(twin))


def read_twin(path: Path) -> Twin:
    """Read and check a twin.

    Raises
    ------
    DamagedTwinError
        If it is not a twin: torn by a failing disk, or edited.
    InputError
        If it is missing.
    """
    try:
        return Twin.model_validate_json(plain_bytes(Path(path)))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: rerun snakemake to make the product again") from None
    except NoPlainFile as error:
        raise DamagedTwinError(f"{path} is not a valid twin ({error}): delete it and rerun snakemake") from None
    except ValidationError as error:
        what = error.errors()[0]
        where = ".".join(map(str, what["loc"])) or "content"
        raise DamagedTwinError(
            f"{path} is not a valid twin ({where}: {what['msg']}): delete it and rerun snakemake"
        ) from None


def write_twin(path: Path, twin: Twin) -> None:
    """Write a twin, atomically; by convention after its product is in place."""
    write_json(path, twin.model_dump(mode="json"))
