"""On the flank of the beam a source's response changes during the tile: from less brightness on it counts as bright."""

import numpy as np
import pytest

from tests.imaging.test_image_tile import OPTIONS, plane, run, tile
from tests.support import skies

FLANK, MIDDLE = (1.75, 0.1), (-0.1, 0.15)
"""East and north (deg). The response at the first changes by a large part of its mean while 309 s of sky drift by."""


@pytest.fixture(scope="module")
def imaged(tmp_path_factory):
    """Return the image of a tile with two sources of about 90 and 50 sigma, and the residual over its noise."""
    east, north = np.arange(20) * 18.0, np.arange(1, 13) * 16.0
    arms = [*((x, 0.0, 0.0) for x in east), *((170.0, y, 0.0) for y in north)]
    vis = skies.empty(enu_m=arms, times=24, channels=16)
    skies.add_source(vis, *skies.offset(vis, *FLANK), 0.58, index=-0.7, beam=True)
    skies.add_source(vis, *skies.offset(vis, *MIDDLE), 0.17, index=-0.7, beam=True)
    skies.add_noise(vis, 1.0)
    paths = tile(tmp_path_factory.mktemp("flank"), vis)
    twin = run(paths, OPTIONS.model_copy(update={"bright_sigma": 100.0}))
    return twin, plane(paths, "residual")[0] * 1e3 / twin.qa["expected_rms_mjy"]


def test_the_changing_source_alone_is_subtracted_with_the_moving_beam(imaged):
    twin, _ = imaged
    (found,) = twin.facts["bright_sources"]
    assert 50 < found["snr"] < 100  # below image.bright_sigma
    assert found["flux_jy"] == pytest.approx(0.58 * (twin.facts["freq_hz"] / 1.4e9) ** -0.7, rel=0.05)
    dra = (found["ra_deg"] - 150.0) * np.cos(np.radians(33.0))
    assert dra == pytest.approx(FLANK[0], abs=0.02)


def test_it_leaves_no_streak(imaged):
    """It did, of 1.5 times the noise along a column, and the noise rose by 4 %: CLEAN subtracts its mean."""
    twin, residual = imaged
    assert twin.qa["streak"] < 1.1
    assert twin.qa["noise_ratio"] < 1.02
    assert np.abs(residual).max() < 5.5
