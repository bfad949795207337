"""How much good data a mosaic was made from: sums over its lineage, and what is poorer than before."""

from dataclasses import replace

import pytest

from contimg.bundle.assembly import gather
from contimg.bundle.quality import FLAGGED_TOLERANCE, NOISE_TOLERANCE, DataQuality, measure, poorer
from contimg.products.lineage import Lineage, Node
from contimg.products.twin import Input, Twin
from tests.support import mosaics

OLD = DataQuality(
    tiles=frozenset({"2026-02-11T00:26:49", "2026-02-11T00:31:58"}),
    subbands=32,
    integrations=48,
    flagged_fraction=0.10,
    rms_mjy=4.0,
)
NOTHING = DataQuality(frozenset(), None, None, None, None)


def codes(new, old=OLD):
    return [reason.code for reason in poorer(new, old, 1, "contimg approve")]


def test_the_data_behind_a_mosaic(sqlite_config):
    mosaics.make_mosaic(sqlite_config, data={"n_subbands": 3, "n_times": 20, "flagged": 0.25}, rms_mjy=3.5)
    contents = gather(sqlite_config.layout, mosaics.MOSAIC)
    assert measure(contents.lineage, contents.mosaic) == DataQuality(
        tiles=frozenset(mosaics.TILES), subbands=6, integrations=40, flagged_fraction=0.25, rms_mjy=3.5
    )


def chain(tile, *, n_subbands=16, n_times=24, ms_flagged=0.1, flagged=None):
    """Return the nodes of one tile: MS, calibrated, image, each with digest 'kind tile'."""

    def node(kind, facts=None, qa=None, below=None):
        inputs = [] if below is None else [Input(path="", kind=below, id=tile, sha256=f"{below} {tile}")]
        twin = Twin(kind=kind, id=tile, verdict="passed", facts=facts or {}, qa=qa or {}, inputs=inputs, synthetic=True)
        return Node("", f"{kind} {tile}", twin)

    return [
        node("ms", {"n_subbands": n_subbands, "n_times": n_times}, {"flagged_fraction": ms_flagged}),
        node("calibrated", qa={"flagged_fraction": flagged}, below="ms"),
        node("image", below="calibrated"),
    ]


def mosaic_of(tiles, used, **qa):
    inputs = [Input(path="", kind="image", id=tile, sha256=f"image {tile}") for tile in tiles]
    twin = Twin(
        kind="mosaic", id="m", verdict="passed", facts={"tiles_used": used}, qa=qa, inputs=inputs, synthetic=True
    )
    return Node("", "m", twin)


A, B, C = ("2026-02-11T00:26:49", "2026-02-11T00:31:58", "2026-02-11T00:37:07")


def lineage_of(*chains):
    return Lineage({node.sha256: node for nodes in chains for node in nodes}, {})


def test_only_tiles_that_were_used_count():
    lineage = lineage_of(
        chain(A, n_subbands=16, n_times=24, flagged=0.2),
        chain(B, n_subbands=15, n_times=22, ms_flagged=0.5),  # not calibrated anew: the MS says what is flagged
        chain(C, n_subbands=1, n_times=1, flagged=0.9),
    )
    mosaic = mosaic_of([A, B, C], ["20260211T002649", B], rms_mjy=2.5)  # either form of an id
    found = measure(lineage, mosaic)
    assert (found.tiles, found.subbands, found.integrations, found.rms_mjy) == (frozenset({A, B}), 31, 46, 2.5)
    assert found.flagged_fraction == pytest.approx(0.35)


def test_a_number_that_one_tile_does_not_state_is_not_known():
    lineage = lineage_of(chain(A, n_times=None), chain(B, n_subbands=None, ms_flagged=None))
    assert measure(lineage, mosaic_of([A, B], [A, B])) == DataQuality(frozenset({A, B}), None, None, None, None)


@pytest.mark.parametrize("used", [None, []])
def test_a_mosaic_of_no_tiles(used):
    assert measure(lineage_of(chain(A)), mosaic_of([A], used)) == NOTHING
    assert measure(lineage_of(), mosaic_of([A], [A])) == replace(NOTHING, tiles=frozenset({A}))


def test_equal_better_or_unknown_is_not_poorer():
    better = DataQuality(OLD.tiles | {C}, 48, 72, 0.05, 3.0)
    assert codes(OLD) == codes(better) == codes(NOTHING, NOTHING) == codes(better, NOTHING) == []
    assert codes(replace(NOTHING, tiles=OLD.tiles)) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tiles": frozenset({A})}, "poorer_tiles"),
        ({"tiles": frozenset({A, C})}, "poorer_tiles"),  # as many, but others
        ({"subbands": 31}, "poorer_subbands"),
        ({"integrations": 47}, "poorer_integrations"),
        ({"flagged_fraction": 0.10 + FLAGGED_TOLERANCE + 0.001}, "poorer_flagged_fraction"),
        ({"rms_mjy": 4.0 * (1 + NOISE_TOLERANCE) + 0.001}, "poorer_noise"),
    ],
)
def test_each_way_of_being_poorer(change, code):
    assert codes(replace(OLD, **change)) == [code]


def test_estimates_scatter():
    assert (FLAGGED_TOLERANCE, NOISE_TOLERANCE) == (0.02, 0.05)
    assert codes(replace(OLD, flagged_fraction=0.119)) == codes(replace(OLD, rms_mjy=4.199)) == []


def test_a_reason_says_what_is_lacking_and_what_to_do():
    new = DataQuality(frozenset({A}), 16, 24, 0.5, 8.0)
    reasons = poorer(new, OLD, 3, "contimg approve x")
    assert [(one.code, one.measured, one.threshold) for one in reasons] == [
        ("poorer_tiles", 1, 2),
        ("poorer_subbands", 16, 32),
        ("poorer_integrations", 24, 48),
        ("poorer_flagged_fraction", 0.5, 0.1),
        ("poorer_noise", 8.0, 4.0),
    ]
    assert {one.severity for one in reasons} == {"warning"}
    assert reasons[0].message == (
        "poorer than version 3, which stays until a person decides "
        "(tiles: 1, of the 2 of version 3 2026-02-11T00:31:58 lacking): contimg approve x"
    )
    assert "(flagged: 50.0% against 10.0% of version 3)" in reasons[3].message
    assert "(noise: 8 mJy/beam against 4 of version 3)" in reasons[4].message
