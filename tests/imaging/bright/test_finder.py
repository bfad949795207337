"""Crowded fields, whose sidelobes are most of the noise, and sources on the border of the image."""

import numpy as np
import pytest

from tests.imaging.test_image_tile import OPTIONS, plane, run, tile
from tests.support import skies

CROWDED = OPTIONS.model_copy(update={"size_px": 400, "cell_arcsec": 25.0})
HALF_DEG = CROWDED.size_px * CROWDED.cell_arcsec / 7200


def crowded(folder, *, seed=2, count=100):
    """Return a tile of 20 antennas with sources of 0.05 to 1.5 Jy, one 3 pixels from the edge, and its catalogue."""
    rng = np.random.default_rng(seed)
    sky = [
        (*rng.uniform(-0.93, 0.93, 2) * HALF_DEG, np.exp(rng.uniform(np.log(0.05), np.log(1.5)))) for _ in range(count)
    ]
    sky.append((HALF_DEG - 3 * CROWDED.cell_arcsec / 3600, 0.3, 2.0))
    vis = skies.empty(antennas=20, times=6, channels=16, span_m=130, dec_deg=-20.0)
    rows = ["name,ra_deg,dec_deg,flux_jy,spectral_index"]
    for number, (east, north, flux) in enumerate(sky):
        place = skies.offset(vis, east, north)
        skies.add_source(vis, *place, flux, index=-0.7, beam=True)
        rows.append(f"s{number},{np.degrees(place[0]):.6f},{np.degrees(place[1]):.6f},{flux:.5f},-0.7")
    skies.add_noise(vis, 0.25)
    catalogue = folder / "sky.csv"
    catalogue.write_text("\n".join(rows) + "\n")
    return sky, tile(folder, vis), catalogue


@pytest.fixture(scope="module")
def imaged(tmp_path_factory):
    sky, paths, catalogue = crowded(tmp_path_factory.mktemp("crowded"))
    return sky, paths, run(paths, CROWDED, catalogue)


def test_sidelobes_of_a_crowded_field_are_removed(imaged):
    """They were: 10 rounds of the search ended at what was left, and CLEAN at five times its scatter."""
    *_, twin = imaged
    assert twin.qa["rms_mjy"] < 2 * twin.qa["radiometer_rms_mjy"]


def test_fluxes_of_a_crowded_field_are_true(imaged):
    sky, _, twin = imaged
    found = {one["name"]: one["flux_jy"] for one in twin.facts["bright_sources"]}
    freq = twin.facts["freq_hz"] / 1.4e9
    ratio = [found[f"s{i}"] / flux / freq**-0.7 for i, (*_, flux) in enumerate(sky) if flux > 0.3 and f"s{i}" in found]
    assert len(ratio) > 20
    assert np.median(ratio) == pytest.approx(1, abs=0.01)


def test_a_source_on_the_border_is_subtracted(imaged):
    _, paths, twin = imaged
    (border,) = (one for one in twin.facts["bright_sources"] if one["name"] == "s100")
    assert border["inside"]
    assert border["flux_jy"] == pytest.approx(2.0, rel=0.1)
    residual, _ = plane(paths, "residual")
    assert np.abs(residual[:, :8]).max() < 20 * twin.qa["expected_rms_mjy"] / 1e3


def test_without_a_catalogue_only_what_is_certain_is_bright(imaged, tmp_path):
    _, paths, catalogued = imaged
    alone = run((*paths[:2], tmp_path / "alone", tmp_path / "alone.json"), CROWDED)
    limit = 0.5 * CROWDED.bright_sigma * alone.qa["radiometer_rms_mjy"] / 1e3
    assert all(one["apparent_jy"] > limit for one in alone.facts["bright_sources"])
    assert min(one["apparent_jy"] for one in catalogued.facts["bright_sources"]) < limit
