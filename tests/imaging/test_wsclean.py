"""WSClean as a program that writes files, fails, or hangs: what is made of it."""

import sys

import numpy as np
import pytest
from astropy.io import fits

from contimg.config import ImageOptions
from contimg.errors import ConfigError, ContimgError
from contimg.imaging import wsclean
from contimg.imaging.grid import TileGrid
from contimg.imaging.imager_result import ImagerResult, NoRestoringBeam

GRID = TileGrid(64, np.radians(20 / 3600), (0.3, 0.5))
OPTIONS = ImageOptions(size_px=64, cell_arcsec=20.0, backend="wsclean")


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that puts a program of a given body in the place of WSClean."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(body):
        place = folder / "wsclean"
        place.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
        place.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return install


def writes(scratch, residual=0.5, **beam):
    """Write what WSClean would have written, for a program that only prints its version."""
    planes = {"image": 1.0, "residual": residual, "model": 0.25, "psf": 1.0}
    for name, value in planes.items():
        hdu = fits.PrimaryHDU(np.full((1, 1, 64, 64), value, np.float32))
        hdu.header.update(beam if name == "image" else {})
        hdu.writeto(scratch / f"tile-{name}.fits")


def image(tmp_path, **content):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    writes(scratch, **content)
    return wsclean.make_image(tmp_path / "in.ms", scratch, GRID, OPTIONS, 2)


BEAM = {"BMAJ": 0.02, "BMIN": 0.01, "BPA": 30.0}


def test_planes_beam_and_version_are_read(tmp_path, program):
    program("print('WSClean version 3.6 (2025-01-01)')")
    made = image(tmp_path, **BEAM)
    assert isinstance(made, ImagerResult)
    assert made.facts == {"wsclean": "3.6"}
    assert (made.beam.bmaj_deg, made.beam.bmin_deg, made.beam.bpa_deg) == pytest.approx((0.02, 0.01, 30.0))
    assert made.image.shape == made.psf.shape == (64, 64)
    assert (made.model[0, 0], made.residual[0, 0], made.diverged) == (0.25, 0.5, False)


@pytest.mark.parametrize(("residual", "diverged"), [(1.4, False), (1.6, True), (np.nan, True)])
def test_a_residual_above_the_image_has_diverged(tmp_path, program, residual, diverged):
    program("print('WSClean version 3.6')")
    assert image(tmp_path, residual=residual, **BEAM).diverged is diverged


def test_without_a_beam_there_is_no_image(tmp_path, program):
    program("print('WSClean version 3.6')")
    made = image(tmp_path)
    assert isinstance(made, NoRestoringBeam)
    assert made.facts == {"wsclean": "3.6"}


def test_the_command_names_what_was_asked_for(tmp_path, program):
    program(f"open({str(tmp_path / 'words')!r}, 'w').write(' '.join(sys.argv[1:])); print('WSClean version 3.6')")
    image(tmp_path, **BEAM)
    words = (tmp_path / "words").read_text()
    for part in ("-size 64 64", "-scale 20.0asec", "-weight briggs 0.5", "-j 2", "-pol I", "-use-wgridder"):
        assert part in words
    assert words.endswith(str(tmp_path / "in.ms"))


def test_a_failure_is_one_sentence_with_its_last_line(tmp_path, program):
    program("print('working'); sys.exit('no disk space')")
    with pytest.raises(ContimgError, match=r"wsclean failed on .*in\.ms \(no disk space\): see the log"):
        image(tmp_path, **BEAM)


def test_a_program_that_does_not_end_is_stopped(tmp_path, program, monkeypatch):
    program("import time; time.sleep(60)")
    monkeypatch.setattr(wsclean, "_TIMEOUT_S", 0.5)
    with pytest.raises(ContimgError, match="did not finish"):
        image(tmp_path, **BEAM)


def test_odd_sizes_are_refused(program):
    program("")
    wsclean.check(OPTIONS)
    with pytest.raises(ConfigError, match="size_px is 65, but WSClean wants even sizes: add one pixel"):
        wsclean.check(OPTIONS.model_copy(update={"size_px": 65}))
