"""Validators of other people's, which `.ci/services` installs: fitsverify of CFITSIO and votlint of STILTS.

A test that calls them has the marks ``fitsverify`` or ``stilts``.
"""

from __future__ import annotations

import subprocess
from pathlib import Path


def assert_fitsverify(*paths: Path) -> None:
    """Fail unless fitsverify finds neither errors nor warnings."""
    for path in paths:
        done = subprocess.run(["fitsverify", path], capture_output=True, text=True)
        assert "Verification found 0 warning(s) and 0 error(s)" in done.stdout.replace("  ", " "), done.stdout


def assert_votlint(*paths: Path) -> None:
    """Fail unless votlint finds nothing, UCDs and units included."""
    for path in paths:
        done = subprocess.run(
            ["stilts", "votlint", "ucd=true", "unit=true", f"votable={path}"], capture_output=True, text=True
        )
        assert (done.stdout + done.stderr).strip() == "" and done.returncode == 0, done.stdout + done.stderr
