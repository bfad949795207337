"""A product (images of a tile, or a mosaic) that a fault changes, and whose twin can be made to describe the change."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from contimg.products.manifest import file_states, make_manifest, product_of
from contimg.products.twin import Twin, read_twin, write_twin
from contimg.statistics import robust_sigma


@dataclass(frozen=True)
class Product:
    """The folder of a tile's image or of a mosaic, and what a fault may use.

    Attributes
    ----------
    twin : Path
    before : Path
        The twin of the same kind of product that comes before it.
    made : bool
        The twin is to describe the changed files.
    value : float
        Size of the fault.
    rng : numpy.random.Generator
    """

    twin: Path
    before: Path
    made: bool
    value: float
    rng: np.random.Generator

    def file(self, plane: str) -> Path:
        """Return the file of a plane: ``image``, ``pb`` ... of a tile; ``mosaic``, ``weights`` or ``rms``."""
        return file_of(self.twin, plane)

    def planes(self, *names: str) -> list[str]:
        """Return those of some planes that are there."""
        return [name for name in names if self.file(name).exists()]

    def change(self, plane: str, change: Callable[[np.ndarray, fits.Header], np.ndarray]) -> None:
        """Replace the pixels of a plane by what a function of them and of the header, which it may change, returns."""
        path = self.file(plane)
        data, header = fits.getdata(path, header=True)
        data = np.squeeze(data)
        data = np.asarray(change(np.array(data, np.float32), header), np.float32)
        path.unlink()
        fits.PrimaryHDU(data, header).writeto(path, checksum=True, output_verify="ignore")

    def describe(self) -> None:
        """Let the twin list the files as they are now, with the noise and the extremes of a tile's image."""
        twin = read_twin(self.twin)
        place = product_of(self.twin, twin.kind)
        qa = dict(twin.qa)
        if twin.kind == "image":
            values = _pixels(self.file("image"))
            if np.isfinite(values).any():
                qa |= {
                    "rms_mjy": round(robust_sigma(values) * 1e3, 6),
                    "peak_mjy": round(float(np.nanmax(values)) * 1e3, 4),
                    "min_mjy": round(float(np.nanmin(values)) * 1e3, 4),
                }
        files = make_manifest(place)
        run = twin.run | {"file_states": file_states(place, files)}
        facts = twin.facts | self._header_facts()
        described = {"qa": qa, "facts": facts, "files": files, "run": run}
        write_twin(self.twin, Twin.model_validate(twin.model_dump() | described))

    def _header_facts(self) -> dict[str, object]:
        """Return beam, frequency and centre as the image's header has them, where it has them."""
        with warnings.catch_warnings(action="ignore"), fits.open(self.file(self.planes("image", "mosaic")[0])) as hdus:
            header = hdus[0].header.copy()
        found: dict[str, object] = {}
        if all(key in header for key in ("BMAJ", "BMIN", "BPA")):
            found["beam"] = {
                "bmaj_arcsec": header["BMAJ"] * 3600, "bmin_arcsec": header["BMIN"] * 3600, "bpa_deg": header["BPA"]
            }  # fmt: skip
        if "FREQ" in header:
            found["freq_hz"] = header["FREQ"]
        if all(key in header for key in ("CRVAL1", "CRVAL2")):
            found["centre_deg"] = [header["CRVAL1"], header["CRVAL2"]]
        return found


def _pixels(path: Path) -> np.ndarray:
    """Return the pixels of an image; none where the file ends before them."""
    try:
        with warnings.catch_warnings(action="ignore"), fits.open(path, memmap=False) as hdus:
            return np.squeeze(hdus[0].data)
    except (OSError, TypeError, ValueError):
        return np.array([])


def file_of(twin: Path, plane: str) -> Path:
    """Return the file of a plane of the product that a twin describes."""
    name = f"{twin.stem}.fits" if plane == "mosaic" else f"{twin.stem}.{plane}.fits"
    return twin.with_suffix("") / name
