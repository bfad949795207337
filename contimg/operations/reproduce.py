"""The command ``contimg reproduce``: make a mosaic again from the files and parameters that its bundle records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contimg import config as options
from contimg import naming
from contimg.bundle.bundle import payload
from contimg.bundle.find import read_lineage
from contimg.errors import InputError
from contimg.products.lineage import TWIN_KINDS, Lineage, Node
from contimg.products.twin import Twin, read_twin
from contimg.storage.atomic import file_sha256

TOLERANCE = 1e-3
"""Largest difference of a pixel of the reproduced mosaic, as a fraction of the mosaic's rms."""


@dataclass(frozen=True)
class Comparison:
    """Differences between the mosaic in the bundle and the one made again, as fractions of the mosaic's rms.

    Attributes
    ----------
    data_id : str
    remade : str
        Path of the mosaic made again.
    rms_jy : float
        Noise of the mosaic in the bundle (Jy/beam).
    max_difference, rms_difference : float
    n_pixels : int
        Pixels that both have a value for.
    n_only_one : int
        Pixels that only one of the two has a value for.
    """

    data_id: str
    remade: str
    rms_jy: float
    max_difference: float
    rms_difference: float
    n_pixels: int
    n_only_one: int

    @property
    def same(self) -> bool:
        """True when no pixel differs by more than `TOLERANCE` of the rms."""
        return self.n_only_one == 0 and self.n_pixels > 0 and self.max_difference <= TOLERANCE


def reproduce(bundle_path: Path, stage: Path, tell: Callable[[str], None] = lambda what: None) -> Comparison:
    """Make a bundle's mosaic again on a stage of its own, and return the differences from the one in the bundle.

    Parameters
    ----------
    bundle_path : Path
    stage : Path
        Folder for everything that is made; the archive, registry and ordinary stage are not touched.
    tell : callable, optional
        Called with a text on each step before it is done.

    Raises
    ------
    InputError
        If a file is missing or has another hash, or the recorded parameters are not of this version.
    """
    metadata, lineage, mosaic = read_lineage(bundle_path)
    wanted = _below(lineage, mosaic)
    _check_files(wanted, tell)
    stage = Path(stage).resolve()
    runner = _RuleRunner(naming.Layout(stage / "none", stage, stage / "none", stage / "none"))
    for node in sorted(wanted, key=lambda node: (_rank(node.twin), node.twin.id)):
        tell(f"{node.twin.kind} {node.twin.id}")
        try:
            runner.make(node.twin)
        except (KeyError, ValidationError, ValueError) as error:
            version = node.twin.code_version
            what = " ".join(str(error).split())[:200]
            raise InputError(
                f"{bundle_path}: the parameters of {node.twin.kind} {node.twin.id} are not of this contimg ({what}): "
                f"use contimg {version}, which made it"
            ) from error
    remade = runner.layout.product("mosaic", mosaic.twin.id)
    name = f"{mosaic.twin.id}.fits"
    rms_jy = metadata["rms_mjy"] / 1e3
    return _compare(mosaic.twin.id, payload(Path(bundle_path)) / name, remade / name, rms_jy)


def _rank(twin: Twin) -> int:
    """Return the rank of a product in the order of processing: gains come after the bandpass that they use."""
    order = {"ms": 0, "calibration": 1, "calibrated": 3, "image": 4, "mosaic": 5}
    on_another = twin.kind == "calibration" and any(item.kind == "calibration" for item in twin.inputs)
    return order[twin.kind] + on_another


def _below(lineage: Lineage, top: Node) -> list[Node]:
    """Return a product and all products below it."""
    found: dict[str, Node] = {}
    open_nodes = [top]
    while open_nodes:
        node = open_nodes.pop()
        if node.sha256 not in found:
            found[node.sha256] = node
            open_nodes += [lineage.nodes[item.sha256] for item in node.twin.inputs if item.kind in TWIN_KINDS]
    return list(found.values())


def _check_files(nodes: list[Node], tell: Callable[[str], None]) -> None:
    """Raise InputError where an input file is missing or has another SHA-256 than recorded."""
    files = {(item.path, item.sha256) for node in nodes for item in node.twin.inputs if item.kind not in TWIN_KINDS}
    tell(f"hashes of {len(files)} files")
    for path, sha256 in sorted(files):
        try:
            found = file_sha256(Path(path))
        except FileNotFoundError:
            raise InputError(
                f"{path}, which the mosaic was made from, is not there: put the file back to reproduce it"
            ) from None
        if found != sha256:
            raise InputError(
                f"{path} has the SHA-256 {found[:12]}… and not {sha256[:12]}… as when the mosaic was made from it: put "
                "the original back to reproduce it"
            )


class _RuleRunner:
    """Calls the rules' functions with the inputs and parameters that twins recorded."""

    def __init__(self, layout: naming.Layout) -> None:
        self.layout = layout

    def make(self, twin: Twin) -> None:
        """Make the product that a twin describes; its inputs have been made before."""
        getattr(self, f"_{twin.kind}")(
            twin, self.layout.product(twin.kind, twin.id), self.layout.twin(twin.kind, twin.id)
        )

    def _inputs(self, twin: Twin, kind: str) -> list[Path]:
        return [self.layout.twin(kind, item.id) for item in twin.inputs if item.kind == kind]

    @staticmethod
    def _catalogue(twin: Twin) -> Path | None:
        return next((Path(item.path) for item in twin.inputs if item.kind == "catalogue"), None)

    def _ms(self, twin: Twin, place: Path, made: Path) -> None:
        from contimg.convert.convert_tile import convert_tile

        files = [Path(item.path) for item in twin.inputs if item.kind == "subband_file"]
        ingest, flag = (
            options.IngestOptions(**twin.parameters["ingest"]),
            options.FlagOptions(**twin.parameters["flag"]),
        )
        convert_tile(files, place, made, tile_id=naming.iso(twin.id), ingest=ingest, flag=flag)

    def _calibration(self, twin: Twin, place: Path, made: Path) -> None:
        from contimg.calibration.solve_calibration import solve_calibration

        (ms_twin,) = self._inputs(twin, "ms")
        solve_calibration(
            ms_twin.with_suffix(".ms"),
            ms_twin,
            place,
            made,
            calibrator=twin.parameters["calibrator"],
            bandpass=next(iter(self._inputs(twin, "calibration")), None),
            options=solving_options(twin),
            beam=options.BeamOptions(**twin.parameters["beam"]),
            catalogue=self._catalogue(twin),
        )

    def _calibrated(self, twin: Twin, place: Path, made: Path) -> None:
        from contimg.calibration.apply_calibration import apply_calibration

        (ms_twin,) = self._inputs(twin, "ms")
        apply_calibration(
            ms_twin.with_suffix(".ms"),
            ms_twin,
            place,
            made,
            calibrations=[self.layout.twin("calibration", name) for name in twin.parameters["calibrations"]],
            choice=twin.facts["choice"],
            options=options.CalibrationOptions(**twin.parameters["calibration"]),
        )

    def _image(self, twin: Twin, place: Path, made: Path) -> None:
        from contimg.imaging.image_tile import image_tile

        (calibrated,) = self._inputs(twin, "calibrated")
        image_tile(
            calibrated.with_suffix(".ms"),
            calibrated,
            place,
            made,
            tile_id=naming.iso(twin.id),
            options=options.ImageOptions(**twin.parameters["image"]),
            beam=options.BeamOptions(**twin.parameters["beam"]),
            catalogue=self._catalogue(twin),
            qa=options.QaOptions(**twin.judged_with.get("qa", {})),
            threads=1,
        )

    def _mosaic(self, twin: Twin, place: Path, made: Path) -> None:
        from contimg.mosaic.mosaic_group import mosaic_group

        images = self._inputs(twin, "image")
        mosaic_group(
            images,
            place,
            made,
            mosaic_id=twin.id,
            options=options.MosaicOptions(**twin.parameters["mosaic"]),
            pb_limit=twin.parameters["pb_limit"],
            qa=mosaic_thresholds(twin, [read_twin(path) for path in images]),
        )


def solving_options(twin: Twin) -> options.CalibrationOptions:
    """Return the options that a calibration was solved with, and judged by: one that fails is not applied."""
    return options.CalibrationOptions(**twin.parameters["calibration"] | twin.judged_with.get("calibration", {}))


def mosaic_thresholds(twin: Twin, images: Sequence[Twin]) -> options.QaOptions:
    """Return the thresholds that a mosaic and its tiles were judged by: tiles that fail are not in the mosaic."""
    judged_with = [*(image.judged_with for image in images), twin.judged_with]
    found: dict[str, Any] = {}
    for sections in judged_with:
        found |= sections.get("qa", {})
    return options.QaOptions(**found)


def _compare(data_id: str, first: Path, second: Path, rms_jy: float) -> Comparison:
    """Compare two FITS images of one shape; raise InputError where the shapes differ."""
    import numpy as np
    from astropy.io import fits

    # Without axes of one element: images of earlier versions do not have those of frequency and Stokes parameter.
    one: Any = np.squeeze(fits.getdata(first)).astype(np.float64)
    other: Any = np.squeeze(fits.getdata(second)).astype(np.float64)
    if one.shape != other.shape:
        raise InputError(f"{second} has the shape {other.shape}, not {one.shape} as {first}: the grids differ")
    both = np.isfinite(one) & np.isfinite(other)
    only_one = int(np.count_nonzero(np.isfinite(one) != np.isfinite(other)))
    difference = (other[both] - one[both]) / rms_jy
    largest = float(np.abs(difference).max(initial=0.0))
    spread = float(np.sqrt(np.mean(difference**2))) if difference.size else 0.0
    return Comparison(data_id, str(second), rms_jy, largest, spread, int(both.sum()), only_one)
