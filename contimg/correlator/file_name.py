"""Whether a subband file is what its name says."""

from __future__ import annotations

from contimg import naming, times


def contradiction(
    name: naming.SubbandName, start_mjd: float, subband: int, max_clock_error_s: float
) -> tuple[str, str] | None:
    """Return in what a file contradicts its name, as a reason code and a sentence, or None.

    Parameters
    ----------
    name : SubbandName
        The host's clock when it opened the file, and the subband.
    start_mjd : float
        Centre of the first integration, from the header.
    subband : int
        The subband that its frequencies belong to.
    max_clock_error_s : float
        How far the header may be from the name (``ingest.max_clock_error_s``).
    """
    clock_error_s = (start_mjd - times.mjd_from_datetime(name.time)) * 86400
    if not abs(clock_error_s) <= max_clock_error_s:
        return "clock", f"the header of {name} is {clock_error_s:.0f} s away from its name"
    if subband != name.subband:
        return "frequency", f"the frequencies of {name} are those of sb{subband:02d}"
    return None
