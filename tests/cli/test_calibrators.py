"""`contimg calibrators`: transits of a date, with the reason where a calibrator cannot be used."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from contimg.cli.calibrators import SITE_LONGITUDE_LATITUDE_DEG, calibrators
from contimg.cli.common import Context
from contimg.simulate import GainErrors, NightOptions, simulate_night


@pytest.fixture
def run(tmp_path):
    config = tmp_path / "config.yaml"
    roots = "".join(f"  {name}: {tmp_path / name}\n" for name in ("incoming", "stage", "products", "state"))
    config.write_text(f"paths:\n{roots}")

    def call(*words):
        return CliRunner().invoke(calibrators, words, obj=Context((config,), tmp_path))

    return call


def test_a_known_source_transits_when_its_hour_angle_is_zero(run):
    from astropy import units
    from astropy.coordinates import EarthLocation, HADec, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    done = run("--date", "2026-02-11", "--dec", "33.29", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert (said["date"], said["dec_app_deg"]) == ("2026-02-11", 33.29)
    (found,) = (one for one in said["transits"] if one["name"] == "3C48")
    assert found["reason"] is None
    assert abs(found["offset_deg"]) < 0.02
    assert found["beam_response"] == pytest.approx(1, abs=0.001)
    # Perley & Butler 2017: log S = 1.3253 - 0.7553 log f - 0.1914 log^2 f + 0.0498 log^3 f, f in GHz.
    log_freq = np.log10(1.405)
    flux = 10 ** (1.3253 - 0.7553 * log_freq - 0.1914 * log_freq**2 + 0.0498 * log_freq**3)
    assert found["flux_jy"] == pytest.approx(flux, rel=1e-6)
    longitude, latitude = SITE_LONGITUDE_LATITUDE_DEG
    site = EarthLocation.from_geodetic(longitude * units.deg, latitude * units.deg, 1188 * units.m)
    with iers.conf.set_temp("auto_download", False):
        moment = Time(found["time_mjd"], format="mjd")
        place = SkyCoord(24.4220809, 33.1597592, unit="deg").transform_to(HADec(obstime=moment, location=site))
    assert abs(place.ha.to_value(units.arcsec)) < 5


def test_the_table_says_why_a_calibrator_cannot_be_used(run):
    done = run("--date", "2026-02-11", "--dec", "40.7")
    assert done.exit_code == 0, done.output
    assert "Cygnus A" in done.output
    assert "no: 120 arcsec" in done.output.replace("\n", " ")
    assert "can calibrate; 20 sources in the built-in list" in done.output


def test_without_a_configuration_it_asks_for_one_and_creates_nothing(tmp_path):
    said = str(CliRunner().invoke(calibrators, [], obj=Context((), tmp_path)).exception)
    assert said.endswith(": give --dec, or name your configuration, contimg -c FILE calibrators")
    assert list(tmp_path.iterdir()) == []


def test_without_a_declination_or_an_inbox_it_asks_for_one(run):
    done = run("--date", "2026-02-11")
    assert done.exit_code != 0
    assert "give --dec" in str(done.exception)


@pytest.mark.parametrize("date", ["11.2.2026", "2026-13-01", "today"])
def test_what_is_no_date_is_refused(run, date):
    done = run("--date", date, "--dec", "30")
    assert done.exit_code == 2
    assert f"'{date}' is no date like 2026-02-11" in done.output


def test_the_default_date_is_today(run):
    from datetime import UTC, datetime

    before = datetime.now(UTC).date()
    said = json.loads(run("--dec", "30", "--json").output)
    assert before.isoformat() <= said["date"] <= datetime.now(UTC).date().isoformat()


@pytest.fixture
def inbox(tmp_path):
    """One tile at declination 54.57 deg in the inbox, by subband."""
    options = NightOptions(
        tiles=1, antennas=4, channels=4, integrations=2, sources=0, calibrator="none", declination_deg=54.57,
        start="2026-02-11T06:00:00", noise=False, gains=GainErrors.none(),
    )  # fmt: skip
    record = simulate_night(tmp_path / "night", options)
    (tmp_path / "incoming").mkdir()
    files = [file.path.rename(tmp_path / "incoming" / file.path.name) for file in record.files]
    return sorted(files, key=lambda path: path.name[-7:])


def test_the_declination_is_that_of_the_newest_tile(run, inbox):
    said = json.loads(run("--date", "2026-02-11", "--json").output)
    assert said["dec_app_deg"] == pytest.approx(54.57, abs=1e-9)
    assert json.loads(run("--date", "2026-02-11", "--dec", "33.29", "--json").output)["dec_app_deg"] == 33.29


def test_files_that_cannot_be_read_are_passed_over(run, inbox):
    for path in inbox[:-1]:
        path.write_bytes(b"no HDF5")
    later = inbox[0].with_name("2026-02-11T07:00:00_sb00.hdf5")
    later.write_bytes(b"")
    said = json.loads(run("--date", "2026-02-11", "--json").output)
    assert said["dec_app_deg"] == pytest.approx(54.57, abs=1e-9)
    inbox[-1].write_bytes(b"no HDF5")
    assert "give --dec" in str(run("--date", "2026-02-11").exception)


def test_a_list_of_ones_own_is_named(run, tmp_path):
    listed = tmp_path / "calibrators.csv"
    listed.write_text(
        "name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index\nMINE,24.4220809,33.1597592,16.0,1.4e9,-0.8\n"
    )
    (tmp_path / "config.yaml").write_text(
        (tmp_path / "config.yaml").read_text() + f"calibration:\n  calibrators: {listed}\n"
    )
    done = run("--date", "2026-02-11", "--dec", "33.29")
    assert done.exit_code == 0, done.output
    assert "MINE" in done.output
    assert f"1 of 1 can calibrate; 1 sources in {listed}" in done.output.replace("\n", " ").replace("  ", " ")
