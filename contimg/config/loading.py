"""Reading a configuration: overlays are merged, checked, and a bad key gives one sentence."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contimg.config.sections import Config, PathOptions, SkyOptions
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
    roots = {name: (base / getattr(config.paths, name)).resolve() for name in PathOptions.model_fields}
    _refuse_nested(roots)
    update: dict[str, Any] = {"paths": PathOptions(**roots)}
    if config.sky.catalogue is not None:
        update["sky"] = SkyOptions(catalogue=str((base / config.sky.catalogue).resolve()))
    if config.beam.cube is not None:
        update["beam"] = config.beam.model_copy(update={"cube": str((base / config.beam.cube).resolve())})
    if config.calibration.calibrators != "builtin":
        place = str((base / config.calibration.calibrators).resolve())
        update["calibration"] = config.calibration.model_copy(update={"calibrators": place})
    return config.model_copy(update=update)


def check_ready(config: Config) -> None:
    """Check what a run needs beyond valid keys: the files that the config names.

    Raises
    ------
    ConfigError
        One sentence that names the key and the remedy.
    """
    if config.crossmatch.enabled and config.sky.catalogue is None:
        raise ConfigError(
            "crossmatch.enabled needs a catalogue: name one in sky.catalogue, or set crossmatch.enabled to false"
        )
    named = {
        "sky.catalogue": config.sky.catalogue,
        "calibration.calibrators": config.calibration.calibrators,
        "beam.cube": config.beam.cube,
    }
    for key, place in named.items():
        if place not in (None, "builtin") and not os.access(str(place), os.R_OK):
            raise ConfigError(f"config key '{key}' names {place}, which cannot be read: correct the path")


def load_files(files: Iterable[Path], *, base: Path | None = None) -> Config:
    """Read configuration files, later ones over earlier ones key by key, and check the result."""
    import yaml

    merged: dict[str, Any] = {}
    for file in files:
        try:
            content = yaml.safe_load(Path(file).read_text()) or {}
        except OSError as error:
            raise ConfigError(f"{file} cannot be read ({error.strerror}): name a configuration file") from None
        except yaml.YAMLError as error:
            where = getattr(error, "problem_mark", None)
            line = f" at line {where.line + 1}" if where else ""
            raise ConfigError(f"{file} is not valid YAML{line}: correct it") from None
        if not isinstance(content, dict):
            raise ConfigError(f"{file} holds no keys: write it as 'section: {{key: value}}'")
        _merge(merged, content)
    return load(merged, base=base)


def _merge(target: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, Mapping) else value


def _refuse_nested(roots: Mapping[str, Path]) -> None:
    names = list(roots)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            a, b = roots[one], roots[other]
            if a == b or a in b.parents or b in a.parents:
                raise ConfigError(f"paths.{one} ({a}) and paths.{other} ({b}) overlap: give each its own folder")


def _sentence(error: ValidationError) -> str:
    """Turn pydantic's first complaint into one sentence about a key."""
    what = error.errors()[0]
    key = ".".join(str(part) for part in what["loc"])
    if what["type"] == "extra_forbidden":
        return f"config key '{key}' is unknown{_suggestion(what['loc'])}: see config.yaml for the keys"
    if what["type"] == "value_error":
        return f"config: {what['ctx']['error']}"
    if what["type"] in ("model_type", "dict_type"):
        return f"config section '{key}' must hold keys: write it as '{key}: {{key: value}}'"
    expected = (
        what["msg"].removeprefix("Input should be ").replace("a valid integer", "an integer").replace("a valid ", "a ")
    )
    unit = next((f" in {name}" for suffix, name in UNITS.items() if key.endswith(suffix)), "")
    return f"config key '{key}' must be {expected}{unit}, but is {what['input']!r}: correct it in the config file"


def _suggestion(where: tuple[int | str, ...]) -> str:
    model: Any = Config
    for part in where[:-1]:
        model = model.model_fields[str(part)].annotation
    close = difflib.get_close_matches(str(where[-1]), model.model_fields, n=1, cutoff=0.5)
    prefix = ".".join(map(str, where[:-1]))
    return f" (did you mean '{prefix}{'.' if prefix else ''}{close[0]}'?)" if close else ""


def default_file() -> Path:
    """Return the project's own ``config.yaml``, which overlays are laid over."""
    return Path(__file__).parents[2] / "config.yaml"


def from_sections(**sections: Mapping[str, Any]) -> Config:
    """Return a configuration of the given sections, as a rule hands them to its script."""
    return load(sections)
