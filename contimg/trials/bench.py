"""Where one seed after the other is tried: a folder, and a registry that is opened once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from contimg.trials.world import config_below, open_shared

# What one or two replicas keep: everything, or what is current, and of what is not any more only what became so an
# instant ago.
_BRIEF: dict[str, Any] = {"keep": "current", "days": 0.0}
POLICIES: tuple[tuple[dict[str, Any], ...], ...] = (({},), (_BRIEF,), ({}, _BRIEF))


class Bench:
    """A folder and a registry for one seed's history after the other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        sections: dict[str, Any] = {
            "ingest": {"subbands": 2, "min_subbands": 1},
            "group": {"tiles": 1, "min_tiles": 1, "stride": 1},
        }
        self.config = config_below(root, None, **sections)
        self.replicated = tuple(config_below(root, None, replicas=policy, **sections) for policy in POLICIES)
        root.mkdir(parents=True, exist_ok=True)
        self.registry = open_shared(self.config)
        with self.registry.engine.connect() as connection:
            self.empty: bytes = connection.connection.dbapi_connection.serialize()  # type: ignore[union-attr]

    def clear(self) -> None:
        """Empty the folder, and give it a registry without rows."""
        self.registry.engine.dispose()
        shutil.rmtree(self.root)
        self.config.paths.state.mkdir(parents=True)
        self.config.layout.registry_file.write_bytes(self.empty)

    def close(self) -> None:
        """Close the registry, and remove the folder."""
        self.registry.close()
        shutil.rmtree(self.root)
