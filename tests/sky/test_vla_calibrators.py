"""The VLA calibrator list in its text form (the sources are made up), and `contimg calibrators`."""

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import TETE, EarthLocation, SkyCoord
from astropy.time import Time
from click.testing import CliRunner

from contimg.cli import main
from contimg.errors import InputError
from contimg.sky import calibrator_lists

HEADING = (
    "-----------------------------------------------------\n"
    "BAND        A B C D    FLUX(Jy)    UVMIN(kL)  UVMAX(kL)\n"
    "=====================================================\n"
)
LIST = f"""\
1200+304   J2000  B 12h00m10.500000s  30d24'30.000000"  Jan01  MADE-UP
1157+306   B1950  B 11h57m36.000000s  30d41'12.200000"
{HEADING} 90cm    P  S S S S         12                       4
 20cm    L  X P P P       4.00                    40
  6cm    C  X S P P       1.60                    40
3.7cm    X  X S S P       1.10                        visplot

1300-052   J2000  T 13h00m00.000000s  -05d12'00.500000''
1257-049   B1950  T 12h57m24.000000s  -04d55'50.500000''
{HEADING} 20cm    L  P P P P       0.85

1330+301   J2000  A 13h30m00.000000s  30d06'00.000000"
1327+303   B1950  A 13h27m42.000000s  30d21'30.000000"
{HEADING} 20cm    L  ? ? ? ?                       12
  6cm    C  P P P P       0.50

1340+310   J2000  A 13h40m00.000000s  31d00'00.000000"
1337+312   B1950  A 13h37m44.000000s  31d15'10.000000"
{HEADING} 20cm    L  X X X S       6.20                     3
"""


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "vla.txt"
    path.write_text(LIST)
    return path


def test_places_fluxes_and_bands(listed):
    first, second, _, _ = calibrator_lists.load(listed)
    assert first.name == "1200+304"
    assert (first.ra_deg, first.dec_deg) == pytest.approx((180.04375, 30 + 24.5 / 60), abs=1e-9)
    assert second.dec_deg == pytest.approx(-(5 + 12 / 60 + 0.5 / 3600))
    assert first.flux_jy(1.425e9) == pytest.approx(4.0)
    slope = np.log(1.6 / 4.0) / np.log(4.86 / 1.425)  # between the two bands that the list has
    assert first.flux_jy(1.3e9) == pytest.approx(4.0 * (1.3 / 1.425) ** slope)
    assert second.flux_jy(1.3e9) == pytest.approx(0.85 * (1.3 / 1.425) ** -0.7)
    assert "to 6 cm" in first.anchor and "assumed" in second.anchor
    assert "MADE-UP" in first.notes and "XPPP" in first.notes


def test_a_flux_is_known_in_its_band_only(listed):
    with pytest.raises(InputError, match="known flux from 1 to 2 GHz only"):
        calibrator_lists.load(listed)[0].flux_jy(4.86e9)


def test_without_a_flux_at_20_cm_there_is_a_reason_and_no_default(listed):
    _, _, third, fourth = calibrator_lists.load(listed)
    assert third.coefficients is None and third.anchor == "vla.txt: no flux at 20 cm (L)"
    assert fourth.coefficients is None and "marked X" in fourth.anchor
    with pytest.raises(InputError, match="'1330\\+301' has no flux"):
        third.flux_jy(1.4e9)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("       4.00    ", "      -4.00    ", "line 7 has the flux -4.00 Jy, not above zero"),
        ("       4.00    ", "       4,0O    ", "line 7 has the flux '4,0O', no number"),
        ("12h00m10.500000s", "12:00:10.5", "line 1 has no place"),
        ("12h00m10.500000s", "25h00m10.500000s", "line 1 is no place on the sky"),
        (HEADING, "", "line 3 is a band without source and heading"),
    ],
)
def test_a_bad_line_is_one_sentence(listed, old, new, said):
    listed.write_text(LIST.replace(old, new))
    with pytest.raises(InputError, match=said) as raised:
        calibrator_lists.load(listed)
    assert str(listed) in str(raised.value) and "\n" not in str(raised.value)


def test_a_file_that_is_no_list_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("nothing here\n")
    with pytest.raises(InputError, match="holds no source"):
        calibrator_lists.load(path)
    with pytest.raises(InputError, match="does not exist"):
        calibrator_lists.load(tmp_path / "none.txt")


def _run(tmp_path, *words):
    config = tmp_path / "config.yaml"
    config.write_text(f"calibration: {{calibrators: {tmp_path / 'vla.txt'}}}\n")
    return CliRunner().invoke(main, ["-c", str(config), "-d", str(tmp_path), "calibrators", *words])


def test_the_command_lists_transits_with_response_flux_and_reason(listed, tmp_path):
    done = _run(tmp_path, "--date", "2026-02-11", "--dec", "30.4", "--json")
    rows = {row["name"]: row for row in json.loads(done.output)["transits"]}
    assert set(rows) == {"1200+304", "1330+301", "1340+310"}
    first = rows["1200+304"]
    when = Time(first["time_mjd"], format="mjd")
    site = EarthLocation.from_geodetic(-118.2834 * u.deg, 37.2334051 * u.deg, 1188 * u.m)
    seen = SkyCoord(180.04375, 30.4083333, unit="deg").transform_to(TETE(obstime=when, location=site))
    hour_angle = when.sidereal_time("apparent", site.lon, model="IAU2006A") - seen.ra
    assert abs(hour_angle.wrap_at(180 * u.deg).to_value(u.hourangle)) * 3600 < 1.5
    assert first["offset_deg"] == pytest.approx(seen.dec.deg - 30.4, abs=2e-3)
    assert first["apparent_flux_jy"] == pytest.approx(first["beam_response"] * first["flux_jy"])
    assert first["reason"] is None
    assert "no flux at 20 cm" in rows["1330+301"]["reason"] and rows["1330+301"]["apparent_flux_jy"] is None
    table = _run(tmp_path, "--date", "2026-02-11", "--dec", "30.4").output
    assert "1 of 3 can calibrate" in table and "offset [deg]" in table


def test_without_tiles_the_declination_must_be_named(listed, tmp_path):
    done = _run(tmp_path)
    assert done.exit_code == 1 and "give --dec" in str(done.exception)
    assert _run(tmp_path, "--dec", "95").exit_code == 2
    assert _run(tmp_path, "--dec", "30", "--date", "2026-02-31").exit_code == 2
