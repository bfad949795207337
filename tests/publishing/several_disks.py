"""Publishes, withdraws, restores and repairs with a part of the archive on a disk of its own.

::

    unshare -rm python -m tests.publishing.several_disks CONFIG.json tmpfs|bind FOLDER

mounts a disk at FOLDER of the archive in a namespace of its own, which needs no rights, and ends with 'all right'.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from contimg.bundle import bundle
from contimg.config import Config
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.registry import queries
from contimg.registry.engine import open_registry
from contimg.storage import moving
from tests.support import mosaics

ID = mosaics.MOSAIC


def mount(config: Config, kind: str, folder: str) -> None:
    """Mount a disk at a folder of the archive: another filesystem, or a folder of the same device."""
    place = config.paths.products / folder
    place.mkdir(parents=True)
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "none", str(place)]
    else:
        other = config.paths.products.with_name("other_disk")
        other.mkdir()
        command = ["mount", "--bind", str(other), str(place)]
    subprocess.run(command, check=True)


def killed_in(step: str, calls: int, action) -> None:
    """Run an action in a process that dies at so many calls of a function by which folders are moved."""
    child = os.fork()
    if child == 0:
        real, left = getattr(moving, step), iter(range(1, calls))
        setattr(moving, step, lambda *args: os._exit(9) if next(left, None) is None else real(*args))
        action()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, f"did not come to {step}"


def scenario(config: Config) -> None:
    """Do with one mosaic all that moves a bundle, and compare disk and registry after each step."""
    sight = mosaics.run(config).path
    hidden = config.paths.products / ".withdrawn" / "mosaics" / "2026-02-11" / ID
    files = {file.name: file.stat().st_mode for file in sight.iterdir()}

    def agree(there: Path, gone: Path, status: str) -> None:
        with contextlib.closing(open_registry(config)) as registry:
            assert reconcile(registry, config.layout) == []
            assert queries.get(registry, ID)["status"] == status
        assert bundle.verify(there).ok and not gone.exists()
        assert {file.name: file.stat().st_mode for file in there.iterdir()} == files
        assert not [name for home in (there.parent, gone.parent) if home.is_dir() for name in home.glob(".*.part-*")]

    def opened(action, *more) -> None:
        with contextlib.closing(open_registry(config)) as registry:
            action(registry, config.layout, *more)

    agree(sight, hidden, "published")
    opened(decisions.withdraw, ID, "wrong scale")
    agree(hidden, sight, "withdrawn")
    opened(decisions.restore, ID, "right after all")
    agree(sight, hidden, "published")

    # Before anything; before the copy gets its final name; before the other one goes.
    for step, calls in (("rename_new", 1), ("rename_new", 2), ("discard", 1)):
        for decide, there, gone, status in (
            (decisions.withdraw, hidden, sight, "withdrawn"),
            (decisions.restore, sight, hidden, "published"),
        ):
            killed_in(step, calls, lambda decide=decide: opened(decide, ID, "killed"))
            opened(reconcile)
            agree(there, gone, status)

    left = sight.parent / ".incoming" / f"{ID}.deadbeef"
    left.mkdir(parents=True)
    opened(reconcile)
    assert not left.exists()

    (sight / "data" / f"{ID}.png").chmod(0o644)
    (sight / "data" / f"{ID}.png").write_bytes(b"rot")
    opened(reconcile)
    aside = [*sight.parent.glob(".altered/*"), *config.paths.products.glob(".altered/*")]
    assert b"rot" in [(one / "data" / f"{ID}.png").read_bytes() for one in aside]
    assert publish_mosaic(ID, config, waits_s=()).created
    agree(sight, hidden, "published")


def main() -> None:
    """Mount, do all of it, and say so."""
    file, kind, folder = sys.argv[1:]
    config = Config.model_validate_json(Path(file).read_text())
    mount(config, kind, folder)
    scenario(config)
    print(json.dumps("all right"))


if __name__ == "__main__":
    main()
