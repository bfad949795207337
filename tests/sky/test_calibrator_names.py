"""The names by which the built-in calibrators are found, against positions precessed by astropy."""

import re

import pytest
from astropy import units as u
from astropy.coordinates import FK4, SkyCoord

from contimg.errors import UnknownIdError
from contimg.sky.calibrator_lists import find, with_standards
from contimg.sky.calibrators import Calibrator, builtin

NAMED = {
    "CygA": "Cygnus A", "cyg a": "Cygnus A", "Cas A": "Cassiopeia A", "TauA": "Taurus A", "Crab": "Taurus A",
    "Vir A": "Virgo A", "m87": "Virgo A", "3C 274": "Virgo A", "Her A": "Hercules A", "Hyd A": "Hydra A",
    "1328+307": "3C286", "B0538+498": "3C147", "J0137+3309": "3C48", "0134+329": "3C48", "NGC 1316": "Fornax A",
}  # fmt: skip


@pytest.mark.parametrize("name", list(NAMED))
def test_the_names_that_people_use_find_the_calibrator(name):
    assert find(builtin(), name).name == NAMED[name]


@pytest.mark.parametrize("one", builtin(), ids=lambda one: one.name)
def test_names_made_of_positions_are_truncated_ones_of_j2000_and_b1950(one):
    place = SkyCoord(one.ra_deg * u.deg, one.dec_deg * u.deg)
    names = (one.name, *one.aliases)
    expected = {"J": _truncated(place, 4), "B": _truncated(place.transform_to(FK4(equinox="B1950")), 3)}
    for letter, digits in expected.items():
        assert [name for name in names if re.fullmatch(rf"{letter}\d{{4}}[-+]\d+", name)] == [letter + digits]
    assert expected["B"] in names


def _truncated(place, digits):
    """Return hhmm+ddd (tenths of a degree) or hhmm+ddmm, both truncated."""
    hours, dec = place.ra.deg / 15, abs(place.dec.deg)
    north = f"{int(dec * 10):03d}" if digits == 3 else f"{int(dec):02d}{int(dec % 1 * 60):02d}"
    return f"{int(hours):02d}{int(hours % 1 * 60):02d}{'-' if place.dec.deg < 0 else '+'}{north}"


def test_no_name_is_of_two_calibrators():
    names = [name.replace(" ", "").lower() for one in builtin() for name in (one.name, *one.aliases)]
    assert len(names) == len(set(names))


def test_a_name_of_a_list_goes_before_the_older_name_of_a_standard():
    """A list in J2000 may have a source whose name is the one that another had in B1950."""
    listed = Calibrator("1328+307", 202.0, 30.7, None, None, "a list")
    known = with_standards([listed])
    assert find(known, "1328+307").ra_deg == 202.0
    assert find(known, "B1328+307").name == "3C286"
    with pytest.raises(UnknownIdError):
        find(known, "Cyg B")
