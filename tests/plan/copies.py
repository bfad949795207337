"""Copies of a small simulated night that tests damage, settle and plan."""

import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import h5py
import numpy as np

from contimg.config import load_files
from contimg.plan import frozen
from contimg.simulate import GainErrors, NightOptions

OPTIONS = NightOptions(tiles=3, antennas=4, channels=2, sources=1, gains=GainErrors.none())
TILE, SUBBAND = 2, 5  # the one that is damaged; the calibrator transits in tile 1


@dataclass
class Copy:
    """A copy of the night, for a test to damage."""

    place: Path
    night: object
    fewer: object

    @property
    def config(self):
        config = load_files([self.night.config])
        roots = {name: self.place / name for name in ("incoming", "stage", "products", "state")}
        return config.model_copy(update={"paths": config.paths.model_copy(update=roots)})

    def path(self, tile=TILE, subband=SUBBAND):
        return self.place / "incoming" / self.night.tiles[tile].file_name(subband)

    def rename(self, path, seconds, copy=False):
        moment = datetime.fromisoformat(path.name[:19]) + timedelta(seconds=seconds)
        target = path.with_name(moment.isoformat() + path.name[19:])
        return shutil.copy2(path, target) if copy else path.rename(target)

    def edit(self, change, path=None):
        with h5py.File(path or self.path(), "r+") as file:
            change(file)

    def snapshot(self):
        """Return names, bytes, mtimes and link targets of the inbox."""
        found = {}
        for path in (self.place / "incoming").iterdir():
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"
            found[path.name] = (content, path.lstat().st_mtime_ns, path.lstat().st_mode)
        return found

    def settle(self, plan):
        """Freeze a plan and let all of its products stand, published."""
        frozen.freeze(plan, self.config)
        layout = self.config.layout
        for group in plan.groups.values():
            for kind, one in [("mosaic", group.id), *(("image", tile) for tile in group.tiles)]:
                layout.product(kind, one).mkdir(parents=True)
                layout.twin(kind, one).write_text("{}")
            for kind, status in (("registered", "registered"), ("published", "published")):
                place = layout.twin(kind, group.id)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(json.dumps({"status": status, "version": 1, "time": "2026-02-12T00:00:00Z"}))


def put(key, value):
    """Return a change of a file that replaces a dataset (None: removes it)."""

    def change(file):
        old = file[key][()]
        del file[key]
        if value is not None:
            file[key] = value(old) if callable(value) else value

    return change


def shift_time(seconds):
    return put("Header/time_array", lambda jd: jd + seconds / 86400)


def four_polarisations(file):
    put("Header/polarization_array", np.array([-5, -7, -8, -6]))(file)
    for name in ("visdata", "flags", "nsamples"):
        put(f"Data/{name}", lambda data: np.repeat(data, 2, axis=-1))(file)
