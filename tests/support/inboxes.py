"""A simulated inbox that is only planned, and the configuration of small images that goes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contimg.config import Config, load
from contimg.simulate import NightOptions, simulate_night

IMAGE_PX = 400


def simulated_inbox(place: Path, options: NightOptions) -> Path:
    """Simulate a night, and return the folder of its files."""
    simulate_night(place / "night", options)
    return place / "night" / "incoming"


def inbox_config(incoming: Path, root: Path, **sections: Any) -> Config:
    """Return the configuration of an inbox whose files are at rest, with the other roots below a folder."""
    content: dict[str, Any] = {
        "paths": {"incoming": str(incoming)} | {name: str(root / name) for name in ("stage", "products", "state")},
        "ingest": {"settle_s": 0.0, "deadline_s": 0.0},
        "image": {"size_px": IMAGE_PX, "cell_arcsec": 40.0},
        "mosaic": {"cell_arcsec": 40.0},
    }
    for name, keys in sections.items():
        content[name] = content.get(name, {}) | keys
    return load(content)
