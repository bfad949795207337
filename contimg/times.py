"""Time scales and their text: UTC as Modified Julian Date, as a datetime, and as ISO 8601 text.

Every time of the project is UTC. Text is rounded to the number of decimals that is asked for, so that one instant
reads the same in a FITS header, a twin, a page and the registry. Ids, which are floored, are in `contimg.naming`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
MJD_ZERO_JD = 2_400_000.5
"""Julian Date of MJD 0."""

_MICROSECOND = timedelta(microseconds=1)


def mjd_from_datetime(moment: datetime) -> float:
    """Return the Modified Julian Date (UTC, days) of an aware datetime."""
    return (moment - MJD_EPOCH) / timedelta(days=1)


def datetime_from_mjd(mjd: float) -> datetime:
    """Return the aware datetime of a Modified Julian Date (UTC, days), to the microsecond.

    A float64 MJD of this century has a granularity of 0.6 µs.

    Raises
    ------
    ValueError
        If `mjd` is not finite.
    OverflowError
        If it lies outside the years 1 to 9999.
    """
    return MJD_EPOCH + timedelta(days=float(mjd))


def utc_from_datetime(moment: datetime, decimals: int = 3) -> str:
    """Return an aware datetime as ``YYYY-MM-DDTHH:MM:SS.sss``, UTC, rounded to a number of decimals of a second.

    Parameters
    ----------
    moment : datetime
    decimals : int, default: 3
        0 to 6; an instant just between two texts gives the later one.
    """
    if not 0 <= decimals <= 6:
        raise ValueError(f"a datetime holds 0 to 6 decimals of a second, not {decimals}")
    step = 10 ** (6 - decimals)
    ticks = ((moment - MJD_EPOCH) // _MICROSECOND + step // 2) // step
    rounded = MJD_EPOCH + ticks * step * _MICROSECOND
    text = rounded.replace(tzinfo=None).isoformat(timespec="microseconds")
    return text[: 20 + decimals] if decimals else text[:19]


def utc_not_before(moment: datetime) -> str:
    """Return the first whole second, ``YYYY-MM-DDTHH:MM:SS``, UTC, at which an aware datetime has been reached."""
    return utc_from_datetime(moment + timedelta(microseconds=499_999), 0)


def utc_from_mjd(mjd: float, decimals: int = 3) -> str:
    """Return a Modified Julian Date (UTC, days) as ``YYYY-MM-DDTHH:MM:SS.sss``, rounded; FITS writes its dates so.

    Parameters
    ----------
    mjd : float
    decimals : int, default: 3

    Raises
    ------
    ValueError, OverflowError
        As `datetime_from_mjd`.
    """
    return utc_from_datetime(datetime_from_mjd(mjd), decimals)


def now(decimals: int = 3) -> str:
    """Return the present UTC time as records hold it, ``YYYY-MM-DDTHH:MM:SS.sssZ``: floored, as no clock is ahead."""
    moment, step = datetime.now(UTC), 10 ** (6 - decimals)
    return utc_from_datetime(moment.replace(microsecond=moment.microsecond // step * step), decimals) + "Z"


def ago(days: float) -> str:
    """Return the UTC time so many days ago, at most a century, as records hold it; with the seconds cut off."""
    return utc_from_datetime(datetime.now(UTC) - timedelta(days=days), 3)[:-4] + ".000Z"


def unix_from_utc(time: str) -> float:
    """Return a time of the registry, ``YYYY-MM-DDTHH:MM:SS.mmmZ``, as Unix time [s]."""
    return datetime.fromisoformat(time).timestamp()


def span_from_mjd(start_mjd: float, end_mjd: float) -> str:
    """Return a span of time as a person reads it, ``YYYY-MM-DD HH:MM:SS – HH:MM:SS UTC``, each end rounded to 1 s."""
    start, end = (utc_from_mjd(mjd, 0) for mjd in (start_mjd, end_mjd))
    return f"{start.replace('T', ' ')} – {end[11:]} UTC"


def span_text(seconds: float) -> str:
    """Return a time span in words, in minutes or days."""
    return f"{seconds / 86400:.1f} days" if seconds > 2 * 86400 else f"{seconds / 60:.0f} min"
