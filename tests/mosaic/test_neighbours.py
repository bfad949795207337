"""Tiles against their neighbours: known faults are found with their size, clean groups give no alarm."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from astropy.io import fits

from contimg.config import MosaicOptions, QaOptions
from contimg.mosaic import tile_images
from contimg.mosaic.bright_sources import BrightSources
from contimg.mosaic.mosaic_group import mosaic_group
from contimg.mosaic.neighbours import (
    NeighbourLimits,
    beam_width_error,
    compare_pair,
    find_disagreements,
)
from contimg.products.twin import Twin, input_from_twin, read_twin, write_twin
from tests.support.fake_tiles import Sky, TileMaker, strip_sky
from tests.support.twins import write_with_manifest

MOSAIC_ID = "mosaic_20260211T000000"
BEAM = 60.0
LIMITS = NeighbourLimits(scale=0.05, offset_arcsec=0.1 * BEAM)


def source_list(rng, sky: Sky, ra_deg: float, *, scale=1.0, shift_arcsec=(0.0, 0.0), rms_jy=1e-3) -> BrightSources:
    """Return what a tile 4 deg wide would measure of a sky: noise of a known size on fluxes and positions."""
    cos = np.cos(np.radians(sky.dec_deg))
    seen = (np.abs(sky.ra_deg - ra_deg) * cos < 2.0) & (sky.flux_jy > 20 * rms_jy)
    flux = sky.flux_jy[seen]
    e_position = BEAM / 2.3548 * rms_jy / flux
    east, north = (shift + rng.normal(size=len(flux)) * e_position for shift in shift_arcsec)
    return BrightSources(
        sky.ra_deg[seen] + east / 3600 / cos[seen], sky.dec_deg[seen] + north / 3600,
        scale * (flux + rng.normal(size=len(flux)) * rms_jy), np.full(len(flux), scale * rms_jy), e_position,
    )  # fmt: skip


def group(seed: int, tiles: int = 10, **faults) -> dict[str, BrightSources]:
    """Return a group of tiles 1.29 deg apart; ``faults`` are of the tile that ``bad`` names."""
    rng = np.random.default_rng(seed)
    bad = faults.pop("bad", None)
    sky = strip_sky(120, (120, 150), seed=seed, flux_jy=(0.02, 2.0))
    spacing = 1.29 / np.cos(np.radians(54.57))
    return {f"t{i}": source_list(rng, sky, 124 + spacing * i, **(faults if i == bad else {})) for i in range(tiles)}


@pytest.mark.parametrize("seed", range(20))
def test_a_clean_group_gives_no_alarm(seed):
    found = find_disagreements(group(seed), BEAM, LIMITS)
    assert found.wrong == {}
    assert found.unresolved == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bad", [0, 1, 4, 9])
@pytest.mark.parametrize("scale", [0.70, 0.92, 1.08, 1.15, 1.25])
def test_a_tile_of_another_flux_scale_is_found_with_its_scale(seed, bad, scale):
    found = find_disagreements(group(seed, bad=bad, scale=scale), BEAM, LIMITS)
    assert list(found.wrong) == [f"t{bad}"]
    difference = found.wrong[f"t{bad}"]
    assert difference.scale == pytest.approx(scale, abs=4 * scale * difference.e_log_scale)
    assert difference.e_log_scale < 0.01
    assert difference.offset_arcsec < LIMITS.offset_arcsec
    assert found.unresolved == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("bad", "shift"), [(0, (7.0, 0.0)), (3, (0.0, -8.0)), (9, (-6.0, 6.0)), (5, (30.0, 0.0))])
def test_a_shifted_tile_is_found_with_its_shift(seed, bad, shift):
    found = find_disagreements(group(seed, bad=bad, shift_arcsec=shift), BEAM, LIMITS)
    assert list(found.wrong) == [f"t{bad}"]
    difference = found.wrong[f"t{bad}"]
    # sources east of where the others see them
    assert (difference.east_arcsec, difference.north_arcsec) == pytest.approx(shift, abs=4 * difference.e_offset_arcsec)
    assert difference.scale == pytest.approx(1, abs=0.02)


def test_two_wrong_tiles_are_both_found():
    tiles = group(3, bad=2, scale=0.7) | {"t7": group(3, bad=7, scale=1.2)["t7"]}
    assert sorted(find_disagreements(tiles, BEAM, LIMITS).wrong) == ["t2", "t7"]


def test_of_two_tiles_nobody_knows_which_is_wrong():
    found = find_disagreements(group(1, tiles=2, bad=1, scale=0.8), BEAM, LIMITS)
    assert found.wrong == {}
    ((one, other, difference),) = found.unresolved
    assert (one, other) == ("t0", "t1")
    assert difference.scale == pytest.approx(1 / 0.8, rel=0.03)


def test_a_variable_source_accuses_nobody():
    tiles = group(2)
    for i, name in enumerate(tiles):
        tiles[name].flux_jy[tiles[name].flux_jy.argmax()] *= 1 + 0.1 * i
    assert find_disagreements(tiles, BEAM, LIMITS).wrong == {}


def test_few_common_sources_say_nothing():
    rng = np.random.default_rng(1)
    sky = Sky(np.array([127.0, 127.5]), np.array([54.5, 54.6]), np.array([1.0, 2.0]))
    pair = source_list(rng, sky, 127.0), source_list(rng, sky, 127.0, scale=0.5)
    assert compare_pair(*pair, BEAM) is None
    nothing = BrightSources(*(np.array([]) for _ in range(5)))
    assert compare_pair(pair[0], nothing, BEAM) is None
    assert find_disagreements({}, BEAM, LIMITS).wrong == {}


def through_a_beam(seed: int, width: float, tiles: int = 6) -> dict[str, BrightSources]:
    """Return tiles with fluxes divided by a beam that is assumed to be Gaussian, but is wider by a factor."""
    rng = np.random.default_rng(seed)
    sky = strip_sky(120, (120, 140), seed=seed, flux_jy=(0.05, 2.0))
    found = {}
    for i in range(tiles):
        centre = 124 + 1.29 / np.cos(np.radians(54.57)) * i
        east = (sky.ra_deg - centre) * np.cos(np.radians(sky.dec_deg))
        log_beam = -4 * np.log(2) * (east**2 + (sky.dec_deg - 54.57) ** 2) / 2.7**2
        use = log_beam > np.log(0.3)
        rms = 1e-3 * np.exp(-log_beam[use])
        flux = sky.flux_jy[use] * np.exp(log_beam[use] * (width**-2 - 1)) + rms * rng.normal(size=use.sum())
        found[f"t{i}"] = BrightSources(
            sky.ra_deg[use], sky.dec_deg[use], flux, rms, np.full(use.sum(), 0.5), np.exp(log_beam[use])
        )
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width", [0.9, 0.97, 1.0, 1.05, 1.1])
def test_the_width_of_the_primary_beam_follows_from_neighbours(seed, width):
    value, error = beam_width_error(through_a_beam(seed, width), BEAM)
    assert error < 0.005
    # -s/2 with s = 1/k^2 - 1 is k - 1 to first order
    assert value == pytest.approx((1 - width**-2) / 2, abs=4 * error)


def test_the_width_of_the_beam_is_not_known_from_a_few_sources():
    few = through_a_beam(1, 1.1, tiles=1)
    assert beam_width_error(few, BEAM) is None


def test_across_ra_0():
    sky = strip_sky(30, (126, 129), flux_jy=(0.1, 2.0))
    here = Sky((sky.ra_deg - 127.5 + 360) % 360, sky.dec_deg, sky.flux_jy)
    wide = [
        BrightSources(here.ra_deg, here.dec_deg, here.flux_jy, np.full(30, 1e-3), np.full(30, 0.1)),
        BrightSources((here.ra_deg + 2 / 3600) % 360, here.dec_deg, here.flux_jy, np.full(30, 1e-3), np.full(30, 0.1)),
    ]
    found = compare_pair(wide[1], wide[0], BEAM)
    assert found.east_arcsec == pytest.approx(2 * np.cos(np.radians(54.57)), rel=0.05)


@pytest.fixture(scope="module")
def sky():
    return strip_sky(60, (124, 135), flux_jy=(0.2, 3))


def invented_sources(shape, n):
    """Return sources of 0.3 to 1 Jy at random places of the inner half of an image with a beam of 4 pixels."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for _ in range(n):
        row, column = rng.uniform(0.3, 0.7, 2) * shape
        image += rng.uniform(0.3, 1) * np.exp(-4 * np.log(2) * ((x - column) ** 2 + (y - row) ** 2) / 4**2)
    return image


class TestInTheMosaic:
    SIZE, CELL, BEAM_ARCSEC = 400, 36.0, (144.0, 140.0, 0.0)

    def tiles(self, root, sky, bad=None, change=None):
        maker = TileMaker(root, size=self.SIZE, cell_arcsec=self.CELL, beam_arcsec=self.BEAM_ARCSEC)
        spacing = 1.29 / np.cos(np.radians(54.57))
        twins = [maker.make(i, 127 + spacing * i, sky) for i in range(4)]
        if bad is not None:
            path = next(twins[bad].with_suffix("").glob("*.image.fits"))
            with fits.open(path) as hdus:
                plane, header = np.squeeze(hdus[0].data).astype(np.float64), hdus[0].header.copy()
                data = change(plane).astype(np.float32)
            hdu = fits.PrimaryHDU(data, header)
            hdu.add_datasum()
            hdu.writeto(path, overwrite=True)
            twin = read_twin(twins[bad])
            extremes = {"peak_mjy": round(float(data.max()) * 1e3, 4), "min_mjy": round(float(data.min()) * 1e3, 4)}
            write_with_manifest(twins[bad], twin.model_copy(update={"qa": twin.qa | extremes}))
        return twins

    def mosaic(self, root, twins, **options):
        return mosaic_group(
            twins, root / "m" / MOSAIC_ID, root / "m" / f"{MOSAIC_ID}.json", mosaic_id=MOSAIC_ID,
            options=MosaicOptions(cell_arcsec=36.0, **options), pb_limit=0.2, qa=QaOptions(),
        )  # fmt: skip

    def test_measured_fluxes_and_positions_are_those_of_the_sky(self, tmp_path, sky):
        (twin, *_) = self.tiles(tmp_path, sky)
        (tile,) = tile_images.read_tiles([twin], 0.2, {"qa": QaOptions()})
        found = tile.image.sources
        assert len(found.ra_deg) >= 8
        for ra, dec, flux, error in zip(found.ra_deg, found.dec_deg, found.flux_jy, found.e_flux_jy, strict=True):
            distance = np.hypot((sky.ra_deg - ra) * np.cos(np.radians(dec)), sky.dec_deg - dec) * 3600
            assert distance.min() < 5  # a fraction of the beam of 142 arcsec
            assert flux == pytest.approx(sky.flux_jy[distance.argmin()], abs=4 * error + 0.01 * flux)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda data: 0.7 * data, "its fluxes are 0.7"),
            (lambda data: 1.15 * data, "its fluxes are 1.1"),
            (lambda data: np.roll(data, 1, axis=1), "its sources are -3"),  # a pixel of 36 arcsec to the west
            (lambda data: np.roll(data, 9, axis=0), "bright sources are not in both"),  # 5.4 arcmin
            (lambda data: data[::-1, ::-1], "bright sources are not in both"),  # conjugated visibilities
            (lambda data: data + invented_sources(data.shape, 20), "bright sources are not in both"),
        ],
    )
    def test_a_wrong_tile_is_left_out_by_name(self, tmp_path, sky, change, said):
        made = self.mosaic(tmp_path, self.tiles(tmp_path, sky, bad=1, change=change))
        assert list(made.facts["left_out"]) == ["2026-02-11T00:05:09"]
        assert said in made.facts["left_out"]["2026-02-11T00:05:09"]
        assert [reason.code for reason in made.reasons if reason.code == "tile_disagrees"] == ["tile_disagrees"]
        assert made.verdict == "warning"

    def test_a_clean_group_keeps_every_tile(self, tmp_path, sky):
        made = self.mosaic(tmp_path, self.tiles(tmp_path, sky))
        assert made.facts["n_images"] == 4
        assert made.reasons == []
        assert made.qa["compared_tiles"] == 1
        assert abs(made.qa["tile_scale_spread"]) < 0.01
        assert abs(made.qa["beam_width_error"]) < 4 * made.qa["e_beam_width_error"] + 0.002

    def test_a_tile_of_another_scale_is_rescaled_where_that_is_asked_for(self, tmp_path, sky):
        twins = self.tiles(tmp_path, sky, bad=1, change=lambda data: 1.15 * data)
        made = self.mosaic(tmp_path, twins, odd_tiles="rescale")
        assert made.facts["n_images"] == 4 and made.facts["left_out"] == {}
        assert [reason.code for reason in made.reasons] == ["tile_rescaled"]
        assert made.reasons[0].message.startswith("tile 2026-02-11T00:05:09 multiplied by 0.8")
        assert made.qa["peak_mjy"] == pytest.approx(
            self.mosaic(tmp_path / "clean", self.tiles(tmp_path / "clean", sky)).qa["peak_mjy"], rel=0.01
        )

    def test_a_shifted_tile_cannot_be_rescaled(self, tmp_path, sky):
        twins = self.tiles(tmp_path, sky, bad=1, change=lambda data: 1.15 * np.roll(data, 1, axis=1))
        made = self.mosaic(tmp_path, twins, odd_tiles="rescale")
        assert [reason.code for reason in made.reasons] == ["tile_disagrees"]


class TestWithoutACatalogue:
    """What cannot be checked is not passed: neighbours, calibrator and the bandpass before it must say enough."""

    def night(self, root, sky, *, tiles=4, level=1.02, noise=1.01, compared=None):
        """Return image twins below which a bandpass stands that was compared with the one before, or not."""
        maker = TileMaker(root, size=300, cell_arcsec=48.0, beam_arcsec=(190.0, 190.0, 0.0))
        calibration = root / "calibrations" / "2026-02-11" / "cal_20260211T000000.json"
        facts = {"type": "bandpass", "tile": "2026-02-11T00:00:00", "calibrator": "3C147"}
        bandpass = Twin(
            kind="calibration", id="cal_20260211T000000", verdict="passed", facts=facts, qa={"gain_level_ratio": level},
            synthetic=True,
        )  # fmt: skip
        write_twin(calibration, bandpass)
        _, record = input_from_twin(calibration)
        spacing = 1.29 / np.cos(np.radians(54.57))
        twins = [maker.make(i, 127 + spacing * i, sky) for i in range(tiles)]
        for path in twins:
            twin = read_twin(path)
            qa = {key: value for key, value in twin.qa.items() if key != "n_compared"} | {"system_noise": noise}
            qa |= {} if compared is None else {"n_compared": compared}
            write_with_manifest(path, twin.model_copy(update={"qa": qa, "inputs": [record]}))
        return twins

    def reasons(self, root, twins):
        made = mosaic_group(
            twins, root / "m" / MOSAIC_ID, root / "m" / f"{MOSAIC_ID}.json", mosaic_id=MOSAIC_ID,
            options=MosaicOptions(cell_arcsec=48.0), pb_limit=0.2, qa=QaOptions(),
        )  # fmt: skip
        return [(reason.code, reason.severity, reason.message.partition("null): ")[2]) for reason in made.reasons]

    def test_three_witnesses_are_enough(self, tmp_path, sky):
        assert self.reasons(tmp_path, self.night(tmp_path, sky)) == []

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"level": None}, "bandpass cal_20260211T000000 was not compared with a certified one before it"),
            ({"level": 1.15}, "bandpass cal_20260211T000000 has 1.15 times the level of the certified one before it"),
            ({"noise": None}, "the noise of tile 2026-02-11T00:00:00 cannot be compared with that on the calibrator"),
            ({"tiles": 1}, "1 of 1 tiles have no neighbour to compare with"),
        ],
    )
    def test_one_that_is_missing_is_a_warning_with_its_name(self, tmp_path, sky, change, said):
        assert self.reasons(tmp_path, self.night(tmp_path, sky, **change)) == [("fluxes_unchecked", "warning", said)]

    def test_a_catalogue_needs_no_witness(self, tmp_path, sky):
        assert self.reasons(tmp_path, self.night(tmp_path, sky, level=None, compared=20)) == []


def turned(sources: BrightSources, ra_deg: float, angle_deg: float) -> BrightSources:
    """Return the sources of a tile whose image is turned about its centre."""
    cos = np.cos(np.radians(54.57))
    x, y = (sources.ra_deg - ra_deg) * cos, sources.dec_deg - 54.57
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return dataclasses.replace(
        sources, ra_deg=ra_deg + (c * x - s * y) / cos, dec_deg=54.57 + s * x + c * y
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_turned_tile_is_found_by_the_scatter_of_its_sources(seed):
    """0.3 deg of rotation moves sources by 20 arcsec in the overlaps: north on one side, south on the other."""
    tiles = group(seed, tiles=5)
    tiles["t2"] = turned(tiles["t2"], 124 + 2 * 1.29 / np.cos(np.radians(54.57)), 0.3)
    found = find_disagreements(tiles, BEAM, LIMITS)
    assert list(found.wrong) == ["t2"]
    assert 10 < found.wrong["t2"].offset_scatter_arcsec < 40


@pytest.mark.parametrize("seed", range(4))
def test_a_tile_with_another_beam_map_is_found_by_the_scatter_of_its_fluxes(seed):
    """Fluxes off by 20 % at random: the median over the sources is right."""
    tiles = group(seed, tiles=5)
    factor = np.random.default_rng(seed).normal(1, 0.2, len(tiles["t2"].ra_deg))
    tiles["t2"] = dataclasses.replace(tiles["t2"], flux_jy=tiles["t2"].flux_jy * factor)
    found = find_disagreements(tiles, BEAM, LIMITS)
    assert list(found.wrong) == ["t2"]
    assert 0.05 < found.wrong["t2"].log_scatter < 0.4
