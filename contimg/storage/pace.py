"""How fast something is read that others read too."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Pace:
    """How fast bundles are read, and until when: a disk has others to serve.

    Attributes
    ----------
    megabytes_per_s : float or None
        None: as fast as the disk gives them.
    seconds : float or None
        No further bundle is begun after so long; None: all are read [s].
    """

    megabytes_per_s: float | None = None
    seconds: float | None = None
    _started_s: float = field(default_factory=time.monotonic)
    _bytes: int = 0

    def spend(self, count: int) -> None:
        """Note that so many bytes were read, and wait as long as the pace asks."""
        self._bytes += count
        if self.megabytes_per_s is not None:
            due_s = self._started_s + self._bytes / (self.megabytes_per_s * 1e6)
            time.sleep(max(0.0, due_s - time.monotonic()))

    @property
    def is_over(self) -> bool:
        """True when the time is over."""
        return self.seconds is not None and time.monotonic() - self._started_s >= self.seconds
