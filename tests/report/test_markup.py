"""Elements of a page: every text is escaped, numbers are short, pictures travel within, and the whole is XML."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from contimg.report.markup import STYLE, Html, badge, code, page, picture, safe, table, wide

EVIL = "<script>alert('1') & \"2\"</script>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (EVIL, "&lt;script&gt;alert(&#x27;1&#x27;) &amp; &quot;2&quot;&lt;/script&gt;"),
        (Html("<b>x</b>"), "<b>x</b>"),
        (True, "yes"),
        (False, "no"),
        (3, "3"),
        (0, "0"),
        (0.0, "0.000"),
        (1.0, "1.000"),
        (1234.4, "1234"),
        (0.123456, "0.1235"),
        ([3, 7], "3, 7"),
        (badge("failed"), '<span class="badge failed">failed</span>'),
        (0.00012345678, "0.0001235"),
        (1.23456e7, "12 345 600"),
        (-2.5, "-2.500"),
        (None, '<span class="soft">–</span>'),
        ("", '<span class="soft">–</span>'),
        ([], '<span class="soft">–</span>'),
        (["a", 1.5, None], 'a, 1.500, <span class="soft">–</span>'),
        (("<", Html("<i/>")), "&lt;, <i/>"),
    ],
)
def test_a_value_as_markup(value, expected):
    assert safe(value) == expected


def test_words_and_code_are_escaped():
    assert badge("passed") == Html('<span class="badge passed">passed</span>')
    assert badge("simulated", "synthetic") == Html('<span class="badge synthetic">simulated</span>')
    assert ElementTree.fromstring(badge(EVIL, EVIL).text).text == EVIL
    assert ElementTree.fromstring(code(EVIL).text).text == EVIL


def test_a_wide_cell_holds_text_and_markup():
    assert ElementTree.fromstring(wide(EVIL).text).text == EVIL
    assert "<code>a</code>" in wide(code("a")).text


def test_a_table_has_its_cells_in_order():
    root = ElementTree.fromstring(table(["tile", "rms", EVIL], [["a", 1.5, EVIL], ["b", None, 2]], numbers=["rms"]))
    head = [(one.text, one.get("class")) for one in root.iter("th")]
    assert head == [("tile", "name"), ("rms", "number"), (EVIL, None)]
    rows = [["".join(cell.itertext()) for cell in row.iter("td")] for row in root.iter("tr")]
    assert rows == [[], ["a", "1.500", EVIL], ["b", "–", "2"]]
    assert [cell.get("class") for cell in root.iter("td")] == ["name", "number", None] * 2


def test_a_first_column_of_numbers_is_right_aligned():
    assert re.findall(r'<t[hd] class="(\w+)"', table(["n"], [[1]], numbers=["n"])) == ["number", "number"]


def test_a_table_without_rows_says_so():
    assert table(["tile"], []) == table(["tile"], iter(())) == '<p class="soft">None.</p>'


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [["only one"]])


def embedded(markup):
    element = ElementTree.fromstring(markup)
    kind, data = element.get("src").split(",")
    assert kind == "data:image/jpeg;base64"
    return element.get("alt"), Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(("size", "width", "expected"), [((400, 300), 200, (200, 150)), ((40, 30), 200, (40, 30))])
def test_a_picture_is_embedded_no_wider_than_asked(tmp_path, size, width, expected):
    Image.new("RGBA", size, (200, 100, 50, 255)).save(tmp_path / "p.png")
    words, shown = embedded(picture(tmp_path / "p.png", width, EVIL))
    assert (words, shown.size, shown.format) == (EVIL, expected, "JPEG")
    assert np.abs(np.asarray(shown).astype(int) - [200, 100, 50]).max() <= 4


@pytest.mark.parametrize("size", [(380, 380), (1400, 900)])
def test_a_picture_of_nothing_but_noise_is_embedded(tmp_path, size):
    """More bytes as JPEG than pixels: Pillow's buffer for optimized tables is too small for that."""
    noise = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "p.png")
    assert embedded(picture(tmp_path / "p.png", 1400, "noise"))[1].size == size


def test_a_picture_in_memory_is_as_good():
    content = io.BytesIO()
    Image.new("L", (10, 5), 128).save(content, format="PNG")
    assert embedded(picture(content, 100, ""))[1].size == (10, 5)


def test_a_page_is_xml_and_loads_nothing():
    text = page(EVIL, table(["a"], [[EVIL]]))
    root = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    assert root.find("head/title").text == EVIL
    assert [cell.text for cell in root.iter("td")] == [EVIL]
    assert not re.search(r"https?:|url\(|<link|<script|@import", text)


LIGHT, DARK = (
    dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", rule)) for rule in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)
PAIRS = [(text, ground) for text in ("ink", "soft", "blue", "bad") for ground in ("paper", "wash")]
PAIRS += [(word, f"{word}-wash") for word in ("good", "warn", "bad")]


def luminance(colour):
    """Relative luminance by WCAG 2.1 of a colour such as #1f5fa8."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("text", "ground"), PAIRS)
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(text, ground, colours):
    """WCAG 2.1, success criterion 1.4.3 (AA): a contrast of at least 4.5."""
    bright, dim = sorted((luminance(colours[f"--{name}"]) for name in (text, ground)), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5
