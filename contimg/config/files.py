"""Reading of configuration files as Snakemake does, with errors for text that YAML 1.1 reads otherwise than most
readers expect.

Snakemake reads its ``--configfile`` with a loader of its own, JSON first and then PyYAML's YAML 1.1, before the
workflow is parsed. `read_file` gives the same values from the same text, so that ``snakemake --configfile`` and
``contimg -c`` agree; what Snakemake refuses is refused here too. Both also refuse, through `read_file`, legal YAML
whose value is not what most readers expect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contimg.errors import ConfigError

# Numbers that YAML 1.1 reads in another base: 8 with a leading zero, 60 with colons.
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


def read_file(file: Path) -> dict[str, Any]:
    """Return the content of a configuration file.

    Raises
    ------
    ConfigError
        One sentence that names the file, the line and the key: no text in UTF-8, no YAML, no keys at the top, a key
        that stands twice, a number that YAML reads in base 8 or 60, tags, or anchors that lead in a circle.
    """
    text = _text(file)
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, file))
    except ValueError:
        content = _yaml(text, file)
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{file} holds no keys: write it as 'section: {{key: value}}', or leave the file out")
    return content


def _text(file: Path) -> str:
    """Return the text of a file; raise ConfigError if it cannot be read or is not UTF-8."""
    try:
        data = Path(file).read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{file} does not exist: name an overlay of config.yaml that does") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}): name a configuration file") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file} is not UTF-8 at line {line}: save it as UTF-8") from None


def _unique(pairs: list[tuple[str, Any]], file: Path) -> dict[str, Any]:
    """Return the keys and values of a JSON object; raise ConfigError on a repeated key."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{file}: config key '{twice}' stands twice: keep one of them")
    return dict(pairs)


def _yaml(text: str, file: Path) -> Any:
    """Return the content of a YAML document; raise ConfigError on its first complaint."""
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        for line, complaint in _complaints(root, "", ()):
            raise ConfigError(f"{file} line {line}: {complaint}")
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{file} is not valid YAML{where}{f' ({problem})' if problem else ''}: correct it") from None
    finally:
        loader.dispose()


def _complaints(node: Any, key: str, above: tuple[Any, ...]) -> Iterator[tuple[int, str]]:
    """Yield line and sentence for each part of a YAML document that is not read as most readers expect."""
    import yaml

    line = node.start_mark.line + 1
    if any(node is one for one in above):
        yield line, f"the alias at config key '{key}' leads in a circle: write the values out"
        return
    if isinstance(node, yaml.ScalarNode):
        yield from ((line, complaint) for complaint in _of_scalar(node, key))
        return
    if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
        yield line, f"config key '{key}' has the tag {node.tag}: write a plain value"
        return
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _complaints(item, f"{key}.{number}", (*above, node))
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for name, value in node.value:
            path = f"{key}.{name.value}".lstrip(".") if isinstance(name, yaml.ScalarNode) else key
            if not isinstance(name, yaml.ScalarNode):
                yield name.start_mark.line + 1, f"a key of '{key}' is no text: write it as 'key: value'"
                continue
            if name.value in seen:
                yield name.start_mark.line + 1, f"config key '{path}' stands twice: keep one of them"
            if name.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                yield name.start_mark.line + 1, f"config key '{path}' is no text for YAML: see config.yaml for the keys"
            if name.value == "__use_yte__":
                yield name.start_mark.line + 1, "templates (__use_yte__) are for Snakemake alone: write the values out"
            seen.add(name.value)
            yield from _complaints(value, path, (*above, node))


def _of_scalar(node: Any, key: str) -> Iterator[str]:
    """Yield a sentence if a scalar is not read as most readers expect."""
    import yaml

    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind not in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value"):
        yield f"config key '{key}' has the tag {node.tag}: write a plain value"
        return
    quoted = node.style in ("'", '"', "|", ">")
    if quoted:
        return
    if kind == "int" and _OCTAL.fullmatch(node.value):
        yield f"config key '{key}' is {node.value}, which YAML reads in base 8: write it without the leading zero"
    elif kind in ("int", "float") and _SEXAGESIMAL.fullmatch(node.value):
        yield f"config key '{key}' is {node.value}, which YAML reads in base 60: write the number, in the key's unit"
    elif kind == "timestamp":
        try:
            yaml.SafeLoader("").construct_yaml_timestamp(node)
        except ValueError:
            yield f"config key '{key}' is {node.value}, which is no date: correct it"


def merged(contents: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the merged contents of several files; later files overwrite earlier ones key by key."""
    result: dict[str, Any] = {}
    for content in contents:
        _merge(result, content)
    return result


def _merge(target: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Overwrite the keys of a mapping in place with those of another, at all levels."""
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, Mapping) else value
