"""The beam measured in channel groups of tile images, whose beams are Gaussians, and the command that writes it."""

import json
import math

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from contimg import naming
from contimg.cli import main
from contimg.errors import InputError, UnknownIdError
from contimg.operations.beam_bands import measure_cube
from contimg.sky.beam_cube import read_cube
from tests.operations.test_beam_measurement import commit, write_catalogue
from tests.support.fake_tiles import FWHM_PB_DEG, TILE_S, Sky, TileMaker
from tests.support.mosaics import config_below

STEP_DEG = TILE_S / 240 * 1.0027379
RA_DEG, DEC_DEG = 120.0, 0.0  # a drift on the equator moves all sources alike
BANDS_HZ = (1.325e9, 1.365e9, 1.405e9, 1.445e9, 1.485e9)


def _sky(n, ra_deg):
    """Return sources on the equator, none closer than 0.15 deg to another, as far north and south as the beam."""
    rng, places = np.random.default_rng(3), []
    while len(places) < n:
        place = np.array([rng.uniform(*ra_deg), DEC_DEG + rng.uniform(-2.2, 2.2)])
        if all(np.hypot(*(place - other)) > 0.15 for other in places):
            places.append(place)
    ra, dec = np.array(places).T
    return Sky(ra, dec, np.exp(rng.uniform(*np.log((0.3, 3.0)), size=n)))


def _gaussian(radius_rad, freq_hz):
    """Return a beam as wide as the wavelength is long."""
    return np.exp(-4 * math.log(2) * (np.degrees(radius_rad) / (FWHM_PB_DEG * 1.405e9 / freq_hz)) ** 2)


class DriftingTiles(TileMaker):
    """Tiles whose channel groups show sources as they drift through a Gaussian beam."""

    def _write_groups(self, folder, tile_id, wcs, sky, ra_deg, beam, index):
        whole = np.zeros((self.size, self.size))
        self._add_sources(whole, wcs, sky, ra_deg, beam)
        whole /= self.beam_map(wcs, ra_deg)
        y, x = np.radians(self.cell_arcsec / 3600) * (np.mgrid[: self.size, : self.size] - self.size // 2)
        drift = np.radians(((np.arange(25) + 0.5) / 25 - 0.5) * STEP_DEG)
        files = {}
        for number, hz in enumerate(self.groups_hz):
            pb = np.mean([_gaussian(np.hypot(x - part, y), hz) for part in drift], axis=0)
            noise = self._noise(1000 * (number + 1) + index, beam, self.rms_jy * len(self.groups_hz) ** 0.5)
            for name, data in (("image", whole * pb + noise), ("pb", pb)):
                files[f"group{number}.{name}"] = f"{naming.stem(tile_id)}.group{number}.{name}.fits"
                fits.PrimaryHDU(data.astype(np.float32), wcs.to_header()).writeto(
                    folder / files[f"group{number}.{name}"]
                )
        return files


def _stage(root, groups_hz, tiles=6):
    sky = _sky(350, (RA_DEG - 2.5, RA_DEG + 2.5 + tiles * STEP_DEG))
    write_catalogue(root / "catalogue.csv", sky)
    config = config_below(root, sky={"catalogue": str(root / "catalogue.csv")}, image={"pb_limit": 0.2})
    maker = DriftingTiles(
        config.layout.stage, 420, 40.0, (100.0, 100.0, 0.0), dec_deg=DEC_DEG, groups_hz=groups_hz, spectral_index=0.0
    )
    made = [maker.make(number, RA_DEG + number * STEP_DEG, sky) for number in range(tiles)]
    names = [commit(config, made[: tiles // 2]), commit(config, made[tiles // 2 :])]
    (root / "night.yaml").write_text(
        json.dumps({"paths": {k: str(v) for k, v in config.paths}, "sky": {"catalogue": str(root / "catalogue.csv")}})
    )
    return config, names


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    return _stage(tmp_path_factory.mktemp("bands"), BANDS_HZ)


def test_the_cube_gives_back_the_tiles_beams_to_a_per_cent(stage, tmp_path):
    """They were seen through Gaussians, which are no Airy patterns, while they drifted by."""
    config, names = stage
    found = measure_cube(config, (), tmp_path / "beam.fits")
    assert found.mosaics == tuple(names) and found.n_tiles == 6
    assert [band.freq_hz for band in found.bands] == list(BANDS_HZ)
    cube = read_cube(tmp_path / "beam.fits")
    east_deg, north_deg = found.offset_deg
    assert math.hypot(east_deg, north_deg) < 0.01
    for freq_hz in BANDS_HZ:
        width_deg = FWHM_PB_DEG * 1.405e9 / freq_hz
        far = width_deg * math.sqrt(math.log(1 / 0.2) / math.log(2)) / 2  # where it is a fifth
        radius, angle = np.meshgrid(np.radians(np.linspace(0, far, 12)), np.radians(45 * np.arange(8)))
        # The cube's axis is off the dishes' by the offset that was found with it.
        seen = cube.power(
            radius * np.sin(angle) - math.radians(east_deg), radius * np.cos(angle) - math.radians(north_deg), freq_hz
        )
        assert np.abs(seen / _gaussian(radius, freq_hz) - 1).max() < 0.01


def test_nights_are_named_by_their_date(stage, tmp_path):
    config, names = stage
    night = naming.date(names[0])
    assert measure_cube(config, (night,), tmp_path / "a.fits").mosaics == tuple(names)
    assert measure_cube(config, (names[1],), tmp_path / "b.fits").mosaics == (names[1],)
    with pytest.raises(UnknownIdError, match="no group of mosaic or night 2020-01-01"):
        measure_cube(config, ("2020-01-01",), tmp_path / "c.fits")
    assert not (tmp_path / "c.fits").exists()


def test_what_is_missing_is_said(stage, tmp_path):
    config, _ = stage
    without = config.model_copy(update={"sky": config.sky.model_copy(update={"catalogue": None})})
    with pytest.raises(InputError, match=r"name one in sky\.catalogue"):
        measure_cube(without, (), tmp_path / "a.fits")
    whole, _ = _stage(tmp_path, (), tiles=2)
    with pytest.raises(InputError, match=r"imaged in 0 channel groups.*set image\.channel_groups to 16"):
        measure_cube(whole, (), tmp_path / "a.fits")


def test_a_stage_without_images_is_said_as_without_cube(tmp_path):
    config = config_below(tmp_path)
    config.layout.stage.mkdir(parents=True, exist_ok=True)
    with pytest.raises(InputError, match="has tile images: run snakemake first"):
        measure_cube(config, (), tmp_path / "a.fits")


def test_command(stage, tmp_path):
    config, _ = stage
    night = str(config.paths.stage.parent / "night.yaml")
    cube = tmp_path / "beam.fits"
    shown = CliRunner().invoke(main, ["-c", night, "beam", "measure", "--cube", str(cube)])
    assert shown.exit_code == 0, shown.output
    assert f"beam:\n  cube: {cube}\n  offset_deg: [" in shown.stdout
    said = json.loads(CliRunner().invoke(main, ["-c", night, "beam", "measure", "--cube", str(cube), "--json"]).stdout)
    assert said["tiles"] == 6 and [band["freq_mhz"] for band in said["bands"]] == [hz / 1e6 for hz in BANDS_HZ]
    assert all(band["error_at_0.2"] < 0.05 for band in said["bands"])
