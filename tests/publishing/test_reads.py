"""How often a bundle's bytes are read: when they are registered and published, and no more for earlier versions."""

import os
import shutil
import time
from pathlib import Path

import pytest
from sqlalchemy import event, text

from contimg.bundle import bundle, unchanged
from contimg.errors import RegistryError
from contimg.publishing import checkpoints
from contimg.publishing.places import Places
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.recording import publication
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.times import now, unix_from_utc
from tests.support import mosaics

ID = mosaics.MOSAIC
PIXELS = 900  # a bundle of 9.7 MB, beside which what the database reads is small


def bytes_read():
    """Return what this process has read by read(2) and its kin, as the kernel counts it (proc(5), /proc/pid/io)."""
    return int(Path("/proc/self/io").read_text().splitlines()[0].split()[1])


def read_by(action):
    before = bytes_read()
    action()
    return bytes_read() - before


def size(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


@pytest.fixture(autouse=True)
def disk():
    """A disk takes longer than the kernel's clock from the last file to the record; a folder in memory may not."""
    checkpoints.hook = lambda name: time.sleep(0.03) if name in ("publish:recording", "register:assembled") else None
    yield
    checkpoints.hook = None


def new_version(config, seed):
    mosaics.make_mosaic(config, seed=seed, size_px=PIXELS)
    registered = read_by(lambda: register_mosaic(ID, config))
    published = read_by(lambda: publish_mosaic(ID, config, waits_s=()))
    return registered, published


def test_what_a_version_costs_and_that_earlier_ones_cost_nothing(registry, config):
    """Hashed once and its pixels looked at when registered; copied and read back when published: each byte once."""
    costs = [new_version(config, seed) for seed in (1, 2, 3)]
    whole = size(config.layout.bundle(ID, 1))
    assert [row["status"] for row in queries.versions(registry, ID)] == ["published"] * 3
    for registered, published in costs:
        assert registered / whole == pytest.approx(2.0, abs=0.1)
        assert published / whole == pytest.approx(2.0, abs=0.1)


def test_nothing_to_do_reads_nothing(registry, config):
    new_version(config, 1)
    whole = size(config.layout.bundle(ID, 1))
    assert read_by(lambda: register_mosaic(ID, config)) < 0.1 * whole
    assert read_by(lambda: publish_mosaic(ID, config, waits_s=())) < 0.1 * whole
    assert read_by(lambda: reconcile(registry, config.layout, ID, every_byte=False)) < 0.1 * whole
    assert read_by(lambda: reconcile(registry, config.layout, ID)) > 0.9 * whole
    assert read_by(lambda: reconcile(registry, config.layout)) > 0.9 * whole


def test_what_is_held_is_read_once_and_again_only_when_it_was_touched(registry, config):
    mosaics.make_mosaic(config, size_px=PIXELS, reasons=[mosaics.FAILED])
    register_mosaic(ID, config)
    assert publish_mosaic(ID, config, waits_s=()).status == "held"
    staged = Path(queries.get(registry, ID)["stage_path"])
    assert read_by(lambda: register_mosaic(ID, config)) < 0.1 * size(staged)
    (staged / "data" / f"{ID}.png").touch()
    assert read_by(lambda: register_mosaic(ID, config)) > 0.9 * size(staged)
    alter(staged / "data" / f"{ID}.html")
    register_mosaic(ID, config)
    assert bundle.verify(staged).ok


def alter(path):
    """Change a byte, and set the file's times back as they were: the kernel's own (ctime) cannot be."""
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x55")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("harm", ["altered", "removed", "added", "replaced", "linked"])
def test_what_was_touched_since_is_read(registry, config, harm):
    new_version(config, 1)
    final = config.layout.bundle(ID, 1)
    file = final / "data" / f"{ID}.png"
    since = unix_from_utc(queries.get(registry, ID)["verified_at"])
    digest = bundle.read_manifest(final)[0]
    assert unchanged.is_unchanged(final, digest, since) and not unchanged.is_unchanged(final, "0" * 64, since)
    if harm == "altered":
        alter(file)
    elif harm == "removed":
        file.unlink()
    elif harm == "added":
        (final / "data" / "notes.txt").touch()
    else:
        kept = file.with_name("kept")
        file.rename(final.parent / "kept")
        kept = final.parent / "kept"
        shutil.copy(kept, file) if harm == "replaced" else file.symlink_to(kept)
    assert not unchanged.is_unchanged(final, digest, since)
    publish_mosaic(ID, config, waits_s=())
    assert bundle.verify(final).ok


def test_a_product_that_was_altered_after_its_registration_is_read(registry, config):
    new_version(config, 1)
    alter(config.layout.product("mosaic", ID) / f"{ID}.png")
    with pytest.raises(RegistryError, match=r"\.png was altered after mosaic .* was judged"):
        register_mosaic(ID, config)


def test_a_time_that_is_not_past_yet_says_nothing(registry, config):
    mosaics.run(config)
    final = config.layout.bundle(ID, 1)
    digest = bundle.read_manifest(final)[0]
    (final / "data" / f"{ID}.png").chmod(0o400)
    assert not unchanged.is_unchanged(final, digest, unix_from_utc(now()))


def reads_of_rows(registry, action):
    """Return how often an action reads the rows of products with the numbers of their last events."""
    found = []

    def before(_connection, _cursor, statement, *_):
        found.append("last_event" in statement)

    event.listen(registry.engine, "before_cursor_execute", before)
    try:
        action()
    finally:
        event.remove(registry.engine, "before_cursor_execute", before)
    return sum(found)


def test_the_rows_of_one_product_are_read_once_and_by_whom_they_may_have_changed_again(registry, config):
    """By the step that looks for what dead publishers left, which lists copies before it reads claims."""
    place = mosaics.run(config).path
    assert reads_of_rows(registry, lambda: reconcile(registry, config.layout, ID)) == 2
    (place / "data" / f"{ID}.png").write_bytes(b"rot")
    with registry.transaction() as connection:
        connection.execute(text("UPDATE data_registry SET verified_at = NULL"))
    assert reads_of_rows(registry, lambda: reconcile(registry, config.layout, ID)) > 2


def test_a_record_that_has_every_decision_is_not_written_again(registry, config):
    mosaics.run(config)
    row = queries.get(registry, ID)
    where = Places.of(config.layout, row)
    before = [(place / bundle.PUBLICATION).stat().st_ino for place in where.standing()]
    where.record(publication(row), where.decisions())
    assert [(place / bundle.PUBLICATION).stat().st_ino for place in where.standing()] == before != []
