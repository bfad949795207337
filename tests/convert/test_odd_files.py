"""Files as the correlator also writes them, and damage that only their data show."""

import errno
import os
import shutil

import h5py
import numpy as np
import pytest

from contimg import measurement_set, naming
from contimg.config import FlagOptions, IngestOptions
from contimg.convert.convert_tile import convert_tile
from contimg.correlator import hdf5
from contimg.simulate import NightOptions, simulate_night

NIGHT = NightOptions(tiles=1, antennas=8, channels=4, sources=4, calibrator="none", declination_deg=54.57)
BASELINES, CROSS = 36, 28
ROWS = ("ant_1_array", "ant_2_array", "uvw_array", "time_array", "integration_time")


def put(file, key, value, **options):
    del file[key]
    file.create_dataset(key, data=value, **options)


def keep_rows(file, rows):
    """Keep a slice of the integrations of a file."""
    for key in ROWS:
        value = file[f"Header/{key}"][()]
        put(file, f"Header/{key}", value.reshape(-1, BASELINES, *value.shape[1:])[rows].reshape(-1, *value.shape[1:]))
    for key in ("visdata", "flags", "nsamples"):
        value = file[f"Data/{key}"][()]
        kept = value.reshape(-1, BASELINES, *value.shape[1:])[rows]
        put(file, f"Data/{key}", kept.reshape(-1, *value.shape[1:]), chunks=True)
    for key in ("Ntimes", "Nblts"):
        put(file, f"Header/{key}", len(kept) * (BASELINES if key == "Nblts" else 1))


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    record = simulate_night(tmp_path_factory.mktemp("night"), NIGHT)
    return sorted((record.out / "incoming").iterdir(), key=lambda path: path.name[-7:])


@pytest.fixture(scope="module")
def sound(night, tmp_path_factory):
    return convert(night, tmp_path_factory.mktemp("sound"))


@pytest.fixture
def copies(night, tmp_path):
    (tmp_path / "in").mkdir()
    return [shutil.copy(path, tmp_path / "in" / path.name) for path in night]


def convert(files, folder, **options):
    tile_id = naming.id_from_mjd(min(hdf5.read_header(path).start_mjd for path in files))
    flag = FlagOptions(aoflagger=False)
    ingest = IngestOptions(**options)
    twin = convert_tile(files, folder / "t.ms", folder / "t.json", tile_id=tile_id, ingest=ingest, flag=flag)
    return (measurement_set.read(folder / "t.ms") if twin.verdict != "failed" else None), twin


def channels(subband):
    return slice(4 * (15 - subband), 4 * (16 - subband))


@pytest.mark.parametrize("short", [1, 4, 8])
def test_hosts_that_stopped_one_integration_apart_lose_that_integration_alone(sound, copies, tmp_path, short):
    for path in copies[:short]:
        with h5py.File(path, "r+") as file:
            keep_rows(file, slice(23))
    vis, twin = convert(copies, tmp_path)
    assert twin.verdict == "passed" and twin.facts["n_subbands"] == 16 and twin.facts["n_times"] == 24
    assert f"1 of 24 integrations are not in {', '.join(f'sb{n:02d}' for n in range(short))}: flagged" in twin.notes
    assert np.array_equal(vis.uvw_m, sound[0].uvw_m) and np.array_equal(vis.phase_centre_rad, sound[0].phase_centre_rad)
    data, flag, weight, truth = (
        one.reshape(24, CROSS, 64, 2) for one in (vis.data, vis.flag, vis.weight, sound[0].data)
    )  # fmt: skip
    for subband in range(16):
        place = channels(subband)
        there = 23 if subband < short else 24
        assert np.array_equal(data[:there, :, place], truth[:there, :, place])
        assert flag[there:, :, place].all() and (weight[there:, :, place] == 0).all()
        assert (data[there:, :, place] == 0).all() and (weight[:there, :, place] == 96).all()
    lost = short / 16 / 24
    assert twin.qa["flagged_by_reason"]["correlator"] == pytest.approx(lost, abs=1e-12)


def test_an_integration_that_few_hosts_wrote_does_not_move_the_tile(sound, copies, tmp_path):
    for path in copies[3:]:
        with h5py.File(path, "r+") as file:
            keep_rows(file, slice(23))
    vis, twin = convert(copies, tmp_path)
    assert twin.facts["n_times"] == 23 and twin.verdict == "passed"
    assert "1 integrations of sb00, sb01, sb02 are in few other files: left out" in twin.notes
    assert np.array_equal(vis.data.shape, (23 * CROSS, 64, 2))
    assert twin.facts["mid_mjd"] == pytest.approx(sound[1].facts["mid_mjd"] - 12.884902 / 2 / 86400, abs=1e-9)


def test_hosts_that_started_one_integration_apart(sound, copies, tmp_path):
    for path in copies[5:9]:
        with h5py.File(path, "r+") as file:
            keep_rows(file, slice(1, 24))
    vis, twin = convert(copies, tmp_path)
    assert twin.verdict == "passed" and twin.facts["n_subbands"] == 16 and twin.id == sound[1].id
    flag = vis.flag.reshape(24, CROSS, 64, 2)
    truth = sound[0].data.reshape(24, CROSS, 64, 2)
    for subband in range(5, 9):
        assert flag[0, :, channels(subband)].all()
        ours = vis.data.reshape(24, CROSS, 64, 2)[1:, :, channels(subband)]
        assert np.array_equal(ours, truth[1:, :, channels(subband)])


@pytest.mark.parametrize(("count", "code"), [(1, "short_tile"), (2, "short_tile"), (6, None)])
def test_a_short_tile_says_so(copies, tmp_path, count, code):
    for path in copies:
        with h5py.File(path, "r+") as file:
            keep_rows(file, slice(count))
    vis, twin = convert(copies, tmp_path)
    assert twin.facts["n_times"] == count and len(vis.uvw_m) == count * CROSS
    covered = count * 12.884902
    assert f"the tile covers {covered:.1f} s, {count} integrations; a whole one covers 309.2 s" in twin.notes
    assert [reason.code for reason in twin.reasons] == ([code] if code else [])
    assert twin.verdict == ("warning" if code else "passed")


def test_96_integrations_of_a_quarter_of_the_time(tmp_path):
    record = simulate_night(tmp_path / "night", NightOptions(**{**NIGHT.__dict__, "channels": 2, "integrations": 96}))
    files = sorted((record.out / "incoming").iterdir())
    for path in files:
        with h5py.File(path, "r+") as file:
            times, lengths = (file[f"Header/{key}"][()] for key in ("time_array", "integration_time"))
            put(file, "Header/integration_time", lengths / 4)
            put(file, "Header/time_array", times[0] + (times - times[0]) / 4)
    _, twin = convert(files, tmp_path)
    assert twin.facts["n_times"] == 96 and twin.verdict == "passed"
    assert twin.facts["integration_s"] == pytest.approx(12.884902 / 4)
    assert (twin.facts["end_mjd"] - twin.facts["start_mjd"]) * 86400 == pytest.approx(309.2376, abs=1e-3)
    assert not [note for note in twin.notes if "covers" in note]


def four_products(file):
    for key in ("visdata", "flags", "nsamples"):
        value = file[f"Data/{key}"][()]
        xx, yy = value[..., 0], value[..., 1]
        cross = 1e6 * xx if key == "visdata" else ~xx if key == "flags" else 0 * xx
        put(file, f"Data/{key}", np.stack([xx, cross, cross, yy], -1).astype(value.dtype), chunks=True)
    put(file, "Header/polarization_array", np.array([-5, -7, -8, -6]))
    put(file, "Header/Npols", 4)


def yy_first(file):
    for key in ("visdata", "flags", "nsamples"):
        put(file, f"Data/{key}", file[f"Data/{key}"][()][..., ::-1].copy(), chunks=True)
    put(file, "Header/polarization_array", np.array([-6, -5]))


@pytest.mark.parametrize("change", [four_products, yy_first])
def test_xx_and_yy_are_taken_from_any_company_and_order(sound, copies, tmp_path, change):
    for path in copies:
        with h5py.File(path, "r+") as file:
            change(file)
    vis, twin = convert(copies, tmp_path)
    assert vis.polarisations == ("XX", "YY") and twin.verdict == "passed"
    for name in ("data", "flag", "weight"):
        assert np.array_equal(getattr(vis, name), getattr(sound[0], name))
    assert twin.qa == sound[1].qa


def test_a_station_without_a_position_that_is_in_no_baseline_costs_nothing(sound, copies, tmp_path):
    for path in copies:
        with h5py.File(path, "r+") as file:
            used = {*file["Header/ant_1_array"][()].tolist(), *file["Header/ant_2_array"][()].tolist()}
            unused = next(n for n in range(116, 0, -1) if n not in used)
            file["Header/antenna_positions"][unused] = np.nan
    vis, twin = convert(copies, tmp_path)
    assert twin.verdict == "passed" and np.array_equal(vis.data, sound[0].data)
    assert np.array_equal(vis.antenna_positions_m[unused], vis.array_position_m)
    assert list(vis.unknown_positions) == [unused] and np.isfinite(vis.antenna_positions_m).all()


def test_a_correlated_station_without_a_position_is_a_failed_verdict(copies, tmp_path):
    for path in copies:
        with h5py.File(path, "r+") as file:
            file["Header/antenna_positions"][file["Header/ant_1_array"][0]] = np.nan
    twin = convert_tile(
        copies, tmp_path / "t.ms", tmp_path / "t.json", tile_id="2026-02-11T06:00:00", ingest=IngestOptions(),
        flag=FlagOptions(),
    )  # fmt: skip
    assert twin.verdict == "failed" and [reason.code for reason in twin.reasons][-1] == "too_few_subbands"
    assert "antenna_positions holds nan, not -100000 to 100000 m (of a correlated antenna)" in twin.reasons[0].message


@pytest.mark.parametrize("hours", [1, -1, 24 * 365])
@pytest.mark.parametrize("files", [1, 16])
def test_a_clock_that_jumps_in_a_file_never_moves_the_phase_centre(sound, night, copies, tmp_path, hours, files):
    for path in copies[:files]:
        with h5py.File(path, "r+") as file:
            file["Header/time_array"][-BASELINES:] += hours / 24
    tile_id = naming.id_from_mjd(hdf5.read_header(night[0]).start_mjd)
    twin = convert_tile(
        copies, tmp_path / "t.ms", tmp_path / "t.json", tile_id=tile_id, ingest=IngestOptions(), flag=FlagOptions()
    )
    assert all("in time_array comes" in reason.message for reason in twin.reasons[:files])
    if files == 1:
        assert twin.verdict == "warning" and twin.facts["missing_subbands"] == [0]
        assert twin.facts["phase_centre_deg"] == sound[1].facts["phase_centre_deg"]
    else:
        assert twin.verdict == "failed" and "phase_centre_deg" not in twin.facts


def linked_elsewhere(path):
    with h5py.File(path, "r+") as file, h5py.File(path.with_suffix(".bulk"), "w") as other:
        file.copy("Data/visdata", other, name="v")
        del file["Data/visdata"]
        file["Data/visdata"] = h5py.ExternalLink(path.with_suffix(".bulk").name, "/v")


def as_integers(path):
    with h5py.File(path, "r+") as file:
        value = file["Data/visdata"][()]
        pairs = np.zeros(value.shape, [("r", "<i4"), ("i", "<i4")])
        pairs["r"], pairs["i"] = value.real, value.imag
        put(file, "Data/visdata", pairs, chunks=True)


def turned_over(path):
    with h5py.File(path, "r+") as file:
        put(file, "Data/visdata", file["Data/visdata"][()].T.copy())


@pytest.mark.parametrize("damage", [linked_elsewhere, as_integers, turned_over])
def test_values_that_are_not_where_or_what_they_should_be_are_left_out(copies, tmp_path, damage):
    damage(copies[6])
    _, twin = convert(copies, tmp_path)
    assert twin.verdict == "warning" and twin.facts["missing_subbands"] == [6]
    assert twin.reasons[0].code == "subband_rejected" and "set it aside" in twin.reasons[0].message


def compressed(file):
    for key in ("visdata", "flags", "nsamples"):
        put(file, f"Data/{key}", file[f"Data/{key}"][()], chunks=True, compression="gzip", shuffle=True)


def contiguous(file):
    for key in ("visdata", "flags", "nsamples"):
        put(file, f"Data/{key}", file[f"Data/{key}"][()])


def linked_inside(file):
    file.move("Data/visdata", "elsewhere")
    file["Data/visdata"] = h5py.SoftLink("/elsewhere")


@pytest.mark.parametrize("change", [compressed, contiguous, linked_inside])
def test_other_storage_of_the_same_values_is_the_same(sound, copies, tmp_path, change):
    with h5py.File(copies[6], "r+") as file:
        change(file)
    vis, twin = convert(copies, tmp_path)
    assert twin.verdict == "passed" and np.array_equal(vis.data, sound[0].data)


def test_a_bad_disk_under_a_file_costs_its_subband(copies, tmp_path, monkeypatch):
    """Reads of one file's data fail as they do on a bad sector; its bytes cannot be hashed either."""
    bad, preadv, opened = os.stat(copies[9]).st_ino, os.preadv, open

    def failing_preadv(descriptor, buffers, offset):
        if os.fstat(descriptor).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing_preadv)

    def failing_open(path, *args, **kwargs):
        if str(path) == str(copies[9]):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr("builtins.open", failing_open)
    _, twin = convert(copies, tmp_path)
    assert twin.verdict == "warning" and twin.facts["missing_subbands"] == [9]
    assert "cannot be read from its disk: check the disk and bring the file again" in twin.reasons[0].message
    assert len(twin.inputs) == 15 and copies[9].name not in {record.id for record in twin.inputs}


def test_flags_that_are_neither_true_nor_false_are_true(copies, tmp_path):
    with h5py.File(copies[2], "r+") as file:
        place = file["Data/flags"].id.get_chunk_info(0).byte_offset
    with open(copies[2], "r+b") as raw:
        raw.seek(place)
        raw.write(bytes([0, 1, 7, 255]))
    vis, twin = convert(copies, tmp_path)
    assert twin.verdict == "passed"
    assert set(np.unique(vis.flag.view(np.uint8))) <= {0, 1}


@pytest.mark.parametrize("value", [np.nan, np.inf, -96.0, 1e30, 0.0])
@pytest.mark.parametrize("part", ["some rows", "all"])
def test_sample_counts_that_cannot_be_are_no_weights(sound, copies, tmp_path, value, part):
    rows = slice(5, 9) if part == "some rows" else slice(None)
    with h5py.File(copies[2], "r+") as file:
        file["Data/nsamples"][rows] = value
    vis, twin = convert(copies, tmp_path)
    assert np.isfinite(vis.weight).all() and vis.weight.max() == 96
    assert twin.verdict == ("passed" if part == "some rows" else "warning")
    assert twin.facts["missing_subbands"] == ([] if part == "some rows" else [2])
    assert vis.flag[vis.weight == 0].all()
