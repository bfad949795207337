"""Catalogues as people have them: rows twice, rows that are wrong, other columns, units and types."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from contimg.errors import InputError
from contimg.sky.catalogue import DUPLICATE_ARCSEC, read_catalogue

HEADER = "name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index,flux_err_jy"
ROWS = ["A,10.0,20.0,1.0,1.4e9,-0.7,0.02", "B,10.5,20.2,0.5,1.4e9,-0.8,0.01", "C,11.0,19.8,0.25,1.4e9,0.0,0.01"]
ARCSEC = 1 / 3600


def catalogue_of(folder, *rows, header=HEADER):
    path = folder / "cat.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return read_catalogue(path)


def test_a_catalogue_without_faults_has_no_notes(tmp_path):
    found = catalogue_of(tmp_path, *ROWS)
    assert found.name.tolist() == ["A", "B", "C"]
    assert found.notes == ()
    assert found.assumed == ()


@pytest.mark.parametrize("times", [2, 3, 5])
def test_rows_that_stand_several_times_are_merged_and_counted(tmp_path, times):
    found = catalogue_of(tmp_path, *(ROWS * times))
    assert found.name.tolist() == ["A", "B", "C"]
    assert found.flux_jy.tolist() == [1.0, 0.5, 0.25]
    (note,) = found.notes
    assert note.startswith(f"{3 * (times - 1)} duplicate rows of cat.csv")
    assert "twice" in note


def test_two_strips_with_other_names_places_and_fluxes_are_merged_to_the_better_row(tmp_path):
    again = ["A2,10.0003,20.0002,1.1,1.4e9,-0.7,0.01", f"B2,10.5,{20.2 - 3 * ARCSEC},0.45,1.4e9,-0.8,0.05"]
    found = catalogue_of(tmp_path, *ROWS, *again)
    # The row with the smaller error stays: A2 for A, B for B2.
    assert found.name.tolist() == ["B", "C", "A2"]
    assert found.notes[0].startswith("2 duplicate rows")


def test_fluxes_at_other_frequencies_are_compared_at_one(tmp_path):
    flux = 1.0 * (3.0 / 1.4) ** -0.7
    found = catalogue_of(tmp_path, ROWS[0], f"A3,10.0,20.0,{flux},3e9,-0.7,")
    assert found.name.tolist() == ["A"]
    as_they_stand = catalogue_of(tmp_path, ROWS[0], f"A3,10.0,20.0,{flux},1.4e9,-0.7,")
    assert len(as_they_stand) == 2


def test_components_of_different_fluxes_stay_and_are_said(tmp_path):
    found = catalogue_of(tmp_path, *ROWS, "A-lobe,10.0005,20.0,0.3,1.4e9,-0.7,0.02")
    assert len(found) == 4
    assert found.notes[0].startswith("1 pairs of rows of cat.csv are within 5 arcsec")


@pytest.mark.parametrize(("apart_arcsec", "count"), [(DUPLICATE_ARCSEC - 0.1, 1), (DUPLICATE_ARCSEC + 0.1, 2), (40, 2)])
@pytest.mark.parametrize("dec_deg", [0.0, 75.0])
def test_neighbours_beyond_five_arcsec_are_two_sources(tmp_path, apart_arcsec, count, dec_deg):
    ra = apart_arcsec * ARCSEC / np.cos(np.radians(dec_deg))
    found = catalogue_of(tmp_path, f"A,0.0,{dec_deg},1,,,", f"B,{ra},{dec_deg},1,,,")
    assert len(found) == count


def test_duplicates_across_right_ascension_0_are_found(tmp_path):
    found = catalogue_of(tmp_path, f"A,{360 - ARCSEC},5.0,1.0,,,", f"B,{ARCSEC},5.0,1.0,,,", "C,-0.0001,5.0,1.0,,,")
    assert len(found) == 1


def test_a_chain_of_rows_keeps_what_is_not_close_to_the_row_that_stays(tmp_path):
    rows = [f"{name},10.0,{20 + k * 4 * ARCSEC},1.0,,," for k, name in enumerate("ABC")]
    assert catalogue_of(tmp_path, *rows).name.tolist() == ["A", "C"]


@pytest.mark.parametrize(("row", "why"), [
    ("X,10,20,nan,,,", "has no positive flux_jy"),
    ("X,10,20,0,,,", "has no positive flux_jy"),
    ("X,10,20,-1,,,", "has no positive flux_jy"),
    ("X,10,20,inf,,,", "has no positive flux_jy"),
    ("X,10,20,,,,", "has no positive flux_jy"),
    ("X,10,20,bright,,,", "'bright' in column 'flux_jy' is no number"),
    ("X,00:40:00,20,1,,,", "'00:40:00' in column 'ra_deg' is no number"),
    ("X,0h40m,20,1,,,", "'0h40m' in column 'ra_deg' is no number"),
    ("X,10,+20d30m,1,,,", "'+20d30m' in column 'dec_deg' is no number"),
    ("X,nan,20,1,,,", "has no ra_deg from -360 to 720"),
    ("X,1000,20,1,,,", "has no ra_deg from -360 to 720"),
    ("X,10,-91,1,,,", "has no dec_deg from -90 to 90"),
    ("X,10,20,1,1.4,,", "give it in Hz"),
    ("X,10,20,1,0,,", "give it in Hz"),
    ("X,10,20,1,,steep,", "'steep' in column 'spectral_index' is no number"),
    ("X,10,20,1,,,-0.1", "has a negative flux_err_jy"),
    ("X,10,20,1", "has 4 cells, not 7"),
    ("X,10,20,1,,,,,,", "has 10 cells, not 7"),
])  # fmt: skip
def test_one_wrong_row_is_skipped_and_said(tmp_path, row, why):
    found = catalogue_of(tmp_path, ROWS[0], row, *ROWS[1:])
    assert found.name.tolist() == ["A", "B", "C"]
    (note,) = found.notes
    assert note.startswith("1 row of cat.csv was skipped: ")
    assert why in note
    # Where no row is left it is an error; so it is in a list of calibrators, which a person keeps.
    with pytest.raises(InputError, match="holds no source that can be used") as raised:
        catalogue_of(tmp_path, row)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def test_many_wrong_rows_are_counted(tmp_path):
    found = catalogue_of(tmp_path, *ROWS, *[f"X{i},10,20,-1,,," for i in range(30)])
    assert found.notes[0].startswith("30 rows of cat.csv were skipped: source 'X0' has no positive flux_jy; ")
    assert len(found.notes[0]) < 200


def test_a_wrong_row_of_a_list_of_calibrators_is_an_error_and_a_missing_flux_is_none(tmp_path):
    path = tmp_path / "cal.csv"
    path.write_text("name,ra_deg,dec_deg,flux_jy\nA,10,20,\nB,30,40,2.0\n")
    assert np.isnan(read_catalogue(path, allow_missing_flux=True).flux_jy).tolist() == [True, False]
    path.write_text("name,ra_deg,dec_deg,flux_jy\nA,10,20,\nB,30,40,-2.0\n")
    with pytest.raises(InputError, match="'B' has no positive flux_jy: correct it"):
        read_catalogue(path, allow_missing_flux=True)


@pytest.mark.parametrize(("ra", "expected"), [("-10", 350.0), ("370", 10.0), ("0", 0.0), ("360", 0.0), ("-360", 0.0)])
def test_right_ascensions_are_brought_to_0_to_360(tmp_path, ra, expected):
    found = catalogue_of(tmp_path, f"A,{ra},5,1,,,")
    assert found.ra_deg.tolist() == [expected]
    assert found.notes == ()


@pytest.mark.parametrize("content", [HEADER + "\n", HEADER + "\n\n,,,,,,\n", HEADER + "\n# only a comment\n"])
def test_an_empty_table_is_one_sentence(tmp_path, content):
    path = tmp_path / "cat.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=r"holds no source that can be used: it has no rows: .*sky\.catalogue: null"):
        read_catalogue(path)


@pytest.mark.parametrize("header", [f"#{HEADER}", f"# {HEADER}", f"# made by hand\n# {HEADER}", f"\ufeff{HEADER}"])
def test_a_header_behind_a_hash_or_a_byte_order_mark_is_one(tmp_path, header):
    assert catalogue_of(tmp_path, *ROWS, header=header).name.tolist() == ["A", "B", "C"]


def test_a_column_named_hash_is_another_column(tmp_path):
    rows = [f"{number},{row}" for number, row in enumerate(ROWS)]
    assert catalogue_of(tmp_path, *rows, header=f"#,{HEADER}").name.tolist() == ["A", "B", "C"]


@pytest.mark.parametrize("column", ["name", "ra_deg", "flux_jy", "spectral_index"])
def test_a_column_that_is_there_twice_is_refused(tmp_path, column):
    rows = [f"{row},1" for row in ROWS]
    with pytest.raises(InputError, match=f"has 2 columns '{column}': keep one of them"):
        catalogue_of(tmp_path, *rows, header=f"{HEADER},{column}")
    assert len(catalogue_of(tmp_path, *rows, header=f"{HEADER},other")) == 3


def table(**columns):
    return Table(
        {"name": ["A", "B"], "ra_deg": [10.0, 350.0], "dec_deg": [-5.0, 60.0], "flux_jy": [1.0, 0.2]} | columns
    )


@pytest.mark.parametrize("form", ["fits", "vot"])
@pytest.mark.parametrize(("column", "unit"), [
    ("flux_jy", "mJy"), ("flux_jy", "W/m2"), ("ra_deg", "rad"), ("ra_deg", "arcsec"), ("dec_deg", "arcmin"),
    ("ref_freq_hz", "MHz"), ("flux_err_jy", "mJy"), ("spectral_index", "Jy"),
])  # fmt: skip
def test_units_that_contradict_the_columns_are_refused(tmp_path, form, column, unit):
    made = table(ref_freq_hz=[1.4e9] * 2, flux_err_jy=[0.1] * 2, spectral_index=[0.0] * 2)
    made[column].unit = unit
    path = tmp_path / f"cat.{form}"
    made.write(path, format="votable" if form == "vot" else form)
    with pytest.raises(InputError, match=rf"column '{column}' is in .*, not in .*: convert it"):
        read_catalogue(path)


def test_masked_values_are_blanks_and_rows_without_flux_are_skipped(tmp_path):
    made = table(spectral_index=MaskedColumn([-0.5, 0.0], mask=[False, True]))
    made["flux_jy"] = MaskedColumn([1.0, 0.2], mask=[True, False])
    made.write(tmp_path / "cat.vot", format="votable")
    found = read_catalogue(tmp_path / "cat.vot")
    assert found.name.tolist() == ["B"]
    assert found.assumed == ("ref_freq_hz", "spectral_index")
    assert found.spectral_index.tolist() == [-0.7]
    assert "'A' has no positive flux_jy" in found.notes[0]


@pytest.mark.parametrize("names", [[b"A", b"B"], [b"3C 286 ", b"\xb5as"], [7, 8]])
def test_names_may_be_bytes_or_numbers(tmp_path, names):
    made = table(name=names)
    made.write(tmp_path / "cat.fits")
    assert len(read_catalogue(tmp_path / "cat.fits").name) == 2


def test_text_and_integer_columns_of_tables_are_numbers(tmp_path):
    table(flux_jy=["1.5", "bright"], dec_deg=[-5, 60]).write(tmp_path / "cat.fits")
    found = read_catalogue(tmp_path / "cat.fits")
    assert (found.flux_jy.tolist(), found.dec_deg.tolist()) == ([1.5], [-5.0])
    assert "'bright'" in found.notes[0]


def test_two_hundred_thousand_rows_are_read_in_seconds(tmp_path):
    import time

    count, rng = 200_000, np.random.default_rng(2)
    made = Table({"name": np.arange(count), "ra_deg": rng.uniform(0, 360, count),
                  "dec_deg": rng.uniform(-30, 80, count), "flux_jy": rng.uniform(0.01, 1, count)})  # fmt: skip
    made.write(tmp_path / "cat.fits")
    started = time.process_time()
    found = read_catalogue(tmp_path / "cat.fits")
    assert time.process_time() - started < 10
    assert count - 200 < len(found) <= count


def test_catalogue_from_csv_votable_and_fits(tmp_path):
    table = Table({
        "name": ["A", "B"], "ra_deg": [10.0, 350.0], "dec_deg": [-5.0, 60.0], "flux_jy": [1.0, 0.2],
        "ref_freq_hz": [1.4e9, 3e9], "spectral_index": [-0.8, 0.1], "flux_err_jy": [0.01, 0.02],
    })  # fmt: skip
    table["ra_deg"].unit, table["flux_jy"].unit = "deg", "Jy"
    table.write(tmp_path / "c.csv", format="ascii.csv")
    table.write(tmp_path / "c.vot", format="votable")
    table.write(tmp_path / "c.fits")
    for name in ("c.csv", "c.vot", "c.fits"):
        catalogue = read_catalogue(tmp_path / name)
        assert list(catalogue.name) == ["A", "B"]
        assert catalogue.flux_at([1.4e9, 2.8e9])[0] == pytest.approx([1.0, 2**-0.8])
        assert catalogue.flux_err_jy.tolist() == [0.01, 0.02]
        assert catalogue.assumed == ()
        assert len(catalogue.within(np.radians(350.1), np.radians(60), np.radians(0.1))) == 1


def test_defaults_are_recorded_as_assumed(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("# a comment\nname,ra_deg,dec_deg,flux_jy\nA,10,20,1\n")
    catalogue = read_catalogue(path)
    assert catalogue.assumed == ("ref_freq_hz", "spectral_index")
    assert catalogue.flux_at(2.8e9)[0, 0] == pytest.approx(2**-0.7)
    assert np.isnan(catalogue.flux_err_jy[0])


@pytest.mark.parametrize(("text", "message"), [
    ("name,ra_deg,dec_deg\nA,1,2\n", "has no column 'flux_jy'"),
    ("name,ra_deg,dec_deg,flux_jy\nA,1,2,\n", "'A' has no positive flux_jy"),
    ("name,ra_deg,dec_deg,flux_jy\nA,1,2,-3\n", "'A' has no positive flux_jy"),
    ("name,ra_deg,dec_deg,flux_jy\nA,1,95,3\n", "'A' has no dec_deg from -90 to 90"),
    ("name,ra_deg,dec_deg,flux_jy\nA,1h2,5,3\n", "'1h2' in column 'ra_deg' is no number"),
    ("name,ra_deg,dec_deg,flux_jy\nA,1,2\n", "source 1 has 3 cells, not 4"),
    ("name,ra_deg,dec_deg,flux_jy,ref_freq_hz\nA,1,2,3,1400\n", "give it in Hz"),
    ("", "is empty"),
])  # fmt: skip
def test_bad_catalogues_give_one_sentence(tmp_path, text, message):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        read_catalogue(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_wrong_unit_missing_file_and_no_catalogue(tmp_path):
    table = Table({"name": ["A"], "ra_deg": [10.0], "dec_deg": [-5.0], "flux_jy": [1000.0]})
    table["flux_jy"].unit = "mJy"
    table.write(tmp_path / "c.fits")
    with pytest.raises(InputError, match="column 'flux_jy' is in mJy, not in Jy"):
        read_catalogue(tmp_path / "c.fits")
    with pytest.raises(InputError, match="does not exist"):
        read_catalogue(tmp_path / "none.csv")
    (tmp_path / "broken.fits").write_text("nothing of the kind")
    with pytest.raises(InputError, match="cannot be read as fits"):
        read_catalogue(tmp_path / "broken.fits")
    (tmp_path / "c.txt").write_text("")
    with pytest.raises(InputError, match="is no catalogue"):
        read_catalogue(tmp_path / "c.txt")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_half_a_fits_catalogue_is_refused(tmp_path, share):
    count = 400
    table = Table({"name": [f"S{i}" for i in range(count)], "ra_deg": np.linspace(0, 359, count),
                   "dec_deg": np.zeros(count), "flux_jy": np.ones(count)})  # fmt: skip
    path = tmp_path / "c.fits"
    table.write(path)
    assert len(read_catalogue(path)) == count
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match="cannot be read as fits") as raised:
        read_catalogue(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [bytes(range(256)), "name,ra_deg\n\xe9".encode("latin-1")])
def test_bytes_that_are_no_text_are_no_csv(tmp_path, content):
    path = tmp_path / "c.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_catalogue(path)
