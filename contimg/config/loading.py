"""Checking of a configuration: types, roots and paths; a bad key gives an error of one sentence."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contimg.config.files import merged, read_file
from contimg.config.roots import absolute, path_in, refuse_nested, refuse_replicas_within, registry_url, replica_url
from contimg.config.sections import Config, PathOptions
from contimg.errors import ConfigError

UNITS = {
    "_s": "seconds",
    "_h": "hours",
    "_min": "minutes",
    "_m": "metres",
    "_ns": "nanoseconds",
    "_deg": "degrees",
    "_arcsec": "arcseconds",
    "_px": "pixels",
    "_hz": "Hz",
    "_jy": "Jy",
    "_mjy": "mJy",
    "_sigma": "sigma",
    "_klambda": "thousands of wavelengths",
}


_FILES = (("sky", "catalogue"), ("beam", "cube"), ("calibration", "calibrators"))
"""Keys beside those of the section ``paths`` whose values are paths."""


def load(content: Mapping[str, Any], *, base: Path | None = None) -> Config:
    """Check a configuration and make its paths absolute.

    Parameters
    ----------
    content : mapping
        The merged configuration files.
    base : Path, optional
        Folder that relative paths start from; the working directory by default.

    Raises
    ------
    ConfigError
        One sentence that names the key and the remedy.
    """
    try:
        config = Config.model_validate(dict(content))
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from None
    base = Path(base or os.getcwd())
    roots = {name: absolute(f"paths.{name}", getattr(config.paths, name), base) for name in PathOptions.model_fields}
    refuse_nested(roots)
    replicas = [one.model_copy(update={"url": replica_url(one.url, base)}) for one in config.publish.replicas]
    refuse_replicas_within(roots, [one.url for one in replicas], base)
    update: dict[str, Any] = {"paths": PathOptions(**roots)}
    update["publish"] = config.publish.model_copy(update={"replicas": replicas})
    if config.registry.url is not None:
        url = registry_url(config.registry.url, base)
        update["registry"] = config.registry.model_copy(update={"url": url})
    for section, key in _FILES:
        options = getattr(config, section)
        place = getattr(options, key)
        if place not in (None, "builtin"):
            named = str(absolute(f"{section}.{key}", place, base))
            update[section] = options.model_copy(update={key: named})
    return config.model_copy(update=update)


def check_files(files: Iterable[str | Path]) -> None:
    """Check the text of configuration files that Snakemake reads by itself; see `contimg.config.files`.

    Raises
    ------
    ConfigError
        One sentence that names the file, the line and the key.
    """
    for file in files:
        read_file(Path(file))


def has_relative_paths(content: Mapping[str, Any]) -> bool:
    """Return whether a configuration has a path that depends on the folder in which it is read.

    Parameters
    ----------
    content : mapping
        The merged configuration files, before `load` makes their paths absolute.
    """
    given = {section: content.get(section) or {} for section in ("paths", *(section for section, _ in _FILES))}
    places = [*given["paths"].values(), *(given[section].get(key) for section, key in _FILES)]
    replicas = (content.get("publish") or {}).get("replicas") or []
    urls = [one.get("url") for one in replicas if isinstance(one, Mapping)]
    urls.append((content.get("registry") or {}).get("url"))
    places += [path_in(url) for url in urls if isinstance(url, str)]
    return any(not Path(str(one)).expanduser().is_absolute() for one in places if one not in (None, "builtin"))


def load_files(files: Iterable[Path], *, base: Path | None = None) -> Config:
    """Read configuration files, merge them (later ones overwrite earlier ones key by key) and check the result.

    Raises
    ------
    ConfigError
        One sentence that names the file or key and the remedy.
    """
    return load(merged(read_file(file) for file in files), base=base)


def _sentence(error: ValidationError) -> str:
    """Return the first error of a validation as one sentence about a key."""
    every = error.errors()
    what, choice = every[0], ""
    if what["type"] == "literal_error" and len(every) > 1 and _key(every[1]["loc"])[:2] == _key(what["loc"])[:2]:
        what, choice = every[1], f"{what['ctx']['expected']} or "  # of a word or a value
    key = ".".join(str(part) for part in _key(what["loc"]))
    if what["type"] == "extra_forbidden":
        return f"config key '{key}' is unknown{_suggestion(what['loc'])}: see config.yaml for the keys"
    if what["type"] == "value_error":
        return f"config: {what['ctx']['error']}"
    if what["type"] in ("model_type", "dict_type"):
        return f"config section '{key}' must hold keys: write it as '{key}: {{key: value}}'"
    if what["type"] == "invalid_key":
        return f"config key '{key}' is no text: see config.yaml for the keys"
    expected = (
        (
            what["msg"]
            .removeprefix("Input should be ")
            .replace("a valid integer", "an integer")
            .replace("a valid ", "a ")
        )
        .replace("List should have", "a list of")
        .replace("String should match pattern", "a text that matches")
        .replace("String should have", "a text of")
        .replace(" after validation", "")
    )
    expected = "a text in quotes" if what["type"] == "string_type" else expected
    unit = next((f" in {name}" for suffix, name in UNITS.items() if key.endswith(suffix)), "")
    given = _shown(what["input"])
    return f"config key '{key}' must be {choice}{expected}{unit}, but is {given}: correct it in the config file"


def _key(where: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the place of an error without pydantic's words for the alternatives that a key may be."""
    model: Any = Config
    kept: list[int | str] = []
    for part in where:
        fields = getattr(model, "model_fields", {})
        if isinstance(part, int) or not kept or fields:
            kept.append(part)
        model = fields[part].annotation if part in fields else None
    return tuple(kept)


def _shown(value: Any) -> str:
    """Return a value as it is written in a configuration file."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value.isoformat() if isinstance(value, date) else repr(value)


def _suggestion(where: tuple[int | str, ...]) -> str:
    """Return the known key that is most similar to an unknown one, as a question, or ''."""
    model: Any = Config
    for part in where[:-1]:
        model = model.model_fields[str(part)].annotation
    close = difflib.get_close_matches(str(where[-1]), model.model_fields, n=1, cutoff=0.5)
    prefix = ".".join(map(str, where[:-1]))
    return f" (did you mean '{prefix}{'.' if prefix else ''}{close[0]}'?)" if close else ""


def from_sections(**sections: Mapping[str, Any]) -> Config:
    """Return a configuration of the given sections, as a rule hands them to its script."""
    return load(sections)
