"""The report page: what it must say, that it is well-formed, escaped, self-contained and the same each time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from astropy.coordinates import SkyCoord

from contimg import __version__
from contimg.config import CalibrationOptions, CrossmatchOptions, MosaicOptions, QaOptions
from contimg.crossmatch.crossmatch_mosaic import crossmatch_mosaic
from contimg.errors import InputError
from contimg.mosaic.mosaic_group import mosaic_group
from contimg.naming import Layout
from contimg.products.twin import Reason, read_twin, write_twin
from contimg.report.links import SCRIPT
from contimg.report.markup import safe
from contimg.report.summarise_mosaic import summarise_mosaic
from tests.report.conftest import MOSAIC_ID
from tests.support.fake_tiles import TileMaker

THRESHOLDS = {"qa": QaOptions(), "calibration": CalibrationOptions()}


@pytest.fixture(scope="module")
def page(night, tmp_path_factory) -> str:
    layout, mosaic, comparison = night
    output = tmp_path_factory.mktemp("page") / "page.html"
    summarise_mosaic(mosaic, comparison, output, layout=layout, judged_by=THRESHOLDS)
    return output.read_text(encoding="utf-8")


def text_of(page: str) -> str:
    tree = ET.fromstring(page.removeprefix("<!DOCTYPE html>\n"))
    return " ".join(piece.strip() for piece in tree.find("body").itertext() if piece.strip())


def test_says_the_verdict_and_why(page, night):
    text = text_of(page)
    comparison = read_twin(night[2])
    assert comparison.verdict == "warning"
    assert re.search(rf"{MOSAIC_ID}\s+warning", text)
    assert "SYNTHETIC DATA" in text
    assert "median_flux_ratio_not_measured" in text
    assert "not measured" in text
    assert "left out: its image failed (no_data)" in text


def test_says_the_numbers_and_their_thresholds(page, night):
    text = text_of(page)
    qa = read_twin(night[1]).qa
    assert f"{qa['rms_mjy']:#.4g}" in text
    assert f"{qa['noise_ratio']:#.4g}" in text
    assert f"{qa['area_deg2']:.1f} deg²" in text and f"{qa['peak_mjy'] / 1e3:.3f} Jy" in text
    assert "≤ 3 (else failed); ≤ 2 (else warning)" in text
    facts = read_twin(night[1]).facts
    centre = SkyCoord(*facts["centre_deg"], unit="deg").to_string("hmsdms", sep=":", precision=0)
    band = f"{facts['freq_hz'] / 1e9:.4f} GHz, {facts['bandwidth_hz'] / 1e6:.0f} MHz wide"
    assert f"centre {centre} (ICRS)  ·  {band}" in text
    assert "≥ 0.8 (else failed); ≤ 1.2 (else failed)" in text


def test_lists_tiles_calibrations_and_provenance(page):
    text = text_of(page)
    for tile in ("2026-02-11T00:00:00", "2026-02-11T00:05:09", "2026-02-11T00:10:18"):
        assert tile in text
    assert "sb03, sb07" in text
    assert "cal_20260211T000000 passed bandpass 3C147 PB2017 24 87.50 1.2 %" in text
    assert "subband files 16" in text
    assert "stage/mosaics/2026-02-11/" in text
    assert f"contimg {__version__}" in text


def test_is_well_formed_html(page):
    void, stack = {"meta", "img", "br", "source"}, []

    class Checker(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in void:
                stack.append(tag)

        def handle_endtag(self, tag):
            assert stack.pop() == tag

        def handle_startendtag(self, tag, attrs):
            assert tag in void

    checker = Checker()
    checker.feed(page)
    checker.close()
    assert stack == []
    assert page.startswith("<!DOCTYPE html>")


def test_everything_is_escaped(page):
    assert page.count("<script") == 1 and SCRIPT in page  # ours, which changes links on the stage
    assert "&lt;script&gt;alert(&#x27;1 &amp; 2&#x27;)" in page
    assert safe('<a href="x">') == "&lt;a href=&quot;x&quot;&gt;"


def test_needs_no_network(page):
    assert "//" not in re.sub(r'"data:[^"]*"', "", page)  # no address of any kind
    sources = re.findall(r'(?:src|srcset)="([^"]*)"', page)
    assert len(sources) == 4  # the mosaic twice, for wide and narrow screens
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "url(" not in page
    assert "@import" not in page


def test_same_bytes_each_time(page, night, tmp_path):
    layout, mosaic, comparison = night
    # What a product cost is not part of what it is: another cost, the same page.
    twin = read_twin(mosaic)
    try:
        write_twin(mosaic, twin.model_copy(update={"run": {"wall_s": 1e6, "host": "elsewhere"}}))
        summarise_mosaic(mosaic, comparison, tmp_path / "again.html", layout=layout, judged_by=THRESHOLDS)
    finally:
        write_twin(mosaic, twin)
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_without_a_comparison(night, tmp_path):
    layout, mosaic, _ = night
    summarise_mosaic(mosaic, None, tmp_path / "page.html", layout=layout, judged_by=THRESHOLDS)
    text = text_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert re.search(rf"{MOSAIC_ID}\s+passed", text)
    assert "catalogue sources" not in text


def test_of_a_failed_mosaic(tmp_path):
    fault = Reason(code="no_data", severity="failed", message="nothing")
    twin = TileMaker(tmp_path / "stage").make(0, 127.0, reasons=(fault,))
    mosaic = tmp_path / "stage" / "m" / f"{MOSAIC_ID}.json"
    mosaic_group(
        [twin],
        mosaic.with_suffix(""),
        mosaic,
        mosaic_id=MOSAIC_ID,
        options=MosaicOptions(),
        pb_limit=0.2,
        qa=QaOptions(),
    )
    catalogue = tmp_path / "c.csv"
    catalogue.write_text("name,ra_deg,dec_deg,flux_jy\na,127.3,54.6,3.0\n")
    comparison = tmp_path / "stage" / "x" / f"{MOSAIC_ID}.json"
    crossmatch_mosaic(
        mosaic, comparison.with_suffix(""), comparison, catalogue=catalogue, options=CrossmatchOptions(), qa=QaOptions()
    )
    layout = Layout(*(tmp_path / name for name in ("incoming", "stage", "products", "state")))
    summarise_mosaic(mosaic, comparison, tmp_path / "page.html", layout=layout, judged_by=THRESHOLDS)
    text = text_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert re.search(rf"{MOSAIC_ID}\s+failed", text)
    assert "no_usable_tile" in text
    assert "no_mosaic" in text


def test_wrong_twin(night, tmp_path):
    layout, _, comparison = night
    with pytest.raises(InputError, match="not of a mosaic"):
        summarise_mosaic(comparison, None, tmp_path / "page.html", layout=layout, judged_by=THRESHOLDS)
    with pytest.raises(InputError, match="does not exist"):
        summarise_mosaic(Path("/nowhere.json"), None, tmp_path / "page.html", layout=layout, judged_by=THRESHOLDS)
    assert not (tmp_path / "page.html").exists()


def test_what_happened_and_what_to_type_come_first_and_notes_last(night, tmp_path):
    layout, mosaic, comparison = night
    options = "-c '/my nights/config.yaml'"
    summarise_mosaic(
        mosaic, comparison, tmp_path / "a.html", layout=layout, judged_by=THRESHOLDS, command_options=options
    )
    text = text_of((tmp_path / "a.html").read_text(encoding="utf-8"))
    commands = [
        f"contimg {options} why {MOSAIC_ID}",
        f'contimg {options} publish approve {MOSAIC_ID} --reason "WHY IT IS GOOD ENOUGH"',
        f'contimg {options} publish reject {MOSAIC_ID} --reason "WHAT IS WRONG"',
    ]
    order = [
        MOSAIC_ID, "Held: its verdict is warning", *commands, "mJy/beam noise", "image (FITS)",
        "Numbers beyond a threshold", "All numbers of the mosaic", "Tiles and their quality", "Calibrations",
        "Provenance", "Verdicts and notes of every product",
    ]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_a_passed_mosaic_asks_for_nothing(night, tmp_path):
    layout, mosaic, _ = night
    summarise_mosaic(mosaic, None, tmp_path / "page.html", layout=layout, judged_by=THRESHOLDS)
    text = text_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert (
        "nothing has to be typed, unless publish.auto is off or it is poorer than" in text
        and "contimg " not in text.split("mJy/beam noise")[0]
    )
    assert re.search(r"All \d+ measured numbers that have a threshold are within it\b", text)


def test_numbers_beyond_a_threshold_stand_alone(night, tmp_path):
    layout, mosaic, comparison = night
    strict = THRESHOLDS | {"qa": QaOptions(max_noise_ratio=0.1, warn_noise_ratio=0.05)}
    summarise_mosaic(mosaic, comparison, tmp_path / "page.html", layout=layout, judged_by=strict)
    text = text_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    beyond = text.split("Numbers beyond a threshold")[1].split("All numbers of the mosaic")[0]
    assert re.search(r"mosaic noise over the expected [\d.]+ .* failed", beyond)
    assert "tiles used of the group" not in beyond
