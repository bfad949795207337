"""A night as a whole: determinism, dates, pointings, the files beside the data, and the command."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from contimg.cli.simulate import simulate
from contimg.simulate import GainErrors, NightOptions, SimulationError, frames, simulate_night
from contimg.simulate.pointing import plan_observation
from contimg.simulate.schedule import make_tiles
from contimg.simulate.validation import validate

TINY = dict(tiles=1, antennas=4, channels=2, integrations=2, sources=3)


def _hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "config.yaml"  # holds the folder's own path
    }


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path):
    options = NightOptions(**TINY, seed=5, rfi=((2, "burst"),))
    one, two = (_hashes(simulate_night(tmp_path / name, options).out) for name in "ab")
    assert one == two and len(one) == 16 + 4
    other = _hashes(simulate_night(tmp_path / "c", NightOptions(**TINY, seed=6)).out)
    assert not set(one.values()) & set(other.values())


def test_a_tile_does_not_depend_on_what_else_is_written(tmp_path):
    whole = simulate_night(tmp_path / "whole", NightOptions(**TINY))
    partly = simulate_night(tmp_path / "partly", NightOptions(**TINY, missing=((0, 3),)))
    one, two = whole.files[9].path, partly.files[9].path
    assert one.name == two.name and one.read_bytes() == two.read_bytes()


def test_calibrator_transits_in_the_tile_asked_for():
    for name, tile in (("3C286", 4), ("3C48", 0), ("3C147", 9)):
        options = NightOptions(tiles=10, calibrator=name, transit_tile=tile, sources=1)
        seen = plan_observation(options)
        middle = make_tiles(options, seen.start_jd)[tile].middle_jd
        place = (np.array([seen.calibrator.ra_deg]), np.array([seen.calibrator.dec_deg]))
        hour_angle, dec = frames.apparent_places(*place, np.array([middle]))
        assert abs(hour_angle[0, 0]) < 1e-6
        assert dec[0, 0] == pytest.approx(seen.declination_rad, abs=1e-7)


def test_declination_offset_moves_the_pointing():
    plain = plan_observation(NightOptions(sources=1))
    moved = plan_observation(NightOptions(sources=1, declination_offset_deg=0.5))
    assert np.degrees(moved.declination_rad - plain.declination_rad) == pytest.approx(0.5)


@pytest.mark.parametrize("pointing", [{"calibrator": "3C286"}, {"declination_deg": 54.57}])
def test_crossing_midnight(pointing):
    options = NightOptions(tiles=6, sources=1, cross_midnight=True, **pointing)
    tiles = make_tiles(options, plan_observation(options).start_jd)
    dates = [tile.tile_id[:10] for tile in tiles]
    assert len(set(dates)) == 2 and dates == sorted(dates)
    assert 1 <= dates.count(dates[0]) <= 5


def test_config_lists_both_dates(tmp_path):
    options = NightOptions(**(TINY | {"tiles": 2}), declination_deg=30.0, cross_midnight=True)
    record = simulate_night(tmp_path / "night", options)
    dates = sorted({tile_id[:10] for tile_id in record.tile_ids})
    assert len(dates) == 2
    assert yaml.safe_load(record.config.read_text())["nights"] == dates


def test_crossing_ra_zero():
    options = NightOptions(tiles=6, sources=40, declination_deg=16.1, cross_ra0=True)
    seen = plan_observation(options)
    middles = np.array([tile.middle_jd for tile in make_tiles(options, seen.start_jd)])
    ra, _ = frames.icrs_of_meridian(seen.declination_rad, middles)
    assert ra[0] > 350 and ra[-1] < 10
    assert (ra[2] - 360) == pytest.approx(-ra[3], abs=0.2), "0h is passed in the middle of the run"
    sources = np.array([source.ra_deg for source in seen.sources])
    assert (sources > 350).any() and (sources < 10).any() and ((sources > 350) | (sources < 10)).all()
    both = NightOptions(tiles=6, sources=1, declination_deg=16.1, cross_ra0=True, cross_midnight=True)
    tiles = make_tiles(both, plan_observation(both).start_jd)
    assert len({tile.tile_id[:10] for tile in tiles}) == 2


def test_sources_fill_the_strip_and_keep_apart():
    options = NightOptions(tiles=10, sources=60)
    seen = plan_observation(options)
    middles = np.array([tile.middle_jd for tile in make_tiles(options, seen.start_jd)])
    ra = np.array([source.ra_deg for source in seen.sources[1:]])
    dec = np.array([source.dec_deg for source in seen.sources[1:]])
    centres = np.array(frames.icrs_of_meridian(seen.declination_rad, middles))
    for centre in centres.T:
        gap = np.hypot((ra - centre[0]) * np.cos(np.radians(dec)), dec - centre[1])
        assert gap.min() < 1.5
    flux = np.array([10 ** source.spectrum[0] for source in seen.sources[1:]])
    assert flux.min() >= 0.03 and flux.max() <= 2.0


def _rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_catalogues_beside_the_data(tmp_path):
    record = simulate_night(tmp_path / "night", NightOptions(**(TINY | {"sources": 40}), declination_deg=33.15))
    truth, catalogue = _rows(record.out / "truth.csv"), _rows(record.out / "catalogue.csv")
    calibrators = _rows(record.out / "calibrators.csv")
    needed = {"name", "ra_deg", "dec_deg", "flux_jy", "ref_freq_hz", "spectral_index"}
    assert needed <= set(truth[0]) and needed | {"flux_err_jy"} <= set(catalogue[0])
    assert [row["name"] for row in truth] == [row["name"] for row in catalogue]
    assert [row["name"] for row in calibrators] == ["SIMCAL"] and float(calibrators[0]["flux_jy"]) == 10.0
    pull = [
        (float(c["flux_jy"]) - float(t["flux_jy"])) / float(c["flux_err_jy"])
        for t, c in zip(truth, catalogue, strict=True)
    ]
    assert 0.6 < np.std(pull) < 1.4
    north = [3600 * (float(c["dec_deg"]) - float(t["dec_deg"])) for t, c in zip(truth, catalogue, strict=True)]
    assert 0.6 < np.std(north) < 1.4


def test_overlay_has_absolute_paths_and_a_fitting_image(tmp_path):
    record = simulate_night(tmp_path / "night", NightOptions(**TINY))
    overlay = yaml.safe_load(record.config.read_text())
    out = str(record.out)
    assert overlay["paths"] == {name: f"{out}/{name}" for name in ("incoming", "stage", "products", "state")}
    assert overlay["ingest"] == {"settle_s": 0, "deadline_s": 0}
    assert overlay["calibration"] == {"calibrators": "builtin"}
    assert overlay["sky"] == {"catalogue": f"{out}/catalogue.csv"}
    assert overlay["crossmatch"] == {"enabled": True} and overlay["publish"] == {"auto": True}
    size, cell = overlay["image"]["size_px"], overlay["image"]["cell_arcsec"]
    assert overlay["mosaic"] == {"cell_arcsec": cell}
    assert size % 2 == 0 and 4.6 <= size * cell / 3600 < 4.9
    fringe = 206265 * 0.20004 / json.loads((record.out / "truth.json").read_text())["longest_baseline_m"]
    assert cell == pytest.approx(fringe / 4, abs=0.1)


BAD = [
    (dict(tiles=0), "--tiles 0"),
    (dict(channels=7), "--channels 7"),
    (dict(antennas=97), "--antennas 97"),
    (dict(antennas=60, max_baseline_m=200.0), "--antennas 60"),
    (dict(calibrator="3C454.3"), "--calibrator 3C454.3"),
    (dict(calibrator="none"), "--declination"),
    (dict(calibrator="3C286", declination_deg=30.0), "--declination-offset"),
    (dict(declination_deg=-60.0), "--declination -60"),
    (dict(transit_tile=5), "--transit-tile 5"),
    (dict(date="2026-02-30"), "--date 2026-02-30"),
    (dict(start="yesterday"), "--start yesterday"),
    (dict(start="2026-02-11T00:00:00"), "--start 2026-02-11T00:00:00"),
    (dict(start="2026-02-11T12:00:00", cross_midnight=True), "--start"),
    (dict(cross_ra0=True), "--cross-ra0"),
    (dict(date="1950-01-01"), "--date 1950-01-01"),
    (dict(date="2060-01-01"), "--date"),
    (dict(flux_min_jy=3.0), "--flux-max"),
    (dict(tiles=1, sources=800), "--sources 800"),
    (dict(missing=((9, 0),)), "--missing"),
    (dict(missing=((0, 0),), late=((0, 0),)), "--missing 0:0"),
    (dict(corrupt=((0, 0, "burnt"),)), "burnt"),
    (dict(rfi=((16, "line"),)), "--rfi"),
    (dict(dead=(10,)), "--dead 10"),
    (dict(stations=(1, 2, 10)), "--stations"),
    (dict(gains=GainErrors(amplitude=2.0)), "--gain-amplitude"),
]


@pytest.mark.parametrize(("changes", "words"), BAD, ids=[f"{index}{words}" for index, (_, words) in enumerate(BAD)])
def test_bad_options_are_one_sentence_and_write_nothing(tmp_path, changes, words):
    with pytest.raises(SimulationError) as caught:
        simulate_night(tmp_path / "night", NightOptions(**changes))
    message = str(caught.value)
    assert words in message and message.endswith(".") and "\n" not in message
    assert not (tmp_path / "night").exists()


def test_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(SimulationError, match="not made by the simulator"):
        simulate_night(tmp_path, NightOptions(**TINY), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_overwrite_replaces_only_what_the_simulator_made(tmp_path):
    first = simulate_night(tmp_path / "night", NightOptions(**TINY, date="2026-02-11"))
    (first.out / "stage").mkdir()
    with pytest.raises(SimulationError, match="--overwrite"):
        simulate_night(first.out, NightOptions(**TINY))
    second = simulate_night(first.out, NightOptions(**TINY, date="2026-02-12"), overwrite=True)
    names = {path.name for path in (second.out / "incoming").iterdir()}
    assert len(names) == 16 and all(name.startswith("2026-02-12") for name in names)
    assert (second.out / "stage").is_dir()


def test_command_writes_a_night_and_reports_errors_in_one_sentence(tmp_path):
    out = tmp_path / "night"
    size = ["--tiles", "2", "--antennas", "4", "--channels", "2", "--integrations", "2", "--sources", "2"]
    more = ["--rfi", "3", "--missing", "0:1", "--corrupt", "1:2:nan", "--gap", "1:400", "--no-noise"]
    more.append("--no-gain-errors")
    result = CliRunner().invoke(simulate, [str(out), *size, *more])
    assert result.exit_code == 0, result.output
    assert "31 subband files of 2 tiles" in result.output.replace("\n", " ")
    truth = json.loads((out / "truth.json").read_text())
    assert {event["kind"] for event in truth["rfi"]["events"]} == {"line", "burst", "broad"}
    assert truth["options"]["gaps"] == [[1, 400.0]] and truth["options"]["gains"]["amplitude"] == 0.0
    again = CliRunner().invoke(simulate, [str(out), *size])
    assert again.exit_code == 1 and again.output.strip().startswith("Error: OUT ") and "--overwrite" in again.output
    usage = CliRunner().invoke(simulate, [str(out), "--missing", "three"])
    assert usage.exit_code == 2 and "TILE:SB" in usage.output


def test_demo_is_the_night_of_the_issue():
    demo = NightOptions.demo()
    validate(demo)
    assert (demo.tiles, demo.integrations, demo.transit_index) == (10, 24, 4)
    assert demo.calibrator_name == "3C286"
    assert demo.antennas >= 32 and 8 <= demo.channels <= 12 and demo.sources == 30
    assert len({subband for subband, _ in demo.rfi}) == 2 and len(demo.missing) == 1
    assert sorted(kind for *_, kind in demo.corrupt) == ["leftover", "truncated"]
    assert demo.noise and demo.gains == GainErrors()


def test_simulator_shares_no_code_with_the_pipeline():
    import contimg.simulate

    for path in Path(contimg.simulate.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            strangers = [n for n in names if n.split(".")[0] == "contimg" and not n.startswith("contimg.simulate")]
            assert not strangers, f"{path.name} imports {strangers}"
