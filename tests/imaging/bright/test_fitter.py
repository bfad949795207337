"""One step of the fit of bright sources: flux, position and spectral index that were put in come out."""

import numpy as np
import pytest

from contimg.imaging.bright.fitter import SourceFitter
from contimg.imaging.bright.sources import BrightSources
from contimg.imaging.transforms.direct import DirtyValues
from contimg.sky.restoring_beam import FWHM_PER_SIGMA, RestoringBeam

CELL_RAD = np.radians(10 / 3600)
SIGMA_PX = 3.0


def gaussian_psf(size=101):
    """Return a round Gaussian PSF of 3 pixels, and its beam."""
    offset = np.arange(size) - size // 2
    psf = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * SIGMA_PX**2)).astype(np.float32)
    width = SIGMA_PX * FWHM_PER_SIGMA * CELL_RAD
    return psf, RestoringBeam(width, width, 0.0)


def sources(fluxes):
    count = len(fluxes)
    zero = np.zeros(count)
    return BrightSources(
        1.4e9, zero, zero, np.array(fluxes), zero - 0.7, ("assumed",) * count, (None,) * count
    )  # fmt: skip


def step(pixels, fluxes, value, slope=None, first=None, fit_index=None, moments=None):
    count = len(fluxes)
    dirty = DirtyValues(
        np.array(value), np.zeros(count) if first is None else np.array(first),
        np.zeros((count, 2)) if slope is None else np.array(slope),
    )  # fmt: skip
    moments = np.stack([np.ones(count), np.zeros(count), np.full(count, 0.0015)]) if moments is None else moments
    mask = np.zeros(count, bool) if fit_index is None else np.array(fit_index)
    return SourceFitter.of(*gaussian_psf(), CELL_RAD).step(dirty, np.array(pixels), sources(fluxes), moments, mask)


def test_a_source_too_faint_by_a_tenth_is_corrected_by_a_tenth():
    made = step([[40.0], [50.0]], [1.0], [0.1])
    assert made.flux_jy == pytest.approx([0.1])
    assert made.residual_jy == pytest.approx([0.1])
    assert made.shift == pytest.approx(np.zeros((1, 2)))
    assert made.index.tolist() == [0.0]


def test_the_beam_divides_the_residual():
    made = step([[40.0], [50.0]], [1.0], [0.1], moments=np.array([[0.5], [0.0], [0.001]]))
    assert made.flux_jy == pytest.approx([0.2])


def test_neighbours_share_what_both_see():
    # Two sources 4 pixels apart: the PSF there is exp(-16 / 18).
    overlap = np.exp(-16 / 18)
    truth = np.array([0.2, -0.1])
    seen = truth + overlap * truth[::-1]
    made = step([[40.0, 44.0], [50.0, 50.0]], [1.0, 1.0], seen)
    assert made.flux_jy == pytest.approx(truth, rel=1e-5)


@pytest.mark.parametrize(("dx", "dy"), [(0.3, 0.0), (0.0, -0.2), (0.1, 0.15)])
def test_a_displaced_source_is_moved_to_its_place(dx, dy):
    # The residual of a source of S at (dx, dy) modelled at 0: gradient S d / sigma^2 there, per pixel; east is -x.
    flux = 2.0
    slope = flux * np.array([[-dx, dy]]) / SIGMA_PX**2 / CELL_RAD
    made = step([[50.0], [50.0]], [flux], [0.0], slope=slope)
    assert made.shift == pytest.approx(np.array([[dx, dy]]), rel=0.01)
    # The largest value of the difference of two Gaussians d apart is S d / sigma exp(-1/2).
    assert made.dipole_jy == pytest.approx([flux * np.hypot(dx, dy) / SIGMA_PX * np.exp(-0.5)], rel=0.01)


def test_a_long_way_is_cut_to_a_quarter_of_a_beam():
    slope = np.array([[-5.0, 0.0]]) / SIGMA_PX**2 / CELL_RAD
    made = step([[50.0], [50.0]], [1.0], [0.0], slope=slope)
    assert np.hypot(*made.shift[0]) == pytest.approx(0.25 * SIGMA_PX * FWHM_PER_SIGMA, rel=1e-6)
    assert made.dipole_jy[0] > 0.9  # not cut


def test_flux_and_index_are_solved_together():
    # value = k0 dF + k1 F da and first = k1 dF + k2 F da of a source of 4 Jy that is off by 0.2 Jy and 0.1.
    k0, k1, k2, flux = 0.8, 0.01, 0.0015, 4.0
    value, first = k0 * 0.2 + k1 * flux * 0.1, k1 * 0.2 + k2 * flux * 0.1
    made = step(
        [[50.0], [50.0]], [flux], [value], first=[first], fit_index=[True], moments=np.array([[k0], [k1], [k2]])
    )  # fmt: skip
    assert made.flux_jy == pytest.approx([0.2])
    assert made.index == pytest.approx([0.1])
