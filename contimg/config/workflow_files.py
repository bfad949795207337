"""Where the workflow's own files are: beside the library in a clone, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def workflow_folder() -> Path:
    """Return the folder with the Snakefile, its rules, ``config.yaml`` and the profiles.

    A wheel has them in ``contimg/_workflow`` (see ``setup.py``), a clone beside ``contimg``.
    """
    inside = _PACKAGE / "_workflow"
    return inside if inside.is_dir() else _PACKAGE.parent


def default_file() -> Path:
    """Return the project's own ``config.yaml``, which overlays are laid over."""
    return workflow_folder() / "config.yaml"


def schema_file() -> Path:
    """Return the JSON schema of the configuration, which editors complete and check an overlay with."""
    return workflow_folder() / "config.schema.json"
