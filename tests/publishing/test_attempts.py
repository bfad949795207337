"""Attempts that fail: counted, tried again where that helps, one sentence each; other filesystems."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contimg.bundle import bundle
from contimg.errors import RegistryError
from contimg.publishing import decisions, publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.refusals import RegistryUnavailable
from tests.support import mosaics
from tests.support.mosaics import run

ID = mosaics.MOSAIC


def test_attempts_are_counted_until_a_person_is_needed(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    products = config.paths.products
    products.mkdir()
    (products / "mosaics").write_text("a file where a folder should be")
    for attempt in range(1, 4):
        with pytest.raises(publish.PublishFailed, match=f"contimg publish retry {ID}"):
            publish_mosaic(ID, config, waits_s=())
        row = queries.get(registry, ID)
        assert (row["attempts"], row["status"]) == (attempt, "staging") and "mosaics" in row["error"]
    (products / "mosaics").unlink()
    with pytest.raises(RegistryError, match=r"failed to be published 3 times .*contimg publish retry"):
        publish_mosaic(ID, config, waits_s=())
    decisions.retry(registry, ID)
    done = publish_mosaic(ID, config, waits_s=())
    assert done.created and queries.get(registry, ID)["error"] is None
    assert [e["event"] for e in queries.events(registry, ID)][-5:] == [
        "failed",
        "failed",
        "failed",
        "retry",
        "published",
    ]


def forked(action) -> int:
    """Run in another process (the system calls of this one stay whole); return its exit code."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n{action}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_a_transient_fault_is_tried_again_by_itself(registry, sqlite_config):
    mosaics.make_mosaic(sqlite_config)
    register_mosaic(ID, sqlite_config)
    options = sqlite_config.model_dump_json()
    script = f"""
from contimg.config import Config
from contimg.publishing.publish_mosaic import publish_mosaic
from tests.faults import injection
config = Config.model_validate_json({options!r}, strict=False)
injection.refuse_call("fsync", 5, {errno.EIO}, persistent=False)
print(publish_mosaic({ID!r}, config, waits_s=(0.05, 0.05)).created)
"""
    ended = forked(script)
    assert (ended.returncode, ended.stdout) == (0, "True\n"), ended.stderr


@pytest.mark.parametrize("backend", ["disk", "database"])
def test_faults_that_may_pass_do_not_use_up_the_attempts(registry, config, monkeypatch, backend):
    """Two runs of four attempts each, more than the three that are allowed: the file server answers again."""
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)

    def refuse(*_args):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE)) if backend == "disk" else RegistryUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(publish.copying, "copy_bundle", refuse)
        for _ in range(2):
            with pytest.raises(publish.PublishFailed):
                publish_mosaic(ID, config, waits_s=(0.0, 0.0, 0.0))
    row = queries.get(registry, ID)
    assert (row["attempts"], row["status"]) == (0, "staging") and row["error"]
    assert [e["event"] for e in queries.events(registry, ID)].count("failed") == 8
    assert publish_mosaic(ID, config, waits_s=()).created


def test_a_full_disk_gives_one_sentence_and_a_rerun_publishes(sqlite_config):
    """The kernel's own refusal: a limit on the size of files (EFBIG), as a quota would."""
    mosaics.make_mosaic(sqlite_config, size_px=300)
    register_mosaic(ID, sqlite_config)
    script = f"""
import resource, signal
from contimg.config import Config
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.errors import ContimgError
config = Config.model_validate_json({sqlite_config.model_dump_json()!r}, strict=False)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, {resource.RLIM_INFINITY}))
try:
    publish_mosaic({ID!r}, config, waits_s=())
except ContimgError as error:
    print(error)
"""
    ended = forked(script)
    assert "was not published: File too large" in ended.stdout and "contimg publish retry" in ended.stdout, ended
    assert not sqlite_config.layout.bundle(ID, 1).exists()
    assert list((sqlite_config.paths.products / ".incoming").iterdir()) == []
    assert publish_mosaic(ID, sqlite_config, waits_s=()).created


def test_stage_and_archive_may_stand_on_different_filesystems(tmp_path):
    other = Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no second filesystem here")
    config = mosaics.config_below(tmp_path)
    archive = Path(subprocess.check_output(["mktemp", "-d", "-p", other], text=True).strip())
    try:
        config = config.model_copy(update={"paths": config.paths.model_copy(update={"products": archive})})
        done = run(config)
        assert done.path.stat().st_dev != config.paths.stage.stat().st_dev
        assert bundle.verify(done.path).ok
    finally:
        shutil.rmtree(archive)
