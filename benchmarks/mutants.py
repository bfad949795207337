"""Mutants of the code that publishes, and whether tests notice them: a safeguard less, a comparison turned round.

    coverage contexts:  python benchmarks/mutants.py --learn
    a random sample:    python benchmarks/mutants.py --sample 100 --seed 1 --record mutants.jsonl

Each mutant changes one place of one function. It is installed in a forked process, where those tests run that ran the
line when they were learned (`coverage`, one context a test), the quickest first, until one fails. Tests that start a
program of their own do not see it, so that the share of mutants found is rather too low. Strings (messages) and type
annotations are not changed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WINGS = ("publishing", "registry", "bundle")
TESTS = ("tests/publishing", "tests/registry", "tests/bundle", "tests/replicas", "tests/trials")
LIMIT_S = 240
_SWAPS: dict[type, type] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the file, the line, the function that holds it, which of its changes it is, and what it is."""

    file: str
    line: int
    function: str
    number: int
    what: str


def changes(function: ast.AST) -> Iterator[tuple[int, str, Callable[[], None]]]:
    """Give every change of a function: its line, what it is, and the action that makes it in place."""
    for node in ast.walk(function):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
            other = _SWAPS[type(node.ops[0])]
            yield line, f"{ast.unparse(node)}: {other.__name__}", lambda n=node, o=other: n.ops.__setitem__(0, o())
        elif isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in _SWAPS and not _is_text(node):
            other = _SWAPS[type(node.op)]
            yield line, f"{ast.unparse(node)}: {other.__name__}", lambda n=node, o=other: setattr(n, "op", o())
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield line, f"{ast.unparse(node)}: without not", lambda n=node: _become(n, ast.Call(
                ast.Name("bool", ast.Load()), [n.operand], []))  # fmt: skip
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            new = not node.value if isinstance(node.value, bool) else node.value + 1
            yield line, f"{node.value!r} -> {new!r}", lambda n=node, v=new: setattr(n, "value", v)
        elif isinstance(node, ast.If | ast.IfExp):
            for value in (True, False):
                yield line, f"if {ast.unparse(node.test)}: {value}", lambda n=node, v=value: setattr(
                    n, "test", ast.Constant(v))  # fmt: skip
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            yield from _removals(statements) if isinstance(statements, list) else ()


def _removals(statements: list[ast.stmt]) -> Iterator[tuple[int, str, Callable[[], None]]]:
    """Give every removal of a statement, or of the context manager round a block."""
    for index, one in enumerate(statements):
        if _is_removable(one):
            yield one.lineno, f"without {ast.unparse(one)}", lambda i=index: statements.__setitem__(i, ast.Pass())
        elif isinstance(one, ast.With) and len(one.items) == 1 and one.items[0].optional_vars is None:
            block = ast.If(ast.Constant(True), one.body, [])
            what = f"without {ast.unparse(one.items[0])}"
            yield one.lineno, what, lambda i=index, b=block: statements.__setitem__(i, b)


def _is_removable(one: ast.stmt) -> bool:
    if isinstance(one, ast.Expr):
        return not isinstance(one.value, ast.Constant | ast.Yield | ast.YieldFrom)
    return isinstance(one, ast.Raise | ast.AugAssign | ast.Continue | ast.Break)


def _is_text(node: ast.AST) -> bool:
    """Return whether an operation joins texts."""
    return any(isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, str))
               for one in ast.walk(node))  # fmt: skip


def _become(node: ast.AST, other: ast.AST) -> None:
    node.__class__ = other.__class__
    node.__dict__.update(other.__dict__)


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Give the functions and methods of a module with their names, without those within others."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{one.name}", one) for one in node.body if isinstance(one, ast.FunctionDef))


def _stripped(source: str) -> ast.Module:
    """Return a module without annotations, which nothing would notice."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return tree


def mutants(paths: list[Path]) -> list[Mutant]:
    """Return every mutant of some files."""
    found = []
    for path in paths:
        for name, function in functions(_stripped(path.read_text())):
            body = ast.Module(function.body, [])
            for number, (line, what, _) in enumerate(changes(body)):
                found.append(Mutant(str(path.relative_to(ROOT)), line, name, number, what))
    return found


def mutated_code(mutant: Mutant) -> types.CodeType:
    """Return the code of a mutant's function."""
    tree = _stripped((ROOT / mutant.file).read_text())
    function = next(node for name, node in functions(tree) if name == mutant.function)
    body = ast.Module(function.body, [])
    list(changes(body))[mutant.number][2]()
    ast.fix_missing_locations(tree)
    wanted = mutant.function.split(".")
    code = compile("from __future__ import annotations\n", mutant.file, "exec")
    code = compile(tree, mutant.file, "exec")
    for name in wanted:
        code = next(one for one in code.co_consts if isinstance(one, types.CodeType) and one.co_name == name)
    return code


def install(mutant: Mutant) -> None:
    """Give the function in this process the code of the mutant: also where it was imported by name."""
    module = importlib.import_module(mutant.file.removesuffix(".py").replace("/", "."))
    found: object = module
    for name in mutant.function.split("."):
        found = inspect.getattr_static(found, name)
    while not inspect.isfunction(found) or hasattr(found, "__wrapped__"):
        inner = next(
            (getattr(found, name) for name in ("__wrapped__", "__func__", "fget", "func") if hasattr(found, name)), None
        )
        if inner is None:
            raise ValueError(f"{mutant.function} is no function")
        found = inner
    found.__code__ = mutated_code(mutant)


# Which tests run a line.


def learn(store: Path, tests: list[str]) -> None:
    """Run tests once, and keep in a folder which of them ran which lines, and how long each took."""
    store.mkdir(exist_ok=True)
    own = store / str(os.getpid())  # others may learn beside this one
    settings = own.with_suffix(".ini")
    # The simulated processes of the trials are greenlets.
    settings.write_text(f"[run]\nsource_pkgs = contimg\nconcurrency = thread, greenlet\ndata_file = {own}.coverage\n")
    coverage = ["--cov=contimg", f"--cov-config={settings}", "--cov-context=test", "--cov-report="]
    command = [sys.executable, "-m", "pytest", "-q", *tests, *coverage, "--durations=0", "--durations-min=0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    durations: dict[str, float] = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 3 and words[0].endswith("s") and words[1] in ("setup", "call", "teardown"):
            durations[words[2]] = durations.get(words[2], 0.0) + float(words[0][:-1])
    own.with_suffix(".json").write_text(json.dumps(durations))
    print(done.stdout.splitlines()[-1])


class Knowledge:
    """What was learned: the tests that ran a line, the quickest first."""

    def __init__(self, store: Path) -> None:
        self._connections = [sqlite3.connect(file) for file in sorted(store.glob("*.coverage"))]
        self._durations: dict[str, float] = {}
        for file in store.glob("*.json"):
            self._durations |= json.loads(file.read_text())

    def tests_of(self, file: str, line: int) -> list[str]:
        """Return the ids of the tests that ran a line of a file."""
        from coverage.numbits import numbits_to_nums

        query = """SELECT context.context, line_bits.numbits FROM line_bits JOIN file ON file.id = line_bits.file_id
                   JOIN context ON context.id = line_bits.context_id WHERE file.path = ?"""
        rows = [row for one in self._connections for row in one.execute(query, (str(ROOT / file),))]
        names = {name.rpartition("|")[0] for name, bits in rows if name and line in numbits_to_nums(bits)}
        return sorted(names, key=lambda name: self._durations.get(name, 1.0))


def verdict(mutant: Mutant, tests: list[str]) -> str:
    """Return ``killed``, ``survived``, ``timeout``, ``no test`` or ``not judged`` for a mutant.

    A run of pytest that found no test, or could not begin, judges nothing.
    """
    if not tests:
        return "no test"
    pid = os.fork()
    if pid == 0:
        os.setsid()
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        code = 3
        try:
            import pytest

            install(mutant)
            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov", *tests[:400]]))
        finally:
            os._exit(code)
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return {0: "survived", 1: "killed"}.get(os.waitstatus_to_exitcode(status), "not judged")
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "timeout"


def interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share of `count` draws (Wilson 1927)."""
    z = 1.959964
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return centre - half, centre + half


def main() -> None:
    """Learn, or try a sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--store", type=Path, default=Path(tempfile.gettempdir(), "mutants"), help="folder of what was learned"
    )
    parser.add_argument(
        "--learn", nargs="*", metavar="TEST", help="learn which lines tests run; all of the wings' tests by default"
    )
    parser.add_argument("--sample", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no further mutant after so long")
    parser.add_argument("--record", type=Path, help="JSON lines; mutants that stand there already are left out")
    options = parser.parse_args()
    if options.learn is not None:
        return learn(options.store, options.learn or list(TESTS))
    paths = [path for wing in WINGS for path in sorted((ROOT / "contimg" / wing).glob("*.py"))]
    every = mutants(paths)
    drawn = random.Random(options.seed).sample(every, min(options.sample, len(every)))
    done = {}
    if options.record is not None and options.record.exists():
        done = {(one["file"], one["function"], one["number"]): one for one in map(json.loads, options.record.open())}
    knowledge, started = Knowledge(options.store), time.monotonic()
    results = []
    for mutant in drawn:
        key = (mutant.file, mutant.function, mutant.number)
        if key not in done:
            if time.monotonic() - started > options.seconds:
                break
            before = time.monotonic()
            tests = knowledge.tests_of(mutant.file, mutant.line)
            one = vars(mutant) | {"verdict": verdict(mutant, tests), "tests": len(tests)}
            one["seconds"] = round(time.monotonic() - before, 1)
            if options.record is not None:
                with options.record.open("a") as file:
                    file.write(json.dumps(one) + "\n")
            done[key] = one
            print(one["verdict"], one["seconds"], mutant.file, mutant.line, mutant.what, flush=True)
        results.append(done[key]["verdict"])
    results = [one for one in results if one != "not judged"]
    found = sum(one in ("killed", "timeout") for one in results) / len(results)
    low, high = interval(found, len(results))
    print(f"{len(results)} of {len(every)} mutants: {found:.1%} found (95 %: {low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
