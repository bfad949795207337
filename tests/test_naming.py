from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contimg import naming
from contimg.errors import InputError, UnknownIdError

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2039, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
LAYOUT = naming.Layout(Path("/in"), Path("/stage"), Path("/products"), Path("/state"))


@given(MOMENTS, st.integers(0, 15))
def test_subband_names_survive_a_round_trip(moment, subband):
    name = naming.SubbandName(moment, subband)
    assert naming.SubbandName.parse(str(name)) == name


def test_subband_name_of_the_reference_document():
    name = naming.SubbandName.parse("2026-01-25T00:00:10_sb03.hdf5")
    assert name == naming.SubbandName(datetime(2026, 1, 25, 0, 0, 10, tzinfo=UTC), 3)


@pytest.mark.parametrize(
    "name",
    [
        "2026-01-25T00:00:10_sb03_incomplete.hdf5",
        "2026-01-25T00:00:10_sb3.hdf5",
        "2026-02-30T00:00:10_sb03.hdf5",
        "2026-01-25T00:00:10_sb03.hdf5.tmp",
        "notes.txt",
    ],
)
def test_other_names_are_not_subband_files(name):
    assert naming.SubbandName.parse(name) is None


@given(MOMENTS)
def test_ids_convert_between_their_two_forms(moment):
    tile = moment.strftime("%Y-%m-%dT%H:%M:%S")
    assert naming.iso(naming.stem(tile)) == tile
    assert naming.parse_id(naming.mosaic_id(tile)) == moment
    assert ":" not in naming.stem(tile)


def test_id_from_mjd_floors_to_the_second():
    # MJD 61082 is 2026-02-11 (astropy: Time(61082, format='mjd').iso)
    assert naming.id_from_mjd(61082 + (26 * 60 + 49.9) / 86400) == "2026-02-11T00:26:49"
    # a float64 Julian Date is granular by 40 us: just below a second counts as that second
    assert naming.id_from_mjd(61082 + 49.99995 / 86400) == "2026-02-11T00:00:50"


def test_mosaic_id_of_the_design_document():
    assert naming.mosaic_id("2026-02-11T00:26:49") == "mosaic_20260211T002649"
    assert naming.as_mosaic_id("2026-02-11T00:26:49") == "mosaic_20260211T002649"
    assert naming.as_mosaic_id("mosaic_20260211T002649") == "mosaic_20260211T002649"


@pytest.mark.parametrize("text", ["cal_20260211T002649", "mosaic", "20260211", "2026-02-11T00:26:4"])
def test_what_is_no_mosaic_id_is_refused_with_the_right_form(text):
    with pytest.raises(UnknownIdError, match="mosaic_"):
        naming.as_mosaic_id(text)


def test_a_bad_id_names_both_forms():
    with pytest.raises(InputError, match="2026-02-11T00:26:49 or 20260211T002649"):
        naming.parse_id("yesterday")


def test_products_stand_where_the_design_says():
    tile = "2026-02-11T00:26:49"
    assert str(LAYOUT.product("ms", tile)) == "/stage/ms/2026-02-11/20260211T002649.ms"
    assert str(LAYOUT.twin("ms", tile)) == "/stage/ms/2026-02-11/20260211T002649.json"
    assert str(LAYOUT.twin("image", tile)) == "/stage/images/2026-02-11/20260211T002649.json"
    calibration = naming.calibration_id(tile)
    assert str(LAYOUT.product("calibration", calibration)) == "/stage/calibrations/2026-02-11/cal_20260211T002649"
    assert str(LAYOUT.twin("published", tile)) == "/stage/published/2026-02-11/mosaic_20260211T002649.json"
    assert str(LAYOUT.bundle(tile, 1)) == "/products/mosaics/2026-02-11/mosaic_20260211T002649"
    assert LAYOUT.bundle(tile, 2) != LAYOUT.bundle(tile, 1)
    assert LAYOUT.bundle(tile, 2).parent == LAYOUT.bundle(tile, 1).parent
