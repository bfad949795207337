"""What happens to registry, archive and stage from outside: backups that are put back, losses and damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from contimg.publishing.archive_marker import marker_place
from contimg.publishing.places import Places
from contimg.registry import queries
from contimg.trials.database import Database
from contimg.trials.disk import Disk
from contimg.trials.world import World

_KINDS = ("restore", "restore", "lose registry", "lose bundle", "rot", "rot", "roll back", "roll back")


class Disasters:
    """Backups of a world, and what is lost, damaged or put back there.

    Attributes
    ----------
    harmed : bool
        Whether anything was: then a person may be needed in the end.
    """

    def __init__(self, world: World, disk: Disk, database: Database) -> None:
        self.world, self.disk, self.database = world, disk, database
        self.random = world.machine.random
        self.backups: list[Path] = []
        self.copies: list[tuple[Path, Path]] = []
        self.harmed = False

    def back_up(self) -> list[str]:
        """Now and then back the registry up, and copy the archive or the bundles on the stage; return what was done."""
        done = []
        if self.random.random() < 0.3:
            self.backups.append(self.world.back_up())
            done.append("back up")
        paths = self.world.config.paths
        place = self.random.choice((paths.products, paths.stage / "registered"))
        # Without its marker it would come back as another registry's archive.
        if self.random.random() < 0.4 and place.is_dir() and marker_place(self.world.layout).exists():
            self.copies.append((place, self.world.copy(place)))
            done.append(f"copy of {place.name}")
        return done

    def strike(self, end_stopped: Callable[[], None]) -> str:
        """Let something happen; return what, in words.

        Parameters
        ----------
        end_stopped : callable
            Ends the processes that are stopped, as who replaces a registry or an archive does first.
        """
        kind = self.random.choice(_KINDS)
        if kind in ("lose bundle", "rot"):
            return self._harm_bundle(kind)
        if (kind == "restore" and not self.backups) or (kind == "roll back" and not self.copies):
            return f"nothing to {kind}"
        end_stopped()
        self.harmed = True
        with self.world.disaster():
            if kind == "roll back":
                place, copy = self.random.choice(self.copies)
                self.world.roll_back(place, copy)
                self.disk.adopt()
                kind = f"{place.name} is as in {copy.name}"
            elif kind == "restore":
                self.world.restore_backup(self.random.choice(self.backups))
            else:
                self.world.empty_registry()
        self.database.adopt()
        return kind

    def _harm_bundle(self, kind: str) -> str:
        """Lose a copy of a bundle, or damage a file of it; return what was done, in words."""
        places = [
            (row, place)
            for row in queries.listing(self.world.registry, latest_only=False)
            for place in (*Places.of(self.world.layout, row).standing(), *self.world.copies_of(row))
        ]
        if not places:
            return "nothing to harm"
        row, place = self.random.choice(places)
        self.harmed = True
        with self.world.disaster():
            done = self.world.remove(place, row) if kind == "lose bundle" else self.world.rot(place, row)
        self.disk.adopt()
        return done
