"""What holds of every night: order does not matter, late files stay local, and a plan carried out is a plan kept."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contimg.config import GroupOptions, IngestOptions
from contimg.correlator.inbox import arrange
from contimg.plan.model import CommittedGroup, CommittedTile
from tests.plan.conftest import LONG_AFTER, START, tile_id

CALIBRATED = {"calibrators": (tile_id(4), tile_id(13))}
TILES = 15
many = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
lost = st.sets(st.tuples(st.integers(0, TILES - 1), st.integers(0, 15)), max_size=40)
gaps = st.sets(st.integers(0, TILES - 1).filter(lambda n: n not in (4, 13)), max_size=4)
moments = st.one_of(st.just(LONG_AFTER), st.integers(0, 3 * 3600).map(lambda s: START + timedelta(seconds=s)))
sizes = st.sampled_from([GroupOptions(tiles=t, stride=s, late=late) for t, s in ((10, 10), (4, 4), (4, 2))
                         for late in ("report", "reprocess")])  # fmt: skip


def committed(plan, *, settled=False):
    """Return the groups of a plan as freezing commits them."""
    groups = []
    for group in plan.groups.values():
        tiles = [plan.tiles[t] for t in group.tiles]
        kept = tuple(CommittedTile(t.id, t.name_time, t.file_names) for t in tiles)
        groups.append(CommittedGroup(group.id, kept, settled))
    return groups


def night_without(make_night, skip, missing):
    night = make_night(TILES, skip=skip)
    for tile, subband in missing:
        if tile not in skip:
            night.drop(tile, subband)
    return night


@many
@given(skip=gaps, missing=lost, now=moments, group=sizes, order=st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_plan(make_night, skip, missing, now, group, order):
    night = night_without(make_night, skip, missing)
    paths = list(night.facts)
    order.shuffle(paths)
    given_config = {"now": now, "group": group, **CALIBRATED}
    assert night.plan(order=paths, **given_config) == night.plan(**given_config)


@many
@given(skip=gaps, missing=lost, now=moments, group=sizes)
def test_planning_again_after_the_freeze_gives_the_same_groups(make_night, skip, missing, now, group):
    night = night_without(make_night, skip, missing)
    first = night.plan(now=now, group=group, **CALIBRATED)
    again = night.plan(now=now, group=group, committed=committed(first), **CALIBRATED)
    assert (again.groups, again.tiles, again.choices) == (first.groups, first.tiles, first.choices)


@many
@given(skip=gaps, missing=lost, tile=st.integers(0, TILES - 1), subband=st.integers(0, 15), group=sizes)
def test_a_late_file_changes_its_own_tile_and_by_policy_its_group(make_night, skip, missing, tile, subband, group):
    skip = skip - {tile}
    missing = {place for place in missing if place[0] != tile} | {(tile, subband)}
    night = night_without(make_night, skip, missing)
    before = night.plan(group=group, **CALIBRATED)
    settled = committed(before, settled=True)
    whole = make_night(TILES).facts
    path = next(p for p in whole if night._tile(p) == tile and p.endswith(f"_sb{subband:02d}.hdf5"))
    night.facts[path] = whole[path]
    after = night.plan(group=group, committed=committed(before), **CALIBRATED)
    changed = {t for t in before.tiles if before.tiles[t] != after.tiles.get(t)}
    assert changed == {tile_id(tile)} & set(before.tiles)
    assert {k: g for k, g in after.groups.items() if k in before.groups} == before.groups
    owners = {g.id for g in settled if any(t.id == tile_id(tile) for t in g.tiles)}
    closed = night.plan(group=group, committed=settled, **CALIBRATED)
    assert {(x.group, x.tile, x.files) for x in closed.late} == {
        (g, tile_id(tile), (path.rpartition("/")[2],)) for g in owners
    }
    assert set(closed.groups) == (owners if group.late == "reprocess" else set())


@many
@given(
    spread=st.lists(st.integers(0, 82), min_size=16 * 4, max_size=16 * 4),
    lead=st.sampled_from([0, 104]),
    strays=st.lists(st.integers(-60, 4 * 309 + 60), max_size=3),
)
def test_no_jitter_and_no_stray_tears_a_tile(spread, lead, strays):
    """Every tile keeps all of its subbands in one cluster, wherever single files of other clocks fall."""
    names, true = [], {}
    for number in range(4):
        early = lead if number == 0 else 0
        for subband in range(16):
            moment = START + timedelta(seconds=int(309.2376 * number) - early + spread[16 * number + subband])
            names.append(f"/in/{moment:%Y-%m-%dT%H:%M:%S}_sb{subband:02d}.hdf5")
            true[names[-1]] = number
    odd = [f"/out/{START + timedelta(seconds=s):%Y-%m-%dT%H:%M:%S}_sb03.hdf5" for s in strays]
    listing = arrange(names + odd, IngestOptions())
    for number in range(4):
        own = {name for name in names if true[name] == number and "_sb03" not in name}
        assert any(own <= {file.path for file in cluster.files} for cluster in listing.clusters)
