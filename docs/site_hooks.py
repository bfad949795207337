"""Pages of the documentation that are made from the code: configuration, commands, codes, API and changelog."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
# Modules of each wing whose functions the rules and commands call.
API = (
    "contimg.convert.convert_tile",
    "contimg.calibration.solve_calibration",
    "contimg.calibration.apply_calibration",
    "contimg.imaging.image_tile",
    "contimg.mosaic.mosaic_group",
    "contimg.crossmatch.crossmatch_mosaic",
    "contimg.crossmatch.source_finder",
    "contimg.report.summarise_mosaic",
    "contimg.publishing.register_mosaic",
    "contimg.publishing.publish_mosaic",
    "contimg.plan.make_plan",
    "contimg.measurement_set",
    "contimg.sky.geometry",
    "contimg.sky.predict",
    "contimg.sky.catalogue",
    "contimg.sky.restoring_beam",
    "contimg.products.twin",
    "contimg.products.gates.judging",
    "contimg.config.loading",
    "contimg.simulate.night",
    "contimg.errors",
)


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File

    pages = {
        "reference/configuration.md": configuration(),
        "reference/commands.md": commands(),
        "reference/codes.md": codes(),
        "reference/api.md": api(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(),
        "config.schema.json": (ROOT / "config.schema.json").read_text(),
    }
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def configuration() -> str:
    """Return the page of the configuration's keys: default, limits, meaning, and the rules that use each."""
    from contimg.config import Config, Section

    lines = [
        "# Configuration",
        "",
        "Write an overlay with the keys that you change; everything else has the default below. Unknown keys and wrong",
        "values are refused in one sentence with file, line and key. Its first line names the",
        "[JSON schema](../config.schema.json) (`config.schema.json` of the repository), from which editors with a YAML",
        "language server complete and check it: `# yaml-language-server: $schema=PATH/config.schema.json`.",
        "",
        "A rule runs again when a key that it uses changes; a changed threshold of verdicts costs seconds.",
    ]

    def table(title: str, section: type[Section], path: str) -> None:
        nested = []
        rows = ["| key | default | limits | meaning | used by |", "|---|---|---|---|---|"]
        for name, field in section.model_fields.items():
            value = field.get_default(call_default_factory=True)
            if isinstance(value, Section):
                nested.append((name, type(value)))
                continue
            shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            key = f"{path}.{name}" if path else name
            limits = ", ".join(_limits(field))
            rows.append(f"| `{key}` | `{shown}` | {limits} | {_cell(field.description or '')} | {_users(path, name)} |")
        lines.extend(["", f"## {title}", "", (section.__doc__ or "").strip(), ""])
        lines.extend(rows)
        for name, kind in nested:
            table(f"{path}.{name}" if path else name, kind, f"{path}.{name}" if path else name)

    table("Top", Config, "")
    return "\n".join(lines) + "\n"


def _limits(field: Any) -> Iterator[str]:
    """Yield the limits of a value."""
    signs = {"gt": "> ", "ge": "≥ ", "lt": "< ", "le": "≤ "}
    for one in field.metadata:
        for name, sign in signs.items():
            if getattr(one, name, None) is not None:
                yield f"{sign}{getattr(one, name):.12g}"
    if "Literal" in str(field.annotation):
        yield " or ".join(f"`{one}`" for one in re.findall(r"'([^']+)'", str(field.annotation)))


def _users(section: str, key: str) -> str:
    """Return the rules that work with a key."""
    from contimg.config.used_keys import USED_KEYS

    rules = []
    for rule, sections in USED_KEYS.items():
        keys = sections.get(section, ())
        if section in sections and (keys is None or key in keys):
            rules.append(f"`{rule}`")
    return ", ".join(rules)


def commands() -> str:
    """Return the page of the commands: their help texts as the terminal shows them."""
    from contimg.cli.entry import COMMANDS, main

    lines = [
        "# Commands",
        "",
        "All take `-c FILE` (the configuration, as for `snakemake --configfile`; may be given more than once) and",
        "`-d FOLDER` (where relative paths of the configuration start) before their name. Exit codes: 0 done, 1 an",
        "error in one sentence, 2 wrong usage, 3 a comparison found differences or a person must act. `--json` prints",
        "for programs.",
        "",
        "```text",
        main.get_help(click.Context(main, info_name="contimg")),
        "```",
    ]
    for name in COMMANDS:
        lines += ["", f"## contimg {name}", ""]
        for path, command in _leaves(main.get_command(click.Context(main), name), name):
            with click.Context(
                command, info_name=f"contimg {path}", terminal_width=100, max_content_width=100
            ) as context:
                lines += ["```text", command.get_help(context), "```", ""]
    return "\n".join(lines) + "\n"


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield a command, or the commands of a group."""
    if isinstance(command, click.Group):
        for name in command.commands:
            yield from _leaves(command.commands[name], f"{path} {name}")
    else:
        yield path, command


def codes() -> str:
    """Return the page of the codes of verdicts: gates from their table, others from the calls in the source."""
    from contimg.products.gates.table import GATES

    lines = [
        "# Codes of verdicts and files",
        "",
        "A reason has a code, a sentence, the measured value and the threshold. `contimg why ID` shows them for a",
        "product; `contimg inbox` and `contimg plan` those of files.",
        "",
        "## Limits on measured numbers",
        "",
        "Good values meet the limit; a value with an error counts only beyond `qa.significance` of its errors.",
        "",
        "| product | code | number | limit | verdict beyond |",
        "|---|---|---|---|---|",
    ]
    for gate in GATES:
        limit = f"`{gate.limit}`" if isinstance(gate.limit, str) else f"{gate.limit:g}"
        lines.append(
            f"| {gate.kind} | `{gate.reason_code}` | {_cell(gate.label)} | {gate.bound} {limit} | {gate.severity} |"
        )
    lines += [
        "",
        "## Other reasons",
        "",
        "| code | verdict or kind | sentence (values in braces) | module |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{code}` | {kind} | {_cell(text)} | `{module}` |" for code, kind, text, module in sorted(set(_reasons()))
    ]
    return "\n".join(lines) + "\n"


_KINDS = {"fail": "failed", "warn": "warning", "Unusable": "failed", "Quarantined": "set aside", "Waiting": "waiting",
          "fault": "set aside"}  # fmt: skip


def _reasons() -> Iterator[tuple[str, str, str, str]]:
    """Yield code, verdict, message and module of each call in the source that gives a reason."""
    for path in sorted((ROOT / "contimg").rglob("*.py")):
        module = path.relative_to(ROOT / "contimg").with_suffix("").as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            texts = [_text(one) for one in node.args]
            codes = [one for one in texts if one and re.fullmatch(r"[a-z]+(_[a-z]+)*", one)]
            if name in _KINDS and codes:
                code = codes[-1] if name == "Waiting" else codes[0]
                text = next((one for one in texts if one and " " in one), "")
                yield code, _KINDS[name], text, module


def _text(node: ast.expr) -> str:
    """Return a constant text, with the values of a formatted one in braces."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else f"{{{ast.unparse(p.value)}}}" for p in node.values)
    return ""


def _cell(text: str) -> str:
    """Return a text for the cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def api() -> str:
    """Return the page of the API: the public functions and classes, from their docstrings."""
    lines = [
        "# API",
        "",
        "The functions that rules and commands call, from their docstrings. They take plain arguments and know nothing",
        "of Snakemake. `import contimg` loads none of them; import the module that is named.",
    ]
    for name in API:
        title = (importlib.import_module(name).__doc__ or "").splitlines()[0]
        lines += ["", f"## {name}", "", title, "", f"::: {name}", "    options:", "      show_root_heading: false",
                  "      show_docstring_description: true"]  # fmt: skip
    return "\n".join(lines) + "\n"
