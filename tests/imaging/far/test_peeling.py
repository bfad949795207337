"""The Sun and the A-team are taken out of simulated tiles; what is in the beam, and tiles without them, stay."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import tiles
from contimg import measurement_set
from contimg.config import BeamOptions, ImageOptions
from contimg.imaging.far.fringes import FarFringe
from contimg.imaging.far.near_field import NearField
from contimg.imaging.far.peeling import NEAREST_RAD, peel_far_sources
from contimg.imaging.prepare import _without_sun
from contimg.imaging.visibilities.averaging import averaging_factors, read_averaged
from contimg.imaging.visibilities.samples import stokes_i
from contimg.simulate import GainErrors, HostileSky, NightOptions, TelescopeErrors, simulate_night
from contimg.simulate.array import choose_stations
from contimg.sky.catalogue import read_catalogue
from contimg.sky.far_sources import FAR_SOURCES, FarSource

# Twelve close together, whose baselines see the Sun, and twelve far apart.
STATIONS = (
    1, 4, 11, 20, 28, 37, 48, 51, 68, 69, 70, 71, 72, 74, 75, 77, 79, 82, 86, 92, 99, 103, 109, 116,
)  # fmt: skip
ATEAM_JY = {"Cas A": 1750.0, "Cyg A": 1580.0}


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """Return a function that simulates a tile by day, with 24 antennas and a 15-Jy calibrator, and reads it."""

    def make(sky: HostileSky, number: int = 0, **changes):
        folder = tmp_path_factory.mktemp("far")
        options = {
            "tiles": 1, "stations": STATIONS, "channels": 4, "declination_deg": 33.15, "calibrator_flux_jy": 15.0,
            "sources": 20, "seed": 5, "start": "2026-02-11T20:00:00",
        }  # fmt: skip
        options |= {"gains": GainErrors.none(), "telescope": TelescopeErrors(sky=sky)} | changes
        simulate_night(folder / "night", NightOptions(**options))
        (folder / "calibrated").mkdir()
        ms, _ = tiles.calibrate_perfectly(*tiles.convert(folder / "night", number, folder), folder / "calibrated")
        coordinates = measurement_set.read_coordinates(ms)
        vis = read_averaged(ms, coordinates, averaging_factors(coordinates, np.radians(1.9), 0.003))
        return vis, NearField.of(read_catalogue(folder / "night" / "catalogue.csv"), vis, BeamOptions())

    return make


@pytest.fixture(scope="module")
def clean_tile(tile):
    return tile(HostileSky())


@pytest.fixture(scope="module")
def clean(clean_tile):
    return clean_tile[0]


@pytest.fixture(scope="module")
def near(clean_tile):
    """Return what the catalogue knows of the tile's field."""
    return clean_tile[1]


@pytest.fixture(scope="module")
def hostile(tile):
    """Return the tile with the Sun, 60 and 40 Jy apparent, and the A-team at -30 dB."""
    return tile(HostileSky(sun_jy=(60.0, 40.0), ateam_response=0.001))[0]


def copied(vis):
    return replace(vis, data=vis.data.copy(), weight=vis.weight.copy(), flag=vis.flag.copy())


def left(vis, clean) -> float:
    """Return the rms of what a tile has more than a clean one, where both have data."""
    used = (vis.weight > 0) & (clean.weight > 0)
    return float(np.sqrt(np.mean(np.abs((vis.data - clean.data)[used]) ** 2)))


def test_fluxes_are_found_and_most_of_the_power_goes(hostile, clean, near):
    vis = copied(hostile)
    found = {one.name: one for one in peel_far_sources(vis, near)}
    assert found["Sun"].apparent_jy == pytest.approx([60.0, 40.0], rel=0.15)
    for name, flux_jy in ATEAM_JY.items():  # the pattern of the field takes 3 % of Cas A, whose fringes are slow
        assert found[name].apparent_jy == pytest.approx([flux_jy / 1000] * 2, rel=0.18)
    assert set(found) == {"Sun", *ATEAM_JY}, "Tau A and Vir A are below the horizon"
    assert left(vis, clean) < 0.2 * left(hostile, clean)


def test_what_is_in_the_beam_keeps_its_flux(hostile, clean, near):
    vis = copied(hostile)
    peel_far_sources(vis, near)
    used = (vis.weight > 0) & (clean.weight > 0)
    field = clean.data[used]
    assert np.vdot(field, vis.data[used]).real / np.vdot(field, field).real == pytest.approx(1.0, abs=0.004)


def test_sidelobes_may_differ_from_dish_to_dish(hostile, clean, near):
    """Amplitudes scatter by 40 % and phases by a radian: the sum over baselines of the fringe is nearly nothing."""
    rng = np.random.default_rng(3)
    gain = np.exp(0.4 * rng.standard_normal(200) + 1j * rng.standard_normal(200)).astype(np.complex64)
    turned = (gain[hostile.antenna1] * gain[hostile.antenna2].conj())[:, None, None]
    vis = copied(hostile)
    vis.data[...] = clean.data + (hostile.data - clean.data) * turned
    before = left(vis, clean)
    found = peel_far_sources(vis, near)
    assert {one.name for one in found} == {"Sun", *ATEAM_JY}
    assert left(vis, clean) < 0.2 * before


def test_a_tile_without_them_is_not_touched(clean, near):
    vis = copied(clean)
    assert peel_far_sources(vis, near) == []
    assert np.abs(vis.data - clean.data).max() < 1e-5 * np.abs(clean.data).max()  # the field's pattern went and came
    assert np.array_equal(vis.weight, clean.weight)


def test_without_a_catalogue_only_what_is_as_strong_as_the_field_is_believed(hostile, clean):
    assert {one.name for one in peel_far_sources(copied(hostile), None)} == {"Sun"}
    vis = copied(clean)
    assert peel_far_sources(vis, None) == [] and np.array_equal(vis.data, clean.data)


@pytest.fixture(scope="module", params=[0.0, 1e-4])
def beside_3c147(request, tile):
    """Return a tile with 3C147 near the half power, as it was found as Tau A, and the response to the A-team."""
    stations = tuple(choose_stations(24, 400.0))
    night = {
        "tiles": 3,
        "transit_tile": 0,
        "calibrator": "3C147",
        "declination_deg": None,
        "channels": 2,
        "sources": 4,
        "start": None,
    }
    vis, near = tile(
        HostileSky(ateam_response=request.param), number=2, stations=stations, flux_max_jy=8.0, seed=1231, **night
    )
    return request.param, vis, near


def test_a_calibrator_off_the_axis_is_no_far_source(beside_3c147):
    """A tenth to a quarter of its amplitude was taken for Tau A's, and the image had stripes: Cas A alone is seen."""
    response, vis, near = beside_3c147
    found = {one.name: one.apparent_jy for one in peel_far_sources(copied(vis), near)}
    assert set(found) <= ({"Cas A"} if response else set())
    for apparent_jy in found.values():
        assert apparent_jy == pytest.approx([response * ATEAM_JY["Cas A"]] * 2, rel=0.2)
    assert peel_far_sources(copied(vis), None) == []


def test_facts_say_what_was_done(hostile, near):
    facts = next(one for one in peel_far_sources(copied(hostile), near) if one.name == "Sun").facts()
    assert set(facts) == {"name", "apparent_jy", "baselines", "left_out"}
    assert facts["baselines"] >= 10 and facts["apparent_jy"][0] > facts["apparent_jy"][1]


def test_by_day_short_baselines_are_left_out_where_the_sun_was_subtracted(hostile, near):
    vis = copied(hostile)
    peeled = peel_far_sources(vis, near)
    samples = stokes_i(vis)
    job = SimpleNamespace(options=ImageOptions(), source=SimpleNamespace(facts={"sun": {"daytime": True}}))
    options, numbers = _without_sun(job, vis, samples, peeled)
    assert options.min_uv_klambda == ImageOptions().sun_min_uv_klambda
    assert numbers["sun_jy"] == pytest.approx(50.0, rel=0.15)
    job.source.facts["sun"]["daytime"] = False
    assert _without_sun(job, vis, samples, peeled) == (job.options, {})


def test_flagged_data_are_neither_used_nor_revived(hostile, near):
    vis = copied(hostile)
    vis.data[::3] = np.complex64(1e6)
    vis.weight[::3], vis.flag[::3] = 0, True
    found = {one.name: one for one in peel_far_sources(vis, near)}
    assert found["Cyg A"].apparent_jy == pytest.approx([1.58] * 2, rel=0.25)
    assert vis.flag[::3].all() and not vis.weight[::3].any()


def test_a_source_in_the_near_sidelobes_is_left_to_the_bright_model(hostile):
    ra, dec = np.degrees(hostile.phase_centre_rad)
    near = FarFringe.of(FarSource("near", 1.0, (ra, dec + 5)), hostile)
    beyond = FarFringe.of(FarSource("beyond", 1.0, (ra, dec + 7)), hostile)
    assert near.separation_rad < NEAREST_RAD < beyond.separation_rad
    assert np.degrees(near.separation_rad) == pytest.approx(5, abs=0.02)


def test_the_fringe_of_the_phase_centre_is_one(hostile):
    centre = FarFringe.of(FarSource("centre", 0.0, tuple(np.degrees(hostile.phase_centre_rad))), hostile)
    rows = np.arange(0, len(hostile.data), 97)
    freq_hz = hostile.averaging.freq_hz()[hostile.averaging.layout_of_row[rows]]
    assert np.abs(centre.of_rows(hostile, rows, freq_hz) - 1).max() < 1e-5
    assert centre.left(hostile, rows) == pytest.approx(1.0)


def test_the_disc_of_the_sun_is_resolved_at_107_wavelengths(hostile):
    """The first null of a uniform disc of 32 arcmin: 1.22 / diameter = 131 wavelengths."""
    sun = FarFringe.of(FAR_SOURCES[0], hostile)
    rows = np.arange(len(hostile.data))
    vector = sun.antennas_m[hostile.antenna1] - sun.antennas_m[hostile.antenna2]
    across = np.sqrt((vector**2).sum(1) - (vector @ sun.towards.mean(0)) ** 2) * hostile.freq_hz.mean() / 299792458
    null = (across > 125) & (across < 137)
    assert null.any() and sun.left(hostile, rows)[null].max() < 0.06
    assert sun.left(hostile, rows)[across < 60].min() > 0.3
