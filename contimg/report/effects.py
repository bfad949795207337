"""What is wrong with a mosaic, ranked by how much of its noise or of its fluxes it explains.

Each measured number that has an effect of known size on noise or fluxes is turned into that effect; numbers whose
effect is not known are left to the table of verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contimg.products.facts import mosaic_facts, tile_facts
from contimg.products.lineage import Lineage
from contimg.products.twin import Twin
from contimg.report.markup import table

LEAST_EFFECT = 0.01
"""Effects below one per cent are not listed."""
_SUBBANDS, _INTEGRATIONS = 16, 24
Number = Callable[[float, Mapping[str, Any]], float]


@dataclass(frozen=True)
class Effect:
    """One cause and what it does.

    Attributes
    ----------
    what : str
        In words.
    where : str
        Product, or the number of tiles.
    measured : float
    noise : float
        Factor on the noise, 1 for none.
    flux : float
        Relative change of fluxes, 0 for none.
    """

    what: str
    where: str
    measured: float
    noise: float = 1.0
    flux: float = 0.0

    @property
    def size(self) -> float:
        """What it is ranked by."""
        return max(self.noise - 1, abs(self.flux))


def _lost(fraction: float) -> float:
    """Return the factor on the noise of a lost fraction of the data."""
    return 1 / math.sqrt(max(1 - fraction, 1e-3))


def _stripe(amplitude: float) -> float:
    """Return the factor on the noise of a sinusoid of an amplitude in units of the rms, which contains it."""
    return 1 / math.sqrt(max(1 - amplitude**2 / 2, 0.05))


def _one_antenna(gain: float, qa: Mapping[str, Any]) -> float:
    """Return the factor on the noise of a wrong gain of one antenna.

    It leaves sqrt(2) |gain - 1| / N of the brightest source all over the image (Perley 1999, ASP Conf. 180, 275).
    """
    peak, expected = qa.get("peak_mjy"), qa.get("expected_rms_mjy")
    if not peak or not expected:
        return 1.0
    left = math.sqrt(2) * abs(gain - 1) / max(float(qa.get("n_antennas") or 96), 1.0) * peak
    return math.hypot(1.0, left / expected)


# Number of a tile's qa -> (words, factor on the noise or None, relative change of fluxes or None).
_OF_TILES: dict[str, tuple[str, Number | None, Number | None]] = {
    "system_noise": ("noise of the visibilities over that on the calibrator", lambda v, qa: v, None),
    "flagged_fraction": ("flagged data", lambda v, qa: _lost(v), None),
    "lost_integrations": ("integrations that are lost", lambda v, qa: _lost(v), None),
    "lost_subbands": ("subbands that are lost", lambda v, qa: _lost(v / _SUBBANDS), None),
    "striping": ("strongest stripe [rms]", lambda v, qa: _stripe(v), None),
    "antenna_gain": ("gain of one antenna", _one_antenna, None),
    "flux_scale": ("flux scale against the catalogue", None, lambda v, qa: v - 1),
    "beam_width_error": ("width of the primary beam, at half power", None, lambda v, qa: -2 * math.log(2) * v),
    "subband_gain": ("gain of one subband", None, lambda v, qa: (v - 1) / _SUBBANDS),
    "time_gain": ("gain of one integration", None, lambda v, qa: (v - 1) / _INTEGRATIONS),
    "shift_beams": ("shift against the catalogue: peaks", None, lambda v, qa: math.exp(-4 * math.log(2) * v**2) - 1),
}
_OF_MOSAICS: dict[str, tuple[str, Number | None, Number | None]] = {
    "flux_scale": ("flux scale of the mosaic against the catalogue", None, lambda v, qa: v - 1),
    "flux_tilt_ra": ("fluxes from the middle to the eastern edge", None, lambda v, qa: v),
    "flux_tilt_dec": ("fluxes from the middle to the northern edge", None, lambda v, qa: v),
    "flux_bow_dec": ("fluxes from the middle to both edges", None, lambda v, qa: v),
    "peak_over_total": ("peaks over integrated fluxes", None, lambda v, qa: v - 1),
    "tile_scale_spread": ("flux scale of one tile against the others", None, lambda v, qa: v),
}


def effects(mosaic: Twin, comparison: Twin | None, lineage: Lineage) -> list[Effect]:
    """Return what is wrong with a mosaic, the largest effect first.

    Of the tiles' numbers the worst tile's effect counts, with the number of tiles that have the effect.
    """
    found = []
    for twin in (mosaic, *([comparison] if comparison is not None else [])):
        for key, row in _OF_MOSAICS.items():
            one = _effect(row, twin.id, twin.qa.get(key), twin.qa)
            found += [] if one is None else [one]
    images = [node.twin for node in lineage.of_kind("image")]
    for key, row in _OF_TILES.items():
        of_tiles = [one for image in images if (one := _effect(row, image.id, image.qa.get(key), _numbers(image)))]
        if of_tiles:
            worst = sorted(of_tiles, key=lambda one: -one.size)[0]
            others = f" and {len(of_tiles) - 1} more" if len(of_tiles) > 1 else ""
            found.append(Effect(worst.what, f"{worst.where}{others}", worst.measured, worst.noise, worst.flux))
    return sorted(found, key=lambda one: -one.size)


def _numbers(image: Twin) -> dict[str, Any]:
    return image.qa | {"n_antennas": image.facts.get("n_antennas")}


def _effect(
    row: tuple[str, Number | None, Number | None], where: str, value: float | None, qa: Mapping[str, Any]
) -> Effect | None:
    """Return the effect of a number; None where it was not measured or the effect is small."""
    if value is None or not math.isfinite(value):
        return None
    words, on_noise, on_flux = row
    noise = 1.0 if on_noise is None else on_noise(float(value), qa)
    flux = 0.0 if on_flux is None else on_flux(float(value), qa)
    one = Effect(words, where, float(value), noise, flux)
    return one if one.size >= LEAST_EFFECT else None


def effects_table(mosaic: Twin, comparison: Twin | None, lineage: Lineage) -> str:
    """Return the table of effects as HTML, and how much of the noise they leave unexplained."""
    found = effects(mosaic, comparison, lineage)
    rows: list[Sequence[object]] = [
        (
            one.what,
            one.where,
            one.measured,
            f"× {one.noise:.3g}" if one.noise > 1 + LEAST_EFFECT / 2 else None,
            f"{100 * one.flux:+.1f} %" if one.flux else None,
        )
        for one in found
    ]
    rows.append(_left_over(mosaic, lineage, found))
    columns = ("what is wrong", "where", "measured", "noise", "flux")
    return table(columns, rows, numbers=("measured", "noise", "flux")) + _conditions(mosaic, lineage)


def _left_over(mosaic: Twin, lineage: Lineage, found: Sequence[Effect]) -> tuple[object, ...]:
    """Return the row of what of the worst tile's noise none of the causes explains."""
    ratios = [(image.twin.qa.get("noise_ratio") or 0.0, image.twin.id) for image in lineage.of_kind("image")]
    ratio, worst = max(ratios, default=(0.0, mosaic.id))
    explained = math.prod(one.noise for one in found if one.where.startswith(worst))
    left = ratio / explained if ratio else None
    words = "noise over the radiometer's that nothing above explains"
    return words, worst, ratio or None, None if left is None else f"× {left:.3g}", None


def _conditions(mosaic: Twin, lineage: Lineage) -> str:
    """Return a sentence on the Sun where tiles are of the day."""
    places = [tile_facts(node.twin).sun for node in lineage.of_kind("image")]
    by_day = sum(place is not None and place.daytime for place in places)
    sun = mosaic_facts(mosaic).sun
    if not by_day or sun is None:
        return ""
    return (
        f'<p class="soft">{by_day} of {len(places)} tiles are of the day, Sun up to {sun.altitude_deg[1]:.0f}° high'
        f" and {sun.separation_deg:.0f}° or more away: its part of the noise is in what is left.</p>"
    )
