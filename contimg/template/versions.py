"""The versions of a strip's template on the stage, and what they and their mosaics hold."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from contimg.config import Config
from contimg.errors import InputError
from contimg.mosaic.grid import MosaicGrid
from contimg.naming import Layout
from contimg.products.facts import MosaicImageFacts
from contimg.products.fits_images import read_image
from contimg.products.record import Record, read_record
from contimg.products.twin import read_twin
from contimg.sky.restoring_beam import RestoringBeam
from contimg.template.stack import MosaicPlanes, Stack

_OUT = ("withdrawn", "rejected")


class TemplateFacts(Record):
    """Facts of a template: its mosaics, files, beam, and the lowest and highest time of its data."""

    strip: str
    version: int
    epochs: list[str]
    files: dict[str, str]
    beam: dict[str, float]
    freq_hz: float
    bandwidth_hz: float
    start_mjd: float
    end_mjd: float
    confusion_mjy: float
    telescope: str | None = None


def strip_of(layout: Layout, dec_deg: float, max_difference_deg: float) -> str:
    """Return the name of the strip at a declination: of the nearest template within a difference, else a new one."""
    known = {}
    for folder in layout.templates("").glob("dec*"):
        known[folder.name] = abs(float(folder.name.removeprefix("dec")) - dec_deg)
    near = [name for name in sorted(known) if known[name] <= max_difference_deg]
    return min(near, key=lambda name: known[name]) if near else f"dec{dec_deg:+06.2f}"


def all_versions(layout: Layout, strip: str) -> dict[int, Path]:
    """Return the twins of a strip's versions by number, ascending."""
    found = {int(path.stem[1:]): path for path in layout.templates(strip).glob("v*.json")}
    return dict(sorted(found.items()))


def newest(layout: Layout, strip: str) -> Path | None:
    """Return the twin of the newest version of a strip's template; None without one."""
    versions = all_versions(layout, strip)
    return versions[max(versions)] if versions else None


def next_version(layout: Layout, strip: str) -> int:
    """Return the number of a strip's next version."""
    return max(all_versions(layout, strip), default=0) + 1


def withdrawn(config: Config, mosaics: list[str]) -> list[str]:
    """Return those of some mosaics whose latest version the registry has as withdrawn or rejected."""
    from contimg.registry import queries
    from contimg.registry.engine import open_registry

    if config.registry.url is None and not config.layout.registry_file.exists():
        return []  # nothing was ever registered
    with contextlib.closing(open_registry(config)) as registry, registry.read() as connection:
        rows = [(one, queries.latest(connection, one)) for one in mosaics]
    return [one for one, row in rows if row is not None and row["status"] in _OUT]


def newest_without(layout: Layout, strip: str, mosaics: list[str]) -> Path | None:
    """Return the twin of the newest version of a strip's template that holds none of some mosaics; None without one."""
    for path in reversed(all_versions(layout, strip).values()):
        if not set(mosaics) & set(facts_of(path).epochs):
            return path
    return None


def facts_of(twin: Path) -> TemplateFacts:
    """Return the facts of a version."""
    version = read_twin(twin)
    return read_record(TemplateFacts, version.facts, version, twin)


def read_mosaic(twin: Path, facts: MosaicImageFacts) -> MosaicPlanes:
    """Read an epoch's image and rms."""
    folder = twin.with_suffix("")
    image, rms = read_image(folder / facts.files.image), read_image(folder / facts.files.rms)
    if not str(image.wcs.wcs.ctype[0]).endswith(("COE", "CEA")):
        raise InputError(f"{image.path} is on a tangent plane: make the mosaic again with this version of contimg")
    beam = facts.beam
    restoring = RestoringBeam.from_degrees(beam.bmaj_arcsec / 3600, beam.bmin_arcsec / 3600, beam.bpa_deg)
    return MosaicPlanes(image.data, rms.data, image.wcs, facts.centre_deg, restoring)


def read_template(twin: Path, facts: TemplateFacts) -> Stack:
    """Read a version."""
    folder = twin.with_suffix("")
    image, weights, epochs = (read_image(folder / facts.files[name]) for name in ("image", "weights", "epochs"))
    header = image.header
    ny, nx = image.data.shape
    grid = MosaicGrid(
        (float(header["CENTRA"]), float(header["CENTDEC"])),
        float(header["CDELT2"]),
        (round(header["CRPIX1"]), round(header["CRPIX2"])),
        (ny, nx),
    )
    beam = RestoringBeam.from_degrees(*(float(header[key]) for key in ("BMAJ", "BMIN", "BPA")))
    planes = image.data.astype(np.float32), weights.data.astype(np.float32), epochs.data.astype(np.int16)
    return Stack(grid, beam, *planes)
