"""The primary beam of a group: the table of fluxes in tiles, the numbers of the fit, and what the gates say of them."""

import pytest

from contimg.config import BeamOptions, QaOptions
from contimg.crossmatch.group_beam import measure_group_beam
from contimg.errors import InputError
from contimg.mosaic.tile_fluxes import write_tile_fluxes
from contimg.products import gates
from contimg.products.numbers import CrossmatchQa
from tests.support.beam_observations import observe


def judged(numbers):
    qa = CrossmatchQa(**numbers).model_dump()
    return {r.code: r.message for r in gates.judge("crossmatch", qa, {"qa": QaOptions()}) if r.code.startswith("beam_")}


def test_a_beam_off_its_axis_and_too_wide_is_named_with_numbers(tmp_path):
    tiles, known = observe(7, east=0.06, north=0.125, width=1.1)
    write_tile_fluxes(tmp_path / "t.csv", tiles)
    found = measure_group_beam(tmp_path / "t.csv", known, BeamOptions())
    numbers = found.numbers
    assert abs(numbers["beam_offset_deg"] - 0.1387) < 3.5 * numbers["e_beam_offset_deg"] < 0.07
    for key, true in (("beam_east_deg", 0.06), ("beam_north_deg", 0.125), ("beam_width", 1.1), ("beam_flux_scale", 1)):
        assert abs(numbers[key] - true) < 3.5 * numbers[f"e_{key}"]
    said = judged(numbers)
    assert set(said) == {"beam_offset_deg_high", "beam_width_off"}
    east, north = numbers["beam_east_deg"], numbers["beam_north_deg"]
    assert f"beam.offset_deg: [{east:.3f}, {north:.3f}]" in said["beam_offset_deg_high"]
    assert found.sentence.startswith("primary beam: axis +0.0")


def test_the_right_beam_gives_no_reason(tmp_path):
    tiles, known = observe(8)
    write_tile_fluxes(tmp_path / "t.csv", tiles)
    assert judged(measure_group_beam(tmp_path / "t.csv", known, BeamOptions()).numbers) == {}


def test_tiles_divided_by_the_right_beam_are_judged_by_what_is_left(tmp_path):
    """Fluxes that were divided by another beam than the nominal one, which is that of the sky."""
    beam = BeamOptions(offset_deg=[0.0, 0.125])
    tiles, known = observe(9, north=0.125, divided_north=0.125)
    write_tile_fluxes(tmp_path / "t.csv", [one.__class__(**vars(one) | {"divided_by": beam}) for one in tiles])
    numbers = measure_group_beam(tmp_path / "t.csv", known, BeamOptions()).numbers
    assert abs(numbers["beam_north_deg"] - 0.125) < 3.5 * numbers["e_beam_north_deg"]
    assert judged(numbers) == {}


def test_few_sources_are_said_and_give_no_number(tmp_path):
    tiles, known = observe(8)
    write_tile_fluxes(tmp_path / "t.csv", tiles[:1])
    found = measure_group_beam(tmp_path / "t.csv", known.select([0, 1, 2]), BeamOptions())
    assert found.numbers == {} and "not measured: only" in found.sentence
    assert judged(found.numbers) == {}


def test_a_group_without_any_bright_source_gives_no_number(tmp_path):
    write_tile_fluxes(tmp_path / "t.csv", [])
    found = measure_group_beam(tmp_path / "t.csv", observe(8)[1], BeamOptions())
    assert found.numbers == {} and "no tile has an isolated source" in found.sentence


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "tile\nx\n"])
def test_another_table_is_refused(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=r"t\.csv is not a table of fluxes in tiles"):
        measure_group_beam(tmp_path / "t.csv", observe(8)[1], BeamOptions())
