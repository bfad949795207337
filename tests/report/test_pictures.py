"""The pictures of flags and antenna health: the numbers drawn are those of the twins."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

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
    # More than 48 antennas and 40 tiles: labels are thinned.
    tiles = [ms(minute, **{f"a{i}": 0.01 * i for i in range(60)}) for minute in range(50)]
    drawn = health.antenna_health(lineage(*tiles, calibration(a1=1.0)))
    with Image.open(drawn) as image:
        assert image.format == "PNG"
        assert image.width == pytest.approx((2.4 + 0.16 * 51) * 100, abs=2)


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
