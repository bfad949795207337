"""Which tiles are used: the medians that decide, the order of tiles, and the facts and table that say so."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from contimg.config import MosaicOptions, QaOptions
from contimg.errors import InputError
from contimg.mosaic import fits_output, mosaic_facts, tile_images
from contimg.mosaic.bright_sources import BrightSources
from contimg.mosaic.grid import Footprint
from contimg.mosaic.tile_images import GroupTile, TileImage, select, used
from contimg.products.facts import BeamFacts, ImageFacts
from contimg.products.numbers import ImageQa
from contimg.products.twin import Input, Reason, Twin
from contimg.sky.restoring_beam import RestoringBeam
from tests.support.fake_tiles import TileMaker

NOTHING = BrightSources(*(np.array([]) for _ in range(5)))
OPTIONS = MosaicOptions(max_rms_ratio=5.0, max_beam_deviation=0.2)


def tile(minute: int, tmp_path, rms_mjy: float | None = 1.0, axes_arcsec=(40.0, 30.0), **facts) -> GroupTile:
    tile_id = f"2026-02-11T00:{minute:02d}:00"
    beam = dict(bmaj_arcsec=axes_arcsec[0], bmin_arcsec=axes_arcsec[1], bpa_deg=0.0)
    stated = dict(
        beam=BeamFacts(**beam), centre_deg=(127.0, 54.6), freq_hz=1.4e9 + minute * 1e6, bandwidth_hz=1e8,
        start_mjd=61082.0 + minute / 1440, end_mjd=61082.0 + (minute + 5) / 1440, size_px=100, cell_arcsec=10.0,
        files={},
    )  # fmt: skip
    image = TileImage(
        tmp_path / "i.fits", tmp_path / "p.fits", ImageFacts(**(stated | facts)), ImageQa(rms_mjy=rms_mjy),
        RestoringBeam.from_degrees(axes_arcsec[0] / 3600, axes_arcsec[1] / 3600, 0.0),
        Footprint((127.0, 54.6), np.zeros((1, 2))), 1e-3, NOTHING,
    )  # fmt: skip
    twin = Twin(kind="image", id=tile_id, verdict="passed", qa={"rms_mjy": rms_mjy}, facts=facts, synthetic=True)
    record = Input(path=str(tmp_path / f"{minute}.json"), kind="image", id=tile_id, sha256=f"{minute:064d}")
    return GroupTile(tile_id, twin, record, tmp_path / f"{minute}.json", image)


@pytest.mark.parametrize(("rms_mjy", "kept"), [(4.99, True), (5.0, True), (5.01, False), (None, False)])
def test_noise_is_compared_with_the_median_of_the_tiles(tmp_path, rms_mjy, kept):
    tiles = [tile(i, tmp_path) for i in range(4)] + [tile(4, tmp_path, rms_mjy)]
    assert (len(used(select(tiles, OPTIONS))) == 5) == kept


@pytest.mark.parametrize(
    ("axes_arcsec", "kept"),
    [((47.9, 30.0), True), ((48.1, 30.0), False), ((40.0, 24.1), True), ((40.0, 23.9), False), ((31.9, 30.0), False)],
)
def test_either_axis_of_the_beam_may_differ_by_a_fifth(tmp_path, axes_arcsec, kept):
    tiles = [tile(i, tmp_path) for i in range(4)] + [tile(4, tmp_path, axes_arcsec=axes_arcsec)]
    chosen = select(tiles, OPTIONS)
    assert (chosen[4].left_out is None) == kept
    if not kept:
        assert "mosaic.max_beam_deviation 20%" in chosen[4].left_out


def test_one_noisy_tile_does_not_move_the_median(tmp_path):
    tiles = [tile(i, tmp_path, rms) for i, rms in enumerate((1.0, 1.1, 0.9, 1e6))]
    assert [one.left_out is None for one in select(tiles, OPTIONS)] == [True, True, True, False]


def test_no_noise_at_all_leaves_every_tile_out(tmp_path):
    chosen = select([tile(i, tmp_path, None) for i in range(2)], OPTIONS)
    assert [one.left_out for one in chosen] == ["its noise was not measured"] * 2


def test_what_was_left_out_before_stays_left_out(tmp_path):
    gone = replace(tile(1, tmp_path), image=None, left_out="its image failed (no_data)")
    assert select([tile(0, tmp_path), gone], OPTIONS)[1] == gone
    hurt = tile(2, tmp_path).damage("x.fits does not exist")
    assert (hurt.image, hurt.damaged, hurt.left_out) == (None, True, "x.fits does not exist")
    assert hurt.remedy == f"rm -r {tmp_path / '2'} {tmp_path / '2.json'}"


def test_facts_are_those_of_the_tiles_used(tmp_path):
    tiles = [tile(i, tmp_path, telescope="DSA-110", bandpass=f"cal_{i % 2}", flux_anchor="3C286") for i in range(3)]
    tiles[2] = replace(tiles[2], left_out="noise")
    for one in tiles:
        one.path.write_text(one.twin.model_dump_json())
    got = mosaic_facts.group_facts(tiles)
    assert got.group == tiles[0].id
    assert got.tiles_used == [tiles[0].id, tiles[1].id]
    assert got.left_out == {tiles[2].id: "noise"}
    assert got.bandpass == ["cal_0", "cal_1"]
    assert (got.telescope, got.flux_anchor) == ("DSA-110", "3C286")
    assert (got.start_mjd, got.end_mjd) == (61082.0, 61082.0 + 6 / 1440)
    assert mosaic_facts.group_facts([]).tiles == []
    assert (got.sun, got.clock_epochs) == (None, [])  # tiles of an older version


def test_the_sun_and_the_clocks_of_a_mosaic_are_those_of_its_tiles(tmp_path):
    places = ((-20.0, 100.0, False), (3.0, 90.0, True), (40.0, 60.0, True))
    clock = {"since": "2026-06-02", "clock": "wall clock", "offset_s": -1.8, "source": "notes"}
    tiles = []
    for i, (altitude, separation, daytime) in enumerate(places):
        sun = {"altitude_deg": altitude, "separation_deg": separation, "daytime": daytime}
        tiles.append(tile(i, tmp_path, sun=sun, clock_epoch=clock))
        tiles[-1].path.write_text(tiles[-1].twin.model_dump_json())
    tiles[2] = replace(tiles[2], left_out="noise")
    got = mosaic_facts.group_facts(tiles)
    assert (got.sun.altitude_deg, got.sun.separation_deg, got.sun.daytime) == ((-20.0, 3.0), 90.0, "day and night")
    assert [epoch.offset_s for epoch in got.clock_epochs] == [-1.8]
    row = fits_output.tile_row(tiles[2])
    assert (row["sun_altitude_deg"], row["sun_separation_deg"], row["daytime"]) == (40.0, 60.0, True)


def test_notes_name_tiles_left_out_and_those_used_with_a_warning(tmp_path):
    warned = tile(0, tmp_path)
    reason = Reason(code="striping_high", severity="warning", message="stripes")
    warned = replace(warned, twin=warned.twin.model_copy(update={"verdict": "warning", "reasons": [reason]}))
    notes = mosaic_facts.notes_on([warned, replace(tile(1, tmp_path), left_out="noise"), tile(2, tmp_path)])
    assert notes == [
        "tile 2026-02-11T00:01:00 left out: noise",
        "tile 2026-02-11T00:00:00 used with a warning (striping_high)",
    ]


def test_the_table_names_every_tile(tmp_path):
    tiles = [
        replace(tile(0, tmp_path), rms_common_jy=1.2345678e-3, weight_fraction=0.25),
        tile(1, tmp_path).damage("x"),
    ]
    fits_output.write_tiles_table(tmp_path / "t.csv", tiles)
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == fits_output.TILE_COLUMNS
    assert [row["used"] for row in rows] == ["yes", "no"]
    assert rows[0]["rms_common_mjy"] == "1.234568"
    assert rows[0]["bmaj_arcsec"] == "40.0"
    assert rows[1]["left_out"] == "x"
    assert rows[1]["bmaj_arcsec"] == rows[1]["freq_hz"] == ""


def test_tiles_come_in_order_of_time_and_once(tmp_path):
    maker = TileMaker(tmp_path, size=64, cell_arcsec=240.0, beam_arcsec=(960.0, 960.0, 0.0))
    twins = [maker.make(i, 127.0) for i in range(3)]
    got = tile_images.read_tiles(twins[::-1], 0.2, {"qa": QaOptions()})
    assert [one.id for one in got] == sorted(one.id for one in got)
    assert all(one.image is not None for one in got)
    with pytest.raises(InputError, match="named twice"):
        tile_images.read_tiles([twins[0], twins[0]], 0.2, {"qa": QaOptions()})
