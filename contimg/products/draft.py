"""Collecting the content of a twin while a rule works, and writing it with the manifest of the product."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contimg.errors import InputError
from contimg.products.gates import Options
from contimg.products.judged import thresholds
from contimg.products.manifest import file_states, make_manifest, read_product
from contimg.products.twin import (
    FileRecord,
    Input,
    Reason,
    Stopwatch,
    Twin,
    library_versions,
    verdict_of,
    write_twin,
)
from contimg.storage.atomic import atomic_path, file_sha256

_LOG = logging.getLogger(__name__)


@dataclass
class TwinDraft:
    """What has been found so far about a product; `write` makes its twin of it.

    Attributes
    ----------
    kind, id, facts, qa, reasons, notes, inputs, synthetic
        As in `contimg.products.twin.Twin`.
    """

    kind: str
    id: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    qa: dict[str, Any] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    synthetic: bool = False
    _watch: Stopwatch = field(default_factory=Stopwatch, repr=False)
    _files: dict[str, FileRecord] | None = field(default=None, repr=False)
    _states: dict[str, list[int]] = field(default_factory=dict, repr=False)

    def fail(self, code: str, message: str, measured: Any = None, threshold: Any = None) -> None:
        """Add a reason that makes the verdict 'failed'."""
        self.reasons.append(
            Reason(code=code, severity="failed", message=message, measured=measured, threshold=threshold)
        )

    def warn(self, code: str, message: str, measured: Any = None, threshold: Any = None) -> None:
        """Add a reason that makes the verdict 'warning', unless another makes it worse."""
        self.reasons.append(
            Reason(code=code, severity="warning", message=message, measured=measured, threshold=threshold)
        )

    @property
    def failed(self) -> bool:
        """True when the verdict will be 'failed'."""
        return verdict_of(self.reasons) == "failed"

    def use(self, twin_path: Path, place: Path | None = None) -> Twin:
        """Read and verify a product that goes into this one, record it as an input, and return its twin.

        Parameters
        ----------
        twin_path : Path
        place : Path or None
            Where the product stands; None: beside its twin.

        Raises
        ------
        InputError
            If the twin is missing or unreadable.
        AlteredProduct
            If a file of the product is missing or was altered.
        """
        twin, record = read_product(Path(twin_path), place)
        if record not in self.inputs:
            self.inputs.append(record)
        self.synthetic = self.synthetic or twin.synthetic
        _LOG.info("input %s %s: verdict %s, %d files verified", twin.kind, twin.id, twin.verdict, len(twin.files or ()))
        return twin

    def use_file(self, kind: str, path: Path | str | None) -> None:
        """Record a file, known by the SHA-256 of its bytes, as an input; do nothing where `path` is None.

        Raises
        ------
        InputError
            If the file does not exist.
        """
        if path is not None:
            path = Path(path)
            try:
                digest = file_sha256(path)
            except FileNotFoundError:
                raise InputError(f"{path} does not exist: put it there, or correct the key that names it") from None
            self.inputs.append(Input(path=str(path), kind=kind, id=path.name, sha256=digest))

    @contextlib.contextmanager
    def product(self, output: Path) -> Iterator[Path]:
        """Give a temporary path for the product; when the block ends, list its files and rename it to `output`.

        Raises
        ------
        OSError
            If the disk refuses; `output` is then as it was.
        """
        with atomic_path(Path(output)) as part:
            yield part
            self._files = make_manifest(part)
            self._states = file_states(part, self._files)
        size = sum(record.size for record in self._files.values())
        _LOG.info("wrote %s: %d files, %.1f MB", output, len(self._files), size / 1e6)

    def write(
        self,
        twin_path: Path,
        *,
        parameters: Mapping[str, Any],
        libraries: Sequence[str],
        judged_by: Options | None = None,
    ) -> Twin:
        """Write the twin, after its product is in place, and return it.

        Parameters
        ----------
        twin_path : Path
        parameters : mapping
            The options that the product was made with, without thresholds.
        judged_by : mapping of str to Section, optional
            The sections of the configuration that hold the thresholds of its kind.
        libraries : sequence of str
            Distributions that did the work; their installed versions are recorded.
        """
        assert self._files is not None, f"the product of {self.kind} {self.id} was not made"
        twin = Twin(
            kind=self.kind,
            id=self.id,
            verdict=verdict_of(self.reasons),
            reasons=self.reasons,
            notes=self.notes,
            facts=self.facts,
            qa=self.qa,
            files=self._files,
            inputs=self.inputs,
            parameters=dict(parameters),
            judged_with={} if judged_by is None else thresholds(self.kind, judged_by),
            synthetic=self.synthetic,
            libraries=library_versions(*libraries),
            run=self._watch.read() | {"file_states": self._states},
        )
        write_twin(Path(twin_path), twin)
        self._log(twin)
        return twin

    @staticmethod
    def _log(twin: Twin) -> None:
        """Log verdict, reasons, notes and measured numbers of a twin."""
        for reason in twin.reasons:
            _LOG.info("%s: %s: %s", reason.severity, reason.code, reason.message)
        for note in twin.notes:
            _LOG.info("note: %s", note)
        numbers = [f"{key} {value:.6g}" for key, value in twin.qa.items() if type(value) in (int, float)]
        _LOG.info("%s %s: verdict %s; %s", twin.kind, twin.id, twin.verdict, ", ".join(numbers) or "nothing measured")
