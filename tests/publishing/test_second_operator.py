"""Two operators of one group, with the umask '0002': each does what the other could, on the same stage and archive."""

import os
import re
import traceback

import pytest

from contimg.archive.update import rebuild
from contimg.operations.run_lock import run_locks
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.engine import open_registry
from tests.support import mosaics

ID = mosaics.MOSAIC
LATER = ("2026-02-12T03:00:00", "2026-02-12T03:05:09")
GROUP, ADA, BEN = 54_321, 54_322, 54_323


def as_operator(uid, work):
    """Run in a forked process of that user and the common group; return the traceback, if there is one."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        try:
            os.umask(0o002)
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(uid)
            work()
        except BaseException:  # noqa: BLE001  reported
            said = traceback.format_exc()
        os.write(write, said.encode()[-4000:])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become two other users: sudo make test")
def test_what_one_began_the_other_goes_on_with(root):
    # The two may not be able to read root's Python: everything is imported before.
    mosaics.run(mosaics.config_below(root / "warm", publish={"update_archive": True}))
    os.chmod(root, 0o755)
    config = mosaics.config_below(root / "work", publish={"update_archive": True, "read_only": True, "mode": "0664"})
    for folder in (
        root / "work",
        *(getattr(config.paths, name) for name in ("incoming", "stage", "products", "state")),
    ):
        folder.mkdir()
        os.chown(folder, 0, GROUP)
        os.chmod(folder, 0o2775)

    def begin():
        with run_locks(config.layout):
            mosaics.make_mosaic(config)
            register_mosaic(ID, config)
            assert publish_mosaic(ID, config).created
        registry = open_registry(config)
        decisions.withdraw(registry, config.layout, ID, "by mistake")
        mosaics.make_mosaic(config, tiles=LATER)
        register_mosaic("mosaic_20260212T030000", config)

    def go_on():
        registry = open_registry(config)
        decisions.restore(registry, config.layout, ID, "it was right")
        with run_locks(config.layout):
            assert publish_mosaic("mosaic_20260212T030000", config).created
            mosaics.make_mosaic(config, seed=2)
            register_mosaic(ID, config)
            assert publish_mosaic(ID, config).version == 2
        assert rebuild(registry, config.layout, anew=True) == 2
        assert reconcile(registry, config.layout) == []

    said = as_operator(ADA, begin)
    assert not said, said
    said = as_operator(BEN, go_on)
    assert not said, said
    registry = open_registry(config)
    actors = {re.search(r"uid (\d+)", event["actor"])[1] for event in queries.events(registry, ID)}
    assert actors == {str(ADA), str(BEN)}
    assert config.layout.bundle(ID, 2).stat().st_uid == BEN and config.layout.bundle(ID, 1).stat().st_uid == ADA
