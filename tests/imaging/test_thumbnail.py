"""The picture of a tile: its image, beam and noise, its calibrator marked, its coordinates those of its files."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from contimg.imaging.fits_output import wcs_cards
from contimg.imaging.grid import TileGrid
from contimg.imaging.thumbnail import sky_picture
from contimg.sky.restoring_beam import RestoringBeam

GRID = TileGrid(200, np.radians(20 / 3600), (3.5, 0.53))
FACTS = {
    "id": "2026-02-11T11:51:36", "synthetic": True, "calibrator": "3C286", "start_mjd": 61082.5, "end_mjd": 61082.504,
    "freq_hz": 1.4056e9,
    "bright_sources": [
        {"name": None, "ra_deg": 200.4, "dec_deg": 30.2}, {"name": "SIM0012", "ra_deg": 200.3, "dec_deg": 30.4},
        {"name": None, "ra_deg": 200.5, "dec_deg": 30.1}, {"name": "3C286", "ra_deg": 200.6, "dec_deg": 30.3},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def shown():
    return drawn(FACTS)


def drawn(facts):
    image = np.random.default_rng(1).normal(0, 1e-3, (200, 200)).astype(np.float32)
    beam = RestoringBeam.from_degrees(90 / 3600, 60 / 3600, 20.0)
    imaged = SimpleNamespace(image=image, residual=image - 1, beam=beam)
    return sky_picture(imaged, np.ones((200, 200)), GRID, facts, 1.0)


def test_what_it_says(shown):
    assert shown.facts == (
        "12:00:00 – 12:05:45 UTC", "1.4056 GHz", "rms 1.00 mJy/beam", "beam 90.0″ × 60.0″",
        "white rings: primary beam 0.5 and 0.2",
    )  # fmt: skip
    assert (shown.title, shown.synthetic, shown.noise_jy, shown.rms_mjy) == (FACTS["id"], True, 1e-3, 1.0)
    assert shown.beam_deg == pytest.approx((0.025, 60 / 3600, 20.0)) and shown.cell_deg == pytest.approx(20 / 3600)
    assert shown.pb is not None and shown.residual_jy is not None


def test_the_calibrator_is_marked_and_comes_first(shown):
    assert [(mark.name, mark.calibrator) for mark in shown.marks] == [("3C286", True), ("SIM0012", False)]


def test_sources_that_no_catalogue_names_have_no_mark():
    """Also where there is no calibrator, whose name would be theirs."""
    facts = FACTS | {"calibrator": None}
    assert [(mark.name, mark.calibrator) for mark in drawn(facts).marks] == [("3C286", False), ("SIM0012", False)]


def test_places_are_those_of_the_files(shown):
    header = fits.Header()
    for key, card in wcs_cards(GRID).items():
        header[key] = card
    file = WCS(header)
    for x, y in ((0, 0), (100, 100), (199, 20)):
        assert np.allclose(shown.wcs.all_pix2world(x, y, 0), file.all_pix2world(x, y, 0), rtol=0, atol=1e-12)
