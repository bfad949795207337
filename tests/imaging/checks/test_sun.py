"""The Sun is found in simulated tiles of the day with its flux density, and not in those without it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import tiles
from contimg import measurement_set
from contimg.imaging.checks.sun import SunInTile, measure_sun
from contimg.imaging.image_tile import _name_sun
from contimg.imaging.visibilities.averaging import averaging_factors, read_averaged
from contimg.imaging.visibilities.samples import stokes_i
from contimg.products.draft import TwinDraft
from contimg.simulate import GainErrors, HostileSky, NightOptions, TelescopeErrors, simulate_night

STATIONS = (1, 20, 68, 69, 71, 72, 74, 75, 77, 79, 103, 109)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Return a function that simulates a tile by day and measures the Sun in it."""

    def look(sun_jy, stations=STATIONS):
        folder = tmp_path_factory.mktemp("sun")
        options = NightOptions(
            tiles=1, stations=stations, channels=2, integrations=12, declination_deg=33.15, calibrator_flux_jy=15.0,
            sources=30, start="2026-02-11T20:00:00", gains=GainErrors.none(),
            telescope=TelescopeErrors(sky=HostileSky(sun_jy=sun_jy)),
        )  # fmt: skip
        simulate_night(folder / "night", options)
        (folder / "calibrated").mkdir()
        ms, _ = tiles.calibrate_perfectly(*tiles.convert(folder / "night", 0, folder), folder / "calibrated")
        coordinates = measurement_set.read_coordinates(ms)
        vis = read_averaged(ms, coordinates, averaging_factors(coordinates, np.radians(1.9), 0.003))
        return measure_sun(vis, stokes_i(vis))

    return look


@pytest.mark.parametrize("sun_jy", [(60.0, 40.0), (200.0, 120.0)])
def test_the_sun_is_found_with_its_flux(seen, sun_jy):
    found = seen(sun_jy)
    assert found.detected and found.apparent_jy == pytest.approx(sum(sun_jy) / 2, rel=0.25)


def test_without_the_sun_a_calibrator_of_15_jy_is_not_taken_for_it(seen):
    assert not seen((0.0, 0.0)).detected


def test_an_array_without_short_baselines_does_not_tell(seen):
    assert seen((60.0, 40.0), (1, 28, 51, 76, 102, 103, 109)) is None


@pytest.mark.parametrize(
    ("apparent_jy", "ratio", "detected"), [(50.0, 4.1, True), (50.0, 3.9, False), (2.9, 50.0, False), (0.0, 0.9, False)]
)
def test_it_is_detected_above_its_mirror_image_and_three_jansky(apparent_jy, ratio, detected):
    assert SunInTile(apparent_jy, ratio).detected is detected


@pytest.mark.parametrize(
    ("ratio_high", "in_data", "reasons", "notes"),
    [(True, True, ["noise_ratio_high", "sun"], 0), (False, True, [], 1), (True, False, ["noise_ratio_high"], 0)],
)
def test_a_tile_too_noisy_with_the_sun_names_it(ratio_high, in_data, reasons, notes):
    draft = TwinDraft("image", facts={"sun_in_data": in_data, "min_uv_klambda": 0.3}, qa={"sun_jy": 47.5})
    if ratio_high:
        draft.fail("noise_ratio_high", "too noisy")
    _name_sun(draft)
    assert [reason.code for reason in draft.reasons] == reasons and len(draft.notes) == notes
    if in_data:
        said = draft.notes[0] if notes else draft.reasons[-1].message
        assert said == "the Sun is in the data, 47.5 Jy apparent: baselines below 0.3 klambda left out"
