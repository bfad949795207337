"""Surveys in the forms in which they are distributed: columns, units, sexagesimal positions, wrong rows."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from contimg.errors import InputError
from contimg.sky.survey_sources import read_survey
from contimg.sky.surveys import SURVEYS, find_column
from tests.support import surveys
from tests.support.surveys import SOURCES, flux_mjy

STRIP = (28.0, 34.0)
NVSS_FILES = {
    "vizier.tsv": surveys.vizier_text,
    "vizier.txt": lambda path: surveys.vizier_text(path, separator=";"),
    "bars.txt": lambda path: surveys.vizier_text(path, separator="|"),
    "vizier.csv": surveys.vizier_plain_csv,
    "vizier.fits": surveys.vizier_table,
    "vizier.vot": surveys.vizier_table,
    "heasarc_nvss.tdat": surveys.heasarc_tdat,
    "heasarc_nvss.tdat.gz": surveys.heasarc_tdat,
}


def check(found, freq_hz, error):
    """Check the three sources of the strip, whose fluxes are known."""
    assert [name.removeprefix("NVSS ") for name in found.name] == [source[0] for source in SOURCES]
    np.testing.assert_allclose(found.ra_deg, [s[1] for s in SOURCES], atol=0.05 / 3600)
    np.testing.assert_allclose(found.dec_deg, [s[2] for s in SOURCES], atol=0.06 / 3600)
    expected = [flux_mjy(s, freq_hz) / 1e3 for s in SOURCES]
    np.testing.assert_allclose(found.flux_jy, expected, rtol=1e-6)
    np.testing.assert_allclose(found.flux_err_jy, error * np.array(expected), rtol=1e-6, atol=5e-5)
    assert found.notes == ()


@pytest.mark.parametrize("name", NVSS_FILES)
def test_every_form_of_nvss_gives_the_same_sources(tmp_path, name):
    check(read_survey(NVSS_FILES[name](tmp_path / name), "nvss", STRIP), 1.4e9, 0.03)


@pytest.mark.parametrize(("key", "freq_hz", "name", "options"), [
    ("tgss", 147.5e6, "TGSSADR1_7sigma_catalog.tsv", {}),
    ("lotss", 144e6, "LoTSS_DR2.srl.fits", {"name": "Source_Name"}),
    ("racs", 887.5e6, "AS110.racs_dr1_sources.xml", {"flux": "Total_flux_source", "name": "source_name"}),
    ("racs", 887.5e6, "racs_gaussians.csv", {"flux": "total_flux_gaussian", "name": "gaussian_id"}),
    ("racs-mid", 1367.5e6, "racs_mid.fits", {"name": "Name"}),
    ("racs-high", 1655.5e6, "racs_high.xml", {"name": "Name"}),
    ("vlass", 3e9, "components.csv", {"name": "Component_name"}),
])  # fmt: skip
def test_surveys_made_with_pybdsf(tmp_path, key, freq_hz, name, options):
    found = read_survey(surveys.pybdsf_table(tmp_path / name, freq_hz, **options), key, STRIP)
    assert found.survey.freq_hz == freq_hz
    check(found, freq_hz, 0.02)


@pytest.mark.parametrize(("key", "columns"), [
    ("first", ("FIRST", "RAJ2000", "DEJ2000", "Fint", "Rms")),
    ("first", ("name", "ra", "dec", "int_flux_20_cm", "flux_20_cm_error")),
    ("tgss", ("TGSSADR", "RAJ2000", "DEJ2000", "Stotal", "e_Stotal")),
    ("lotss", ("Source", "RAJ2000", "DEJ2000", "SpeakTot", "e_SpeakTot")),
    ("vlass", ("CompName", "RAJ2000", "DEJ2000", "Ftot", "e_Ftot")),
])  # fmt: skip
def test_the_columns_of_vizier_and_heasarc(tmp_path, key, columns):
    freq_hz = SURVEYS[key].freq_hz
    rows = [",".join((s[0], f"{s[1]}", f"{s[2]}", f"{flux_mjy(s, freq_hz)}", f"{0.02 * flux_mjy(s, freq_hz)}"))
            for s in SOURCES]  # fmt: skip
    (tmp_path / "s.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    check(read_survey(tmp_path / "s.csv", key, STRIP), freq_hz, 0.02)


@pytest.mark.parametrize(("unit", "factor"), [
    ("mJy", 1e-3), ("Jy", 1.0), ("uJy", 1e-6), ("mJy/beam", 1e-3), ("mJy beam-1", 1e-3),
    ("Jy beam^-1", 1.0), ("mJy.beam**-1", 1e-3), (None, 1e-3),
])  # fmt: skip
def test_units_of_flux_densities(tmp_path, unit, factor):
    table = Table({"NVSS": ["A"], "RAJ2000": [10.0], "DEJ2000": [30.0], "S1.4": [250.0]})
    columns = fits.table_to_hdu(table)
    if unit:
        columns.header["TUNIT4"] = unit
    columns.writeto(tmp_path / "n.fits")
    assert read_survey(tmp_path / "n.fits", "nvss", STRIP).flux_jy.tolist() == pytest.approx([250 * factor])


def test_a_unit_that_is_none_of_flux_is_one_sentence(tmp_path):
    table = Table({"NVSS": ["A"], "RAJ2000": [10.0], "DEJ2000": [30.0], "S1.4": [250.0]})
    table["S1.4"].unit = "mag"
    table.write(tmp_path / "n.fits")
    with pytest.raises(InputError, match=r"n.fits: column 'S1.4' is in mag, which is no unit of flux density: convert"):
        read_survey(tmp_path / "n.fits", "nvss", STRIP)


@pytest.mark.parametrize(("ra", "dec", "ra_deg", "dec_deg"), [
    ("13:31:08.28", "+30:30:33.0", 202.7845, 30.509167),
    ("13h31m08.28s", "30d30m33s", 202.7845, 30.509167),
    ("13 31 08.28", "+30 30", 202.7845, 30.5),
    ("202.7845", "30.5091667", 202.7845, 30.509167),
    ("00 00 00.12", "-00 30 00", 0.0005, -0.5),
    ("-0.5", "-0.25", 359.5, -0.25),
])  # fmt: skip
def test_positions(tmp_path, ra, dec, ra_deg, dec_deg):
    (tmp_path / "n.csv").write_text(f"NVSS,RAJ2000,DEJ2000,S1.4\nA,{ra},{dec},100\n")
    found = read_survey(tmp_path / "n.csv", "nvss", (-5, 34))
    assert found.ra_deg.tolist() == pytest.approx([ra_deg], abs=1e-6)
    assert found.dec_deg.tolist() == pytest.approx([dec_deg], abs=1e-6)


def test_right_ascensions_in_decimal_hours_are_told_by_their_unit(tmp_path):
    table = Table({"NVSS": ["A"], "RAJ2000": [13.5], "DEJ2000": [30.0], "S1.4": [1.0]})
    table["RAJ2000"].unit = "h"
    table.write(tmp_path / "n.fits")
    assert read_survey(tmp_path / "n.fits", "nvss", STRIP).ra_deg.tolist() == [202.5]


@pytest.mark.parametrize(("row", "why"), [
    ("X\t13 31 08.29\t+30 30 32.9\tbright\t1.0\t<", "'bright' in column 'S1.4' is no positive flux density"),
    ("X\t13 31 08.29\t+30 30 32.9\t -3.0\t1.0\t<", "is no positive flux density"),
    ("X\t13 31 08.29\t+30 30 32.9\t\t1.0\t<", "is no positive flux density"),
    ("X\t13 31 08.29\t+30 30 32.9\tinf\t1.0\t<", "is no positive flux density"),
    ("X\t25-31\t+30 30 32.9\t3.0\t1.0\t<", "'25-31' in column 'RAJ2000' is no right ascension"),
    ("X\t\t+30 30 32.9\t3.0\t1.0\t<", "is no right ascension"),
    ("X\t13 31 08.29\t+30 71 32.9\t3.0\t1.0\t<", "'+30 71 32.9' in column 'DEJ2000' is no declination"),
    ("X\t13 31 08.29\t+95 30 32.9\t3.0\t1.0\t<", "is no declination"),
    ("X\t13 31 08.29\t+30 30 32.9\t3.0\tsmall\t<", "'small' in column 'e_S1.4' is no error"),
    ("X\t13 31 08.29\t+30 30 32.9\t3.0\t-1.0\t<", "is no error"),
    ("X\t13 31 08.29\t+30 30 32.9", "has another number of cells"),
    ("X\t1\t2\t3\t4\t5\t6\t7", "has another number of cells"),
    ('"X\t13 31 08.29\t+30 30 32.9\t3.0\t1.0\t<', "has another number of cells"),
])  # fmt: skip
def test_one_wrong_row_is_skipped_and_counted(tmp_path, row, why):
    found = read_survey(surveys.vizier_text(tmp_path / "n.tsv", extra=[row]), "nvss", STRIP)
    assert len(found.ra_deg) == 3
    (note,) = found.notes
    assert note.startswith("1 row of n.tsv was skipped: ")
    assert why in note
    assert "\n" not in note


def test_many_wrong_rows_are_one_line(tmp_path):
    rows = [f"X\t13 31 08.29\t+30 30 32.9\tbad{i}\t1.0\t<" for i in range(20)]
    found = read_survey(surveys.vizier_text(tmp_path / "n.tsv", extra=rows), "nvss", STRIP)
    (note,) = found.notes
    assert note.startswith("20 rows of n.tsv were skipped: 'bad0' in column")
    assert note.endswith("; ...")
    assert len(note) < 250


def test_wrong_rows_beyond_the_strip_are_of_no_interest(tmp_path):
    path = surveys.vizier_text(tmp_path / "n.tsv", extra=["X\t13 31 08.29\t-10 30 32.9\tbad\t1.0\t<"])
    assert read_survey(path, "nvss", STRIP).notes == ()


def test_bytes_that_are_no_text_spoil_their_row_only(tmp_path):
    path = surveys.vizier_text(tmp_path / "n.tsv")
    path.write_bytes(path.read_bytes() + b"X\xff\t13 31 08\t+30 30 32\t\xfe\xfe\t1.0\t<\n")
    assert read_survey(path, "nvss", STRIP).notes[0].startswith("1 row of n.tsv was skipped")


@pytest.mark.parametrize(("lost", "said"), [
    ("S1.4", "has no column of NVSS's flux density (S1.4 or flux_20_cm or Total_flux or flux), only NVSS, RAJ2000"),
    ("RAJ2000", "has no column of NVSS's right ascension ("),
    ("DEJ2000", "has no column of NVSS's declination ("),
])  # fmt: skip
def test_a_missing_column_is_one_sentence_with_those_found(tmp_path, lost, said):
    path = surveys.vizier_plain_csv(tmp_path / "n.csv")
    path.write_text(path.read_text().replace(lost, "other", 1))
    with pytest.raises(InputError) as raised:
        read_survey(path, "nvss", STRIP)
    assert said in str(raised.value)
    assert "other" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_racs_mid_given_as_racs_low_is_told(tmp_path):
    path = surveys.pybdsf_table(tmp_path / "mid.fits", 1367.5e6)
    with pytest.raises(InputError, match="--from racs-mid or racs-high"):
        read_survey(path, "racs", STRIP)


def test_rows_that_cirada_flags_are_left_out(tmp_path):
    flags = {"Duplicate_flag": [0, 1, 2, 0], "Quality_flag": [0, 4, 0, 0]}
    path = surveys.pybdsf_table(tmp_path / "v.csv", 3e9, name="Component_name", extra_columns=flags)
    found = read_survey(path, "vlass", STRIP)
    assert found.name.tolist() == ["3C286", "steep"]
    assert found.notes == ("1 rows of v.csv were left out by VLASS's own flags (Duplicate_flag, Quality_flag)",)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("n.csv", b"", "is empty"), ("n.csv", b"# only a comment\n", "is empty"),
    ("n.fits", b"no FITS", "cannot be read as FITS"), ("n.vot", b"<VOTABLE>", "cannot be read as a VOTable"),
    ("n.tdat", b"<HEADER>\nfield[name] = char2\n", "has no line <DATA>"),
    ("n.csv.gz", b"no gzip", "cannot be unpacked"),
    ("n.tdat.gz", gzip.compress(b"<HEADER>\n" * 9999, mtime=0)[:60], "cannot be unpacked"),
    ("n.dat", bytes(range(256)), "is no table of text, FITS or VOTable"),
], ids=["empty", "comment", "fits", "votable", "tdat", "gzip", "half gzip", "bytes"])  # fmt: skip
def test_files_that_are_none(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as raised:
        read_survey(tmp_path / name, "nvss", STRIP)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.csv does not exist"):
        read_survey(tmp_path / "nothing.csv", "nvss", STRIP)


def test_half_a_fits_file_is_refused(tmp_path):
    path = surveys.vizier_table(tmp_path / "n.fits")
    path.write_bytes(path.read_bytes()[:-2880])
    with pytest.raises(InputError, match="cannot be read as FITS"):
        read_survey(path, "nvss", STRIP)


def test_names_in_the_last_comment_are_those_of_the_columns(tmp_path):
    (tmp_path / "t.txt").write_text("# made by TOPCAT\n#name,ra,dec,flux_20_cm\nA,10.0,30.0,100\n")
    assert read_survey(tmp_path / "t.txt", "nvss", STRIP).flux_jy.tolist() == [0.1]


@pytest.mark.parametrize(("header", "factor"), [
    ("name,RA (deg),DEC (deg),Total_flux (mJy)", 1e-3), ("name,RA[deg],DEC[deg],Total_flux[Jy]", 1.0),
    ("name,RA,DEC,Total_flux", 1e-3),
])  # fmt: skip
def test_units_behind_the_names(tmp_path, header, factor):
    (tmp_path / "t.csv").write_text(f"{header}\nA,10.0,30.0,100\n")
    found = read_survey(tmp_path / "t.csv", "lotss", STRIP)
    assert found.flux_jy.tolist() == pytest.approx([100 * factor])
    assert found.ra_deg.tolist() == [10.0]


@pytest.mark.parametrize(("kind", "factor"), [("float8:8.1f_mJy", 1e-3), ("float8_Jy", 1.0), ("float8:8.3f", 1e-3)])
def test_units_of_tdat_fields(tmp_path, kind, factor):
    fields = ["field[name] = char2", "field[ra] = float8_degree", "field[dec] = float8:.4f_degree",
              f"field[flux_20_cm] = {kind} [phot.flux] (index) // Flux"]  # fmt: skip
    (tmp_path / "n.tdat").write_text("\n".join(["<HEADER>", *fields, "<DATA>", "A|10.0|30.0|100|", "<END>", ""]))
    assert read_survey(tmp_path / "n.tdat", "nvss", STRIP).flux_jy.tolist() == pytest.approx([100 * factor])


def test_names_of_columns_are_compared_without_case_and_signs():
    assert find_column(("S1.4",), ["name", "s1_4"]) == "s1_4"
    assert find_column(("RAJ2000", "ra"), ["RA", "raj2000"]) == "raj2000"
    assert find_column(("RAJ2000",), ["RA"]) is None
