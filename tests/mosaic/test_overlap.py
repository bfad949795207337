"""Tiles compared pixel by pixel while they are co-added: what sources alone cannot show, and no false alarm."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from contimg.config import MosaicOptions, QaOptions
from contimg.mosaic import overlap
from contimg.mosaic.mosaic_group import mosaic_group
from contimg.mosaic.neighbours import Difference
from contimg.mosaic.pixel_pairs import BlockRatios, PixelDifference
from contimg.mosaic.tile_images import read_tiles
from contimg.products.twin import read_twin
from tests.support.fake_tiles import Sky, TileMaker, strip_sky
from tests.support.twins import write_with_manifest

MOSAIC_ID = "mosaic_20260211T000000"
SIZE, CELL = 320, 50.0
BEAM = (170.0, 170.0, 0.0)
FAINT = (0.03, 0.036)  # 15 to 18 sigma where the beam is strongest: too faint to be compared as sources (20 sigma)


def tiles(folder, count=4, *, spacing_deg=1.29, flux=FAINT, sources=250, seed=3, skies=None, **options):
    """Make tiles some degrees apart; `skies` replaces the sky of some."""
    maker = TileMaker(folder, size=SIZE, cell_arcsec=CELL, beam_arcsec=BEAM, rms_jy=2e-3, seed=seed, **options)
    sky = strip_sky(sources, (123, 136), seed=seed, flux_jy=flux)
    spacing = spacing_deg / np.cos(np.radians(54.57))
    return [maker.make(i, 126 + spacing * i, (skies or {}).get(i, lambda one: one)(sky)) for i in range(count)]


def with_sources(ra_deg, dec_deg, flux_jy):
    """Return the change of a sky that adds sources."""
    flux = np.full(len(ra_deg), flux_jy)
    return lambda sky: Sky(
        *map(np.concatenate, zip((sky.ra_deg, sky.dec_deg, sky.flux_jy), (ra_deg, dec_deg, flux), strict=True))
    )


def changed(twin, change):
    """Replace the pixels of a tile's image, as if the imager had made them so."""
    path = next(twin.with_suffix("").glob("*.image.fits"))
    with fits.open(path) as hdus:
        data, header = change(np.squeeze(hdus[0].data).astype(np.float64)), hdus[0].header
    hdu = fits.PrimaryHDU(data.astype(np.float32), header)
    hdu.add_datasum()
    hdu.writeto(path, overwrite=True)
    said = read_twin(twin)
    extremes = {"peak_mjy": float(np.float32(data.max())) * 1e3, "min_mjy": float(np.float32(data.min())) * 1e3}
    write_with_manifest(twin, said.model_copy(update={"qa": said.qa | extremes}))


def mosaic(folder, twins, **options):
    folder.mkdir(exist_ok=True)
    return mosaic_group(
        twins, folder / MOSAIC_ID, folder / f"{MOSAIC_ID}.json", mosaic_id=MOSAIC_ID,
        options=MosaicOptions(cell_arcsec=CELL, **options), pb_limit=0.2, qa=QaOptions(),
    )  # fmt: skip


def test_one_strong_source_in_one_tile_alone_is_enough(tmp_path):
    """Fewer places than the limit, but one that noise and errors of 10 % cannot make."""
    twins = tiles(tmp_path, sources=120, spacing_deg=0.4, skies={1: with_sources([126.5], [54.6], 0.2)})
    made = mosaic(tmp_path / "m", twins)
    assert made.qa["pixel_outliers"] < 3 and "pixel_outliers_high" not in codes(made)
    assert made.qa["pixel_outlier_sigma"] > 10
    assert "pixel_outlier_sigma_high" in codes(made)
    reason = next(one for one in made.reasons if one.code == "pixel_outlier_sigma_high")
    assert "00:05:09" in reason.message


def codes(made):
    return [reason.code for reason in made.reasons]


@pytest.mark.parametrize("seed", [3, 4])
def test_a_clean_group_of_faint_sources(tmp_path, seed):
    twins = tiles(tmp_path, seed=seed)
    assert all(len(tile.image.sources.ra_deg) < 3 for tile in read_tiles(twins, 0.2, {"qa": QaOptions()}))
    made = mosaic(tmp_path / "m", twins)
    assert made.verdict == "passed" and made.facts["n_images"] == 4
    qa = made.qa
    assert qa["tile_scale_spread"] is None  # no source is bright enough
    assert abs(qa["pixel_scale_spread"]) < 4 * qa["e_pixel_scale_spread"] < 0.12
    assert qa["pixel_shift_spread_beams"] < 4 * qa["e_pixel_shift_spread_beams"] < 0.12
    assert qa["difference_width"] == pytest.approx(1, abs=0.1)
    assert qa["pixel_outliers"] == 0 and qa["pixel_outliers_of"] is None
    assert qa["difference_stripe"] < 0.3 and qa["striping"] < 0.3 and qa["difference_residue"] < 0.7
    assert qa["compared_tiles"] == 1


@pytest.mark.parametrize(("bad", "scale"), [(1, 0.7), (2, 1.3), (0, 0.7)])
def test_a_tile_of_another_scale_without_a_bright_source(tmp_path, bad, scale):
    twins = tiles(tmp_path)
    changed(twins[bad], lambda image: scale * image)
    made = mosaic(tmp_path / "m", twins)
    assert "tile_disagrees" in codes(made) and made.facts["n_images"] == 3
    name = read_twin(twins[bad]).id
    assert list(made.facts["left_out"]) == [name]
    said = made.facts["left_out"][name]
    assert said.startswith("compared pixel by pixel, its fluxes are ")
    assert float(said.split()[7]) == pytest.approx(scale, rel=0.05)


def test_such_a_tile_is_rescaled_on_request(tmp_path):
    twins = tiles(tmp_path)
    changed(twins[1], lambda image: 0.7 * image)
    made = mosaic(tmp_path / "m", twins, odd_tiles="rescale")
    assert codes(made) == ["tile_rescaled"] and made.facts["n_images"] == 4
    assert f"tile {read_twin(twins[1]).id} multiplied by 1.4" in made.reasons[0].message
    assert abs(made.qa["pixel_scale_spread"]) < 0.04


def test_a_tile_that_is_shifted(tmp_path):
    twins = tiles(tmp_path)
    changed(twins[2], lambda image: np.roll(image, 1, axis=1))  # a pixel to the west: a quarter of a beam
    made = mosaic(tmp_path / "m", twins)
    said = made.facts["left_out"][read_twin(twins[2]).id]
    assert "its sources are -" in said and "compared pixel by pixel" in said
    assert float(said.split("its sources are ")[1].split()[0]) == pytest.approx(-CELL, abs=0.2 * CELL)


@pytest.mark.parametrize("bad", [1, 3])
def test_twenty_invented_sources_without_a_catalogue(tmp_path, bad):
    """Too faint for a comparison of sources: 12 sigma, in one tile and in none of its neighbours."""
    rng = np.random.default_rng(9)
    centre = 126 + 1.29 / np.cos(np.radians(54.57)) * bad
    ra, dec = centre + rng.uniform(-1.5, 1.5, 20), 54.57 + rng.uniform(-0.9, 0.9, 20)

    invented = with_sources(ra, dec, 0.038)
    made = mosaic(tmp_path / "m", tiles(tmp_path, skies={bad: invented}, sources=60))
    name = read_tiles_ids(tmp_path)[bad]
    assert made.verdict == "warning"
    said = next(reason.message for reason in made.reasons if "places are not in both" in reason.message)
    assert name in said
    # An edge tile has one neighbour that sees enough of it: both are named, and nothing tells which is wrong.
    assert codes(made) == (["tile_disagrees"] if bad == 1 else ["tiles_disagree"])


def read_tiles_ids(folder):
    return [read_twin(path).id for path in sorted(folder.glob("images/*/*.json"))]


def test_what_is_rejected_by_pixels_leaves_no_tile_out(tmp_path):
    streak = with_sources(np.linspace(125.5, 128, 20), np.full(20, 54.6), 0.038)
    twins = tiles(tmp_path, sources=120, spacing_deg=0.4, skies={1: streak})
    assert mosaic(tmp_path / "left_out", twins).facts["n_images"] == 3
    made = mosaic(tmp_path / "rejected", twins, reject_sigma=6.0)
    assert made.facts["n_images"] == 4
    assert made.qa["pixel_outliers"] > 4 and "pixel_outliers_high" in codes(made)


def test_a_tile_with_the_pixels_of_another(tmp_path):
    """No sources at all: only noise that is the same twice tells."""
    maker = TileMaker(tmp_path, size=SIZE, cell_arcsec=CELL, beam_arcsec=BEAM, rms_jy=2e-3)
    twins = [maker.make(i, 126.0) for i in range(3)]
    with fits.open(next(twins[0].with_suffix("").glob("*.image.fits"))) as hdus:
        image = np.squeeze(hdus[0].data).astype(np.float64)
    changed(twins[2], lambda _: image)
    made = mosaic(tmp_path / "m", twins)
    assert made.qa["difference_width"] < 0.1 and "difference_width_off" in codes(made)
    assert made.qa["difference_width_of"] == f"tiles {read_twin(twins[0]).id} and {read_twin(twins[2]).id}"


def test_a_stripe_in_one_tile(tmp_path):
    twins = tiles(tmp_path)
    wave = 1.0 * 2e-3 * np.cos(2 * np.pi * (13.3 * np.arange(SIZE) / SIZE))
    changed(twins[1], lambda image: image + wave)
    made = mosaic(tmp_path / "m", twins)
    # over the noise of the difference of two tiles, of which one has it
    assert made.qa["difference_stripe"] == pytest.approx(2**-0.5, abs=0.2)
    assert "difference_stripe_high" in codes(made)
    assert read_twin(twins[1]).id in made.qa["difference_stripe_of"]


def test_memory_does_not_grow_with_the_number_of_tiles(tmp_path, monkeypatch):
    held = []
    add = overlap.OverlapComparison.add
    monkeypatch.setattr(
        overlap.OverlapComparison, "add", lambda self, *a: (add(self, *a), held.append(len(self._held)))[0]
    )
    made = mosaic(tmp_path / "m", tiles(tmp_path, count=9, sources=300))
    assert made.facts["n_images"] == 9
    assert len(held) == 9 and max(held) <= 5 and held[-1] == 0


def test_the_result_does_not_depend_on_the_order_of_the_twins(tmp_path):
    twins = tiles(tmp_path)
    first, second = (mosaic(tmp_path / name, order).qa for name, order in (("a", twins), ("b", twins[::-1])))
    assert [first[key] for key in overlap.NUMBERS] == [second[key] for key in overlap.NUMBERS]


NO_BLOCKS = BlockRatios(*(np.empty(0) for _ in range(4)))


class TestWidth:
    """Which pair's scatter is the group's."""

    @staticmethod
    def width(**pairs):
        """Return the number for pairs of (width, boxes of noise), and whose it is."""
        found = {
            (name[0], name[1]): PixelDifference(
                Difference(0, 1, 0, 0, 1), width, 0.0, NO_BLOCKS, np.empty((0, 0), np.float32), boxes=boxes
            )
            for name, (width, boxes) in pairs.items()
        }
        numbers = overlap._extremes(found, {})
        return numbers["difference_width"], numbers["difference_width_of"]

    def test_is_the_farthest_from_1_by_ratio(self):
        assert self.width(ab=(1.1, 9), bc=(0.8, 9), ac=(1.2, 9)) == (0.8, "tiles b and c")

    def test_small_overlaps_do_not_count(self):
        assert self.width(ab=(1.02, 31), ae=(1.337, 0.58)) == (1.02, "tiles a and b")
        assert self.width(ab=(1.02, 31), ac=(1.337, 4)) == (1.337, "tiles a and c")

    def test_the_largest_counts_where_all_are_small(self):
        assert self.width(ab=(1.2, 3), ac=(1.5, 1)) == (1.2, "tiles a and b")
