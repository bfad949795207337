"""Memory requests against measured peaks: never less, and at most 1.6 times as much."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contimg import times
from contimg.config import load
from contimg.operations import resources
from contimg.operations.resources import MosaicSizes, TileSizes
from contimg.plan.model import FileSignature, Group, Plan, PlannedTile

# 13 bytes a sample: complex64, flag and number of samples; 2 polarisations.
FULL_FILES = 16 * 24 * (96 * 97 // 2) * 48 * 2 * 13
FULL = TileSizes(FULL_FILES, 4800**2)
NIGHT = TileSizes(FULL_FILES, 4320**2)  # the image of `python -m benchmarks.night`
DEMO = TileSizes(66_300_000, 784**2)
SMALL = TileSizes(6_600_000, 420**2)

# (rule's formula, sizes, measured peak in GB). Full size: 96 antennas, 768 channels, 24 integrations, 4800 x 4800 px.
# Others are the larger of the twin's run.peak_memory_mib and the benchmark's max_rss.
TILE_PEAKS = [
    ("convert_tile", FULL, 0.53), ("convert_tile", DEMO, 0.301), ("convert_tile", SMALL, 0.185),
    ("solve_calibration", FULL, 3.76), ("solve_calibration", DEMO, 0.568), ("solve_calibration", SMALL, 0.425),
    ("apply_calibration", FULL, 0.20), ("apply_calibration", DEMO, 0.167), ("apply_calibration", SMALL, 0.165),
    ("image_tile", NIGHT, 4.03), ("image_tile", DEMO, 0.430), ("image_tile", SMALL, 0.314),
    ("image_tile", TileSizes(6_600_000, 2400**2), 0.499),
]  # fmt: skip


def mosaic(tile_px, width_px, height_px):
    return MosaicSizes(tile_px**2, tile_px, width_px, height_px)


# Three tiles of full size at declination 30.5 drift 2 x 1336 pixels apart; the others were measured as given.
FULL_MOSAIC = mosaic(4800, 4800 + 2 * 1336, 4800)
MOSAIC_PEAKS = [
    ("mosaic_group", FULL_MOSAIC, 2.61), ("mosaic_group", mosaic(4800, 6148, 4808), 2.82),
    ("mosaic_group", mosaic(4800, 16902, 4981), 3.96),
    ("mosaic_group", mosaic(2000, 2002, 2002), 0.597), ("mosaic_group", mosaic(2000, 2758, 2011), 0.689),
    ("mosaic_group", mosaic(2000, 3894, 2035), 0.752), ("mosaic_group", mosaic(1000, 1380, 1006), 0.484),
    ("mosaic_group", mosaic(420, 630, 420), 0.321),
    ("crossmatch_mosaic", FULL_MOSAIC, 1.043), ("crossmatch_mosaic", mosaic(2400, 5764, 2433), 0.488),
    ("crossmatch_mosaic", mosaic(2000, 2562, 2004), 0.267), ("crossmatch_mosaic", mosaic(1200, 2882, 1217), 0.244),
    ("crossmatch_mosaic", mosaic(784, 2380, 681), 0.196), ("crossmatch_mosaic", mosaic(420, 422, 421), 0.164),
    # Ten tiles side by side, each with 96 antennas and a picture: nothing of these three grows with the pixels.
    ("summarise_mosaic", mosaic(4800, 16824, 4800), 0.145), ("summarise_mosaic", FULL_MOSAIC, 0.124),
    ("summarise_mosaic", mosaic(420, 632, 420), 0.120), ("summarise_mosaic", mosaic(420, 630, 420), 0.107),
    ("register_mosaic", mosaic(4800, 16824, 4800), 0.113), ("register_mosaic", FULL_MOSAIC, 0.112),
    ("register_mosaic", mosaic(420, 632, 420), 0.088),
    ("publish_mosaic", mosaic(4800, 16824, 4800), 0.157), ("publish_mosaic", FULL_MOSAIC, 0.141),
    ("publish_mosaic", mosaic(420, 632, 420), 0.139),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "sizes", "peak_gb"), TILE_PEAKS)
def test_a_tiles_request_is_its_peak_and_little_more(rule, sizes, peak_gb):
    asked = resources._OF_TILE[rule](sizes) / 1e9
    assert peak_gb <= asked <= 1.6 * peak_gb


@pytest.mark.parametrize(("rule", "sizes", "peak_gb"), MOSAIC_PEAKS)
def test_a_mosaics_request_is_its_peak_and_little_more(rule, sizes, peak_gb):
    asked = resources._OF_MOSAIC[rule](sizes) / 1e9
    assert peak_gb <= asked <= 1.6 * peak_gb


def test_every_rule_has_measured_peaks():
    assert {rule for rule, *_ in TILE_PEAKS} == set(resources._OF_TILE)
    assert {rule for rule, *_ in MOSAIC_PEAKS} == set(resources._OF_MOSAIC)
    full = {rule for rule, sizes, _ in [*TILE_PEAKS, *MOSAIC_PEAKS] if sizes in (FULL, NIGHT, FULL_MOSAIC)}
    assert full == {*resources._OF_TILE, *resources._OF_MOSAIC}


@pytest.mark.parametrize("rule", sorted(resources._OF_TILE))
def test_more_visibilities_never_ask_for_less(rule):
    asked = [
        resources._OF_TILE[rule](replace(FULL, files_bytes=size)) for size in range(0, FULL_FILES, FULL_FILES // 20)
    ]
    assert asked == sorted(asked) and asked[0] < asked[-1]


def night(tiles=3, **image):
    """Return a config and a plan of one group of full-size tiles at declination 30.5."""
    config = load({"image": {"cell_arcsec": 3.0} | image, "crossmatch": {"enabled": False}})
    made = {}
    for number in range(tiles):
        moment = datetime(2026, 2, 11, tzinfo=UTC) + timedelta(seconds=309.2376 * number)
        tile_id, start = moment.isoformat()[:19], times.mjd_from_datetime(moment)
        files = tuple(FileSignature(f"{tile_id}_sb{n:02d}.hdf5", FULL_FILES // 16, 0) for n in range(16))
        made[tile_id] = PlannedTile(
            tile_id, tile_id, tuple(f"/in/{file.name}" for file in files), tuple(range(16)), (), files, start,
            start + 0.0034, 12.88, 30.5, -2.064, 0.65, True,
        )  # fmt: skip
    group = Group(next(iter(made)), tuple(made))
    return config, Plan(tiles=made, groups={group.id: group})


def test_the_sizes_of_a_tile_are_those_of_its_files_though_their_names_hold_colons():
    config, plan = night()
    assert resources.tile_sizes(config, next(iter(plan.tiles.values()))) == FULL


def test_a_mosaic_is_as_long_as_the_sky_drifts():
    """309.2376 s are 1.2920 deg of sidereal time, times cos 30.5 deg = 1.1133 deg, 1336 pixels of 3 arcsec."""
    config, plan = night()
    sizes = resources.mosaic_sizes(config, plan, next(iter(plan.groups)))
    assert sizes.height_px == 4800
    assert sizes.width_px == pytest.approx(4800 + 2 * 1336, abs=3)
    config, plan = night(tiles=1)
    assert resources.mosaic_sizes(config, plan, next(iter(plan.groups))).width_px == 4800


def test_requests_of_a_full_size_night_in_mb_grow_by_half_at_each_attempt():
    config, plan = night()
    tile, group = next(iter(plan.tiles.values())), next(iter(plan.groups))
    asked = [resources.tile_mb(config, tile, "solve_calibration", attempt) for attempt in (1, 2, 3)]
    assert 3120 <= asked[0] <= 1.6 * 3120
    assert [round(one / asked[0], 3) for one in asked] == [1, 1.5, 2.25]
    assert 2610 <= resources.mosaic_mb(config, plan, group, "mosaic_group", 1) <= 1.6 * 2610


def test_a_job_on_a_cluster_asks_for_the_snakemake_in_it_as_well():
    """Twice 134 MB were measured under Slurm; what runs on the head node is not submitted."""
    config, plan = night()
    tile, group = next(iter(plan.tiles.values())), next(iter(plan.groups))
    here = resources.tile_mb(config, tile, "convert_tile", 1)
    there = [resources.tile_mb(config, tile, "convert_tile", attempt, remote=True) for attempt in (1, 2)]
    assert 2 * 134 <= there[0] - here <= 1.2 * 2 * 134
    assert there[1] == pytest.approx(1.5 * there[0], abs=1)
    for rule, more in (("mosaic_group", 290), ("register_mosaic", 0), ("publish_mosaic", 0)):
        asked = [resources.mosaic_mb(config, plan, group, rule, 1, remote=remote) for remote in (False, True)]
        assert asked[1] - asked[0] == pytest.approx(more, abs=1)


def test_an_image_that_follows_its_beam_is_as_wide_as_the_beam_reaches():
    """A 4.65-m dish falls to 0.2 at 2.0 deg (1.4 GHz) to 2.2 deg (1.28 GHz); the sky drifts by 1.3 deg."""
    config, _ = night(size_px=None)
    assert 4.0 + 1.1 <= resources.image_width_px(config) * 3 / 3600 <= 6.0
    narrower, _ = night(size_px=None, pb_limit=0.5)
    assert resources.image_width_px(narrower) < resources.image_width_px(config)


def test_channel_groups_take_memory_of_their_own():
    config, plan = night(channel_groups=4)
    tile = next(iter(plan.tiles.values()))
    assert resources.image_bytes(resources.tile_sizes(config, tile)) == pytest.approx(
        resources.image_bytes(FULL) + 4 * 16 * 4800**2
    )
    assert math.isfinite(resources.tile_mb(config, tile, "image_tile", 1))
