"""The text of ``config.yaml``, generated from the sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contimg.config.key_types import Section
from contimg.config.sections import Config


def as_yaml() -> str:
    """Return the text of ``config.yaml``: every key with its default, below a comment with its meaning."""
    import yaml

    lines = [
        "# yaml-language-server: $schema=config.schema.json",
        "# The science choices of contimg, with their defaults. Leave it; write an overlay with the keys you change,",
        "#   snakemake --configfile overlay.yaml",
        "# Units are in the names. Facts about a computer (threads, memory) are in profiles/.",
        "# This file is made from contimg/config/sections.py (make config), and a test keeps the two equal.",
    ]

    def entry(name: str, value: Any, text: str, indent: str) -> None:
        shown = str(value) if isinstance(value, Path) else value
        plain = yaml.safe_dump(shown, default_flow_style=True).removesuffix("...\n").strip()
        lines.append(f"{indent}# {text}")
        lines.append(f"{indent}{name}: {plain}")

    def entries(section: Section, indent: str) -> None:
        for name, field in type(section).model_fields.items():
            value = getattr(section, name)
            if not indent:
                lines.append("")
            if not isinstance(value, Section):
                entry(name, value, field.description or "", indent)
                continue
            lines.append(f"{indent}# {field.description or (type(value).__doc__ or '').strip()}")
            lines.append(f"{indent}{name}:")
            entries(value, indent + "  ")

    entries(Config(), "")
    return "\n".join(lines) + "\n"
