"""CLEAN where the catalogue has sources, and images as wide as the beam."""

import numpy as np
import pytest
from astropy.wcs import WCS

from contimg.config import BeamOptions
from contimg.errors import ConfigError
from contimg.imaging import field_of_view, limits
from tests.imaging.test_image_tile import OPTIONS, plane, run, tile
from tests.support import skies

# East, north (deg), Jy; the catalogue has the first two. The noise of the image is about 0.8 mJy.
SKY = [(0.3, 0.2, 0.2), (-0.5, 0.4, 0.0032), (0.6, -0.6, 0.0032)]


@pytest.fixture(scope="module")
def faint(tmp_path_factory):
    """Return a tile with sources of 4 sigma, one of which is in the catalogue."""
    folder = tmp_path_factory.mktemp("faint")
    vis = skies.empty(antennas=24, times=6, channels=32, span_m=130)
    rows = ["name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index"]
    for number, (east, north, flux) in enumerate(SKY):
        place = skies.offset(vis, east, north)
        skies.add_source(vis, *place, flux, beam=True)
        if number < 2:
            rows.append(f"S{number},{np.degrees(place[0])},{np.degrees(place[1])},{flux},1.4e9,0.0")
    skies.add_noise(vis, 0.25)
    catalogue = folder / "sky.csv"
    catalogue.write_text("\n".join(rows) + "\n")
    return vis, tile(folder, vis), catalogue


def components(paths, vis):
    """Return the sums of components (Jy) within 3 pixels of each source."""
    model, head = plane(paths, "model")
    found = []
    for east, north, _ in SKY:
        x, y = (
            round(float(v)) for v in WCS(head).celestial.all_world2pix(*np.degrees(skies.offset(vis, east, north)), 0)
        )
        found.append(float(model[y - 3 : y + 4, x - 3 : x + 4].sum()))
    return found


def test_sources_of_the_catalogue_are_cleaned_below_the_masks_threshold(faint, tmp_path):
    vis, paths, catalogue = faint
    made = {}
    for seeded in (False, True):
        there = (*paths[:2], tmp_path / str(seeded), tmp_path / f"{seeded}.json")
        options = OPTIONS.model_copy(update={"size_px": 400, "catalogue_mask": seeded})
        twin = run(there, options, catalogue)
        made[seeded] = components(there, vis), twin
    assert made[True][1].qa["expected_rms_mjy"] == pytest.approx(0.8, rel=0.1)
    (_, known, unknown), twin = made[True]
    assert known > 0.001  # 4 sigma, down to 1.5
    assert unknown == 0
    assert made[False][0][1:] == [0, 0]
    assert made[True][0][0] == pytest.approx(made[False][0][0], rel=0.02)
    assert twin.qa["noise_ratio"] < 1.05


def test_an_image_is_as_wide_as_the_beam_reaches_the_limit(tmp_path):
    vis = skies.empty(antennas=10, times=24, channels=8, span_m=130, dec_deg=10.0)
    skies.add_noise(vis, 0.1)
    paths = tile(tmp_path, vis)
    twin = run(paths, OPTIONS.model_copy(update={"size_px": None, "cell_arcsec": 40.0, "pb_limit": 0.3}))
    pb, head = plane(paths, "pb")
    assert twin.facts["size_px"] == len(pb) == head["NAXIS1"]
    assert len(pb) % 4 == 0
    rim = np.concatenate([pb[0], pb[-1], pb[:, 0], pb[:, -1]])
    assert rim.max() < 0.3
    # No smaller than it must be: within 3 % (nodes, fast sizes) of the widest place.
    y, x = np.nonzero(pb >= 0.3)
    reach = max(np.abs(x - len(pb) // 2).max(), np.abs(y - len(pb) // 2).max())
    assert len(pb) / 2 == pytest.approx(reach, rel=0.06)


def test_the_width_follows_limit_and_drift():
    def width(limit, dec_deg):
        vis = skies.empty(antennas=4, times=24, channels=8, span_m=130, dec_deg=dec_deg)
        return field_of_view.fitting_size(vis, np.radians(6 / 3600), BeamOptions(), limit) * 6 / 3600

    # Half power at 1.405 GHz: 2.70 degrees, and half the drift of 1.29 degrees cos(dec) on either side counts.
    assert width(0.5, 65.0) == pytest.approx(2.70, rel=0.06)
    assert 0.05 < width(0.5, 0.0) - width(0.5, 65.0) < 0.4
    assert width(0.2, 30.0) > 1.3 * width(0.5, 30.0)


def test_a_width_found_by_the_tile_is_checked_against_memory():
    options = OPTIONS.model_copy(update={"size_px": None})
    limits.check_size(options, memory_bytes=10**6)  # nothing to check yet
    with pytest.raises(ConfigError, match="size_px 4000 needs"):
        limits.check_size(options, 4000, memory_bytes=10**6)
    groups = options.model_copy(update={"channel_groups": 4})
    limits.check_size(options, 4000, memory_bytes=2 * 10**9)
    with pytest.raises(ConfigError, match=r"size_px 4000 needs 2\.8 GB"):
        limits.check_size(groups, 4000, memory_bytes=2 * 10**9)
