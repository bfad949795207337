"""The pictures of flags and antenna health: the numbers drawn are those of the twins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from contimg.flagging.flag_codes import REASONS
from contimg.products.lineage import Lineage, Node
from contimg.products.twin import Twin
from contimg.report import flags, health


def ms(minute: int, **by_antenna: float) -> Twin:
    qa = {
        "flagged_fraction": 0.1,
        "flagged_by_reason": {"zero": 0.0, "interference": 0.1},
        "flagged_by_antenna": {name.removeprefix("a"): value for name, value in by_antenna.items()},
        "flagged_by_subband": {"sb00": 0.25},
    }
    return Twin(kind="ms", id=f"2026-02-11T00:{minute:02d}:00", verdict="passed", qa=qa, synthetic=True)


def calibration(**lost: float) -> Twin:
    by_antenna = {name.removeprefix("a"): value for name, value in lost.items()}
    return Twin(
        kind="calibration", id="cal_20260211T000500", verdict="passed", qa={"lost_by_antenna": by_antenna},
        synthetic=True,
    )  # fmt: skip


def lineage(*twins: Twin) -> Lineage:
    return Lineage({str(i): Node(f"/{i}.json", str(i), twin) for i, twin in enumerate(twins)}, {})


def test_columns_are_in_order_of_time_and_tiles_before_calibrations():
    tree = lineage(ms(10, a1=0.5), calibration(a1=1.0, a4=0.0), ms(5, a1=0.2), ms(0))
    assert health._columns(tree) == [
        ("2026-02-11T00:05:00", "ms", {"1": 0.2}),
        ("2026-02-11T00:05:00", "calibration", {"1": 1.0, "4": 0.0}),
        ("2026-02-11T00:10:00", "ms", {"1": 0.5}),
    ]


def test_health_is_drawn_for_many_antennas_and_tiles():
    # More than 36 antennas and 32 tiles: labels are thinned.
    tiles = [ms(minute, **{f"a{i}": 0.01 * i for i in range(60)}) for minute in range(50)]
    drawn = health.antenna_health(lineage(*tiles, calibration(a1=1.0)))
    with Image.open(drawn) as image:
        assert image.format == "PNG"
        assert image.width == pytest.approx(5.6 * 170, abs=1)


LARGE = [ms(minute, **{f"a{i}": 0.01 * i for i in range(1, 97)}) for minute in range(40)]
SMALL = [ms(0, a1=0.5)]


@pytest.mark.parametrize("tiles", [SMALL, LARGE], ids=["one tile", "40 tiles of 96 antennas"])
@pytest.mark.parametrize("kind", ["flags", "health"])
def test_letters_are_read_on_a_narrow_page_and_none_are_written_over_another(kind, tiles, monkeypatch):
    """Half a page of 1400 pixels leaves a picture 541, a page of 420 leaves it 372; 7 pixels can still be read."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    figures = []
    saved = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), saved(self, *a, **k)))
    flags.flag_picture(tiles) if kind == "flags" else health.antenna_health(lineage(*tiles, calibration(a1=1.0)))
    (figure,) = figures
    assert figure.get_figwidth() <= 5.6
    texts = [one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip()]
    for text in texts:
        assert text.get_fontsize() / 72 * 372 / figure.get_figwidth() >= 6.9, text.get_text()
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            boxes = [one.get_window_extent(renderer) for one in labels if one.get_text()]
            assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_colours_of_reasons_are_told_apart_by_all_eyes():
    """Paul Tol's muted scheme: at least 18 units of CIELAB apart for normal, red-blind and green-blind eyes."""
    assert len(flags._COLOURS) == len(REASONS) == len(set(flags._COLOURS))
    rgb = np.array([[int(one[i : i + 2], 16) / 255 for i in (1, 3, 5)] for one in flags._COLOURS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for kind, seen in EYES.items():
        lab = _lab(np.clip(linear @ np.array(seen).T, 0, 1))
        apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(len(lab), 1)]
        assert apart.min() >= 18, kind


# Machado, Oliveira & Fernandes 2009, IEEE TVCG 15, 1291, severity 1; on linear RGB.
EYES = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}


def _lab(linear):
    """Return CIELAB (D65) of linear sRGB."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = (linear @ np.array(matrix).T / [0.9505, 1.0, 1.089]).T
    fx, fy, fz = (np.where(one > 0.008856, np.cbrt(one), 7.787 * one + 16 / 116) for one in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)]).T


def test_nothing_is_drawn_of_twins_that_say_nothing():
    assert health.antenna_health(lineage(ms(0))) is None
    bare = Twin(kind="ms", id="2026-02-11T00:00:00", verdict="failed", qa={}, synthetic=True)
    assert flags.flag_picture([bare]) == ""
    assert flags.flag_picture([]) == ""


def test_percentages_are_nan_where_a_tile_lacks_the_antenna():
    got = flags._percentages([{"1": 0.5, "4": 0.25}, {"1": 1.0}], ["1", "4"])
    assert np.array_equal(got, [[50, 25], [100, np.nan]], equal_nan=True)


def test_flags_are_drawn_within_the_page():
    card = flags.flag_picture([ms(0, a1=0.5, a4=0.0), ms(5, a1=0.1)])
    assert card.startswith('<img alt="flagged fractions')
    assert card.count("data:image/jpeg;base64,") == 1


def test_bars_share_out_what_was_flagged():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    flags._bars(axes, [{"zero": 0.0, "clip": 0.1, "cell": 0.3}, {"clip": 0.2, "cell": 0.0}], ["a", "b"])
    bars = [(round(patch.get_x(), 6), round(patch.get_width(), 6)) for patch in axes.patches]
    assert bars == [(0.0, 10.0), (0.0, 20.0), (10.0, 30.0), (20.0, 0.0)]
