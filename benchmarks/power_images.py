"""Power cuts on real filesystems: an image is copied at calls of the code, mounted, and the same commands run again.

    sudo python -m benchmarks.power_images [--every 10] [--kinds ext4 ext4-nodelalloc xfs]

A mosaic is registered, published, withdrawn and restored, a second one held and approved, on a filesystem in a file;
its registry (SQLite) stands there too. What the filesystem has written to the file by a call is what a power cut would
leave; copies of the file are mounted in its place, reconciled, and every promise is looked at. Needs root, loop devices
and xfsprogs.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contimg.registry import queries
from contimg.trials import mosaics, promises
from contimg.trials.machine import Machine, Process
from contimg.trials.world import Ledger, World, config_below, open_shared

GROUPS = ("2026-02-11T00:26:49", "2026-02-11T01:26:49")
# Size of the image [MB], and how it is made and mounted; XFS is not made smaller.
KINDS = {
    "ext4": (48, ["mkfs.ext4", "-q"], []),
    "ext4-nodelalloc": (48, ["mkfs.ext4", "-q"], ["-o", "nodelalloc"]),
    "xfs": (300, ["mkfs.xfs", "-q"], []),
}


def call(*command: str | Path) -> None:
    """Run a program; an error stops everything."""
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


class Image:
    """A filesystem in a file, and copies of it."""

    def __init__(self, kind: str, folder: Path) -> None:
        size_mb, make, self.options = KINDS[kind]
        self.file, self.place = folder / "image", folder / "mounted"
        self.place.mkdir()
        with self.file.open("wb") as file:
            file.truncate(size_mb << 20)
        call(*make, self.file)
        self.copies: list[tuple[str, Path, Ledger]] = []
        self.mount(self.file)

    def mount(self, file: Path) -> None:
        """Mount an image."""
        call("mount", "-o", "loop", *self.options, file, self.place)

    def unmount(self) -> None:
        """Unmount the image that is mounted."""
        call("umount", self.place)

    def copy(self, name: str, ledger: Ledger) -> None:
        """Copy what the filesystem has written so far."""
        target = self.file.with_name(f"copy{len(self.copies)}")
        call("cp", "--sparse=always", self.file, target)
        self.copies.append((name, target, copy.deepcopy(ledger)))


def _lay(world: World, group: str, verdict: str) -> str:
    making = mosaics.make(world.layout, group, 1, verdict)
    world.lay(making)
    call("sync", "-f", world.config.paths.stage)
    return making.mosaic_id


def steps(world: World) -> list:
    """Return what is done, in order: each makes an action when its turn comes."""

    def decide(number: int, command: str):
        return world.decision(command, queries.listing(world.registry, latest_only=False)[number])

    one, other = _lay(world, GROUPS[0], "passed"), _lay(world, GROUPS[1], "warning")
    return [
        lambda: lambda: world.work(one),
        lambda: decide(0, "withdraw"),
        lambda: decide(0, "restore"),
        lambda: lambda: world.work(other),
        lambda: decide(1, "approve"),
    ]


def try_kind(kind: str, every: int, folder: Path) -> tuple[int, list[str]]:
    """Return the number of cuts on a kind of filesystem, and what was wrong after them."""
    image, passed = Image(kind, folder), [0]

    def hook(process: Process, name: str) -> None:
        passed[0] += 1
        if passed[0] % every == 0:
            current, machine.current = machine.current, None
            image.copy(f"{kind}, call {passed[0]} ({name})", world.ledger)
            machine.current = current

    machine = Machine(1)
    config = config_below(image.place / "world", None)
    registry = open_shared(config)
    world = World(config, machine, registry)
    try:
        with world.installed():
            actions = steps(world)
            machine.hook = hook
            for action in actions:
                process = machine.start(action())
                machine.resume(process)
                assert process.ended == "clean", process.ended
                image.copy(f"{kind}, after call {passed[0]}", world.ledger)
    finally:
        registry.engine.dispose()
        image.unmount()
    problems: list[str] = []
    for name, file, ledger in image.copies:
        image.mount(file)
        try:
            problems += [f"{name}: {text}" for text in _after_cut(config, ledger, Machine(2))]
        finally:
            image.unmount()
            file.unlink()
    return len(image.copies), problems


def _after_cut(config, ledger: Ledger, machine: Machine) -> list[str]:
    machine.boots = 1
    registry = open_shared(config)
    world = World(config, machine, registry)
    world.ledger = ledger
    try:
        with world.installed():
            found = promises.at_any_time(world) + promises.sure(world) + promises.synced(world)
            world.reconcile()
            left = world.reconcile()
            found += [f"left to a person or found again: {one.message}" for one in left]
            for group in GROUPS:
                process = machine.start(
                    lambda group=group: world.work(f"mosaic_{group.replace('-', '').replace(':', '')}")
                )
                machine.resume(process)
                found += [f"the same command ended: {process.ended}"] if process.ended != "clean" else []
            return found + promises.settled(world, left)
    finally:
        registry.engine.dispose()


def main() -> int:
    """Try some kinds of filesystems; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=10, help="copy the image at each n-th call")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--folder", type=Path, help="for the images; a temporary one by default")
    options = parser.parse_args()
    broken = 0
    for kind in options.kinds:
        folder, started = Path(tempfile.mkdtemp(dir=options.folder)), time.monotonic()
        try:
            cuts, problems = try_kind(kind, options.every, folder)
        finally:
            shutil.rmtree(folder)
        broken += len(problems)
        print(f"{kind}: {cuts} cuts, {len(problems)} problems, {time.monotonic() - started:.0f} s", flush=True)
        print("\n".join(problems[:20]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
