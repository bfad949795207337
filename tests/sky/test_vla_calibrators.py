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


def made_up(listed):
    """Return the four sources of the list, without the standards that it is merged with."""
    return calibrator_lists.load(listed)[20:]


def test_places_fluxes_and_bands(listed):
    first, second, _, _ = made_up(listed)
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
        made_up(listed)[0].flux_jy(4.86e9)


def test_without_a_flux_at_20_cm_there_is_a_reason_and_no_default(listed):
    _, _, third, fourth = made_up(listed)
    assert third.coefficients is None and third.anchor == "vla.txt: no flux at 20 cm (L)"
    assert fourth.coefficients is None and "marked X" in fourth.anchor
    with pytest.raises(InputError, match="'1330\\+301' has no flux"):
        third.flux_jy(1.4e9)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
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


def block(*lines, name="1400+300"):
    """Return a list of one source with lines of bands."""
    return f"""{name}   J2000  A 14h00m00.000000s  30d00'00.000000"\n{HEADING}""" + "\n".join(lines) + "\n"


def one(tmp_path, *lines):
    (tmp_path / "vla.txt").write_text(block(*lines))
    return calibrator_lists.find(calibrator_lists.load(tmp_path / "vla.txt"), "1400+300")


# The kinds of lines in the telescope's copy of the list that are no plain band.
@pytest.mark.parametrize(("line", "skipped"), [
    ("0.7cm    Q  W W W W       0.0", "band Q skipped, as its flux is 0.0"),
    ("  6cm    C  X X X ?       0.00", "band C skipped, as its flux is 0.00"),
    ("  2cm    U  S S S S          ?", "band U skipped, as its flux is ?"),
    ("  6cm    C  X X S S          ?                       20", "band C skipped, as its flux is ?"),
    ("  2cm U                0.00", "band U skipped, as its flux is 0.00"),
    ("  6cm    C  P P P P      -1.00", "band C skipped, as its flux is -1.00"),
    ("  6cm    C  P P P P       1,0O", "band C skipped, as its flux is 1,0O"),
    ("  2cm    U  X X X X       ", ""),
    ("0.7cm    Q  W W W w       0.64", ""),
    ("  6cm    C  S S", ""),
    (" 3.7cm X  X X X ?       0.52                       visplot", ""),
    ("0.7cm    Q  S S S S      1e999", "band Q skipped, as its flux is 1e999"),
])  # fmt: skip
def test_a_bad_band_is_skipped_with_a_note_and_l_stays(tmp_path, line, skipped):
    found = one(tmp_path, " 20cm    L  P P P P       2.50", line)
    assert found.flux_jy(1.425e9) == pytest.approx(2.5)
    assert skipped in found.notes and ("skipped" in found.notes) == bool(skipped)


@pytest.mark.parametrize("flux", ["0.00", "?", "-1.0", "x", ""])
def test_a_bad_flux_at_20_cm_leaves_no_default(tmp_path, flux):
    found = one(tmp_path, f" 20cm    L  P P P P       {flux}", "  6cm    C  P P P P       1.00")
    assert found.coefficients is None
    assert found.anchor == "vla.txt: no flux at 20 cm (L)"


@pytest.mark.parametrize(("line", "limits"), [
    (" 20cm    L  P P P P       2.50", (0.0, np.inf)),
    (" 20cm    L  P P P P        2.2                        7", (0.0, 7.0)),
    (" 20cm    L  S P P P       1.60            6", (6.0, np.inf)),
    (" 20cm    L  ? X S X       1.5             6          15", (6.0, np.inf)),
    (" 20cm    L  S S S S       1.5           .7           6", (0.7, 6.0)),
    (" 20cm    L  P P P P       1.50                      100", (0.0, np.inf)),
    (" 20cm L  S S S ?       1.28            10         visplot", (10.0, np.inf)),
    (" 20cm L  X X S ?       2.40                       4   visplot", (0.0, 4.0)),
    (" 20cm    L  P P P P       1.50                       visplot", (0.0, np.inf)),
])  # fmt: skip
def test_limits_of_baselines_are_those_that_this_array_can_pass(tmp_path, line, limits):
    found = one(tmp_path, line)
    assert (found.min_klambda, found.max_klambda) == limits


def test_a_source_for_longer_baselines_only_is_not_used(tmp_path):
    found = one(tmp_path, " 20cm    L  S S S S       1.60           45")
    assert found.coefficients is None and "beyond 45 thousand wavelengths only" in found.anchor


def test_letters_that_are_missing_are_not_known(tmp_path):
    assert "S??? in configurations" in one(tmp_path, " 20cm    L  S               33           10").notes
    assert "XSS?" in one(tmp_path, " 20cm    L  X S S          2.0            1           5").notes


def test_quality_letters_are_errors_of_the_flux(tmp_path):
    error = {q: one(tmp_path, f" 20cm    L  P P {q} P       2.50").flux_error for q in "PS?W"}
    assert error["P"] < error["S"] < error["?"] < error["W"]


def test_standards_win_at_their_positions_and_are_found_by_the_lists_name(tmp_path):
    head = """0137+331   J2000  A 01h37m41.299431s  33d09'35.132990"  Aug01  3C48\n"""
    (tmp_path / "vla.txt").write_text(head + HEADING + " 20cm    L  X P P P      16.50\n\n" + LIST)
    known = calibrator_lists.load(tmp_path / "vla.txt")
    assert len(known) == 20 + 4
    by_either = [calibrator_lists.find(known, name) for name in ("0137+331", "3C 48")]
    assert by_either[0] is by_either[1]
    assert by_either[0].anchor.startswith("Perley & Butler 2017")
    assert by_either[0].flux_error < calibrator_lists.find(known, "1200+304").flux_error


def test_blazars_are_named_and_count_as_unsteady(tmp_path):
    head = """2253+161   J2000  A 22h53m57.747932s  16d08'53.560890"  Aug01  3C454.3\n"""
    (tmp_path / "vla.txt").write_text(head + HEADING + " 20cm    L  P P P P      10.00\n")
    found = calibrator_lists.find(calibrator_lists.load(tmp_path / "vla.txt"), "2253+161")
    assert found.notes.startswith("blazar 3C454.3, varies by tens of per cent")
    assert found.flux_error == 0.3
    (tmp_path / "mine.csv").write_text("name,ra_deg,dec_deg,flux_jy\nA,343.4906,16.1482,10\nB,343.6,16.1482,10\n")
    mine = calibrator_lists.load(tmp_path / "mine.csv")
    assert [one.notes.startswith("blazar") for one in mine] == [True, False]


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
    assert set(rows) == {"1200+304", "1330+301", "1340+310", "3C286", "3C123"}
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
    assert "2 of 5 can calibrate" in table and "offset [deg]" in table


def test_without_tiles_the_declination_must_be_named(listed, tmp_path):
    done = _run(tmp_path)
    assert done.exit_code == 1 and "give --dec" in done.stderr
    assert _run(tmp_path, "--dec", "95").exit_code == 2
    assert _run(tmp_path, "--dec", "30", "--date", "2026-02-31").exit_code == 2
