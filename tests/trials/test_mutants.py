"""The mutants of `benchmarks/mutants.py`: which changes there are, that they change what they say, and the interval."""

import ast
import types

import pytest

from benchmarks import mutants
from contimg.publishing import claims

SOURCE = """
def work(a, b):
    if a < 1 and not b:
        raise ValueError("no")
    with lock:
        save(a + 1)
    return a == b
"""


def texts(source=SOURCE):
    return [what for _, what, _ in mutants.changes(ast.parse(source))]


def test_every_kind_of_change_is_there():
    expected = [
        "1 -> 2",
        "1 -> 2",
        "a + 1: Sub",
        "a < 1 and (not b): Or",
        "a < 1: GtE",
        "a == b: NotEq",
        "if a < 1 and (not b): False",
        "if a < 1 and (not b): True",
        "not b: without not",
        "without lock",
        "without raise ValueError('no')",
        "without save(a + 1)",
    ]
    assert sorted(texts()) == expected


@pytest.mark.parametrize("number", range(12))
def test_each_changes_the_code_in_one_place(number):
    tree = ast.parse(SOURCE)
    list(mutants.changes(tree))[number][2]()
    changed = ast.unparse(ast.fix_missing_locations(tree))
    compile(changed, "mutant", "exec")
    before = ast.unparse(ast.parse(SOURCE))
    assert changed != before


def test_texts_and_docstrings_are_left_alone():
    assert texts('def f(a):\n    """Say it."""\n    return "a" + a\n') == []


def test_a_mutant_is_the_code_of_its_function():
    path = mutants.ROOT / "contimg/publishing/claims.py"
    found = [one for one in mutants.mutants([path]) if one.function == "is_abandoned"]
    code = mutants.mutated_code(next(one for one in found if one.what.startswith("row['status'] != 'publishing': Eq")))
    assert isinstance(code, types.CodeType) and code.co_name == "is_abandoned"


def test_it_is_installed_where_it_was_imported_by_name():
    path = mutants.ROOT / "contimg/publishing/claims.py"
    mutant = next(one for one in mutants.mutants([path]) if one.function == "forget")
    by_name, before = claims.forget, claims.forget.__code__
    try:
        mutants.install(mutant)
        assert by_name.__code__ != before
        claims._held.add("mine")
        by_name(claims.Claim("mosaic", 1, "mine", 1.0, 0.0))
        assert "mine" in claims._held, "the mutant does not discard it"
    finally:
        claims.forget.__code__ = before
        claims._held.discard("mine")


@pytest.mark.parametrize(("share", "count", "low", "high"), [(0.5, 100, 0.4038, 0.5962), (1.0, 20, 0.8389, 1.0)])
def test_the_interval_is_that_of_wilson(share, count, low, high):
    """Against the table of Newcombe 1998, method 3."""
    assert mutants.interval(share, count) == pytest.approx((low, high), abs=1e-4)


def test_a_run_that_finds_no_test_judges_nothing():
    path = mutants.ROOT / "contimg/publishing/claims.py"
    mutant = next(one for one in mutants.mutants([path]) if one.function == "forget")
    assert mutants.verdict(mutant, ["tests/trials/test_that_is_not_there.py"]) == "not judged"
    assert mutants.verdict(mutant, []) == "no test"
