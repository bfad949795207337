"""Calibrators: fluxes against CASA's tables, positions, lists of users, transits against astropy."""

import subprocess
import sys
import time

import numpy as np
import pytest

from contimg.config import BeamOptions, CalibrationOptions
from contimg.errors import InputError, UnknownIdError
from contimg.sky import calibrator_lists, calibrators
from contimg.sky.transits import DriftScan, transits

LONGITUDE, LATITUDE = -2.064427799136453, 0.6498455107238486  # header of a real file
BEAM, OPTIONS = BeamOptions(), CalibrationOptions()
NAMES_IN_CASA = {"Fornax A": "FORNAX_A", "Pictor A": "PICTOR_A", "Taurus A": "TAURUS_A", "Hydra A": "HYDRA_A",
                 "Virgo A": "VIRGO_A", "Hercules A": "HERCULES_A", "Cygnus A": "CYGNUS_A",
                 "Cassiopeia A": "CASSIOPEIA_A"}  # fmt: skip


@pytest.fixture(scope="module")
def casa_tables():
    """The coefficients and positions that CASA's setjy uses, from casadata."""
    from pathlib import Path

    import casadata
    from casacore import tables

    folder = Path(casadata.datapath) / "nrao" / "VLA" / "standards"
    with tables.table(str(folder / "PerleyButler2017Coeffs"), ack=False) as table:
        latest = int(np.argmax(table.getcol("Epoch")))
        coefficients = {
            name.removesuffix("_coeffs"): table.getcell(name, latest).astype(float)
            for name in table.colnames()
            if name.endswith("_coeffs")
        }
    with tables.table(str(folder / "fluxcalibrator.data"), ack=False) as table:
        places = {row["Name"]: (row["RA_J2000"], row["Dec_J2000"]) for row in table}
    places["J0133-3629"] = places.pop("0133-3629")
    return coefficients, places


def test_fluxes_are_those_of_casas_perley_butler_2017(casa_tables):
    coefficients, _ = casa_tables
    listed = calibrator_lists.load("builtin")
    assert len(listed) == 20
    for calibrator in listed:
        low, high = calibrator.range_hz
        freq = np.clip(np.array([0.35e9, 1.3e9, 1.4e9, 1.5e9]), low, high)
        expected = 10 ** np.polyval(
            coefficients[NAMES_IN_CASA.get(calibrator.name, calibrator.name)][::-1], np.log10(freq / 1e9)
        )
        assert calibrator.flux_jy(freq) == pytest.approx(expected, rel=1e-3)


def test_fluxes_at_1_ghz_are_the_first_coefficient():
    for name, flux in (("3C286", 17.705), ("3C48", 21.149), ("3C147", 28.288)):
        assert calibrator_lists.find(calibrators.builtin(), name).flux_jy(1e9) == pytest.approx(flux, rel=1e-4)


def test_positions_are_those_of_casa(casa_tables):
    from contimg.sky.spherical import separation

    _, places = casa_tables
    for calibrator in calibrators.builtin():
        ra, dec = places[NAMES_IN_CASA.get(calibrator.name, calibrator.name)]
        apart = separation(np.radians(calibrator.ra_deg), np.radians(calibrator.dec_deg), ra, dec)
        assert np.degrees(apart) * 3600 < 2.5, calibrator.name


def test_flux_outside_the_range_is_an_error():
    fornax = calibrator_lists.find(calibrators.builtin(), "fornaxa")
    assert fornax.flux_jy(0.3e9) > 0
    with pytest.raises(InputError, match=r"'Fornax A' has a known flux from 0\.2 to 0\.5 GHz only"):
        fornax.flux_jy([0.4e9, 1.4e9])


def test_find_ignores_spaces_and_case_and_names_the_unknown():
    assert calibrator_lists.find(calibrators.builtin(), "3c 286").name == "3C286"
    with pytest.raises(UnknownIdError, match="'3C999'"):
        calibrator_lists.find(calibrators.builtin(), "3C999")


def _transits(listed, dec_app_deg, start, end, options=OPTIONS):
    return transits(listed, DriftScan(np.radians(dec_app_deg), start, end, LONGITUDE, LATITUDE), BEAM, options)


@pytest.mark.parametrize("name", ["3C48", "3C138", "3C147", "3C286", "3C295"])
@pytest.mark.parametrize("day", [61000.0, 61082.0, 61200.0])
def test_time_of_transit_against_astropy(name, day):
    from astropy import units
    from astropy.coordinates import EarthLocation, HADec, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    calibrator = calibrator_lists.find(calibrators.builtin(), name)
    (found,) = _transits([calibrator], calibrator.dec_deg, day, day + 0.997)
    site = EarthLocation.from_geodetic(LONGITUDE * units.rad, LATITUDE * units.rad, 1188 * units.m)
    with iers.conf.set_temp("auto_download", False):
        place = SkyCoord(calibrator.ra_deg, calibrator.dec_deg, unit="deg").transform_to(
            HADec(obstime=Time(found.time_mjd, format="mjd"), location=site)
        )
    # UT1 - UTC of up to 0.1 s is left out: 1.5 arcsec
    assert abs(place.ha.to_value(units.arcsec)) < 3.0


def test_every_transit_belongs_to_exactly_one_of_adjoining_tiles():
    length = 309.2376 / 86400
    found = [_transits(calibrators.builtin(), 33.15, 61082 + i * length, 61082 + (i + 1) * length) for i in range(279)]
    names = [transit.name for tile in found for transit in tile]
    assert names == ["3C48"]


def test_beam_response_and_apparent_flux():
    from contimg.sky.airy_beam import airy_power

    calibrator = calibrator_lists.find(calibrators.builtin(), "3C286")
    (on_axis,) = _transits([calibrator], 30.3695, 61082.0, 61082.997)
    assert on_axis.beam_response == pytest.approx(1, abs=1e-3)
    (off,) = _transits([calibrator], 31.3695, 61082.0, 61082.997)
    expected = float(airy_power(np.radians(1.0), 1.405e9, 4.65, 0.4064))
    assert off.beam_response == pytest.approx(expected, abs=5e-3)
    assert off.apparent_flux_jy == pytest.approx(off.beam_response * float(calibrator.flux_jy(1.405e9)))
    assert _transits([calibrator], 33.0, 61082.0, 61082.997) == []  # response below min_beam


def test_resolved_faint_and_fluxless_calibrators_are_not_used(tmp_path):
    assert _transits(calibrators.builtin(), 40.7, 61082.0, 61082.997) == []  # Cygnus A is 2 arcmin wide
    users = tmp_path / "mine.csv"
    users.write_text("name,ra_deg,dec_deg,flux_jy\nfaint,100,30,0.5\nblank,120,30,\ngood,140,30,3\n")
    listed = calibrator_lists.load(users)
    assert [t.name for t in _transits(listed, 30.0, 61082.0, 61082.997)] == ["good"]
    with pytest.raises(InputError, match="'blank' has no flux"):
        listed[1].flux_jy(1.4e9)


def test_of_equally_steady_ones_the_strongest_first():
    near = [
        calibrators.Calibrator(name, 100.0 + 0.1 * i, 30.0, (np.log10(flux),), None, "test")
        for i, (name, flux) in enumerate([("weak", 2.0), ("strong", 9.0)])
    ]
    assert [t.name for t in _transits(near, 30.0, 61082.0, 61082.997)] == ["strong", "weak"]


def test_users_list_says_what_is_assumed(tmp_path):
    users = tmp_path / "mine.csv"
    users.write_text("name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index\nA,10,20,5,1.5e9,-1\nB,11,20,5,,\n")
    one, two = calibrator_lists.load(users)
    assert one.flux_jy(0.75e9) == pytest.approx(10.0)
    assert two.flux_jy(1.4e9) == pytest.approx(5.0)
    assert two.flux_jy(0.7e9) == pytest.approx(5.0 * 0.5**-0.7)
    assert "spectral index assumed" in two.anchor


def test_light_enough_for_the_plan():
    code = "import sys; import contimg.sky.calibrators; print('astropy' in sys.modules, 'casacore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    listed, length = calibrators.builtin(), 309 / 86400
    _transits(listed, 33.15, 61082.0, 61082.0 + length)
    started = time.perf_counter()
    for i in range(1000):
        _transits(listed, 33.15, 61082 + i * length, 61082 + (i + 1) * length)
    assert time.perf_counter() - started < 1.0  # 1 ms a tile; measured 0.04


def test_names_of_a_users_list_are_plain_strings(tmp_path):
    """They become parameters of rules: numpy's strings compare equal but are recorded differently."""
    path = tmp_path / "mine.csv"
    path.write_text("name,ra_deg,dec_deg,flux_jy\nSIMCAL,10.0,30.0,9.0\n")
    assert [type(calibrator.name) for calibrator in calibrator_lists.load(path)] == [str]
