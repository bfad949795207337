"""A new version replaces an earlier one by itself with equal or better data only."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from contimg.bundle.find import find_bundle
from contimg.bundle.quality import DataQuality, poorer
from contimg.publishing import checkpoints, decisions, publish, superseding
from contimg.publishing.deciding import Named
from contimg.publishing.finalize import finalize
from contimg.publishing.publish import PublishFailed
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register import register
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from tests.support import mosaics
from tests.support.mosaics import run

ID = mosaics.MOSAIC
FIRST, SECOND = mosaics.TILES


def held(registry, version=2):
    return [
        (r["code"], r["measured"], r["threshold"]) for r in json.loads(queries.get(registry, ID, version)["held_json"])
    ]


# What the second version is made from, against two tiles of 4 subbands and 24 integrations, 12 % flagged, 4 mJy.
POORER = {
    "subbands": ({"data": {"n_subbands": 3}}, ("poorer_subbands", 6, 8)),
    "integrations": ({"data": {"n_times": 23}}, ("poorer_integrations", 46, 48)),
    "flagged": ({"data": {"flagged": 0.40}}, ("poorer_flagged_fraction", 0.40, 0.12)),
    "noise": ({"rms_mjy": 4.3}, ("poorer_noise", 4.3, 4.0)),
    "tiles": ({"facts": {"tiles_used": [SECOND], "n_images": 1}}, ("poorer_tiles", 1, 2)),
}


@pytest.mark.parametrize("what", POORER)
def test_a_poorer_version_is_held_and_the_better_one_stays(registry, config, what):
    made, reason = POORER[what]
    first = run(config)
    second = run(config, seed=2, **made)
    assert (second.status, second.version) == ("held", 2)
    assert reason in held(registry)
    assert [row["status"] for row in queries.versions(registry, ID)] == ["published", "held"]
    assert find_bundle(config.layout, ID) == first.path and not config.layout.bundle(ID, 2).exists()
    row = queries.get(registry, ID, 2)
    command = f"contimg publish approve {ID} --version 2 --manifest {row['sha256'][:12]} --reason"
    marker = json.loads(config.layout.twin("published", ID).read_text())
    assert command in marker["message"] and "poorer than version 1" in marker["message"]
    assert "; version 1 is the current one. To publish" in marker["message"]
    assert reconcile(registry, config.layout) == []
    decisions.approve(registry, config.layout, Named(ID, 2), "the beam of the first was wrong")
    after = publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert (after.status, after.version) == ("published", 2) and find_bundle(config.layout, ID) == after.path


BETTER = {
    "the same": {},
    "more subbands": {"data": {"n_subbands": 5}},
    "less noise": {"rms_mjy": 3.0},
    "within the scatter of the noise": {"rms_mjy": 4.19},
    "within the scatter of the flags": {"data": {"flagged": 0.135}},
    "less flagged": {"data": {"flagged": 0.01}},
}


@pytest.mark.parametrize("what", BETTER)
def test_an_equal_or_better_version_is_published_by_itself(config, what):
    run(config)
    second = run(config, seed=2, **BETTER[what])
    assert (second.status, second.version) == ("published", 2)


def test_a_poorer_one_is_compared_with_the_best_that_is_current(registry, config):
    """A rejected version between the two is no measure, nor one that was withdrawn."""
    run(config)
    assert run(config, seed=2, data={"n_subbands": 2}).status == "held"
    decisions.reject(registry, config.layout, Named(ID, 2), "too few")
    assert run(config, seed=3, data={"n_subbands": 3}).status == "held"
    assert ("poorer_subbands", 6, 8) in held(registry, 3)
    decisions.reject(registry, config.layout, Named(ID, 3), "too few")
    decisions.withdraw(registry, config.layout, Named(ID, 1), "wrong")
    assert run(config, seed=4, data={"n_subbands": 2}).status == "published"


def test_a_version_that_passed_and_was_not_published_yet_counts(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    assert run(config, seed=2, data={"n_subbands": 3}).status == "held"
    assert [row["status"] for row in queries.versions(registry, ID)] == ["superseded", "held"]


def test_a_version_that_did_not_pass_is_no_measure(config):
    run(config, reasons=[mosaics.FAILED])
    assert run(config, seed=2, data={"n_subbands": 3}).status == "published"


def test_an_earlier_version_that_cannot_be_read_needs_a_person(registry, config):
    first = run(config)
    mosaics.make_mosaic(config, seed=2)
    shutil.rmtree(first.path)
    shutil.rmtree(queries.get(registry, ID)["stage_path"])
    register(registry, config.layout, ID, auto_publish=True)
    assert finalize(registry, config.layout, ID, 2).status == "held"
    assert [code for code, *_ in held(registry)] == ["poorer_unknown"]


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ESTALE, errno.ENOMEM])
def test_an_earlier_version_that_cannot_be_read_for_once_is_compared_by_the_next_run(
    registry, config, monkeypatch, number
):
    """Seed 2155047 of `contimg replay`: it was held for good, and said 'cannot be compared with'."""
    first = run(config).path
    mosaics.make_mosaic(config, seed=2)
    real = superseding.read_lineage

    def refuse(path):
        if path == first:
            raise OSError(number, os.strerror(number), str(path / "manifest-sha256.txt"))
        return real(path)

    monkeypatch.setattr(superseding, "read_lineage", refuse)
    said = rf"not registered: {os.strerror(number)} \({first}.*repair that and rerun the same command"
    with pytest.raises(PublishFailed, match=said):
        register_mosaic(ID, config)
    assert queries.get(registry, ID)["finalization_status"] == "pending"
    monkeypatch.setattr(superseding, "read_lineage", real)
    register_mosaic(ID, config)
    assert publish_mosaic(ID, config, waits_s=()).status == "published"


def test_an_earlier_version_that_is_withdrawn_meanwhile_is_no_measure(registry, config, monkeypatch):
    """Found by seed 2092489 of the replay: its row was read, and its folder was gone when that was looked at."""
    run(config)
    real, looked = superseding.read_lineage, []

    def withdrawn_first(path):
        looked.append(path)
        if len(looked) == 2:
            decisions.withdraw(registry, config.layout, Named(ID, 1), "wrong")
        return real(path)

    monkeypatch.setattr(superseding, "read_lineage", withdrawn_first)
    assert run(config, seed=2, data={"n_subbands": 2}).status == "published"
    assert len(looked) == 2, "the new one, and the one before"


@pytest.mark.parametrize("point", ["restore:recorded", "restore:moved"])
@pytest.mark.parametrize("made", [{}, {"data": {"n_subbands": 3}}], ids=["equal", "poorer"])
def test_an_earlier_version_whose_restoration_was_stopped_is_compared_where_it_stands(
    registry, config, monkeypatch, point, made
):
    """Seed 2356974 of the replay: its row named the place that it had left, and an equal version was held for good."""
    first = run(config)
    shutil.rmtree(queries.get(registry, ID)["stage_path"])
    decisions.withdraw(registry, config.layout, Named(ID, 1), "wrong")
    mosaics.make_mosaic(config, seed=2, **made)
    register(registry, config.layout, ID, auto_publish=True)

    def stop(name):
        if name == point:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "hook", stop)
    with pytest.raises(KeyboardInterrupt):
        decisions.restore(registry, config.layout, Named(ID, 1), "it was right")
    assert first.path.is_dir() == (point == "restore:moved")
    monkeypatch.undo()
    judged = finalize(registry, config.layout, ID, 2)
    assert [reason["code"] for reason in judged.held] == (["poorer_subbands"] if made else [])


@pytest.mark.parametrize("word", ["withdraw", "reject"])
def test_bytes_that_a_person_took_away_wait_for_a_person(registry, config, word):
    """Found by seed 2103474 of the replay: made once more, they were published under another number."""
    if word == "withdraw":
        run(config)
        decisions.withdraw(registry, config.layout, Named(ID, 1), "a satellite in it")
    else:
        mosaics.make_mosaic(config)
        register_mosaic(ID, config)
        decisions.reject(registry, config.layout, Named(ID, 1), "a satellite in it")
    assert run(config, seed=2).status == "published"
    assert run(config).status == "held"  # the same as the first
    row = queries.get(registry, ID, 3)
    (reason,) = json.loads(row["held_json"])
    assert row["sha256"] == queries.get(registry, ID, 1)["sha256"] and reason["code"] == "decided_before"
    said = f"it is byte for byte version 1, which {queries.get(registry, ID, 1)['closed_by']} has "
    assert reason["message"].startswith(said) and "(a satellite in it): contimg publish approve" in reason["message"]
    decisions.approve(registry, config.layout, Named(ID, 3), "it was none")
    assert publish_mosaic(ID, config, waits_s=()).status == "published"


def test_both_numbers_and_the_command_are_said():
    old = DataQuality(frozenset({FIRST, SECOND}), 32, 48, 0.10, 4.0)
    new = DataQuality(frozenset({FIRST}), 12, 24, 0.30, 8.0)
    said = [reason.message for reason in poorer(new, old, 1, "type this")]
    for text, message in zip(
        ("tiles: 1, of the 2 of version 1 " + SECOND, "12 against 32", "24 against 48", "30.0% against 10.0%", "8 mJy"),
        said,
        strict=True,
    ):
        assert text in message and message.endswith("type this")


def test_what_is_not_known_is_not_compared():
    unknown = DataQuality(frozenset(), None, None, None, None)
    known = DataQuality(frozenset({FIRST}), 16, 24, 0.1, 4.0)
    assert poorer(known, unknown, 1, "") == []
    assert [reason.code for reason in poorer(unknown, known, 1, "")] == ["poorer_tiles"]


def test_another_tile_does_not_make_up_for_a_lost_one():
    old, new = (DataQuality(frozenset({tile}), 16, 24, 0.1, 4.0) for tile in mosaics.TILES)
    assert [reason.code for reason in poorer(new, old, 1, "")] == ["poorer_tiles"]


def test_the_numbers_come_from_the_bundle_on_disk(config):
    from contimg.bundle.find import read_lineage
    from contimg.bundle.quality import measure

    path = run(config, data={"n_subbands": 5, "n_times": 20, "flagged": 0.25}, rms_mjy=1.5).path
    _, lineage, mosaic = read_lineage(Path(path))
    assert measure(lineage, mosaic) == DataQuality(frozenset(mosaics.TILES), 10, 40, 0.25, 1.5)
    assert publish_mosaic(ID, config, waits_s=()).status == "published"
