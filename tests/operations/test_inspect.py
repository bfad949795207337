"""What `contimg inspect` says about files whose content is known."""

import json
import os
import shutil
import socket
import subprocess
import sys

import h5py
import numpy as np
import pytest

from contimg.config import FlagOptions, IngestOptions
from contimg.convert.convert_tile import convert_tile
from contimg.operations.inspect import lines, look
from contimg.operations.inspect_plots import plot
from contimg.simulate import NightOptions, simulate_night

NIGHT = NightOptions(
    tiles=1, antennas=8, channels=4, integrations=4, sources=4, calibrator="none", declination_deg=54.57,
    start="2026-02-11T06:00:00", missing=((0, 3),),
)  # fmt: skip


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A tile without sb03 whose sb05 holds |V| = 5, one baseline of NaN, one of 0 and one that is flagged."""
    out = tmp_path_factory.mktemp("night")
    record = simulate_night(out, NIGHT)
    files = sorted((out / "incoming").glob("*.hdf5"))
    path = next(file for file in files if "sb05" in file.name)
    with h5py.File(path, "r+") as file:
        pairs = np.stack([file[f"Header/ant_{n}_array"][:36] for n in (1, 2)], 1)
        cross = np.flatnonzero(pairs[:, 0] != pairs[:, 1])
        file["Data/visdata"][:] = 3 + 4j
        for place, value in ((cross[0], np.nan), (cross[1], 0)):
            for time in range(4):
                file["Data/visdata"][36 * time + place] = value
        for time in range(4):
            file["Data/flags"][36 * time + cross[2]] = True
    return record, files, path


def test_subband_file(night):
    seen = look(night[2])
    facts = seen.facts
    assert (facts["kind"], facts["subband"], facts["synthetic"]) == ("subband file", 5, True)
    assert facts["dec_app_deg"] == pytest.approx(54.57, abs=1e-9)
    assert (facts["n_antennas"], facts["n_baselines"]) == (8, 28)
    assert facts["samples"] == 4 * 28 * 4 * 2
    assert facts["flagged_fraction"] == pytest.approx(1 / 28)
    assert facts["amplitude"]["median"] == facts["amplitude"]["max"] == 5
    assert facts["amplitude"]["zero_fraction"] == pytest.approx(1 / 28)
    assert facts["amplitude"]["not_finite_fraction"] == pytest.approx(1 / 28)
    assert facts["polarisations"] == ["XX", "YY"]
    assert facts["band_hz"] == pytest.approx([1428.452758789e6, 1440.171508789e6], abs=1)
    assert seen.waterfall == pytest.approx(np.full((4, 4), 5 * 25 / 26))  # one of the 26 that are left is zero
    # The middle of the tile stands on the meridian: sidereal time is its apparent right ascension.
    assert np.mean(facts["lst_h"]) * 15 == pytest.approx(facts["centre_icrs_deg"][0], abs=0.6)


def test_measurement_set(night, tmp_path):
    record, files, _ = night
    ms = tmp_path / "tile.ms"
    twin = convert_tile(
        files, ms, tmp_path / "tile.json", tile_id=record.tile_ids[0], ingest=IngestOptions(),
        flag=FlagOptions(aoflagger=False),
    )  # fmt: skip
    seen = look(ms)
    facts = seen.facts
    assert facts["kind"] == "Measurement Set"
    assert facts["synthetic"]
    assert facts["antennas"] == twin.facts["antennas"]
    assert facts["samples"] <= 15 * 4 * 28 * 4 * 2  # sb03 was not received; what is no data has no weight
    assert facts["centre_icrs_deg"] == pytest.approx(twin.facts["phase_centre_deg"], abs=1e-9)
    assert facts["lst_h"] == pytest.approx(look(files[0]).facts["lst_h"], abs=1e-6)
    assert np.isnan(seen.waterfall[:, 4 * 12 : 4 * 13]).all()
    assert np.isfinite(seen.waterfall[:, : 4 * 10]).all()
    assert np.abs(seen.uv_m).max() <= 2707
    said = dict(lines(facts))
    assert "SYNTHETIC" in said["telescope"]


def test_command(night, tmp_path):
    command = [sys.executable, "-W", "error", "-c", "from contimg.cli import run; run()", "inspect"]
    done = subprocess.run(
        [*command, str(night[2]), "--plots", str(tmp_path), "--json"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert len(said["plots"]) == 3
    assert said["subband"] == 5
    bad = tmp_path / "bad.hdf5"
    bad.write_bytes(night[2].read_bytes()[:5000])
    done = subprocess.run([*command, str(bad)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(bad) in done.stderr


def test_pictures_are_the_same_each_time(night, tmp_path):
    seen = look(night[2])
    first, second = plot(seen, tmp_path / "one"), plot(seen, tmp_path / "two")
    assert [path.name.split(".")[-2] for path in first] == ["waterfall", "antennas", "uv"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def run_inspect(path):
    command = [sys.executable, "-W", "error", "-c", "from contimg.cli import run; run()", "inspect", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("kind", "says"),
    [("pipe", "is a pipe"), ("folder", "is a folder"), ("socket", "is a socket"), ("text", "not a whole HDF5 file"),
     ("empty", "is empty"), ("link to nothing", "No such file"), ("table", "is a table, but not a Measurement Set"),
     ("pipe for a table", "is a folder"), ("device", "is a device")],
)  # fmt: skip
def test_what_is_neither_gets_one_sentence_at_once(tmp_path, kind, says):
    path = tmp_path / "it"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    elif kind == "text":
        path.write_text("the disk was full\n")
    elif kind == "empty":
        path.touch()
    elif kind == "link to nothing":
        path.symlink_to("nowhere")
    elif kind == "table":
        from casacore import tables

        tables.table(str(path), tables.maketabdesc([tables.makescacoldesc("ONE", 1)]), nrow=1, ack=False).close()
    elif kind == "pipe for a table":
        path.mkdir()
        os.mkfifo(path / "table.dat")
    else:
        path.symlink_to("/dev/zero")
    done = run_inspect(path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert says in done.stderr and str(path) in done.stderr


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("Data/visdata", lambda v: np.zeros(v.shape, "<i4"), "visdata is of type int32"),
        ("Data/visdata", lambda v: v.astype(">c8"), "visdata is of type >c8"),
        ("Data/visdata", lambda v: v.astype(np.complex128), "visdata is of type complex128"),
        ("Data/visdata", lambda v: v[..., ::-1, :].T, "visdata has the shape"),
        ("Data/flags", lambda v: v.astype(np.int8), "flags is of type int8"),
        ("Data/nsamples", lambda v: v.astype(np.float64), "nsamples is of type float64"),
        ("Header/antenna_positions", lambda v: v.T, "antenna_positions has the shape"),
        ("Header/antenna_names", lambda v: np.array([b"\xe9"] * 117), "antenna_names holds"),
        ("Header/polarization_array", lambda v: np.array([b"xx", b"yy"]), "polarization_array is of type"),
        ("Header/phase_center_app_dec", lambda v: np.radians(89.7), "phase_center_app_dec is"),
    ],
)
def test_a_file_that_was_set_aside_gets_one_sentence(night, tmp_path, key, value, says):
    path = tmp_path / night[2].name
    shutil.copy(night[2], path)
    with h5py.File(path, "r+") as file:
        new = value(file[key][()])
        del file[key]
        file[key] = new
    done = run_inspect(path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert says in done.stderr and "set it aside" in done.stderr


def test_amplitudes_beyond_all_bounds_are_counted(night, tmp_path):
    path = tmp_path / night[2].name
    shutil.copy(night[2], path)
    with h5py.File(path, "r+") as file:
        file["Data/visdata"][...] = 3e38 + 3e38j
    facts = look(path).facts
    assert facts["amplitude"] == {"median": None, "max": None, "zero_fraction": 0.0, "not_finite_fraction": 1.0}
    done = run_inspect(path)
    assert done.returncode == 0 and done.stderr == ""
