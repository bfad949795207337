"""Templates of a constant simulated sky over several nights: noise, differences of unit width, and what changes."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from click.testing import CliRunner

from contimg.config import QaOptions
from contimg.errors import BusyError, InputError
from contimg.mosaic.grid import MosaicGrid
from contimg.mosaic.mosaic_group import mosaic_group
from contimg.products.gates import judge
from contimg.products.twin import read_twin
from contimg.sky.restoring_beam import RestoringBeam
from contimg.template import stack as stacking
from contimg.template.stack import Epoch, Stack
from contimg.template.update_template import LOCK_FILE, update_template
from contimg.template.versions import newest, strip_of
from tests.support.fake_tiles import DEC_DEG, Sky, TileMaker, strip_sky
from tests.support.mosaics import config_below

CELL = 60.0
STRIP = "dec+54.57"
NIGHT_TILES = 279  # tiles of 309.12 s in a day


def config_of(root, **template):
    return config_below(
        root, mosaic={"cell_arcsec": CELL, "local_noise": False}, template={"confusion_ujy": 0.0, **template}
    )


def make_night(config, night, sky, *, beam=(250.0, 240.0, 20.0), rms_jy=1e-3, scale=1.0):
    """Make the mosaic of two tiles of a night, whose right ascensions differ a little from night to night."""
    maker = TileMaker(config.layout.stage, size=260, cell_arcsec=CELL, beam_arcsec=beam, rms_jy=rms_jy, seed=night)
    sky = Sky(sky.ra_deg, sky.dec_deg, sky.flux_jy * scale)
    twins = [maker.make(NIGHT_TILES * night + i, 127.0 + 0.15 * night + 1.0 * i, sky) for i in range(2)]
    mosaic_id = "mosaic_" + twins[0].stem
    twin = config.layout.twin("mosaic", mosaic_id)
    mosaic_group(
        twins, twin.with_suffix(""), twin, mosaic_id=mosaic_id, options=config.mosaic, pb_limit=0.2, qa=QaOptions()
    )
    return twin


def plane(folder, suffix):
    (path,) = folder.glob(f"*{suffix}.fits")
    with fits.open(path) as hdus:
        return np.squeeze(hdus[0].data).astype(float), hdus[0].header


@pytest.fixture(scope="module")
def sky():
    return strip_sky(25, (125, 130), flux_jy=(0.02, 1.0))


@pytest.fixture(scope="module")
def four(tmp_path_factory, sky):
    """Four nights of one sky, of different noise and beams; the outcome of each."""
    root = tmp_path_factory.mktemp("four")
    config = config_of(root)
    beams = [(250.0, 240.0, 20.0), (245.0, 238.0, 10.0), (255.0, 242.0, 25.0), (252.0, 244.0, 30.0)]
    twins = [make_night(config, n, sky, beam=beams[n], rms_jy=(1 + 0.3 * n) * 1e-3) for n in range(4)]
    return config, twins, [update_template(twin, config) for twin in twins]


def test_each_night_makes_a_version_with_its_own_verdict(four):
    config, twins, outcomes = four
    assert [one.template.id for one in outcomes] == [f"dec+54.57.v{n}" for n in (1, 2, 3, 4)]
    assert {one.template.verdict for one in outcomes} == {"passed"}
    last = outcomes[-1].template
    assert last.facts["epochs"] == [twin.stem for twin in twins]
    assert [record.kind for record in last.inputs] == ["mosaic", "template"]
    assert newest(config.layout, STRIP) == config.layout.templates(STRIP) / "v4.json"
    assert read_twin(newest(config.layout, STRIP)) == last


def test_differences_of_a_constant_sky_have_unit_width(four):
    config, twins, outcomes = four
    assert outcomes[0].difference is None
    for twin, one in zip(twins[1:], outcomes[1:], strict=True):
        assert one.difference.verdict == "passed"
        assert one.difference.qa["difference_width"] == pytest.approx(1, abs=0.05)
        assert one.difference.qa["n_new"] == one.difference.qa["n_brighter"] == one.difference.qa["n_fainter"] == 0
        scaled, header = plane(config.layout.difference(twin.stem), ".difference")
        assert "BUNIT" not in header and header["BTYPE"] == "mosaic minus template over its noise"
        assert np.nanmedian(np.abs(scaled)) * 1.4826 == pytest.approx(1, abs=0.05)
        assert np.nanmax(np.abs(scaled)) < 6


def test_noise_falls_with_the_nights_and_is_what_was_expected(four):
    # Nights of 1, 1.3, 1.6 and 1.9 mJy: 1 / sqrt(1 + 1/1.3^2 + 1/1.6^2 + 1/1.9^2) = 0.665 of the first.
    qa = [one.template.qa for one in four[2]]
    assert qa[-1]["expected_rms_mjy"] / qa[0]["expected_rms_mjy"] == pytest.approx(0.665, rel=0.06)
    assert [one["noise_ratio"] for one in qa] == pytest.approx([1, 1, 1, 1], abs=0.08)
    assert [one["n_epochs"] for one in qa] == [1, 2, 3, 4]


def test_sources_have_their_flux_and_the_array_grows(four, sky):
    config, _, _ = four
    folder = config.layout.templates(STRIP) / "v4"
    image, header = plane(folder, "v4")
    rms, _ = plane(folder, ".rms")
    epochs, _ = plane(folder, ".epochs")
    assert header["NEPOCHS"] == 4 and set(np.unique(epochs)) == {0, 1, 2, 3, 4}
    assert image.shape[1] > plane(config.layout.templates(STRIP) / "v1", "v1")[0].shape[1]
    sigma = np.sqrt(header["BMAJ"] * header["BMIN"]) * 3600 / CELL / 2.35482
    checked = 0
    for x, y, flux in zip(*WCS(header).celestial.all_world2pix(sky.ra_deg, sky.dec_deg, 0), sky.flux_jy, strict=True):
        column, row = round(float(x)), round(float(y))
        if 5 < row < image.shape[0] - 5 and 5 < column < image.shape[1] - 5 and flux > 50 * rms[row, column]:
            off = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * sigma**2))
            assert image[row, column] == pytest.approx(flux * off, rel=0.02, abs=4 * rms[row, column])
            checked += 1
    assert checked >= 8


def test_a_night_goes_in_once_and_order_does_not_matter(four, tmp_path):
    config, twins, _ = four
    again = update_template(twins[1], config)
    assert again.template is None and "already" in again.why_not
    other = config_of(tmp_path)
    shutil.copytree(config.layout.stage / "mosaics", other.layout.stage / "mosaics")
    for number in (0, 2, 1):
        made = update_template(other.layout.twin("mosaic", twins[number].stem), other)
    assert made.template.qa["n_epochs"] == 3
    images = [plane(one.layout.templates(STRIP) / "v3", "v3") for one in (config, other)]
    assert images[0][1]["CRPIX1"] == images[1][1]["CRPIX1"]
    one, same = images[0][0], images[1][0]
    assert one.shape == same.shape and np.array_equal(np.isfinite(one), np.isfinite(same))
    assert np.nanmax(np.abs(one - same)) < 1e-6


def test_one_update_at_a_time(four):
    """While another process updates templates, one sentence and no new version."""
    config, twins, _ = four
    place = config.layout.templates("")
    program = f"""
from contimg.storage import locks
locks.acquire({str(place / LOCK_FILE)!r}, key="paths.stage")
print("held", flush=True)
input()
"""
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    before = sorted(place.rglob("*"))
    with pytest.raises(BusyError, match=r"update\.lock"):
        update_template(twins[1], config)
    holder.communicate("\n", timeout=60)
    assert sorted(place.rglob("*")) == before
    assert "already" in update_template(twins[1], config).why_not


def test_an_interrupted_update_is_finished_by_the_same_command(four, tmp_path, monkeypatch):
    """Interrupted between the difference and the new version: neither half a version nor a lock stays."""
    config, twins, _ = four
    other = config_of(tmp_path)
    shutil.copytree(config.layout.stage / "mosaics", other.layout.stage / "mosaics")
    first, second = (other.layout.twin("mosaic", twins[number].stem) for number in (0, 1))
    update_template(first, other)

    def interrupt(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stacking, "add", interrupt)
        with pytest.raises(KeyboardInterrupt):
            update_template(second, other)
    place = other.layout.templates(STRIP)
    assert newest(other.layout, STRIP).stem == "v1"
    assert sorted(path.name for path in place.iterdir()) == ["v1", "v1.json"]
    made = update_template(second, other)
    assert made.template.qa["n_epochs"] == 2 and made.difference.verdict == "passed"
    image = plane(place / "v2", "v2")[0]
    np.testing.assert_array_equal(image, plane(config.layout.templates(STRIP) / "v2", "v2")[0])


@pytest.fixture
def copied(four, tmp_path):
    """The configuration of a copy of the four nights and their template."""
    shutil.copytree(four[0].layout.stage, tmp_path / "stage")
    return config_of(tmp_path)


def test_what_changed_is_listed(copied, sky):
    flux = sky.flux_jy.copy()
    inside = np.nonzero((np.abs(sky.ra_deg - 127.9) < 1.2) & (np.abs(sky.dec_deg - DEC_DEG) < 0.8))[0]
    brighter, fainter = inside[np.argsort(flux[inside])[[0, -1]]]
    flux[brighter] += 0.05
    flux[fainter] *= 0.5
    changed = Sky(np.r_[sky.ra_deg, 127.75], np.r_[sky.dec_deg, DEC_DEG + 0.05], np.r_[flux, 0.04])
    done = update_template(make_night(copied, 4, changed), copied)
    assert (done.difference.qa["n_new"], done.difference.qa["n_fainter"]) == (1, 1)
    with open(next(copied.layout.difference(done.difference.id).glob("*.changes.csv")), newline="") as file:
        rows = {row["kind"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"new", "brighter", "fainter"}
    assert float(rows["new"]["difference_jy"]) == pytest.approx(0.04, abs=4 * float(rows["new"]["e_difference_jy"]))
    assert float(rows["new"]["ra_deg"]) == pytest.approx(127.75, abs=0.02)
    assert float(rows["brighter"]["ra_deg"]) == pytest.approx(sky.ra_deg[brighter], abs=0.02)
    assert float(rows["fainter"]["difference_jy"]) == pytest.approx(-0.5 * sky.flux_jy[fainter], rel=0.1)
    assert any(note.startswith("new: +") for note in done.difference.notes)


def test_a_flux_scale_off_by_less_than_its_error_changes_nothing(copied, tmp_path, sky):
    twin = make_night(copied, 4, sky, scale=1.02)
    # With a limit below the noise itself, the night stays out.
    done = update_template(twin, config_of(tmp_path, max_width=0.5, max_width_error=0.01))
    assert done.template is None and "template.max_width" in done.why_not
    assert newest(copied.layout, STRIP).stem == "v4"
    done = update_template(twin, copied)
    assert done.difference.qa["n_brighter"] == done.difference.qa["n_fainter"] == done.difference.qa["n_new"] == 0
    assert done.template.qa["n_epochs"] == 5


class TestLeftOut:
    def test_a_wider_beam(self, copied, sky):
        done = update_template(make_night(copied, 4, sky, beam=(290.0, 240.0, 20.0)), copied)
        assert done.template is None and done.difference is None and "wider" in done.why_not

    def test_a_failed_mosaic(self, four, tmp_path):
        strict = config_below(tmp_path, qa={"max_noise_ratio": 0.02, "warn_noise_ratio": 0.01})
        done = update_template(four[1][0], strict)
        assert done.template is None and done.why_not.endswith("failed")
        assert newest(strict.layout, STRIP) is None

    def test_a_tangent_plane_is_refused(self, four, tmp_path):
        config, twins, _ = four
        other = config_of(tmp_path)
        shutil.copytree(config.layout.stage / "mosaics", other.layout.stage / "mosaics")
        twin = other.layout.twin("mosaic", twins[0].stem)
        path = twin.with_suffix("") / f"{twin.stem}.fits"
        with fits.open(path) as hdus:
            data, header = np.squeeze(hdus[0].data).copy(), hdus[0].header
        header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
        for key in ("PV2_1", "PV2_2"):
            header.remove(key, ignore_missing=True)
        fits.PrimaryHDU(data, header).writeto(path, overwrite=True)
        with pytest.raises(InputError, match="tangent plane"):
            update_template(twin, other)


class TestStack:
    GRID = MosaicGrid((127.0, 30.0), 1 / 60, (51, 41), (80, 100))
    BEAM = RestoringBeam.from_degrees(0.07, 0.07, 0.0)

    def stack(self, value=np.nan, weight=0.0):
        shape = self.GRID.shape
        full = np.full(shape, value, np.float32), np.full(shape, weight, np.float32), np.zeros(shape, np.int16)
        return Stack(self.GRID, self.BEAM, *full)

    def epoch(self, value, rms):
        image = np.full(self.GRID.shape, value, np.float32)
        image[:, :10] = np.nan
        return Epoch(image, np.where(np.isnan(image), np.nan, rms).astype(np.float32))

    def test_weighted_mean_of_two(self):
        made = stacking.add(stacking.add(self.stack(), self.epoch(1.0, 1.0)), self.epoch(4.0, 0.5))
        # (1 + 4 x 4) / (1 + 4), noise 1 / sqrt(5).
        assert made.image[:, 10:] == pytest.approx(3.4, rel=1e-6) and np.isnan(made.image[:, :10]).all()
        assert made.weights[:, 10:] == pytest.approx(5) and (made.epochs[:, 10:] == 2).all()
        assert made.expected_rms(0.0)[:, 10:] == pytest.approx(5**-0.5, rel=1e-6)
        # Confusion does not average down: sqrt(1/5 + 0.3^2).
        assert made.expected_rms(0.3)[:, 10:] == pytest.approx(0.29**0.5, rel=1e-6)

    def test_difference_and_its_noise(self):
        difference, sigma = stacking.difference(self.stack(3.0, 4.0), self.epoch(5.0, 1.2))
        assert difference[:, 10:] == pytest.approx(2.0) and sigma[:, 10:] == pytest.approx(1.3)  # sqrt(1.44 + 1/4)
        assert np.isnan(difference[:, :10]).all() and np.isnan(sigma[:, :10]).all()


def test_strips_are_named_by_declination_and_found_again(tmp_path):
    layout = config_of(tmp_path).layout
    assert strip_of(layout, 54.57, 0.1) == STRIP and strip_of(layout, -5.0, 0.1) == "dec-05.00"
    for name in ("dec+54.50", "dec+54.60", "dec-05.00"):
        layout.templates(name).mkdir(parents=True)
    assert strip_of(layout, 54.57, 0.1) == "dec+54.60"
    assert strip_of(layout, 54.75, 0.1) == "dec+54.75"


def test_gates(tmp_path):
    options = {"template": config_of(tmp_path).template}
    assert judge("difference", {"difference_width": 1.1}, options) == []
    assert [r.code for r in judge("difference", {"difference_width": 1.3}, options)] == ["difference_width_off"]
    assert [r.code for r in judge("difference", {"difference_width": 0.7}, options)] == ["difference_width_off"]
    assert [r.code for r in judge("template", {"noise_ratio": 1.6}, options)] == ["noise_ratio_high"]


def test_command(four, tmp_path, monkeypatch):
    from contimg.cli.entry import main

    config, twins, _ = four
    monkeypatch.chdir(tmp_path)
    shutil.copytree(config.layout.stage / "mosaics", tmp_path / "stage" / "mosaics")
    (tmp_path / "c.yaml").write_text("template: {confusion_ujy: 0.0}\nmosaic: {cell_arcsec: 60.0}\n")
    ids = [twin.stem for twin in twins[:2]]
    done = CliRunner().invoke(main, ["-c", "c.yaml", "-d", str(tmp_path), "template", *ids])
    assert done.exit_code == 0, done.output
    assert "template dec+54.57.v1: verdict passed, 1 mosaics" in done.output
    assert "template dec+54.57.v2: verdict passed, 2 mosaics" in done.output
    assert f"{ids[1]}: verdict passed, differences" in done.output
    again = CliRunner().invoke(main, ["-c", "c.yaml", "-d", str(tmp_path), "template", ids[0]])
    assert again.exit_code == 3 and "not in the template" in again.output
