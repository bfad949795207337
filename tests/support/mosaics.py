"""Real, tiny mosaics with their whole lineage, as the rules would leave them on the stage."""

from __future__ import annotations

import functools
import hashlib
import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from contimg import naming
from contimg.config import Config, load
from contimg.products.manifest import make_manifest, product_of
from contimg.products.twin import Input, Reason, Twin, input_from_twin, read_twin, verdict_of, write_twin
from contimg.publishing import publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.storage.atomic import atomic_path, file_sha256
from contimg.times import mjd_from_datetime

GROUP = "2026-02-11T00:26:49"
MOSAIC = "mosaic_20260211T002649"
TILES = (GROUP, "2026-02-11T00:31:58")
FAILED = Reason(
    code="noise", severity="failed", message="rms is 4.1 times the expected noise", measured=4.1, threshold=3.0
)
WARNING = Reason(
    code="noise", severity="warning", message="rms is 2.4 times the expected noise", measured=2.4, threshold=2.0
)


def config_below(root: Path, **sections: Mapping[str, Any]) -> Config:
    """Return a configuration whose four roots stand below a folder."""
    paths = {name: str(root / name) for name in ("incoming", "stage", "products", "state")}
    # The archive's tables have tests of their own; made at each publish of each test they would cost minutes.
    # Tests damage published files, also those of users who are not root.
    publish = {"update_archive": False, "read_only": False, **sections.pop("publish", {})}
    return load({"paths": paths, "crossmatch": {"enabled": False}, "publish": publish, **sections})


def png(colour: int) -> bytes:
    """Return a valid picture of one grey pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes([0, colour])))
        + chunk(b"IEND", b"")
    )


def write_fits(path: Path, data: np.ndarray, **cards: Any) -> None:
    """Write an image with the header of a mosaic; cards given as None are left out."""
    path.write_bytes(_fits_bytes(data.astype(np.float32).tobytes(), data.shape, tuple(cards.items())))


@functools.lru_cache(maxsize=64)  # most mosaics of the tests are alike, and astropy takes 15 ms for each plane
def _fits_bytes(pixels: bytes, shape: tuple[int, ...], cards: tuple[tuple[str, Any], ...]) -> bytes:
    header = fits.Header()
    for axis, (kind, value, step) in enumerate((("RA---SIN", 12.5, -0.01), ("DEC--SIN", 37.1, 0.01)), start=1):
        header[f"CTYPE{axis}"], header[f"CRVAL{axis}"] = kind, value
        header[f"CRPIX{axis}"], header[f"CDELT{axis}"] = shape[0] / 2, step
    header["BMAJ"], header["BMIN"], header["BUNIT"], header["SYNTHET"] = 0.004, 0.003, "Jy/beam", True
    for key, value in cards:
        if value is None:
            del header[key]
        else:
            header[key] = value
    content = io.BytesIO()
    fits.PrimaryHDU(np.frombuffer(pixels, np.float32).reshape(shape), header=header).writeto(content)
    return content.getvalue()


def make_tile(
    config: Config, tile: str, calibration_tile: str, *, n_subbands: int = 4, n_times: int = 24, flagged: float = 0.12
) -> Path:
    """Make a tile up to its image; return the image's twin."""
    layout = config.layout
    subbands = []
    for subband in range(n_subbands):
        path = layout.incoming / f"{tile}_sb{subband:02d}.hdf5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{tile} subband {subband}".encode())
        subbands.append(Input(path=str(path), kind="subband_file", id=path.name, sha256=file_sha256(path)))
    mid_mjd = mjd_from_datetime(naming.parse_id(tile)) + 150 / 86400
    facts = {
        "dec_app_deg": 37.1, "mid_mjd": mid_mjd, "start_mjd": mid_mjd - 150 / 86400, "end_mjd": mid_mjd + 150 / 86400,
        "n_subbands": n_subbands, "n_times": n_times, "missing_subbands": [],
        "telescope": "OVRO_MMA", "freq_hz": 1.405e9, "bandwidth_hz": 1.8e8, "phase_centre_deg": [12.5, 37.1],
        "integration_s": 12.884902, "n_antennas": 3, "antennas": ["24", "31", "103"], "n_channels": 48 * n_subbands,
        "band_hz": [1.311e9, 1.499e9], "channel_width_hz": 2.44e5, "polarisations": ["XX", "YY"],
        "location": [37.233386, -118.283405, 1188.0],
    }  # fmt: skip
    ms = layout.twin("ms", tile)
    _twin(ms, kind="ms", id=tile, facts=facts, qa={"flagged_fraction": 0.1}, inputs=subbands)
    calibration, solved = layout.twin("calibration", calibration_tile), naming.calibration_id(calibration_tile)
    if tile == calibration_tile or not calibration.exists():
        calibration_facts = {
            "type": "bandpass", "calibrator": "3C286", "flux_anchor": "Perley & Butler 2017: 3C286",
            "mid_mjd": mid_mjd, "dec_app_deg": 37.1, "tile": tile,
        }  # fmt: skip
        inputs = [input_from_twin(ms)[1]]
        _twin(
            calibration,
            kind="calibration",
            id=solved,
            facts=calibration_facts,
            inputs=inputs,
        )
    calibrated = layout.twin("calibrated", tile)
    inputs = [input_from_twin(ms)[1], input_from_twin(calibration)[1]]
    rejected = ["cal_20260210T002649", "gains", "23.9 h away: more than calibration.gain_validity_h"]
    choice = {"bandpass": solved, "gains": solved, "why": [f"bandpass {solved}: the nearest"], "rejected": [rejected]}
    applied = {"bandpass": solved, "gains": solved, "gain_sets": [solved], "calibrator": "3C286", "choice": choice}
    qa = {"flagged_fraction": flagged}
    _twin(calibrated, kind="calibrated", id=tile, facts=facts | applied, qa=qa, inputs=inputs)
    image = layout.twin("image", tile)
    beam = {"bmaj_arcsec": 14.4, "bmin_arcsec": 10.8, "bpa_deg": 10.0}
    inputs = [input_from_twin(calibrated)[1]]
    _twin(image, kind="image", id=tile, facts=facts | {"beam": beam}, qa={"rms_mjy": 4.2}, inputs=inputs)
    return image


def make_mosaic(
    config: Config,
    *,
    seed: int = 1,
    tiles: Sequence[str] = TILES,
    reasons: Sequence[Reason] = (),
    crossmatch: bool | Sequence[Reason] = True,
    omit: Sequence[str] = (),
    size_px: int = 32,
    facts: Mapping[str, Any] | None = None,
    cards: Mapping[str, Any] | None = None,
    rms_mjy: float = 4.0,
    data: Mapping[str, Any] | None = None,
    coverage: int | None = None,
) -> str:
    """Make a mosaic on the stage with its lineage; return its id.

    `data` goes to `make_tile`; where `coverage` is given, as many tiles saw each covered pixel.
    """
    layout = config.layout
    images = [make_tile(config, tile, tiles[0], **(data or {})) for tile in tiles]
    mosaic_id = naming.mosaic_id(tiles[0])
    product = layout.product("mosaic", mosaic_id)
    pixels = np.random.default_rng(seed).normal(0, 0.004, (size_px, size_px))
    pixels[0, :] = np.nan
    covered = np.where(np.isfinite(pixels), 1.0, 0.0)
    with atomic_path(product) as folder:
        folder.mkdir()
        (folder / ".snakemake_timestamp").touch()
        content = {
            f"{mosaic_id}.fits": pixels,
            f"{mosaic_id}.weights.fits": covered / 0.004**2,
            f"{mosaic_id}.rms.fits": np.where(covered > 0, 0.004, np.nan),
        }
        if coverage is not None:
            content[f"{mosaic_id}.coverage.fits"] = coverage * covered
        for name, data in content.items():
            if name not in omit:
                write_fits(folder / name, data, **(cards or {}))
        (folder / f"{mosaic_id}.png").write_bytes(png(seed % 256))
        (folder / f"{mosaic_id}.tiles.csv").write_text("tile,used\n" + "".join(f"{tile},yes\n" for tile in tiles))
        for name in omit:
            (folder / name).unlink(missing_ok=True)
    read = [input_from_twin(image) for image in images]
    stated = {
        "group": tiles[0], "tiles": list(tiles), "tiles_used": list(tiles), "n_images": len(tiles),
        "start_mjd": read[0][0].facts["start_mjd"], "end_mjd": read[-1][0].facts["end_mjd"], "telescope": "OVRO_MMA",
        "calibrators": ["3C286"], "flux_anchor": "Perley & Butler 2017: 3C286",
        "freq_hz": 1.405e9, "bandwidth_hz": 1.8e8,
        "beam": {"bmaj_arcsec": 14.4, "bmin_arcsec": 10.8, "bpa_deg": 10.0}, "centre_deg": [12.5, 37.1],
    }  # fmt: skip
    twin = layout.twin("mosaic", mosaic_id)
    _twin(
        twin,
        kind="mosaic",
        id=mosaic_id,
        reasons=list(reasons),
        facts=stated | dict(facts or {}),
        qa={"rms_mjy": rms_mjy, "noise_ratio": 1.1},
        inputs=[item for _, item in read],
        parameters={"mosaic": {"cell_arcsec": 3.0}, "qa": {"version": 1}},
    )
    if crossmatch is not False:
        against = layout.product("crossmatch", mosaic_id)
        with atomic_path(against) as folder:
            folder.mkdir()
            (folder / f"{mosaic_id}.matches.csv").write_text(f"name,ratio\nA,1.0{seed}\n")
            (folder / f"{mosaic_id}.flux.png").write_bytes(png((seed + 1) % 256))
        catalogue = Input(path="/nowhere/catalogue.csv", kind="catalogue", id="catalogue.csv", sha256=sha("catalogue"))
        _twin(
            layout.twin("crossmatch", mosaic_id),
            kind="crossmatch",
            id=mosaic_id,
            reasons=[] if crossmatch is True else list(crossmatch),
            qa={
                "median_flux_ratio": 1.01,
                "flux_outliers": 0.0,
                "median_offset_beams": 0.02,
                "completeness": 1.0,
                "n_compared": 20,
                "n_expected": 20,
            },
            inputs=[input_from_twin(twin)[1], catalogue],
        )
    summary = layout.product("summary", mosaic_id)
    with atomic_path(summary) as part:
        part.write_text(f"<html><title>{mosaic_id} {seed}</title></html>\n")
    return mosaic_id


def judge_again(config: Config, mosaic_id: str = MOSAIC) -> None:
    """List a mosaic's files in its twin as they are now, as if it had been made so; its crossmatch follows."""
    layout = config.layout
    mosaic, crossmatch = layout.twin("mosaic", mosaic_id), layout.twin("crossmatch", mosaic_id)
    files = make_manifest(layout.product("mosaic", mosaic_id))
    write_twin(mosaic, read_twin(mosaic).model_copy(update={"files": files}))
    compared = read_twin(crossmatch)
    others = [item for item in compared.inputs if item.kind != "mosaic"]
    write_twin(crossmatch, compared.model_copy(update={"inputs": [input_from_twin(mosaic)[1], *others]}))


def run(config: Config, **mosaic: Any) -> publish.Outcome:
    """Make the mosaic, register and publish it, as the rules do."""
    make_mosaic(config, **mosaic)
    register_mosaic(MOSAIC, config)
    return publish_mosaic(MOSAIC, config, waits_s=())


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _twin(path: Path, **content: Any) -> None:
    reasons = content.get("reasons", [])
    place = product_of(path, content["kind"])
    content = {"files": make_manifest(place) if place.is_dir() else {}} | content
    twin = Twin(verdict=verdict_of(reasons), synthetic=True, libraries={"numpy": np.__version__}, **content)
    # What making it cost differs each time, and must not reach a bundle.
    write_twin(path, twin.model_copy(update={"run": {"started": str(np.random.default_rng().random())}}))
