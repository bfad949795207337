"""Reading and writing of Measurement Sets, for all wings; signs, frames and units.

Signs. With ``w`` towards the source, the correlator's files hold ``V = S exp(+2 pi i f/c (u l + v m +
w n))`` for ``uvw = position(antenna 2) - position(antenna 1)``. The Measurement Set holds the complex
conjugate, and ``UVW = position(antenna 1) - position(antenna 2)`` in the frame of the phase centre,
rows with ``ANTENNA1 < ANTENNA2``, as pyuvdata's ``write_ms`` does, so that WSClean and CASA put every
source where it is. Together::

    DATA = S exp(+2 pi i f/c (u l + v m + w (n - 1)))       with (u, v, w) = the UVW column,

``l`` towards east, ``m`` towards north, ``n = sqrt(1 - l^2 - m^2)`` about FIELD's PHASE_DIR. The tests
pin this with a source off the centre and with WSClean.

Frames: PHASE_DIR, REFERENCE_DIR, DELAY_DIR and POINTING's DIRECTION are ICRS (measure reference
``ICRS``), one field, one ascending spectral window, TIME in UTC seconds since MJD 0, positions ITRF.
"""

from contimg.measurement_set.coordinates import Coordinates, Visibilities
from contimg.measurement_set.reading import blocks, count_rows, direction, read, read_coordinates
from contimg.measurement_set.writing import Writer, create, rows_of_tile, write

__all__ = [
    "Coordinates",
    "Visibilities",
    "Writer",
    "blocks",
    "count_rows",
    "create",
    "direction",
    "read",
    "read_coordinates",
    "rows_of_tile",
    "write",
]
