"""A file opened by HDF5 through Python, so that each read that HDF5 makes is known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contimg.correlator import files


class RecordedReads:
    """What h5py asks of a file object, by plain reads of a descriptor.

    Attributes
    ----------
    size : int
        Of the file, bytes.
    reads : list of (int, bytes)
        Offset and content of each read.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._position = descriptor, 0
        self.size = os.fstat(descriptor).st_size
        self.reads: list[tuple[int, bytes]] = []

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (self.size if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        content = os.pread(self._descriptor, len(buffer), self._position)
        self.reads.append((self._position, content))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def flush(self) -> None:
        """Do nothing: h5py calls it, and nothing is written."""


@contextmanager
def opened(path: Path, recorded: RecordedReads) -> Iterator[Any]:
    """Open a subband file as `files.opened` does, by way of recorded reads.

    Raises
    ------
    FileFault
        ``unreadable``, if it is no whole HDF5 file.
    """
    import h5py

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, recorded)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    with files.content_faults(path):
        file = h5py.h5f.open(bytes(path), h5py.h5f.ACC_RDONLY, access)
    del access  # HDF5 must not meet a Python object when the process ends
    try:
        yield file
    finally:
        file.close()
