"""The gallery's search in a browser: positions as a cone, ranges of noise and dates, verdicts, strips, epochs."""

import html
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from mocpy import MOC

from contimg.archive import gallery
from tests.archive.entry import made, unmeasured
from tests.support.browser import look

pytestmark = pytest.mark.chromium

# Fields of 2 x 2 deg; 3C286 is at 202.7845, +30.5092 deg.
FIELDS = {
    "mosaic_20260301T000000": {"centre": (202.8, 30.5), "rms": 1.5, "verdict": "passed", "mjd": 61100.0},
    "mosaic_20260215T000000": {"centre": (203.2, 30.4), "rms": 2.5, "verdict": "warning", "mjd": 61086.0},
    "mosaic_20260211T000000": {"centre": (0.3, 30.5), "rms": 0.9, "verdict": "passed", "mjd": 61082.0},
    "mosaic_20251224T000000": {"centre": (202.8, -20.0), "rms": 3.5, "verdict": "failed", "mjd": 61033.0},
}
A, B, C, D = FIELDS
EMPTY = "mosaic_20251201T000000"


def corners(ra, dec):
    east = 1 / np.cos(np.radians(dec))
    return [[ra + x * east, dec + y] for x, y in ((1, -1), (-1, -1), (-1, 1), (1, 1))]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of five mosaics in three months."""
    place = tmp_path_factory.mktemp("archive")
    found = [
        made(data_id=name, name=name, path=f"{place}/mosaics/{name}", centre_deg=list(one["centre"]),
             rms_mjy=one["rms"], verdict=one["verdict"], start_mjd=one["mjd"], corners_deg=corners(*one["centre"]),
             calibrators=[], doi="10.5281/zenodo.777" if name == A else None)
        for name, one in FIELDS.items()
    ]  # fmt: skip
    found.append(unmeasured(data_id=EMPTY, name=EMPTY, path=f"{place}/mosaics/{EMPTY}"))
    months = []
    for month in ("2026-03", "2026-02", "2025-12"):
        folder = place / "gallery" / month
        folder.mkdir(parents=True)
        some = [one for one in found if one["name"][7:13] == month.replace("-", "")]
        gallery.write_month(folder / "mosaics.js", some, folder)
        strips = [gallery.strip_of(one) for one in some]
        months.append({"month": month, "mosaics": len(some), "simulated": 0,
                       "strips": {one: strips.count(one) for one in strips if one}})  # fmt: skip
    MOC.from_healpix_cells(np.array([0], np.uint64), np.array([6], np.uint8), 11).save(
        str(place / "coverage.fits"), format="fits"
    )
    gallery.write_page(place / "index.html", months, place / "coverage.fits")
    return place / "index.html"


ASKED: dict[str, list[str]] = {
    "": [A, B, C, D, EMPTY],
    # sexagesimal and decimal positions, with a radius, across 0 h
    "13:31:08 +30:30:33": [A, B],
    "13h31m08.3s +30d30m33s": [A, B],
    "13 31 08 30 30 33": [A, B],
    "13:31 +30:30": [A, B],
    "13:31:08 +30:30": [A, B],
    "13:31.1, 30:30.5": [A, B],
    "13h31m +30d30m": [A, B],
    "13h31m08s+30d30m33s": [A, B],
    "13h31m08s-20d00m00s": [D],
    "202.78+30.51": [A, B],
    "J1331+3030": [A, B],
    "J133108.3+303033": [A, B],
    "j1331-2000": [D],
    "202.78 30.51": [A, B],
    "202.78 +30": [A, B],
    "202.78, −20.5": [D],
    "359.9 +30.5": [C],
    # other ways in which people and papers write them
    "13 31 08 +30 30": [A, B],
    "13 31 +30 30": [A, B],
    "13 31.1 -20 00": [D],
    "203 30": [A, B],
    "13:31:08 30.5": [A, B],
    "13.5h +30": [A, B],
    "RA 13:31:08 DEC -20:00:00": [D],
    "ra=202.78, dec=30.5": [A, B],
    "(202.78, 30.51)": [A, B],
    "202.78deg 30.5deg": [A, B],
    "13ʰ31ᵐ08ˢ +30°30′33″": [A, B],
    "3C 286": [A, B],
    "202.8 28.0 r=96'": [A, B],
    "202.8 28.0 r=87 arcmin": [B],
    "202.8 28.0 1.45": [B],
    "202.8 28.0 87 arcmin": [B],
    # as the VLA's list of calibrators has them, to a tenth of a degree
    "J1331+305": [A, B],
    "1331+305": [A, B],
    "1331-200": [D],
    "202.8 30.5 r=1": [A, B],
    "J1331+3030 r=30'": [A, B],
    "gal 56.5 80.7": [A, B],
    "B1950 13:28:50 +30:46": [A, B],
    "since 2026-02": [A, B, C],
    "2026-02-01..2026-02-14": [C],
    "rms<2": [A, C],
    "0.5-1 mJy": [C],
    "simulated": [],
    # no directions
    "400 30.5": [],
    "202.8 95.5": [],
    "13:31:08 +30:75": [],
    "25:31:08 +30:30": [],
    "13:31": [],
    "202.8 28.0": [],
    "202.8 28.0 r=1.6": [A, B],
    "202.8 28.0 r=1.45": [B],
    # names of calibrators: position or word
    "3C286": [A, B],
    "3c286 rms<2": [A],
    "3C 286 warning": [B],
    "warning 3c 286, rms>2": [B],
    # other names of calibrators, in the literature of before J2000 and of today
    "1328+307": [A, B],
    "B1328+307": [A, B],
    "j1331+3030 2026-03": [A],
    "Cas A": [],
    "crab nebula": [],
    "Cyg B": [],
    "M31": [],
    "NGC 1275": [],
    # frames; 3C286 is at l = 56.5240, b = +80.6752 deg and B1950 13 28 49.7 +30 45 59
    "gal 56.52 +80.68": [A, B],
    "l=56.52 b=80.68": [A, B],
    "G56.52+80.68": [A, B],
    "B1950 13:28:49.7 +30:45:59": [A, B],
    "13 28 49.7 +30 45 59 (B1950)": [A, B],
    "b1957-405": [],
    # noise
    "0.8-1 mJy": [C],
    "800-1000 uJy": [C],
    "0.8 mJy to 1 mJy": [C],
    "<1 mJy": [C],
    ">= 2.5 mJy/beam": [B, D],
    "0.3-0.6": [],
    "rms<1": [C],
    "rms >= 2.5": [B, D],
    "rms 1-3": [A, B],
    "rms<=1.5 rms>1": [A],
    "rms>1,rms<3 mJy": [A, B],
    "rms < 1000 µJy/beam": [C],
    "rms 1 to 3": [A, B],
    "rms 3-1": [A, B],
    "rms between 1 and 3": [A, B],
    "noise<1": [C],
    "rms<1e3": [],
    # dates
    "2026-02": [B, C],
    "2026-02-11": [C],
    "2026-02-11..2026-03-01": [A, B, C],
    "2025-12..2026-02": [B, C, D],
    "2026-02-15..": [A, B],
    "..2026-02-11": [C, D],
    "since 2026-02-15": [A, B],
    "after 2026-02-15": [A],
    "before 2026-02-11": [D],
    "until 2026-02-11": [C, D],
    "2025..2025": [D],
    "2026/02/11": [C],
    "2026-02-11T00:00:00": [C],
    "2026-02-11 00:00 UTC": [C],
    "2026-02 13:31:08 +30:30": [B],
    "2026-2-11": [C],
    "2026/2/11": [C],
    "2026-02-11 2026-02-15": [B, C],
    "2026-02-11 - 2026-02-15": [B, C],
    "2026-02-15..2026-02-11": [B, C],
    "11 Feb 2026": [C],
    "11feb2026": [C],
    "11-Feb-2026": [C],
    "February 11, 2026": [C],
    "2026 Feb 11": [C],
    "2026feb11": [C],
    "Feb 2026": [B, C],
    "2026 February": [B, C],
    "11 Feb 2026 - 15 Feb 2026": [B, C],
    "Feb 2026 to March 2026": [A, B, C],
    "since 1 march 2026": [A],
    "30 Feb 2026": [],
    "MJD 61082": [C],
    "11.02.2026": [],
    "2026-13": [],
    "2026-02-30": [],
    # verdicts are not parts of words
    "passed": [A, C, EMPTY],
    "warning 2026": [B],
    "failed 13:31:08 -20:00:00": [D],
    "not passed": [B, D],
    "not failed 2026": [A, B, C],
    "passed warning": [A, B, C, EMPTY],
    "verdict: failed": [D],
    "20260301": [A],
    "strip +30.5": [A, B, C],
    "<script>alert(1)</script>": [],
    "'\"; drop": [],
    "nothing of it": [],
}
CYGNUS, VIRGO, CRAB = (299.868, 40.734), (187.706, 12.391), (83.633, 22.014)
# ICRS positions (deg) of names, and of directions in other frames: those of Cygnus A and Virgo A by astropy 6.
PLACES = {
    "Cyg A": CYGNUS, "CygA": CYGNUS, "Cygnus A": CYGNUS, "3C 405 passed": CYGNUS, "b1957+405": CYGNUS,
    "M87": VIRGO, "M 87": VIRGO, "vir a 2026-02": VIRGO, "NGC 4486": VIRGO, "1228+126": VIRGO, "J1230+1223": VIRGO,
    "Crab Nebula": CRAB, "Tau A": CRAB, "M1": CRAB, "Cas A": (350.850, 58.815), "1328+307": (202.785, 30.509),
    "l=76.1899 b=5.7554": CYGNUS, "galactic 283.7778 74.4912": VIRGO, "G283.7778+74.4912": VIRGO,
    "l 76.1899, b 5.7554": CYGNUS, "B1950 19:57:44.45 +40:35:46.3": CYGNUS, "12h28m17.58s +12d40m01.9s FK4": VIRGO,
    "B1200+300": (180.640, 29.722), "1200+305": (180.0, 30.5),
}  # fmt: skip
SCRIPT = """
<script>
(async () => {
  const asked = %s, found = {}, said = {};
  const ids = () => [...grid.querySelectorAll('article')].map(one => one.id);
  for (const text of asked) { box.value = text; await draw(); found[text] = ids(); said[text] = status.textContent; }
  found['#links'] = [...document.querySelectorAll('details a')].map(one => decodeURIComponent(one.hash.slice(1)));
  box.value = ''; await draw();
  found['#doi'] = [...grid.querySelectorAll('dd a')].map(one => [one.textContent, one.href, one.closest('article').id]);
  found['#places'] = %s.map(text => {
    const asked = parse(text);
    return asked.place || positions[asked.words[0]];
  });
  box.value = '';
  strips.value = '+30.5°'; await draw(); found['#strip'] = ids();
  verdicts.value = 'passed'; await draw(); found['#strip and verdict'] = ids();
  strips.value = ''; verdicts.value = ''; grouped.checked = true; await draw(); found['#epochs'] = ids();
  found['#headings'] = [...grid.querySelectorAll(':scope > h2')].map(one => one.textContent);
  found['#options'] = [...strips.options].map(one => one.textContent);
  found['#said'] = said;
  document.body.setAttribute('data-found', JSON.stringify(found));
})();
</script>
"""


@pytest.fixture(scope="module")
def found(page, tmp_path_factory):
    """What the page finds for each question, from one run of the browser."""
    tested = page.with_name("tested.html")
    asked = json.dumps(list(ASKED)).replace("<", "\\u003c")
    tested.write_text(page.read_text().replace("</main>", SCRIPT % (asked, json.dumps(list(PLACES))) + "</main>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000",
               f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--enable-logging=stderr",
               "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", tested.as_uri()]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, timeout=180)
    assert b"CONSOLE" not in done.stderr, done.stderr  # no error of the script
    return json.loads(html.unescape(re.search(r'data-found="([^"]*)"', done.stdout.decode())[1]))


@pytest.mark.parametrize("asked", list(ASKED), ids=[text or "all" for text in ASKED])
def test_a_question_finds_what_it_asks_for(asked, found):
    assert found[asked] == ASKED[asked]


def test_a_doi_is_linked_and_the_examples_are_questions_that_are_understood(found):
    assert found["#doi"] == [["10.5281/zenodo.777", "https://doi.org/10.5281/zenodo.777", A]]
    assert len(found["#links"]) == 20 and set(found["#links"]) <= ASKED.keys() | PLACES.keys()


def test_names_and_other_frames_are_where_they_are_on_the_sky(found):
    for text, place, expected in zip(PLACES, found["#places"], PLACES.values(), strict=True):
        assert place == pytest.approx(expected, abs=0.001), text


NO_DIRECTION = "is no direction: hours to 24 or degrees to 360, then -90 to +90"
TEXT = "looked for the text"
NAMES = "names are known of flux calibrators alone, other sources are found by their position, 13:31:08 +30:30"
SAID = {
    "Cyg B": f"0 of 5 mosaics; {TEXT} “cyg” and “b”: {NAMES}",
    "M31": f"0 of 5 mosaics; {TEXT} “m31”: {NAMES}",
    "NGC 1275": f"0 of 5 mosaics; {TEXT} “ngc” and “1275”: {NAMES}",
    "30 Feb 2026": "0 of 5 mosaics; 2026-02-30 is no date",
    "gal 56.52 +80.68": "2 of 5 mosaics at 202.78°, +30.51°",
    "11.02.2026": "0 of 5 mosaics; 11.02.2026 is no date: write 2026-02-11",
    "400 30.5": f"0 of 5 mosaics; 400 30.5 {NO_DIRECTION}",
    "202.8 95.5": f"0 of 5 mosaics; 202.8 95.5 {NO_DIRECTION}",
    "13:31:08 +30:75": f"0 of 5 mosaics; 13:31:08 +30:75 {NO_DIRECTION}",
    "25:31:08 +30:30": f"0 of 5 mosaics; 25:31:08 +30:30 {NO_DIRECTION}",
    "13:31": f"0 of 5 mosaics; 13:31 {NO_DIRECTION}",
    "2026-13": "0 of 5 mosaics; 2026-13 is no date",
    "2026-02-30": "0 of 5 mosaics; 2026-02-30 is no date",
    "13:31:08 +30:30:33": "2 of 5 mosaics at 202.78°, +30.51°",
    "13h31m08s-20d00m00s": "1 of 5 mosaics at 202.78°, -20.00°",
    "202.8 28.0 87 arcmin": "1 of 5 mosaics at 202.80°, +28.00° within 1.45°",
    "rms<1": "1 of 5 mosaics",
    "rms<1e3": "0 of 5 mosaics; looked for the text “rms<1e3”",
    "nothing of it": "0 of 5 mosaics; looked for the text “nothing” and “of” and “it”",
    "<script>alert(1)</script>": "0 of 5 mosaics; looked for the text “<script>alert” and “1” and “</script>”",
}


@pytest.mark.parametrize("asked", list(SAID))
def test_how_a_question_was_understood_is_said(asked, found):
    assert found["#said"][asked] == SAID[asked]


def test_other_questions_are_answered_without_a_complaint(found):
    assert {asked for asked, said in found["#said"].items() if " is no " in said} <= SAID.keys()


def test_lists_of_strips_and_verdicts_filter(found):
    assert found["#options"] == ["all", "-20.0° (1)", "+30.5° (3)"]
    assert found["#strip"] == [A, B, C] and found["#strip and verdict"] == [A, C]


def test_epochs_of_a_field_stand_together(found):
    assert found["#headings"] == [
        "place not measured: 1 epoch", "strip +30.5°, 00h00m: 1 epoch", "strip +30.5°, 13h30m: 2 epochs",
        "strip -20.0°, 13h30m: 1 epoch",
    ]  # fmt: skip
    assert found["#epochs"] == [EMPTY, C, A, B, D]


@pytest.mark.parametrize(
    ("asked", "names"),
    [("202.7845%20%2B30.5092", [A, B]), ("", [A, B, C, D, EMPTY]), ("%E0%A4%A", [A, B, C, D, EMPTY])],
)
def test_a_link_with_a_question_shows_its_answer(page, asked, names):
    """As mosaics' pages have it; one that cannot be decoded asks for nothing."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
    done = subprocess.run([*command, f"{page.as_uri()}#{asked}"], capture_output=True, text=True, timeout=120)
    assert re.findall(r'<article[^>]* id="([^"]*)"', done.stdout) == names


@pytest.mark.parametrize("width", [1400, 420, 360])
def test_nothing_sticks_out_of_a_window(width, page):
    seen = look(page, width, page.parent)
    assert seen.sticking_out == [] and seen.scroll_px <= width
    assert 0.01 < seen.ink < 0.9


def test_the_page_is_small_and_fetches_nothing(page):
    text = page.read_text()
    assert len(text) < 120_000 and "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert Path(gallery.__file__).with_name("gallery.js").read_text() in text
