"""What is said of an error that concerns one bundle (what was refused, and the file), and of decisions."""

import errno

import pytest

from contimg.bundle.record import Decision
from contimg.errors import RegistryError
from contimg.publishing.differences import sentence
from contimg.publishing.recording import said


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
