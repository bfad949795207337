"""The beam measured from tile images on the stage."""

import json
import math

import pytest
from click.testing import CliRunner

from contimg import naming
from contimg.cli import main
from contimg.config import BeamOptions
from contimg.errors import InputError, UnknownIdError
from contimg.operations.beam_measurement import measure_beam
from contimg.products.twin import read_twin, write_twin
from tests.support.fake_tiles import DEC_DEG, TILE_S, TileMaker, strip_sky
from tests.support.mosaics import config_below

STEP_DEG = TILE_S / 240 * 1.0027379
RA_DEG = 120.0
EMPTY = "2026-02-12T00:00:00"


def write_catalogue(path, sky, factor=1.0):
    lines = ["name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index"]
    for number, (ra, dec, flux) in enumerate(zip(sky.ra_deg, sky.dec_deg, sky.flux_jy, strict=True)):
        lines.append(f"s{number},{ra},{dec},{flux * factor},1.4e9,0.0")
    path.write_text("\n".join(lines) + "\n")


def commit(config, tiles):
    """Write the membership of a group, as the plan does, and the parameters that real image twins have."""
    for path in tiles:
        twin = read_twin(path)
        write_twin(path, twin.model_copy(update={"parameters": {"beam": BeamOptions().model_dump()}}))
    members = [{"id": read_twin(path).id, "name_time": read_twin(path).id, "files": []} for path in tiles]
    place = config.layout.group(members[0]["id"])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"id": members[0]["id"], "tiles": members}))
    return naming.mosaic_id(members[0]["id"])


def _members(config, mosaic):
    return json.loads(config.layout.group(naming.iso(mosaic)).read_text())["tiles"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Two groups of two tiles each, whose fluxes are those of the catalogue times 1.1, and a group without images."""
    root = tmp_path_factory.mktemp("beam")
    sky = strip_sky(220, (RA_DEG - 3.0, RA_DEG + 7.0), flux_jy=(0.1, 2.0))
    write_catalogue(root / "catalogue.csv", sky, 1 / 1.1)
    config = config_below(root, sky={"catalogue": str(root / "catalogue.csv")}, image={"pb_limit": 0.2})
    maker = TileMaker(config.layout.stage, 420, 40.0, (100.0, 100.0, 0.0), dec_deg=DEC_DEG)
    tiles = [maker.make(number, RA_DEG + number * STEP_DEG, sky) for number in range(4)]
    names = [commit(config, tiles[:2]), commit(config, tiles[2:])]
    (config.layout.stage / "groups" / "20260212T000000.json").write_text(
        json.dumps({"id": EMPTY, "tiles": [{"id": EMPTY, "name_time": EMPTY, "files": []}]})
    )
    (root / "night.yaml").write_text(
        json.dumps({"paths": {k: str(v) for k, v in config.paths}, "sky": {"catalogue": str(root / "catalogue.csv")}})
    )
    return config, names


def test_images_divided_by_the_right_beam_show_no_other(stage):
    config, names = stage
    found = measure_beam(config)
    assert [one.mosaics for one in found] == [(names[0],), (names[1],), tuple(names)]
    assert [one.n_tiles for one in found] == [2, 2, 4]
    for one in found:
        fit = one.fit
        assert fit is not None and one.problem is None
        assert abs(fit.east_deg) < 4 * fit.e_east_deg and abs(fit.north_deg) < 4 * fit.e_north_deg
        assert fit.fwhm_scale == pytest.approx(1, abs=4 * fit.e_fwhm_scale)
        assert fit.flux_scale == pytest.approx(1.1, abs=4 * fit.e_flux_scale) and fit.e_flux_scale < 0.04
    assert found[-1].fit.n_sources > found[0].fit.n_sources


def test_one_mosaic_by_its_name(stage):
    config, names = stage
    (only,) = measure_beam(config, [names[1]])
    assert only.mosaics == (names[1],) and only.n_tiles == 2


def test_what_cannot_be_measured_is_said(stage):
    config, _ = stage
    with pytest.raises(UnknownIdError, match="contimg status"):
        measure_beam(config, ["mosaic_20200101T000000"])
    with pytest.raises(InputError, match="has tile images: run snakemake first"):
        measure_beam(config, ["mosaic_20260212T000000"])


def test_the_drift_alone_gives_the_offset_to_the_east_and_the_width(stage):
    """The fluxes need not be known: each source stands at several places of the beam."""
    config, _ = stage
    without = config.model_copy(update={"sky": config.sky.model_copy(update={"catalogue": None})})
    fit = measure_beam(without)[-1].fit
    assert abs(fit.east_deg) < 4 * fit.e_east_deg < 0.1
    assert fit.fwhm_scale == pytest.approx(1, abs=4 * fit.e_fwhm_scale) and fit.e_fwhm_scale < 0.02
    assert fit.north_deg == 0 and math.isinf(fit.e_north_deg) and math.isnan(fit.flux_scale)


def test_each_tile_counts_with_the_beam_that_it_was_divided_by(stage):
    """Two tiles that say they were divided by a wider beam have fluxes that say the beam is wider."""
    config, names = stage
    twins = [config.layout.twin("image", tile["id"]) for tile in _members(config, names[0])]
    before = [read_twin(path) for path in twins]
    for path, twin in zip(twins, before, strict=True):
        other = BeamOptions(fwhm_scale=1.1, offset_deg=[0.0, 0.1]).model_dump()
        write_twin(path, twin.model_copy(update={"parameters": {"beam": other}}))
    first, second, _ = (one.fit for one in measure_beam(config))
    for path, twin in zip(twins, before, strict=True):
        write_twin(path, twin)
    assert first.fwhm_scale == pytest.approx(1.1, abs=4 * first.e_fwhm_scale)
    assert first.north_deg == pytest.approx(0.1, abs=4 * first.e_north_deg)
    assert second.fwhm_scale == pytest.approx(1, abs=4 * second.e_fwhm_scale)


def test_command(stage):
    config, names = stage
    night = str(config.paths.stage.parent / "night.yaml")
    shown = CliRunner().invoke(main, ["-c", night, "beam", "measure"])
    assert shown.exit_code == 0, shown.output
    assert "In the configuration:\nbeam:\n  offset_deg: [" in shown.stdout
    said = json.loads(CliRunner().invoke(main, ["-c", night, "beam", "measure", names[0], "--json"]).stdout)
    assert said[0]["mosaics"] == [names[0]] and said[0]["flux_scale"] == pytest.approx(1.1, abs=0.1)
