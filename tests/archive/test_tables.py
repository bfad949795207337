"""The archive's tables: what a row says, and tables of many months against astropy's own stacking."""

import numpy as np
import pytest
from astropy import constants
from astropy import units as u
from astropy.io import fits
from astropy.io.votable import parse
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table, vstack
from mocpy import MOC
from pyvo.dal import DALResults

from contimg.archive import tables
from tests.archive.entry import made, unmeasured
from tests.support.validators import assert_fitsverify, assert_votlint

WIDE = {"data_id": "mosaic_20260311T002649", "name": "mosaic_20260311T002649.v12", "version": 12,
        "path": "/archive/mosaics/2026-03-11/mosaic_20260311T002649.v12", "verdict": "warning"}  # fmt: skip
MONTHS = [
    [made(), made(synthetic=True, rms_mjy=4.0)],
    [unmeasured(data_id="m")],
    [made(**WIDE), unmeasured(**WIDE), made()],
]


def test_a_row_in_the_units_of_obscore():
    row = tables.obscore_row(made())
    assert row["obs_id"] == "mosaic_20260211T002649"
    assert row["obs_publisher_did"] == "ivo://dsa110.ovro/continuum?mosaic_20260211T002649"
    assert row["datalink_url"] == "file:///archive/gallery/2026-02/mosaic_20260211T002649.datalink.vot"
    place = "file:///archive/mosaics/2026-02-11/mosaic_20260211T002649/data/mosaic_20260211T002649.fits"
    assert (row["access_url"], row["access_estsize"]) == (place, 17)
    assert (row["s_ra"], row["s_dec"], row["s_fov"], row["s_resolution"]) == (12.5, 37.1, 1.2, 14.44)
    assert (row["s_xel1"], row["s_xel2"], row["t_exptime"], row["t_resolution"]) == (640, 480, 600.0, 300.0)
    region = "POLYGON ICRS 13.000000 36.500000 12.000000 36.500000 12.000000 37.500000 13.000000 37.500000"
    assert row["s_region"] == region
    for key, frequency in (("em_min", 1.495e9), ("em_max", 1.315e9)):
        wavelength = (frequency * u.Hz).to_value(u.m, equivalencies=u.spectral())
        assert row[key] == pytest.approx(wavelength, rel=1e-12)
    assert row["em_res_power"] == pytest.approx(1405 / 180)
    assert row["em_max"] - row["em_min"] == pytest.approx(constants.c.value * 1.8e8 / (1.495e9 * 1.315e9))


def test_what_a_bundle_does_not_state_is_none():
    row = tables.obscore_row(unmeasured())
    unknown = {key for key, value in row.items() if value is None}
    assert unknown == {
        "access_estsize", "s_ra", "s_dec", "s_fov", "s_region", "s_xel1", "s_xel2", "s_resolution", "t_min", "t_max",
        "t_exptime", "t_resolution", "em_min", "em_max", "em_res_power", "rms_mjy",
    }  # fmt: skip
    table = tables.obscore([unmeasured()])
    assert {name for name in table.colnames if table[name].mask[0]} == unknown


def test_the_band_is_that_of_the_data_not_of_the_mean_frequency():
    """Channels lost at the upper end move the mean frequency, not the limits of what is left."""
    row = tables.obscore_row(made(freq_hz=1.39e9, bandwidth_hz=1.5e8, band_hz=(1.311e9, 1.499e9)))
    assert (row["em_min"], row["em_max"]) == pytest.approx((299792458 / 1.499e9, 299792458 / 1.311e9), rel=1e-12)
    assert row["em_res_power"] == pytest.approx(1405 / 188)


def test_what_a_column_holds_is_said(tmp_path):
    tables.write_votable(tmp_path / "a.vot", [made()], tmp_path)
    tables.write_fits(tmp_path / "a.fits", [made()], tmp_path)
    said = {
        field.name: " ".join(str(field.description).split())
        for field in parse(tmp_path / "a.vot").get_first_table().fields
    }
    assert "half of its 95th percentile" in said["rms_mjy"] and "median" in said["t_exptime"]
    header = fits.getheader(tmp_path / "a.fits", 1)
    number = list(Table.read(tmp_path / "a.fits").colnames).index("rms_mjy") + 1
    assert header[f"TCOMM{number}"] == said["rms_mjy"]


def equal(found, expected):
    assert len(found) == len(expected) and found.colnames == expected.colnames
    for name in expected.colnames:
        one, other = np.ma.asarray(found[name]), np.ma.asarray(expected[name])
        assert np.array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(other)), name
        assert one.compressed().astype(other.dtype).tolist() == other.compressed().tolist(), name


@pytest.mark.parametrize("months", [MONTHS, MONTHS[::-1], MONTHS[1:2], [[made()], [made()]]])
def test_joined_fits_tables_are_the_table_of_all(tmp_path, months):
    parts = [tmp_path / f"{number}.fits" for number in range(len(months))]
    for part, entries in zip(parts, months, strict=True):
        tables.write_fits(part, entries, tmp_path)
    tables.join_fits(tmp_path / "all.fits", parts)
    with fits.open(tmp_path / "all.fits", checksum=True) as opened:
        opened.verify("exception")
        assert opened[1].name == "OBSCORE" and (tmp_path / "all.fits").stat().st_size % 2880 == 0
    found = Table.read(tmp_path / "all.fits")
    equal(found, vstack([Table.read(part) for part in parts]))
    whole = tmp_path / "whole.fits"
    tables.write_fits(whole, [entry for entries in months for entry in entries], tmp_path)
    equal(found, Table.read(whole))


@pytest.mark.parametrize("months", [MONTHS, MONTHS[::-1], MONTHS[1:2]])
def test_joined_votables_are_the_table_of_all(tmp_path, months):
    parts = [tmp_path / f"{number}.vot" for number in range(len(months))]
    for part, entries in zip(parts, months, strict=True):
        tables.write_votable(part, entries, tmp_path)
    tables.join_votables(tmp_path / "all.vot", parts)
    found = parse(tmp_path / "all.vot", verify="exception").get_first_table()
    expected = tables.obscore([entry for entries in months for entry in entries])
    for name in expected.colnames:
        if expected[name].dtype.kind == "U":  # an unknown text is an empty one: TABLEDATA has no null for texts
            expected[name] = ["" if value is np.ma.masked else value for value in expected[name]]
    equal(found.to_table(), expected)
    assert {field.name: field.ucd for field in found.fields}["s_ra"] == "pos.eq.ra"
    assert {field.name: str(field.unit) for field in found.fields}["rms_mjy"] == "mJy / beam"


def test_text_of_a_person_stays_text_in_a_votable(tmp_path):
    tables.write_votable(tmp_path / "a.vot", [made(data_id="a<b>&'\"</TABLEDATA>")], tmp_path)
    tables.join_votables(tmp_path / "all.vot", [tmp_path / "a.vot", tmp_path / "a.vot"])
    table = parse(tmp_path / "all.vot", verify="exception").get_first_table().to_table()
    assert list(table["obs_id"]) == ["a<b>&'\"</TABLEDATA>"] * 2


def test_of_no_months_there_are_tables_without_rows(tmp_path):
    tables.join_fits(tmp_path / "all.fits", [])
    tables.join_votables(tmp_path / "all.vot", [])
    tables.join_coverage(tmp_path / "all.moc.fits", [])
    names = Table.read(tmp_path / "all.fits").colnames
    assert len(Table.read(tmp_path / "all.fits")) == 0 and len(names) == 35
    votable = parse(tmp_path / "all.vot", verify="exception").get_first_table()
    assert len(votable.array) == 0 and [field.name for field in votable.fields] == names
    assert MOC.from_fits(str(tmp_path / "all.moc.fits")).empty()


def test_coverage_is_the_union(tmp_path):
    """Of HEALPix cells of order 11, each 4 pi / (12 4^11): two mosaics of three cells, of which they share one."""
    for name, cells in (("a", [0, 1, 2]), ("b", [2, 3, 4])):
        moc = MOC.from_healpix_cells(np.array(cells, np.uint64), np.full(3, 11, np.uint8), 11)
        moc.save(str(tmp_path / f"{name}.moc.fits"), format="fits")
    entries = [made(moc="a.moc.fits"), unmeasured(), made(moc="b.moc.fits")]
    tables.write_coverage(tmp_path / "all.fits", entries, tmp_path)
    union = MOC.from_fits(str(tmp_path / "all.fits"))
    assert union.flatten().tolist() == [0, 1, 2, 3, 4]
    assert union.sky_fraction == pytest.approx(5 / (12 * 4**11))
    tables.write_coverage(tmp_path / "one.fits", entries[:2], tmp_path)
    assert MOC.from_fits(str(tmp_path / "one.fits")).flatten().tolist() == [0, 1, 2]


@pytest.mark.fitsverify
@pytest.mark.stilts
@pytest.mark.parametrize("months", [MONTHS, []], ids=["three", "none"])
def test_validators_find_nothing(tmp_path, months):
    """STILTS, CFITSIO, astropy's list of UCDs."""
    for number, entries in enumerate(months):
        tables.write_votable(tmp_path / f"{number}.vot", entries, tmp_path)
        tables.write_fits(tmp_path / f"{number}.fits", entries, tmp_path)
    tables.join_votables(tmp_path / "all.vot", [tmp_path / f"{number}.vot" for number in range(len(months))])
    tables.join_fits(tmp_path / "all.fits", [tmp_path / f"{number}.fits" for number in range(len(months))])
    assert_votlint(tmp_path / "all.vot")
    assert_fitsverify(tmp_path / "all.fits")
    for field in parse(tmp_path / "all.vot").get_first_table().fields:
        assert check_ucd(field.ucd, check_controlled_vocabulary=True), field.name


def test_columns_say_what_they_are_in_the_data_model(tmp_path):
    """Utypes of the recommendation's table 5, in VOTable and, as TOPCAT reads them, in FITS."""
    tables.write_votable(tmp_path / "a.vot", [made()], tmp_path)
    tables.write_fits(tmp_path / "a.fits", [made()], tmp_path)
    utypes = {field.name: field.utype for field in parse(tmp_path / "a.vot").get_first_table().fields}
    header = fits.getheader(tmp_path / "a.fits", 1)
    numbers = {header[f"TTYPE{number}"]: number for number in range(1, header["TFIELDS"] + 1)}
    assert {name: header.get(f"TUTYP{number}") for name, number in numbers.items()} == utypes
    assert utypes["dataproduct_type"] == "obscore:ObsDataset.dataProductType"
    assert utypes["s_ra"] == "obscore:Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C1"
    assert {name for name, utype in utypes.items() if utype is None} == {
        "datalink_url", "version", "verdict", "rms_mjy", "simulated",
    }  # fmt: skip


def test_pyvo_reads_the_table(tmp_path):
    tables.write_votable(tmp_path / "a.vot", [made(), unmeasured()], tmp_path)
    found = DALResults(parse(tmp_path / "a.vot"))
    assert found.fieldname_with_utype("obscore:Access.reference") == "access_url"
    assert found.fieldname_with_ucd("meta.ref.ivoid") == "obs_publisher_did" and len(found) == 2


@pytest.mark.fitsverify
def test_the_map_is_a_valid_moc(tmp_path):
    """Of MOC 2.0: ranges of cells of order 29, from the first to the one behind the last, in order and apart."""
    moc = MOC.from_healpix_cells(np.array([9, 0, 1, 2, 3], np.uint64), np.full(5, 11, np.uint8), 11)
    moc.save(str(tmp_path / "one.fits"), format="fits")
    tables.join_coverage(tmp_path / "all.fits", [tmp_path / "one.fits"])
    assert_fitsverify(tmp_path / "all.fits")
    header = fits.getheader(tmp_path / "all.fits", 1)
    words = {"MOCVERS": "2.0", "MOCDIM": "SPACE", "ORDERING": "RANGE", "COORDSYS": "C", "MOCORD_S": 11}
    assert {key: header[key] for key in words} == words
    cells = 4 ** (29 - 11)
    assert fits.getdata(tmp_path / "all.fits", 1)["RANGE"].tolist() == [0, 4 * cells, 9 * cells, 10 * cells]
