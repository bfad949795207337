"""Tiny mosaics with their whole lineage, as files of the stage: what the rules before publishing would have left."""

from __future__ import annotations

import functools
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.naming import Layout
from contimg.products.twin import FileRecord, Input, Reason, Twin, twin_digest, verdict_of
from contimg.times import mjd_from_datetime

_REASONS = {
    "passed": [],
    "warning": [Reason(code="noise", severity="warning", message="rms is 2.4 times the expected noise")],
    "failed": [Reason(code="noise", severity="failed", message="rms is 4.1 times the expected noise")],
}
_SIZE_PX = 4
_FACTS = {
    "dec_app_deg": 37.1, "n_subbands": 16, "n_times": 24, "telescope": "OVRO_MMA", "freq_hz": 1.405e9,
    "bandwidth_hz": 1.8e8, "type": "bandpass", "calibrator": "3C286", "flux_anchor": "3C286",
    "beam": {"bmaj_arcsec": 14.4, "bmin_arcsec": 10.8, "bpa_deg": 10.0},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Making:
    """One making of a mosaic.

    Attributes
    ----------
    mosaic_id : str
    number : int
        Makings of one mosaic with other numbers have other pixels.
    verdict : str
    files : dict of Path to bytes
        Its product, its twin, and the twins below it.
    """

    mosaic_id: str
    number: int
    verdict: str
    files: dict[Path, bytes]


@functools.lru_cache(maxsize=256)  # most seeds make the same ones
def make(layout: Layout, group_id: str, number: int, verdict: str) -> Making:
    """Return the files of a mosaic of one tile, whose verdict is ``passed``, ``warning`` or ``failed``."""
    files: dict[Path, bytes] = {}
    mid_mjd = mjd_from_datetime(naming.parse_id(group_id)) + 150 / 86400
    facts = _FACTS | {"mid_mjd": mid_mjd, "start_mjd": mid_mjd - 0.002, "end_mjd": mid_mjd + 0.002}

    def product(kind: str, name: str, inputs: list[Input], **content: Any) -> Input:
        standard: dict[str, Any] = {"facts": facts, "qa": {"flagged_fraction": 0.1, "rms_mjy": 4.2}, "files": {}}
        content = standard | content
        reasons = content.get("reasons", [])
        twin = Twin(kind=kind, id=name, verdict=verdict_of(reasons), synthetic=True, inputs=inputs, **content)
        place = layout.twin(kind, name)
        files[place] = (json.dumps(twin.model_dump(mode="json"), indent=1) + "\n").encode()
        return Input(path=str(place), kind=kind, id=name, sha256=twin_digest(twin))

    subband = f"{group_id}_sb00.hdf5"
    digest = hashlib.sha256(subband.encode()).hexdigest()
    raw = Input(path=str(layout.incoming / subband), kind="subband_file", id=subband, sha256=digest)
    ms = product("ms", group_id, [raw])
    solved = product("calibration", naming.calibration_id(group_id), [ms])
    image = product("image", group_id, [product("calibrated", group_id, [ms, solved])])
    mosaic_id = naming.mosaic_id(group_id)
    content = {f"{mosaic_id}{suffix}": data for suffix, data in _images(number).items()}
    content[f"{mosaic_id}.png"] = content["plots/noise.png"] = f"picture {number}".encode()
    files |= {layout.product("mosaic", mosaic_id) / name: data for name, data in content.items()}
    listed = {
        name: FileRecord(size=len(data), sha256=hashlib.sha256(data).hexdigest()) for name, data in content.items()
    }
    stated = facts | {
        "group": group_id, "tiles": [group_id], "tiles_used": [group_id], "n_images": 1, "calibrators": ["3C286"],
        "centre_deg": [12.5, 37.1],
    }  # fmt: skip
    product(
        "mosaic", mosaic_id, [image], facts=stated, qa={"rms_mjy": 4.0}, files=listed, reasons=list(_REASONS[verdict])
    )
    return Making(mosaic_id, number, verdict, files)


@functools.lru_cache(maxsize=256)
def manifest_sha256(layout: Layout, making: Making) -> str:
    """Return the SHA-256 of the manifest of a making whose files stand on the stage."""
    from contimg.bundle.assembly import gather

    return gather(layout, making.mosaic_id).manifest_sha256


@functools.lru_cache(maxsize=64)
def _images(number: int) -> dict[str, bytes]:
    import numpy as np
    from astropy.io import fits

    def image(value: float) -> bytes:
        hdu = fits.PrimaryHDU(np.full((_SIZE_PX, _SIZE_PX), value, np.float32))
        for axis, kind in enumerate(("RA---SIN", "DEC--SIN"), start=1):
            hdu.header[f"CTYPE{axis}"], hdu.header[f"CRPIX{axis}"] = kind, _SIZE_PX / 2
        hdu.header["BMAJ"], hdu.header["BMIN"], hdu.header["BUNIT"] = 0.004, 0.003, "Jy/beam"
        hdu.header["SYNTHET"] = True
        content = io.BytesIO()
        hdu.writeto(content)
        return content.getvalue()

    return {".fits": image(1e-3 * number), ".weights.fits": image(62500.0), ".rms.fits": image(0.004)}
