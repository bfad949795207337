"""What is said of an error that concerns one bundle: what was refused, and the file where it is named."""

import errno

import pytest

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
