"""What is said of an error that concerns one bundle (what was refused, and the file), and of decisions."""

import errno

import pytest

from contimg.bundle.record import Decision, said, unknown_to
from contimg.errors import RegistryError
from contimg.publishing.differences import sentence


@pytest.mark.parametrize(("error", "said"), [
    (OSError(errno.EIO, "Input/output error", "a.fits"), "Input/output error (a.fits)"),
    (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    (OSError("odd"), "odd"),
    (RegistryError("a.fits is damaged"), "a.fits is damaged"),
], ids=["file", "no-file", "no-number", "ours"])  # fmt: skip
def test_an_error_is_one_sentence(error, said):
    assert sentence(error) == said


def test_of_many_decisions_the_last_ones_are_named():
    made = [Decision(f"2026-02-12T00:00:0{n}.000Z", "restored", "right", "ada", "h") for n in range(8)]
    last = ", ".join(f"ada has restored it on 2026-02-12T00:00:0{n}.000Z" for n in range(3, 8))
    assert said(made) == f"{last} (and 3 decisions before)" and said(made[3:]) == last
    assert said(made[2:]) == f"{last} (and 1 decision before)"


def test_an_approval_without_a_host_is_any_approval_and_nothing_else_is():
    """Records of before held decisions name who approved a mosaic, and not on which host."""
    old, new = (Decision(f"2026-02-1{day}T00:00:00.000Z", "approved", "best", "ada", "") for day in (1, 2))
    rejected = Decision("2026-02-13T00:00:00.000Z", "rejected", "worst", "ada", "h")
    assert unknown_to([old], [new]) == [] and unknown_to([rejected], [new]) == [new]
    assert unknown_to([], [rejected, old]) == [old, rejected] and unknown_to([old], [rejected]) == [rejected]
