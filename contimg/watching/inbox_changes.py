"""Changes of the inbox: reported by the kernel where it can (watchfiles), and found by listing the folder.

Network filesystems report no change that another machine makes, so that both are done everywhere.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path


class InboxChanges:
    """What changes in a folder, for the loop of `contimg watch`."""

    def __init__(self, folder: Path, poll_s: float) -> None:
        self._folder, self._poll_s = folder, poll_s
        self._event = threading.Event()
        self._stop = threading.Event()
        self._seen: str | None = None
        self._next_look = 0.0
        self.error: str | None = None
        """Why the folder could not be listed at the last look; None if it could."""
        self._thread = threading.Thread(target=self._listen, name="inbox", daemon=True)
        self._thread.start()

    def changed(self) -> bool:
        """Return whether names, sizes or times in the folder are others than at the last call.

        The folder is listed only if the kernel reported a change, or after ``poll_s``.
        """
        now = time.monotonic()
        if not self._event.is_set() and now < self._next_look:
            return False
        self._event.clear()
        self._next_look = now + self._poll_s
        try:
            found = _signature(self._folder)
        except OSError as error:
            self.error = (
                f"paths.incoming {self._folder} cannot be listed ({error.strerror}): mount it, or correct the key"
            )
            return False
        self.error = None
        before, self._seen = self._seen, found
        return found != before

    def close(self) -> None:
        """End the thread that listens."""
        self._stop.set()
        self._thread.join(10)

    def _listen(self) -> None:
        """Note that the kernel reported a change; ends quietly where it cannot, as the looks are enough."""
        import watchfiles

        while not self._stop.is_set():
            try:
                for _ in watchfiles.watch(
                    self._folder, stop_event=self._stop, recursive=False, rust_timeout=1000, debounce=1600
                ):
                    self._event.set()
            except (OSError, RuntimeError):  # the folder is missing, or the limit of inotify is reached: looks go on
                self._stop.wait(self._poll_s)


def _signature(folder: Path) -> str:
    """Return a digest of the names in a folder with their sizes and modification times, in constant memory a file."""
    digest = hashlib.sha256()
    with os.scandir(folder) as entries:
        rows = sorted(_row(entry) for entry in entries)
    for row in rows:
        digest.update(row)
    return digest.hexdigest()


def _row(entry: os.DirEntry[str]) -> bytes:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # gone since it was listed
        return b""
    return f"{entry.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape")
