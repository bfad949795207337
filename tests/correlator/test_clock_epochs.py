"""Which clock a header's time is from, by the observatory's notes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from contimg import times
from contimg.correlator.clock_epochs import EPOCHS, clock_epoch


def at(text):
    return times.mjd_from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("moment", "since", "offset_s"),
    [
        ("2025-10-03T00:00:00", "", None),
        ("2026-06-01T23:59:59", "", None),
        ("2026-06-02T00:00:01", "2026-06-02", -1.8),
        ("2026-07-19T23:59:50", "2026-06-02", -1.8),
        ("2026-07-20T00:00:01", "2026-07-20", 0.0),
        ("2031-01-01T12:00:00", "2026-07-20", 0.0),
    ],
)
def test_the_epoch_of_a_time_and_its_known_offset(moment, since, offset_s):
    epoch = clock_epoch(at(moment))
    assert (epoch.since, epoch.offset_s) == (since, offset_s) and "dsa110" in epoch.source


def test_epochs_are_in_order_and_say_what_they_are():
    dates = [epoch.since for epoch in EPOCHS]
    assert dates == sorted(dates) and len(set(dates)) == len(dates) and dates[0] == ""
    for date in dates[1:]:
        datetime.fromisoformat(date)
    for epoch in EPOCHS:
        assert epoch.clock and set(epoch.facts()) == {"since", "clock", "offset_s", "source"}
