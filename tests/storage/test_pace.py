"""How fast something is read that others read too."""

import time

from contimg.storage.pace import Pace


def test_the_pace_is_kept():
    pace = Pace(megabytes_per_s=1.0)
    started = time.monotonic()
    for _ in range(10):
        pace.spend(30_000)
    assert 0.28 <= time.monotonic() - started < 3
    free = Pace()
    free.spend(10**12)
    assert not free.is_over and Pace(seconds=0.0).is_over
