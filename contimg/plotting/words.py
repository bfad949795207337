"""Numbers as people say them: 13.96 Jy, 0.518 mJy, 2' and 30"."""

from __future__ import annotations

import math


def flux_words(mjy: float) -> str:
    """Return a flux density or a brightness given in mJy: with three digits, and from 1 Jy on in Jy with four."""
    return f"{digits(mjy / 1e3, 4)} Jy" if abs(mjy) >= 999.5 else f"{digits(mjy)} mJy"


def digits(value: float, least: int = 3) -> str:
    """Return a number with `least` significant digits, and all of those before the point; no exponent, no -0."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}".replace("-0", "0")
    places = max(0, least - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text


def counted(number: int, thing: str) -> str:
    """Return a number with what is counted: 1 file, 2 files."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def waiting(number: int) -> str:
    """Return how many wait: 1 waits, 2 wait."""
    return f"{number} wait{'s' if number == 1 else ''}"


def angle_words(degrees: float) -> str:
    """Return a small angle in the unit that suits it: degrees, minutes or seconds of arc."""
    units = ((1.0, "°"), (1 / 60, "′"), (1 / 3600, "″"))
    unit, sign = next((one for one in units if degrees >= 0.9999 * one[0]), units[-1])
    return f"{degrees / unit:.3g}{sign}"


def ticks_125(rms: float, low: float, high: float) -> list[float]:
    """Return ticks at 1, 2 and 5 times powers of ten between two ends, and 0; none that would be lost in the noise.

    Parameters
    ----------
    rms : float
        Noise, around which the scale is linear; ticks nearer to 0 than 1.5 times this are left out.
    low, high : float
        Ends of the scale: negative, positive.
    """
    found = [0.0]
    decades = range(math.floor(math.log10(rms)), math.ceil(math.log10(max(high, rms))) + 1)
    for value in (float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)):
        if 1.5 * rms < value <= high:
            found.append(value)
        if 1.5 * rms < value <= -low:
            found.insert(0, -value)
    return found
