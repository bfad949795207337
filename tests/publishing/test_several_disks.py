"""A part of the archive on a disk of its own: no rename leads there from the archive's root."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contimg.errors import RegistryError
from contimg.publishing import decisions
from contimg.registry import queries
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
@pytest.mark.parametrize("folder", ["mosaics", "mosaics/2026-02-11"])
def test_everything_works_with_a_disk_mounted_in_the_archive(config, tmp_path, kind, folder):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config.model_dump(mode="json")))
    script = [sys.executable, "-m", "tests.publishing.several_disks", str(file), kind, folder]
    done = subprocess.run(["unshare", "-rm", *script], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (0, '"all right"\n'), done.stderr[-3000:]


def test_nothing_is_recorded_that_has_no_room_on_the_other_disk(registry, config, monkeypatch):
    sight = mosaics.run(config).path
    real = os.stat

    def stat(path, *args, **options):
        found = real(path, *args, **options)
        return os.stat_result((*found[:2], found.st_dev + 1, *found[3:])) if path == sight else found

    monkeypatch.setattr("contimg.publishing.places.os.stat", stat)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(RegistryError, match=r"has no room for its 0\.\d MB: make room there"):
        decisions.withdraw(registry, config.layout, ID, "wrong")
    assert queries.get(registry, ID)["status"] == "published" and sight.is_dir()


def test_a_full_disk_in_the_middle_of_a_withdrawal_leaves_one_copy(registry, config, monkeypatch):
    """Recorded, but not moved: in sight until the next reconciliation, which finishes it."""
    sight = mosaics.run(config).path

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("contimg.storage.moving.rename_new", full)
        with pytest.raises(RegistryError) as failed:
            decisions.withdraw(registry, config.layout, ID, "wrong")
    hidden = config.paths.products / ".withdrawn/mosaics/2026-02-11" / ID
    assert str(failed.value) == (
        f"{ID} version 1 is recorded as withdrawn, and its bundle could not be moved (No space left on device "
        f"({hidden})): correct that, then 'contimg reconcile {ID}' does the rest"
    )
    assert sight.is_dir()
    from contimg.publishing.reconcile import reconcile

    assert [one.code for one in reconcile(registry, config.layout)][:1] == ["not_hidden"]
    assert not sight.exists() and reconcile(registry, config.layout) == []
