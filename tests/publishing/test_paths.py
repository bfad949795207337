"""Publishing stays below its roots, through symlinks and `..`, and renaming replaces nothing."""

import errno
import json
import os
import subprocess
import sys

import pytest
from sqlalchemy import update

from contimg.errors import ContimgError
from contimg.publishing import publish
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.schema import data_registry
from contimg.storage import safe_files
from tests.support import mosaics
from tests.support.mosaics import run

ID = mosaics.MOSAIC


def test_a_place_outside_of_the_archive_has_no_way_in_it(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert safe_files.link_on_the_way(tmp_path / "products", tmp_path / "link" / "bundle") is None
    assert safe_files.link_on_the_way(tmp_path, tmp_path / "link" / "bundle").startswith(
        f"{tmp_path}/link is a symlink"
    )


def test_an_archive_folder_that_is_a_symlink_is_refused(registry, config, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    config.paths.products.mkdir()
    os.symlink(tmp_path / "elsewhere", config.paths.products / "mosaics")
    with pytest.raises(
        ContimgError,
        match=r"products/mosaics is a symlink \(to .*/elsewhere\), which the archive must not lead through",
    ):
        run(config)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("wrong", ["{products}/x", "{stage}/../incoming/v1", "/etc", "{stage}"])
def test_a_stage_path_outside_the_stage_is_refused(registry, config, wrong):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    path = wrong.format(products=config.paths.products, stage=config.paths.stage)
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(stage_path=path))
    with pytest.raises(publish.PublishFailed, match=r"is not below paths\.stage"):
        publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert not config.layout.bundle(ID, 1).exists()


def test_a_symlink_put_into_the_staged_bundle_is_refused(registry, config, tmp_path):
    mosaics.make_mosaic(config)
    staged = register_mosaic(ID, config).path / "data" / f"{ID}.png"
    (tmp_path / "other.png").write_bytes(staged.read_bytes())
    staged.unlink()
    os.symlink(tmp_path / "other.png", staged)
    with pytest.raises(ContimgError, match="symlink"):
        publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert not config.layout.bundle(ID, 1).exists()


def test_renaming_never_replaces(tmp_path):
    for name in ("source", "taken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    with safe_files.open_folder(tmp_path) as folder:
        with pytest.raises(FileExistsError):
            safe_files.rename_new(folder, "source", folder, "taken")
        safe_files.rename_new(folder, "source", folder, "new")
    assert (tmp_path / "taken" / "taken").exists() and (tmp_path / "new" / "source").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL])
def test_renaming_never_replaces_on_filesystems_without_renameat2(tmp_path, monkeypatch, number):
    def unknown(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(safe_files, "_renameat2", unknown)
    test_renaming_never_replaces(tmp_path)


REGISTER = """
import json, sys
from pathlib import Path
from contimg.config import load
from contimg.errors import ContimgError
from contimg.publishing.register_mosaic import register_mosaic
try:
    register_mosaic(sys.argv[1], load(json.loads(sys.argv[2])))
except ContimgError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["registered", "marker"])
def test_a_stage_that_cannot_be_written_is_named_and_not_a_temporary_file(sqlite_config, kind):
    """In a process that the permissions hold for: one of root's without its capabilities."""
    mosaics.make_mosaic(sqlite_config)
    folder = sqlite_config.layout.product("registered", mosaics.MOSAIC)
    target = folder if kind == "registered" else sqlite_config.layout.twin("registered", mosaics.MOSAIC)
    folder.mkdir(parents=True)
    closed = folder if kind == "registered" else target.parent
    if os.getuid() == 0:
        os.chown(closed, 65534, 65534)
    closed.chmod(0o555)
    content = {"paths": sqlite_config.paths.model_dump(mode="json"), "crossmatch": {"enabled": False}}
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    command = [*without, sys.executable, "-c", REGISTER, mosaics.MOSAIC, json.dumps(content)]
    done = subprocess.run(command, capture_output=True, text=True)
    closed.chmod(0o755)
    assert str(target) in done.stdout and "Permission denied" in done.stdout and ".part-" not in done.stdout, done
