"""The limits of age and size: what goes, what never goes, and what a run says."""

import os
from datetime import timedelta

import pytest

from contimg import naming
from contimg.config import load
from contimg.operations import run_lock
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.retention import end_of_run
from contimg.retention.retain import retain, staged_bundles
from tests.operations.test_prune import FIRST, NOW, OPEN, SECOND, gone, make, tree
from tests.support import mosaics

NO_LIMITS = {
    kind: {"days": None, "gb": None}
    for kind in ("ms", "calibrated", "image", "logs", "benchmarks", "bundle", "snakemake", "cache", "quarantine")
}


def config_with(tmp_path, **limits):
    paths = {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")}
    return load({"paths": paths, "crossmatch": {"enabled": False}, "retention": NO_LIMITS | limits})


def aged(path, days, content="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    moment = NOW.timestamp() - days * 86400
    os.utime(path, (moment, moment))
    return path


def test_each_kind_has_its_own_age(tmp_path):
    config, work = config_with(tmp_path, ms={"days": 5.0}, logs={"days": 15.0}), tmp_path / "work"
    first = make(config, work, FIRST, age_days=20)
    second = make(config, work, SECOND, age_days=10)
    still_open = make(config, work, OPEN, status=None)
    before = tree(tmp_path)
    done = retain(config, work, now=NOW)
    by_kind = {(item.kind, item.group) for item in done.items}
    assert by_kind == {("ms", FIRST[0]), ("ms", SECOND[0]), ("logs", FIRST[0])}
    lost = before - tree(tmp_path)
    assert {path for path in lost if path in {*first, *second}} == {
        path for path in {*first, *second} if not path.exists()
    }
    assert not any(gone(still_open))
    assert not [path for path in lost if path.is_relative_to(config.paths.incoming) or path.suffix == ".json"]


def test_of_too_much_the_oldest_goes_until_it_is_enough(tmp_path):
    """Six images of 8192 bytes, twins of 4096: with room for four, those of the longest settled group go."""
    config, work = config_with(tmp_path, image={"days": None, "gb": (4 * 8192 + 6 * 4096) / 1e9}), tmp_path / "work"
    for tiles, age in ((SECOND, 10), (FIRST, 20), (OPEN, 30)):
        make(config, work, tiles, age_days=age, status=None if tiles is OPEN else "published")
    done = retain(config, work, now=NOW)
    assert {(item.kind, item.group) for item in done.items} == {("image", FIRST[0])}
    assert done.freed_bytes == 2 * 8192
    assert retain(config, work, now=NOW).items == ()


def test_what_open_groups_need_stays_even_if_it_is_too_much(tmp_path):
    config, work = config_with(tmp_path, ms={"days": 0.0, "gb": 0.0}), tmp_path / "work"
    kept = make(config, work, OPEN, status=None) + make(config, work, ("2026-02-14T00:00:00",), status="held")
    assert retain(config, work, now=NOW).items == ()
    assert not any(gone(kept))


def test_records_of_snakemake_go_only_with_their_products(tmp_path):
    import base64

    config, work = config_with(tmp_path, snakemake={"days": 30.0}), tmp_path / "work"
    folder = work / ".snakemake"

    def record(product):
        text = base64.b64encode(str(product).encode()).decode()
        parts = [text[at : at + 250] for at in range(0, len(text), 250)]
        return folder.joinpath("metadata", *(f"@{part}" for part in parts[:-1]), parts[-1])

    there = tmp_path / "stage" / "there"
    there.mkdir(parents=True)
    kept = [
        aged(record(there), 99),
        aged(record(tmp_path / "stage" / "young"), 1),
        aged(folder / "log" / "new.log", 1),
        aged(folder / "incomplete" / "anything", 99),
        aged(folder / "metadata" / "not base 64!", 99),
    ]
    lost = [
        aged(record(tmp_path / "stage" / "gone"), 99),
        aged(record(tmp_path / ("long" * 60) / ("name" * 60)), 99),
        aged(folder / "log" / "old.log", 99),
        aged(folder / "slurm_logs" / "rule_image_tile" / "a" / "1.log", 99),
        aged(folder / "scripts" / "tmp1.image_tile.py", 99),
        aged(work / "logs" / "watch" / "old.log", 99),
    ]
    done = retain(config, work, now=NOW)
    assert {item.path for item in done.items} == {str(path) for path in lost}
    assert all(gone(lost)) and not any(gone(kept))


def test_caches_and_quarantine_go_by_age_and_size(tmp_path):
    limits = {"cache": {"days": 30.0}, "quarantine": {"days": None, "gb": 4096 / 1e9}}
    config, work = config_with(tmp_path, **limits), tmp_path / "work"
    old = aged(config.layout.cache / "headers" / "2026-01-01.json", 40)
    new = aged(config.layout.cache / "headers" / "2026-02-11.json", 2)
    first = aged(config.layout.quarantine("2026-01-01"), 9, "x" * 4096)
    second = aged(config.layout.quarantine("2026-02-11"), 1, "x" * 4096)
    retain(config, work, now=NOW)
    assert gone([old, new, first, second]) == [True, False, True, False]


def test_a_dry_run_says_the_same_and_removes_nothing(tmp_path):
    config, work = config_with(tmp_path, ms={"days": 0.0}, cache={"days": 0.0}), tmp_path / "work"
    make(config, work, FIRST, age_days=20)
    aged(config.layout.cache / "digests.json", 1)
    before = tree(tmp_path)
    foretold = retain(config, work, dry_run=True, now=NOW)
    assert tree(tmp_path) == before and foretold.dry_run
    assert [item.path for item in retain(config, work, now=NOW).items] == [item.path for item in foretold.items]
    assert foretold.to_json()["freed_bytes"] == foretold.freed_bytes > 0


def published(tmp_path, **limits):
    paths = {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")}
    retention = NO_LIMITS | limits
    config = load(
        {"paths": paths, "crossmatch": {"enabled": False}, "publish": {"update_archive": False}, "retention": retention}
    )
    mosaics.make_mosaic(config)
    register_mosaic(mosaics.MOSAIC, config)
    return config


def test_a_bundle_goes_only_when_its_copy_in_the_archive_is_whole(tmp_path):
    config = published(tmp_path, bundle={"days": 30.0})
    later = NOW + timedelta(days=3650)
    (bundle,) = staged_bundles(config)
    assert retain(config, tmp_path, now=later).items == ()  # not published yet
    place = publish_mosaic(mosaics.MOSAIC, config, waits_s=()).path
    assert retain(config, tmp_path, now=later - timedelta(days=3650)).items == ()  # not old enough
    picture = next(path for path in (place / "data").iterdir() if path.suffix == ".fits")
    content = picture.read_bytes()
    picture.chmod(0o644)
    picture.write_bytes(content[:-1] + b"!")
    done = retain(config, tmp_path, now=later)
    assert done.items == () and "the staged copy is kept" in done.trouble[0] and bundle.exists()
    picture.write_bytes(content)
    assert [item.path for item in retain(config, tmp_path, now=later).items] == [str(bundle)]
    assert not bundle.exists() and naming.mosaic_id(mosaics.GROUP) == mosaics.MOSAIC


def test_a_run_that_works_holds_the_locks(tmp_path):
    from contimg.errors import BusyError

    config = config_with(tmp_path, cache={"days": 0.0})
    old = aged(config.layout.cache / "digests.json", 1)
    with run_lock.run_locks(config.layout):
        with pytest.raises(BusyError):
            retain(config, tmp_path)
        assert not any(gone([old]))
        assert end_of_run.tidy(config, tmp_path).startswith("retention: 1 items, 0.000 GB removed in ")
    assert gone([old]) == [True]
    assert end_of_run.tidy(config, tmp_path) == ""


def test_limits_by_hand_only(tmp_path):
    config = config_with(tmp_path, cache={"days": 0.0}, after_run=False)
    old = aged(config.layout.cache / "digests.json", 1)
    assert end_of_run.tidy(config, tmp_path) == "" and old.exists()


def test_a_limit_that_cannot_be_applied_is_said_and_fails_nothing(tmp_path, monkeypatch):
    config = config_with(tmp_path)

    def broken(*_, **__):
        raise OSError(5, os.strerror(5), "/disk")

    monkeypatch.setattr(end_of_run, "retain", broken)
    assert end_of_run.tidy(config, tmp_path).startswith("retention: /disk: Input/output error: check the disk")
