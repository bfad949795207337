"""Publishing stays below its roots, through symlinks and `..`, and renaming replaces nothing."""

import errno
import os

import pytest
from sqlalchemy import update

from contimg.errors import ContimgError
from contimg.publishing import places, publish
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.schema import data_registry
from contimg.storage import safe_files
from tests.support import mosaics
from tests.support.mosaics import run

ID = mosaics.MOSAIC


def test_a_place_outside_of_the_archive_has_no_way_in_it(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert places.link_on_the_way(tmp_path / "products", tmp_path / "link" / "bundle") is None
    assert places.link_on_the_way(tmp_path, tmp_path / "link" / "bundle").startswith(f"{tmp_path}/link is a symlink")


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
