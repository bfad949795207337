"""Catalogues in binary form: what is written is read, a field without the rest; a folder serves declinations."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from contimg.errors import InputError
from contimg.sky import strip_files
from contimg.sky.catalogue import Catalogue, read_catalogue
from contimg.sky.square_degrees import COUNT, cells_near, cells_of
from contimg.sky.strip_files import read_header, read_strip, strip_cells, write_strip
from contimg.sky.strips import catalogue_at, strips_of


def random_sky(n=3000, *, low=-90, high=90):
    rng = np.random.default_rng(3)
    dec = np.degrees(np.arcsin(rng.uniform(np.sin(np.radians(low)), np.sin(np.radians(high)), n)))
    index = np.where(rng.random(n) < 0.3, np.nan, rng.normal(-0.7, 0.3, n))
    names = np.array([f"S{i}" for i in range(n)])
    flux = rng.pareto(1.5, n) + 0.01
    return Catalogue(
        names, rng.uniform(0, 360, n), dec, flux, 0.02 * flux, np.full(n, 1.4e9), index, notes=("a", "b c")
    )


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    path = tmp_path_factory.mktemp("sky") / "sky.fits"
    known = random_sky()
    write_strip(path, known, (-90.0, 90.0), "NVSS, TGSS")
    return path, known


def test_what_was_written_is_read(sky):
    path, known = sky
    found = read_catalogue(path)
    order = np.argsort([int(name[1:]) for name in found.name])
    assert found.name[order].tolist() == known.name.tolist()
    for column in ("ra_deg", "dec_deg", "flux_jy", "flux_err_jy"):
        np.testing.assert_array_equal(getattr(found, column)[order], getattr(known, column))
    np.testing.assert_array_equal(found.spectral_index[order], np.nan_to_num(known.spectral_index, nan=-0.7))
    assert found.assumed == ("spectral_index",)
    assert found.notes == ("a", "b c")


def test_other_programs_read_it_as_a_table(sky):
    path, known = sky
    table = Table.read(path, hdu="SOURCES")
    assert len(table) == len(known)
    assert str(table["flux_jy"].unit) == "Jy"
    with fits.open(path, checksum=True) as tables:
        assert tables[0].header["SURVEYS"] == "NVSS, TGSS"


@pytest.mark.parametrize(
    "direction", [(10.0, 20.0), (359.9, 0.0), (0.05, -45.0), (120.0, 89.5), (77.0, -89.9), (5.0, 86.0)]
)
@pytest.mark.parametrize("radius", [0.3, 5.0, 40.0])
def test_near_a_direction_nothing_is_missed_and_nothing_else_kept(sky, direction, radius):
    path, known = sky
    expected = known.within(*np.radians((*direction, radius)))
    assert sorted(read_catalogue(path, near=(*direction, radius)).name) == sorted(expected.name)


def test_a_field_reads_its_square_degrees_only(sky):
    path, known = sky
    rows = read_strip(path, (200.0, 30.0, 3.0))
    assert 0 < len(rows) < len(known) / 100
    assert set(cells_of(rows.ra_deg, rows.dec_deg)) <= set(cells_near(200.0, 30.0, 3.0))
    assert len(read_strip(path, (200.0, 30.0, 0.01))) <= len(rows)


def test_the_index_names_the_square_degrees_with_sources(sky):
    path, known = sky
    assert set(strip_cells(path)) == set(cells_of(known.ra_deg, known.dec_deg))


def test_csv_near_a_direction_is_cut_as_well(tmp_path):
    (tmp_path / "c.csv").write_text("name,ra_deg,dec_deg,flux_jy\nA,10,20,1\nB,10,25,1\n")
    assert read_catalogue(tmp_path / "c.csv", near=(10, 20, 3)).name.tolist() == ["A"]


@pytest.mark.parametrize(("ra", "dec", "cell"), [
    (0.0, -90.0, 0), (359.99, -89.5, 359), (0.0, 0.0, 90 * 360), (-0.5, 0.0, 90 * 360 + 359), (0.0, 90.0, 179 * 360),
])  # fmt: skip
def test_numbers_of_square_degrees(ra, dec, cell):
    assert cells_of([ra], [dec]).tolist() == [cell]


def test_a_circle_on_the_whole_sky_touches_all_square_degrees():
    assert cells_near(50.0, 10.0, 179.0).tolist() == list(range(COUNT))


def test_headers_are_read_without_astropy(sky, tmp_path):
    path, _ = sky
    header = read_header(path)
    assert (header.min_deg, header.max_deg) == (-90.0, 90.0)
    Table({"name": ["A"], "ra_deg": [1.0], "dec_deg": [2.0], "flux_jy": [1.0]}).write(tmp_path / "other.fits")
    assert read_header(tmp_path / "other.fits") is None
    assert read_header(tmp_path / "nothing.fits") is None
    assert read_catalogue(tmp_path / "other.fits").name.tolist() == ["A"]


@pytest.mark.parametrize("lost", [2880, 2880 * 40])
def test_a_cut_strip_is_one_sentence(sky, tmp_path, lost):
    cut = tmp_path / "cut.fits"
    cut.write_bytes(sky[0].read_bytes()[:-lost])
    with pytest.raises(InputError, match=r"cut\.fits is damaged: make it again with contimg catalogue make"):
        read_catalogue(cut)


def test_a_header_without_its_range_is_one_sentence(sky, tmp_path):
    bad = tmp_path / "bad.fits"
    bad.write_bytes(sky[0].read_bytes().replace(b"DEC_MIN ", b"DEC_XXX ", 1))
    with pytest.raises(InputError, match=r"bad\.fits is damaged"):
        read_header(bad)


def test_an_older_strip_is_replaced_whole(tmp_path):
    path = tmp_path / "s.fits"
    for n in (30, 20):
        write_strip(path, random_sky(n), (-90.0, 90.0), "NVSS")
    assert len(read_catalogue(path)) == 20
    assert [file.name for file in tmp_path.iterdir()] == ["s.fits"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("strips")
    for name, low, high in (("a", 11.0, 21.0), ("b", 13.0, 23.0), ("c", 40.0, 50.0), ("pole", 80.0, 90.0)):
        write_strip(place / f"{name}.fits", random_sky(20, low=low, high=high), (low, high), "NVSS")
    (place / "notes.txt").write_text("not a catalogue")
    Table({"name": ["A"]}).write(place / "other.fits")
    return place


@pytest.mark.parametrize(
    ("dec", "name"), [(16.3, "a"), (17.5, "b"), (22.9, "b"), (11.0, "a"), (45.0, "c"), (90.0, "pole")]
)
def test_the_strip_whose_edge_is_furthest_is_chosen(folder, dec, name):
    assert catalogue_at(folder, dec) == folder / f"{name}.fits"


def test_a_file_serves_every_declination(folder):
    assert catalogue_at(folder / "a.fits", 71.6) == folder / "a.fits"


def test_a_declination_without_a_strip_is_one_sentence_that_says_what_to_type(folder, tmp_path):
    with pytest.raises(InputError, match=r"no strip for declination \+71\.60 deg, only .*\+40\.0 to \+50\.0") as raised:
        catalogue_at(folder, 71.6)
    assert f"contimg catalogue make --from nvss FILE --dec 71.6 --width 10 {folder}" in str(raised.value)
    with pytest.raises(InputError, match="is a folder without a strip: type contimg catalogue make"):
        catalogue_at(tmp_path, 16.0)


def test_a_folder_lists_its_strips_only(folder):
    assert [strip.path.name for strip in strips_of(folder)] == ["a.fits", "b.fits", "c.fits", "pole.fits"]


def test_the_form_is_named_in_the_file(sky):
    assert strip_files.FORM.encode() in sky[0].read_bytes()[:2880]
