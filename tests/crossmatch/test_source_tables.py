"""Sources and matches as VOTable and FITS say what the CSV tables say, with units and UCDs that validators accept."""

import csv

import numpy as np
import pytest
from astropy import units as u
from astropy.io.votable import parse
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table

from contimg.crossmatch.match_table import MATCH_COLUMNS, write_matches
from contimg.crossmatch.matching import MatchLimits, match
from contimg.crossmatch.source_tables import SOURCE_COLUMNS, write_tables
from contimg.crossmatch.sources import Source, write_sources
from contimg.products.facts import CrossmatchFiles
from contimg.sky.catalogue import Catalogue
from tests.support.validators import assert_fitsverify, assert_votlint

FILES = CrossmatchFiles(
    sources="m.sources.csv", matches="m.matches.csv", flux="m.flux.png", astrometry="m.astrometry.png",
    sources_votable="m.sources.vot", sources_fits="m.sources.fits", matches_votable="m.matches.vot",
    matches_fits="m.matches.fits",
)  # fmt: skip
FACTS = {"OBJECT": ("mosaic_20260211T002649", "mosaic"), "FREQ": (1.405e9, "[Hz]"), "SYNTHET": (True, "T")}


def source(number, ra_deg, flux_jy, **changes):
    return Source(
        **{
            "source": number, "ra_deg": ra_deg, "dec_deg": 30.5, "e_ra_arcsec": 0.1, "e_dec_arcsec": 0.2,
            "total_flux_jy": flux_jy, "e_total_flux_jy": 0.01, "peak_flux_jy_beam": flux_jy,
            "e_peak_flux_jy_beam": 0.01, "bmaj_arcsec": 40.0, "bmin_arcsec": 30.0, "bpa_deg": 12.0,
            "local_rms_jy_beam": 0.001, "snr": flux_jy / 0.001, "code": "S", "gaussians": 1,
        } | changes
    )  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two sources, of which the catalogue knows one, and a source of the catalogue that was not found."""
    from astropy.wcs import WCS

    folder = tmp_path_factory.mktemp("tables")
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (
        ["RA---SIN", "DEC--SIN"],
        [202.7, 30.5],
        [50, 50],
        [-0.01, 0.01],
    )
    sources = [source(1, 202.7, 2.0, compactness=0.99), source(2, 202.9, 0.5, doubt="near a bright source")]
    catalogue = Catalogue(
        name=np.array(["J1330+3030", "süd"]), ra_deg=np.array([202.7005, 202.5]), dec_deg=np.array([30.5, 30.4]),
        flux_jy=np.array([1.9, 0.3]), ref_freq_hz=np.full(2, 1.4e9), spectral_index=np.full(2, -0.7),
        flux_err_jy=np.full(2, np.nan), assumed=(), notes=(),
    )  # fmt: skip
    limits = MatchLimits(30.0, 8.0)
    matched = match(sources, catalogue, np.full((100, 100), 0.001), wcs, freq_hz=1.4e9, beam_deg=0.01, limits=limits)
    write_sources(folder / FILES.sources, sources)
    write_matches(folder / FILES.matches, matched, sources)
    write_tables(folder, FILES, matched, sources, FACTS)
    return folder


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["sources", "matches"])
@pytest.mark.parametrize("form", ["votable", "fits"])
def test_they_say_what_the_csv_says(tables, kind, form):
    path = tables / getattr(FILES, f"{kind}_{form}")
    found = parse(path, verify="exception").get_first_table().to_table() if form == "votable" else Table.read(path, 1)
    expected = rows(tables / getattr(FILES, kind))
    assert found.colnames == list(expected[0]) and len(found) == len(expected) == 2
    for row, words in zip(found, expected, strict=True):
        for name, text in words.items():
            value = row[name]
            if text in ("", "nan"):
                assert value is np.ma.masked or (value == "" if name == "doubt" else np.isnan(value)), name
            elif name in ("isolated", "compared"):
                assert bool(value) is (text == "yes"), name
            elif isinstance(value, str | np.str_ | bytes):
                assert str(value) == (text if form == "votable" else text.replace("ü", "?")), name
            else:
                assert float(value) == pytest.approx(float(text), rel=1e-8), name


@pytest.mark.parametrize("kind", ["sources", "matches"])
def test_units_and_ucds(tables, kind):
    """The unit that a column's name ends with; a UCD of the IVOA's list."""
    fields = parse(tables / getattr(FILES, f"{kind}_votable")).get_first_table().fields
    assert [field.name for field in fields] == list(SOURCE_COLUMNS if kind == "sources" else MATCH_COLUMNS)
    ends = {"_deg": u.deg, "_arcsec": u.arcsec, "_jy": u.Jy, "_jy_beam": u.Jy / u.beam}
    for field in fields:
        assert check_ucd(field.ucd, check_controlled_vocabulary=True), field.name
        units = [unit for end, unit in ends.items() if field.name.endswith(end)]
        assert field.unit == (units[0] if units else None) and field.description, field.name


@pytest.mark.fitsverify
@pytest.mark.stilts
def test_validators_find_nothing(tables):
    assert_votlint(tables / FILES.sources_votable, tables / FILES.matches_votable)
    assert_fitsverify(tables / FILES.sources_fits, tables / FILES.matches_fits)


def test_facts_stand_in_both(tables):
    infos = {info.name: info.value for info in parse(tables / FILES.sources_votable).get_first_table().infos}
    assert infos["OBJECT"] == "mosaic_20260211T002649" and infos["FREQ"] == "1405000000.0"
    header = Table.read(tables / FILES.matches_fits, 1).meta
    assert (header["OBJECT"], header["SYNTHET"], header["RADESYS"]) == ("mosaic_20260211T002649", True, "ICRS")


def test_files_of_earlier_versions_have_csv_alone(tables, tmp_path):
    old = CrossmatchFiles(**{key: getattr(FILES, key) for key in ("sources", "matches", "flux", "astrometry")})
    assert old.sources_votable is None and old.matches_fits is None
