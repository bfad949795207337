"""Tiles in the correlator's layout against pyuvdata's own route, and what becomes of faulty ones."""

import shutil

import h5py
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_sun
from astropy.time import Time
from astropy.utils import iers

from contimg import measurement_set
from contimg.config import FlagOptions, IngestOptions
from contimg.convert.convert_tile import convert_tile
from contimg.correlator import band
from contimg.errors import InputError
from contimg.products.facts import ms_facts
from contimg.products.twin import read_twin
from contimg.simulate import GainErrors, NightOptions, simulate_night
from contimg.storage.atomic import file_sha256
from tests.support.reading_reference import read_with_pyuvdata

SMALL = {"tiles": 1, "antennas": 8, "channels": 4, "integrations": 4, "sources": 4, "calibrator": "none"}


def simulate(out, **options):
    record = simulate_night(out, NightOptions(**(SMALL | {"declination_deg": 54.57} | options)))
    files = sorted((out / "incoming").glob("*.hdf5"), key=lambda path: path.name[-7:])
    return record, files


def convert(files, folder, tile_id, **options):
    flag = FlagOptions(**{key: value for key, value in options.items() if key in FlagOptions.model_fields})
    ingest = IngestOptions(**{key: value for key, value in options.items() if key in IngestOptions.model_fields})
    ms, twin = folder / "tile.ms", folder / "tile.json"
    result = convert_tile(files, ms, twin, tile_id=tile_id, ingest=ingest, flag=flag)
    assert read_twin(twin) == result
    return ms, result


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    record, files = simulate(tmp_path_factory.mktemp("night"))
    return record.tile_ids[0], files


@pytest.fixture(scope="module")
def converted(night, tmp_path_factory):
    ms, twin = convert(night[1], tmp_path_factory.mktemp("converted"), night[0])
    return measurement_set.read(ms), twin


@pytest.fixture
def copies(night, tmp_path):
    folder = tmp_path / "copies"
    folder.mkdir()
    return [shutil.copy(path, folder) and folder / path.name for path in night[1]]


def agree_with_pyuvdata(vis, files):
    """Assert equal frequencies and times, uvw within 1 mm, visibilities within 1e-5 of the amplitude."""
    uv = read_with_pyuvdata(files, vis.phase_centre_rad)
    cross = uv.ant_1_array != uv.ant_2_array
    mjd = uv.time_array[cross] - 2_400_000.5
    theirs = np.lexsort((uv.ant_2_array[cross], uv.ant_1_array[cross], np.round(mjd * 1e6)))
    ours = np.lexsort((vis.antenna2, vis.antenna1, np.round(vis.time_mjd_s / 86400 * 1e6)))
    channels = np.isin(vis.freq_hz, uv.freq_array)
    assert channels.sum() == uv.Nfreqs
    assert np.array_equal(vis.time_mjd_s[ours], mjd[theirs] * 86400)
    assert np.abs(-uv.uvw_array[cross][theirs] - vis.uvw_m[ours]).max() < 1e-3
    data = uv.data_array[cross][theirs].conj()
    assert np.abs(data - vis.data[ours][:, channels]).max() < 1e-5 * np.abs(data).max()
    return uv


def test_agrees_with_pyuvdata(converted, night):
    vis, _ = converted
    uv = agree_with_pyuvdata(vis, night[1])
    assert np.array_equal(vis.freq_hz, uv.freq_array)


@pytest.mark.parametrize(
    "options",
    [
        {"declination_deg": 16.3},
        {"cross_ra0": True},
        {"missing": ((0, 3), (0, 9))},
        {"cross_midnight": True, "declination_deg": 65.72},
    ],
    ids=["south", "ra0", "missing", "midnight"],
)
def test_agrees_with_pyuvdata_elsewhere(tmp_path, options):
    record, files = simulate(tmp_path, **options)
    ms, twin = convert(files, tmp_path, record.tile_ids[0])
    vis = measurement_set.read(ms)
    agree_with_pyuvdata(vis, files)
    assert twin.facts["phase_centre_deg"] == pytest.approx(record.tile_centres_deg[0], abs=1e-6)


def test_single_subband(night, tmp_path):
    ms, twin = convert([night[1][5]], tmp_path, night[0], min_subbands=1)
    vis = measurement_set.read(ms)
    agree_with_pyuvdata(vis, [night[1][5]])
    assert twin.facts["n_subbands"] == 1
    assert twin.facts["bandwidth_hz"] == 11_718_750
    received = (vis.weight > 0).any((0, 2))
    assert np.array_equal(vis.freq_hz[received], band.subband_frequencies(5, 4)[::-1])
    assert vis.flag[:, ~received].all()


def test_facts(converted, night):
    vis, twin = converted
    facts, qa = twin.facts, twin.qa
    assert twin.kind == "ms"
    assert twin.id == night[0]
    assert twin.verdict == "passed"
    assert twin.synthetic
    assert vis.synthetic
    assert any("simulat" in line for line in vis.history)
    assert facts["dec_app_deg"] == pytest.approx(54.57, abs=1e-9)
    sun = ms_facts(twin).sun
    location = EarthLocation.from_geodetic(facts["location"][1], facts["location"][0], facts["location"][2])
    moment = Time(facts["mid_mjd"], format="mjd")
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        altitude = get_sun(moment).transform_to(AltAz(obstime=moment, location=location)).alt.deg
        centre = SkyCoord(*facts["phase_centre_deg"], unit="deg").transform_to("gcrs")
        apart = get_sun(moment).separation(SkyCoord(centre.ra, centre.dec, frame="gcrs", obstime=moment)).deg
    assert sun.altitude_deg == pytest.approx(altitude, abs=0.01) and sun.daytime == (altitude > -0.83)
    assert sun.separation_deg == pytest.approx(apart, abs=0.1)
    assert facts["clock_epoch"]["since"] == "" and facts["clock_epoch"]["offset_s"] is None  # February 2026
    assert facts["n_times"] == 4
    assert facts["n_antennas"] == len(facts["antennas"]) == 8
    assert facts["n_channels"] == 64
    assert facts["missing_subbands"] == []
    assert facts["bandwidth_hz"] == 187.5e6
    assert facts["band_hz"] == pytest.approx([1311.265258789e6, 1498.765258789e6], abs=1)
    assert facts["freq_hz"] == pytest.approx(1405.01525879e6, rel=1e-3)
    assert facts["end_mjd"] - facts["start_mjd"] == pytest.approx(4 * 12.884902 / 86400, abs=1e-9)
    assert facts["telescope"] == "OVRO_MMA"
    assert sum(qa["flagged_by_reason"].values()) == pytest.approx(qa["flagged_fraction"], abs=1e-12)
    assert qa["flagged_fraction"] == pytest.approx(vis.flag.mean(), abs=1e-12)
    assert [record.sha256 for record in twin.inputs] == [file_sha256(path) for path in sorted(night[1])]
    assert {record.kind for record in twin.inputs} == {"subband_file"}


def test_frame(converted):
    vis, _ = converted
    assert np.diff(vis.freq_hz) == pytest.approx(np.full(63, 11_718_750 / 4), abs=1e-3)
    assert (vis.antenna1 < vis.antenna2).all()
    assert len(vis.uvw_m) == 4 * 28
    assert np.linalg.norm(vis.uvw_m, axis=1).max() <= 1.1 * 2707
    # The beam follows the meridian: at mid-tile it stands on the phase centre, sidereal in between.
    assert vis.pointing_rad.mean(0) == pytest.approx(vis.phase_centre_rad, abs=1e-6)
    rate = np.diff(vis.pointing_rad[:, 0]) / np.diff(vis.times_mjd_s)
    assert rate == pytest.approx(np.full(3, 7.2921e-5), rel=5e-3)


def test_weights_follow_samples_and_flags(night, copies, tmp_path):
    with h5py.File(copies[2], "r+") as file:
        file["Data/nsamples"][:36] = 48
        file["Data/nsamples"][36:72] = 0
        file["Data/flags"][72:108] = True
    ms, twin = convert(copies, tmp_path, night[0], aoflagger=False)
    vis = measurement_set.read(ms)
    weight = vis.weight.reshape(4, 28, 64, 2)[:, :, 4 * 13 : 4 * 14]
    assert (weight[0] == 48).all()
    assert (weight[1:3] == 0).all()
    assert (weight[3] == 96).all()
    # The weights of unflagged samples add up to their number times the samples averaged.
    received = (~vis.flag).sum() - weight[0].size
    assert (vis.weight * ~vis.flag).sum(dtype=float) == received * 96 + weight[0].size * 48
    assert twin.qa["flagged_by_reason"]["correlator"] == pytest.approx(2 / 4 / 16)


def test_missing_subbands_are_flagged_never_invented(night, tmp_path):
    files = [path for path in night[1] if path.name[-7:-5] not in ("00", "07")]
    ms, twin = convert(files, tmp_path, night[0])
    vis = measurement_set.read(ms)
    expected = np.concatenate([band.subband_frequencies(sb, 4)[::-1] for sb in range(15, -1, -1)])
    assert vis.freq_hz == pytest.approx(expected, abs=1e-3)
    for subband in (0, 7):
        place = slice(4 * (15 - subband), 4 * (16 - subband))
        assert vis.flag[:, place].all()
        assert (vis.weight[:, place] == 0).all()
        assert (vis.data[:, place] == 0).all()
    assert twin.verdict == "passed"
    assert "subbands missing: sb00, sb07" in twin.notes
    assert twin.facts["missing_subbands"] == [0, 7]
    assert twin.facts["bandwidth_hz"] == 14 * 11_718_750
    assert twin.facts["freq_hz"] < 1405.01525879e6  # the highest is gone
    assert twin.qa["flagged_fraction"] < 0.1  # of what was received


def test_too_few_subbands(night, tmp_path):
    ms, twin = convert(night[1][:11], tmp_path, night[0])
    assert twin.verdict == "failed"
    assert twin.reasons[0].code == "too_few_subbands"
    assert (twin.reasons[0].measured, twin.reasons[0].threshold) == (11, 12)
    assert ms.is_dir()
    assert not list(ms.iterdir())


def test_placeholders_are_no_data(night, copies, tmp_path):
    for path in copies[:3]:
        with h5py.File(path, "r+") as file:
            file["Data/visdata"][...] = 0
    _, twin = convert(copies, tmp_path, night[0])
    assert twin.verdict == "warning"
    assert [(reason.code, reason.measured) for reason in twin.reasons] == [
        ("subband_empty", f"sb0{number}") for number in range(3)
    ]
    assert twin.facts["n_subbands"] == 13
    assert twin.facts["missing_subbands"] == [0, 1, 2]


def test_all_placeholders_fail(night, copies, tmp_path):
    for path in copies:
        with h5py.File(path, "r+") as file:
            file["Data/visdata"][...] = 0
    ms, twin = convert(copies, tmp_path, night[0])
    assert twin.verdict == "failed"
    assert "too_few_subbands" in [reason.code for reason in twin.reasons]
    assert not list(ms.iterdir())


@pytest.mark.parametrize(
    ("key", "change", "says"),
    [
        ("time_array", lambda value: value + 0.002 / 86400, "another time"),
        ("phase_center_app_dec", lambda value: value + 1e-3, "another declination"),
        ("antenna_names", lambda value: np.roll(value, 1), "another antenna order"),
        ("longitude", lambda value: value + 1e-4, "another longitude"),
        ("freq_array", lambda value: value - 11_718_750, "are those of sb03"),
    ],
)
def test_contradicting_subband_is_left_out(night, copies, tmp_path, key, change, says):
    with h5py.File(copies[2], "r+") as file:
        value = change(file[f"Header/{key}"][()])
        del file[f"Header/{key}"]
        file[f"Header/{key}"] = value
    _, twin = convert(copies, tmp_path, night[0])
    assert twin.verdict == "warning"
    assert twin.reasons[0].code == "subband_rejected"
    assert twin.reasons[0].measured == "sb02"
    assert says in twin.reasons[0].message
    assert twin.facts["missing_subbands"] == [2]


def test_header_of_one_host_may_differ_in_delays_and_in_the_tenth_digit_of_the_declination(night, copies, tmp_path):
    for path, key, change in (
        (copies[0], "extra_keywords/applied_delays_ns", lambda value: value + b" 1"),
        (copies[2], "phase_center_app_dec", lambda value: value + 1e-10),
    ):
        with h5py.File(path, "r+") as file:
            value = change(file[f"Header/{key}"][()])
            del file[f"Header/{key}"]
            file[f"Header/{key}"] = value
    with h5py.File(copies[1]) as file:
        declination = np.degrees(file["Header/phase_center_app_dec"][()])
    _, twin = convert(copies, tmp_path, night[0])
    assert [(reason.code, reason.severity, reason.measured) for reason in twin.reasons] == [
        ("delays_differ", "warning", "sb00")
    ]
    assert twin.facts["missing_subbands"] == [] and twin.facts["dec_app_deg"] == declination


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_subband_is_left_out(night, copies, tmp_path, keep):
    content = copies[4].read_bytes()
    copies[4].write_bytes(content[: int(keep * len(content))])
    _, twin = convert(copies, tmp_path, night[0])
    assert twin.reasons[0].code == "subband_rejected"
    assert twin.facts["missing_subbands"] == [4]


def test_nan_is_flagged(night, copies, tmp_path):
    with h5py.File(copies[2], "r+") as file:
        file["Data/visdata"][:36] = np.nan
    ms, twin = convert(copies, tmp_path, night[0])
    vis = measurement_set.read(ms)
    assert np.isfinite(vis.data).all()
    assert vis.flag[:28, 4 * 13 : 4 * 14].all()
    assert (vis.weight[:28, 4 * 13 : 4 * 14] == 0).all()
    assert twin.qa["flagged_by_reason"]["not_finite"] == pytest.approx(1 / 4 / 16)


def test_files_of_another_tile(night, tmp_path):
    with pytest.raises(InputError, match="belong to tile"):
        convert(night[1], tmp_path, "2026-02-11T12:00:00")
    assert not (tmp_path / "tile.ms").exists()


def test_vanished_file_is_an_error(night, tmp_path):
    with pytest.raises(FileNotFoundError):
        convert([*night[1][:15], tmp_path / "gone.hdf5"], tmp_path, night[0])


def test_inputs_are_not_touched(night, tmp_path):
    before = [(path.stat().st_mtime_ns, file_sha256(path)) for path in night[1]]
    convert(night[1], tmp_path, night[0])
    assert [(path.stat().st_mtime_ns, file_sha256(path)) for path in night[1]] == before


def test_same_input_same_product(night, converted, tmp_path):
    ms, twin = convert(night[1], tmp_path, night[0])
    again = measurement_set.read(ms)
    assert np.array_equal(again.data, converted[0].data)
    assert np.array_equal(again.flag, converted[0].flag)
    assert twin.model_copy(update={"run": {}}) == converted[1].model_copy(update={"run": {}})  # to the byte


def test_block_size_does_not_matter(night, converted, tmp_path, monkeypatch):
    monkeypatch.setattr("contimg.convert.stream._BLOCK_BYTES", 40_000)
    ms, twin = convert(night[1], tmp_path, night[0])
    again = measurement_set.read(ms)
    assert np.array_equal(again.data, converted[0].data)
    assert np.array_equal(again.flag, converted[0].flag)
    assert twin.qa == converted[1].qa


def test_source_in_the_field_is_where_it_is(tmp_path):
    """A source off the centre, seen through the header's geometry, has the analytic phase of its direction."""
    record, files = simulate(tmp_path, integrations=24, sources=0, noise=False, gains=GainErrors.none())
    ra, dec = np.radians(record.tile_centres_deg[0]) + np.radians([0.9, 0.4])
    sky = tmp_path / "sky.csv"
    sky.write_text(f"name,ra_deg,dec_deg,flux_jy\none,{np.degrees(ra)},{np.degrees(dec)},5\n")
    record, files = simulate(tmp_path / "again", integrations=24, noise=False, gains=GainErrors.none(), sky_file=sky)
    vis = measurement_set.read(convert(files, tmp_path, record.tile_ids[0])[0])
    ra0, dec0 = vis.phase_centre_rad
    east = np.cos(dec) * np.sin(ra - ra0)
    north = np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra - ra0)
    path = vis.uvw_m @ [east, north, np.sqrt(1 - east**2 - north**2) - 1]
    model = np.exp(2j * np.pi * path[:, None] * vis.freq_hz / 299_792_458.0)
    residual = np.angle(vis.data[..., 0] * model.conj())
    # Differential aberration (1e-4 of the offset) and the definition of north leave 0.6 arcsec at one degree:
    # 0.06 rad on the longest baseline.
    assert np.abs(residual).max() < 0.1


def test_dead_antenna_and_interference(tmp_path):
    record, files = simulate(
        tmp_path, antennas=16, channels=8, integrations=24, calibrator="3C286", declination_deg=None,
        rfi=((4, "line"), (9, "broad")), rfi_jy=100.0,
    )  # fmt: skip
    station = record.stations[3]
    clean, _ = simulate(
        tmp_path / "clean", antennas=16, channels=8, integrations=24, calibrator="3C286", declination_deg=None
    )
    assert clean.stations == record.stations
    ms, twin = convert(files, tmp_path, record.tile_ids[0])
    quiet, _ = convert(
        sorted((tmp_path / "clean" / "incoming").glob("*.hdf5")),
        tmp_path / "clean",
        record.tile_ids[0],
        aoflagger=False,
    )
    vis, reference = measurement_set.read(ms), measurement_set.read(quiet)
    added = np.abs(vis.data - reference.data)
    noise = np.median(np.abs(reference.data)) / 1.1774
    assert vis.flag[added > 5 * noise].mean() >= 0.95
    assert vis.flag[added < 1e-3 * noise].mean() <= 0.01
    assert twin.verdict == "passed"
    assert twin.qa["flagged_by_subband"]["sb04"] > 0.1
    assert twin.qa["dead_antennas"] == []

    record, files = simulate(
        tmp_path / "dead", antennas=16, channels=8, integrations=24, calibrator="3C286", declination_deg=None,
        dead=(station,),
    )  # fmt: skip
    ms, twin = convert(files, tmp_path / "dead", record.tile_ids[0])
    assert twin.qa["dead_antennas"] == [str(station)]
    assert twin.qa["flagged_by_antenna"][str(station)] == 1
    assert twin.qa["flagged_by_reason"]["dead_antenna"] == pytest.approx(2 / 16, abs=1e-3)
    assert twin.notes == [f"dead receptors (no power in their autocorrelations): {station}XY"]


def test_too_much_flagged(night, tmp_path):
    _, twin = convert(night[1], tmp_path, night[0], mad_sigma=0.01, max_flagged=0.3)
    assert twin.verdict == "failed"
    assert twin.reasons[0].code == "too_much_flagged"
    assert twin.reasons[0].measured > 0.3


def test_nothing_flagged_is_a_failure_of_real_data(night, copies, tmp_path):
    options = {"noise": False, "gains": GainErrors.none()}
    record, files = simulate(tmp_path / "free", **options)
    _, twin = convert(files, tmp_path, record.tile_ids[0])
    assert twin.qa["flagged_fraction"] == 0
    assert twin.verdict == "passed"
    assert any("nothing is flagged" in note for note in twin.notes)
    for path in files:
        with h5py.File(path, "r+") as file:
            del file["Header/history"]
            file["Header/history"] = np.bytes_("dsamfs, Wed Feb 11 2026")
    _, twin = convert(files, tmp_path, record.tile_ids[0])
    assert not twin.synthetic
    assert [reason.code for reason in twin.reasons] == ["nothing_flagged"]
    assert twin.verdict == "failed"
