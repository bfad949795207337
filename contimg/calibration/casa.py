"""CASA's tasks without their side effects: no network, nothing in the home, no stray log files.

Use `tasks` wherever casatasks are needed, never ``import casatasks``: that import reads the user's
configuration and command line, fetches data and writes into the home and the working directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from contimg.errors import ContimgError, InputError
from contimg.plotting import matplotlib_cache

# CASA says so once casadata is some months old. No leap second has come since 2017, and times are UTC
# throughout: contimg computes uvw and directions itself, with the tables of astropy-iers-data.
_LEAP_SECONDS = ("Leap second table TAI_UTC", "Until the table is updated", "times and coordinates derived from UTC")
SITE_CONFIG = Path(__file__).with_name("casa_site_config.py").resolve()


@contextlib.contextmanager
def tasks(log: Path | None = None) -> Iterator[ModuleType]:
    """Give the module `casatasks`, with CASA's messages going to `log` or, by default, nowhere.

    So does all that is printed meanwhile: CASA's C++ code prints notes of its own to the standard output.

    Raises
    ------
    InputError
        If a part of CASA is not installed.
    ContimgError
        If something else imported CASA first, so that it runs with another configuration.
    """
    module = _load()
    module.casalog.setlogfile(str(Path(log).resolve()) if log else os.devnull)
    module.casalog.filterMsg(list(_LEAP_SECONDS))  # a new log file forgets the filter
    try:
        with _printed_to(Path(log) if log else Path(os.devnull)):
            yield module
    finally:
        module.casalog.setlogfile(os.devnull)


def _load() -> ModuleType:
    """Import casatasks once, under our configuration."""
    for name in ("six", "casadata", "casaconfig"):  # casatasks needs six and casadata without saying so
        if importlib.util.find_spec(name) is None:
            raise InputError(f"CASA needs the Python package '{name}': pip install {name}")
    matplotlib_cache()  # casatasks imports matplotlib
    os.environ["CASASITECONFIG"] = str(SITE_CONFIG)
    with _arguments("contimg", "--noconfig"):
        config = importlib.import_module("casaconfig.config")
        if str(SITE_CONFIG) not in config.load_success():
            raise ContimgError(
                "CASA was imported before contimg could configure it: "
                "use contimg.calibration.casa.tasks instead of 'import casatasks' or 'import casatools'"
            )
        return importlib.import_module("casatasks")


@contextlib.contextmanager
def _printed_to(place: Path) -> Iterator[None]:
    """Send the process's standard output to the end of a file for a while."""
    flush = ctypes.CDLL(None).fflush  # C++ keeps what it printed in libc's buffers
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(place, "ab") as file:
            os.dup2(file.fileno(), 1)
        yield
    finally:
        sys.stdout.flush()
        flush(None)
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def _arguments(*arguments: str) -> Iterator[None]:
    """Replace the command line, which casaconfig would parse as its own, for a while."""
    kept = sys.argv
    sys.argv = list(arguments)
    try:
        yield
    finally:
        sys.argv = kept
