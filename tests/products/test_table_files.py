"""Tables of products against astropy, cfitsio and STILTS: values, units, UCDs, nulls."""

import hashlib
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table

from contimg.products.table_files import Column, TableText, write_fits_table, write_votable
from tests.support.validators import assert_fitsverify, assert_votlint

COLUMNS = {
    "name": Column(str, None, "meta.id;meta.main", "a name"),
    "ra_deg": Column(float, "deg", "pos.eq.ra;meta.main", "right ascension"),
    "dec_deg": Column(float, "deg", "pos.eq.dec;meta.main", "declination"),
    "flux": Column(float, "Jy/beam", "phot.flux.density", "brightness"),
    "source": Column(int, None, "meta.id.cross", "number"),
    "compared": Column(bool, None, "meta.code", "whether"),
}
TEXT = TableText(
    "matches", "A table", COLUMNS, {"OBJECT": ("mosaic_20260211T002649", "mosaic"), "SYNTHET": (True, "T")}
)
ROWS = [
    {"name": "J1331+3030 <a & b>", "ra_deg": 202.784, "dec_deg": 30.509, "flux": 13.96, "source": 1, "compared": True},
    {"name": "süd", "ra_deg": 0.0, "dec_deg": -90.0, "flux": None, "source": None, "compared": False},
]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []], ids=["two", "one", "none"])
def test_a_votable_comes_back(tmp_path, rows):
    write_votable(tmp_path / "a.vot", TEXT, rows)
    votable = parse(tmp_path / "a.vot", verify="exception")
    found = votable.get_first_table()
    table = found.to_table()
    assert list(table["name"]) == [row["name"] for row in rows]
    for key in ("flux", "source"):
        assert [None if value is np.ma.masked else value for value in table[key]] == [row[key] for row in rows]
    assert [bool(value) for value in table["compared"]] == [row["compared"] for row in rows]
    assert {field.name: (field.ucd, str(field.unit) if field.unit else None) for field in found.fields} == {
        name: (column.ucd, {"Jy/beam": "Jy / beam"}.get(column.unit, column.unit)) for name, column in COLUMNS.items()
    }
    assert [field.description for field in found.fields] == [column.description for column in COLUMNS.values()]
    assert {field.ref for field in found.fields if field.name.endswith("_deg")} == {"icrs"}
    assert [(info.name, info.value) for info in found.infos][:1] == [("OBJECT", "mosaic_20260211T002649")]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []], ids=["two", "one", "none"])
def test_a_fits_table_comes_back(tmp_path, rows):
    write_fits_table(tmp_path / "a.fits", TEXT, rows)
    table = Table.read(tmp_path / "a.fits", 1)
    assert [str(name) for name in table["name"]] == [row["name"].replace("ü", "?") for row in rows]
    assert [None if value is np.ma.masked else value for value in table["source"]] == [row["source"] for row in rows]
    assert np.isfinite(np.ma.filled(table["flux"], np.nan)).tolist() == [row["flux"] is not None for row in rows]
    assert [bool(value) for value in table["compared"]] == [row["compared"] for row in rows]
    with fits.open(tmp_path / "a.fits", checksum=True) as hdus:
        hdus.verify("exception")
        header = hdus["MATCHES"].header
        assert [header.get(f"TUCD{number}") for number in range(1, 7)] == [column.ucd for column in COLUMNS.values()]
        assert header["TUNIT4"] == "Jy beam-1" and header["OBJECT"] == TEXT.facts["OBJECT"][0]
        assert (hdus[1].verify_checksum(), hdus[1].verify_datasum()) == (1, 1)


@pytest.mark.parametrize(
    ("write", "name"), [(write_votable, "a.vot"), (write_fits_table, "a.fits")], ids=["vot", "fits"]
)
def test_the_same_rows_are_the_same_bytes(tmp_path, write, name):
    digests = set()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, TEXT, ROWS)
        digests.add(hashlib.sha256((tmp_path / folder / name).read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.fitsverify
@pytest.mark.stilts
@pytest.mark.parametrize("rows", [ROWS, []], ids=["two", "none"])
def test_validators_find_nothing(tmp_path, rows):
    write_votable(tmp_path / "a.vot", TEXT, rows)
    assert_votlint(tmp_path / "a.vot")
    write_fits_table(tmp_path / "a.fits", TEXT, rows)
    assert_fitsverify(tmp_path / "a.fits")


@pytest.mark.stilts
def test_stilts_reads_units_and_ucds_of_fits(tmp_path):
    write_fits_table(tmp_path / "a.fits", TEXT, ROWS)
    table = f"in={tmp_path / 'a.fits'}#1"
    command = ["stilts", "tpipe", table, "cmd=meta name units ucd description", "ofmt=csv"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[2:5] == [
        "ra_deg,deg,pos.eq.ra;meta.main,right ascension",
        "dec_deg,deg,pos.eq.dec;meta.main,declination",
        "flux,Jy beam-1,phot.flux.density,brightness",
    ]
