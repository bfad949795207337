"""The mosaic's page in headless Chromium: links lead somewhere, nothing overflows, nothing is complained of."""

import html
import itertools
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from contimg.config import CalibrationOptions, QaOptions
from contimg.report.summarise_mosaic import summarise_mosaic
from tests.report.conftest import MOSAIC_ID

pytestmark = pytest.mark.chromium

THRESHOLDS = {"qa": QaOptions(), "calibration": CalibrationOptions()}
PLACES = ("stage", "bag", "registered", "withdrawn")


@pytest.fixture(scope="module")
def pages(night, tmp_path_factory):
    """The page on the stage, in a bag of an archive, in one withdrawn from it, and in a registered bundle."""
    layout, mosaic, comparison = night
    report = layout.product("summary", MOSAIC_ID)
    report.parent.mkdir(parents=True, exist_ok=True)
    summarise_mosaic(mosaic, comparison, report, layout=layout, judged_by=THRESHOLDS)
    archive = tmp_path_factory.mktemp("archive")
    (archive / "index.html").write_text("<!DOCTYPE html><title>gallery</title>")
    found = {"stage": report}
    folders = {
        "bag": archive / "mosaics" / "2026-02-11" / f"{MOSAIC_ID}.v2" / "data",
        "withdrawn": archive / ".withdrawn" / "mosaics" / "2026-02-11" / MOSAIC_ID / "data",
        "registered": layout.stage / "registered" / "2026-02-11" / MOSAIC_ID / "v1",
    }
    for name, folder in folders.items():
        shutil.copytree(mosaic.with_suffix(""), folder)
        shutil.copytree(comparison.with_suffix(""), folder / "crossmatch")
        (folder.parent / "publication.json").write_text("{}")
        found[name] = Path(shutil.copy(report, folder))
    return found


def browse(page, *options, width=1400):
    """Return the DOM of a page after its scripts, and what the browser's console said."""
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
         "--enable-logging=stderr", f"--window-size={width},900", "--virtual-time-budget=3000", *options,
         "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.stdout, re.findall(r"CONSOLE\S*\] (.*)", done.stderr)


@pytest.mark.parametrize("place", PLACES)
def test_every_link_leads_somewhere_and_the_console_is_silent(pages, place):
    page = pages[place]
    dom, console = browse(page)
    assert console == []
    links = [html.unescape(one) for one in re.findall(r'<a [^>]*href="([^"]*)"', dom)]
    anchors = set(re.findall(r' id="([^"]*)"', dom))
    assert len(links) >= 12 and len(links) == dom.count("<a ")
    for link in links:
        target = urlsplit(link)
        assert not target.scheme and not target.netloc, link
        if target.path:
            assert (page.parent / unquote(target.path)).resolve().is_file(), link
        else:
            assert target.fragment in anchors, link


def test_the_archive_is_linked_from_within_it_alone(pages):
    """To the gallery, and to its search for the middle of the field."""
    for place, expected in (("bag", "../../../../index.html"), ("stage", None), ("withdrawn", None)):
        dom, _ = browse(pages[place])
        found = [html.unescape(one) for one in re.findall(r'href="([^"]*index[.]html[^"]*)"', dom)]
        if expected is None:
            assert found == []
        else:
            gallery, epochs = found
            assert gallery == expected
            assert re.fullmatch(rf"{re.escape(expected)}#\d+\.\d{{4}} \+\d+\.\d{{4}}", unquote(epochs)), epochs


HELD, DECIDED = "Held: its verdict is warning", "Its verdict is warning; a person approved it: "
GONE = "It was withdrawn from the archive: "


@pytest.mark.parametrize(
    ("place", "says", "not_says"),
    [
        ("stage", [HELD, "publish approve"], [DECIDED, GONE]),
        ("registered", [HELD, "publish approve"], [DECIDED, GONE]),
        ("bag", [DECIDED], [HELD, "publish approve", GONE]),
        ("withdrawn", [GONE], [HELD, "publish approve", DECIDED]),
    ],
)
def test_a_page_asks_for_a_decision_where_none_was_taken(pages, place, says, not_says):
    dom, _ = browse(pages[place])
    assert 'hidden=""' not in dom and "hidden=" not in dom.split("<script>")[0]
    assert all(one in dom for one in says) and not any(one in dom for one in not_says)
    link = '<a href="../publication.json">who, when and why</a>'
    assert (link in dom) is (place in ("bag", "withdrawn"))


MEASURE = """<!DOCTYPE html><meta charset="utf-8"><iframe src="{address}" style="width:{width}px;height:900px;border:0">
</iframe><script>
window.onload = function () {{
  var inside = document.querySelector('iframe').contentDocument;
  inside.querySelectorAll('details').forEach(function (one) {{ one.open = true; }});
  var root = inside.documentElement, body = getComputedStyle(inside.body);
  document.title = [root.scrollWidth, root.clientWidth, body.backgroundColor, body.color].join(';');
}};
</script>"""


def measured(page, width, tmp_path, *options):
    """Return widths of the page's content and of its window, and colours of background and letters."""
    frame = tmp_path / "frame.html"
    frame.write_text(MEASURE.format(address=page.as_uri(), width=width))
    dom, _ = browse(frame, *options)
    title = re.search(r"<title>([^<]*)</title>", dom)
    content, window, background, ink = title.group(1).split(";")
    return int(content), int(window), background, ink


@pytest.mark.parametrize("width", [1400, 420, 360])
def test_nothing_overflows_with_all_parts_opened(pages, tmp_path, width):
    content, window, _, _ = measured(pages["bag"], width, tmp_path)
    assert content == window <= width


LINES = """<!DOCTYPE html><meta charset="utf-8"><iframe src="{address}" style="width:{width}px;height:900px;border:0">
</iframe><script>
window.onload = function () {{
  var inside = document.querySelector('iframe').contentDocument;
  inside.querySelectorAll('details').forEach(function (one) {{ one.open = true; }});
  document.title = [].map.call(inside.querySelectorAll('td'), function (cell) {{
    var text = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [];
    while (text.nextNode()) {{
      var at = /(mosaic_|cal_)?\\d{{8}}T\\d{{6}}|\\d{{4}}-\\d\\d-\\d\\dT[\\d:]{{8}}/.exec(text.currentNode.data);
      if (!at || at[0].length < text.currentNode.data.trim().length) continue;  // an id alone, not in a sentence
      var range = inside.createRange();
      range.selectNodeContents(text.currentNode);
      found.push(at[0] + ' ' + range.getClientRects().length);
    }}
    return found;
  }}).flat().join(';');
}};
</script>"""


@pytest.mark.parametrize("width", [1400, 420])
def test_no_table_splits_an_id(pages, tmp_path, width):
    frame = tmp_path / "frame.html"
    frame.write_text(LINES.format(address=pages["bag"].as_uri(), width=width))
    dom, _ = browse(frame)
    ids = re.search(r"<title>([^<]*)</title>", dom).group(1).split(";")
    assert len(ids) >= 8 and {one.split()[1] for one in ids} == {"1"}, ids


def test_colours_follow_the_persons_choice(pages, tmp_path):
    """Light and dark, and letters that can be read on both: contrast of 7 at least (WCAG 2.1, level AAA)."""
    seen = {}
    for name, value in (("dark", 0), ("light", 1)):
        scheme = f"--blink-settings=preferredColorScheme={value}"
        _, _, background, ink = measured(pages["bag"], 1400, tmp_path, scheme)
        seen[name] = background
        one, other = sorted((_luminance(background), _luminance(ink)), reverse=True)
        assert (one + 0.05) / (other + 0.05) >= 7
    assert _luminance(seen["dark"]) < 0.05 < 0.8 < _luminance(seen["light"])


def _luminance(colour):
    channels = [int(one) / 255 for one in re.findall(r"\d+", colour)[:3]]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_headings_follow_each_other_and_pictures_say_what_they_show(pages):
    """One title; no level is left out; a reader that does not see hears words for every picture."""
    dom, _ = browse(pages["bag"])
    levels = [int(one) for one in re.findall(r"<h([1-6])[ >]", dom)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    images = re.findall(r"<img [^>]*>", dom)
    assert len(images) >= 3 and all(re.search(r'alt="[^"]{5,}"', one) for one in images)
    assert '<html lang="en"' in dom
    heads = re.findall(r"<th\b[^>]*>", dom)
    assert heads and all('scope="' in one for one in heads)


def test_a_printed_page_takes_few_sheets(pages, tmp_path):
    """Verdict, numbers and picture on the first, plots beside each other: six sheets before, most of each empty."""
    place = tmp_path / "page.pdf"
    browse(pages["bag"], f"--print-to-pdf={place}", "--no-pdf-header-footer")
    assert len(re.findall(rb"/Type /Page\b", place.read_bytes())) <= 3
