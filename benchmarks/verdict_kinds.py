"""The kinds of faults of the campaign of verdicts, and the diagnoses that are right for each."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contimg.simulate.data_faults import FAULTS as DATA
from tests.support.product_faults import FAULTS as PRODUCTS
from tests.support.whole_nights import Outcome

HARMLESS = "harmless"


def _edit(path: Path, change: Callable[[dict[str, str]], None]) -> None:
    """Change each row of a CSV file."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        change(row)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def scale_calibrators(folder: Path, factor: float) -> None:
    """Multiply the fluxes of the list of calibrators."""
    _edit(folder / "calibrators.csv", lambda row: row.update(flux_jy=f"{float(row['flux_jy']) * factor:.9g}"))


def scale_catalogue(folder: Path, factor: float) -> None:
    """Multiply the fluxes of the catalogue of the sky."""
    _edit(folder / "catalogue.csv", lambda row: row.update(flux_jy=f"{float(row['flux_jy']) * factor:.9g}"))


def shift_catalogue(folder: Path, degrees: float) -> None:
    """Move the catalogue of the sky to the east, as if it were another strip's."""
    _edit(folder / "catalogue.csv", lambda row: row.update(ra_deg=f"{(float(row['ra_deg']) + degrees) % 360:.7f}"))


def precess_catalogue(folder: Path, _value: float) -> None:
    """Give the catalogue of the sky coordinates of B1950."""
    from astropy.coordinates import FK4, SkyCoord

    def change(row: dict[str, str]) -> None:
        old = SkyCoord(float(row["ra_deg"]), float(row["dec_deg"]), unit="deg").transform_to(FK4(equinox="B1950"))
        row.update(ra_deg=f"{old.ra.deg:.7f}", dec_deg=f"{old.dec.deg:.7f}")

    _edit(folder / "catalogue.csv", change)


_SCALE = r"scale|flux_ratio|tile_disagrees|tiles_disagree"
_PLACE = r"offset|shift|tile_disagrees|tiles_disagree|clock|position"
_SKY = r"tile_disagrees|tiles_disagree|tile_damaged|completeness|noise_ratio|unmatched|outliers"
_NOISE = r"noise|rms|flagged|tile_fraction|weights|dynamic_range"
_FILE = r"tile_damaged|altered|refused|AlteredProduct|damaged"

# The words, in codes and messages, of which one names each fault.
WORDS = {
    "tile_scale": _SCALE,
    "target_scale": _SCALE,
    "calibrator_flux": _SCALE,
    "target_scale_2_uncatalogued": _SCALE,
    "subband_gain": rf"subband|{_SCALE}",
    "yy_gain": rf"polaris|XX|YY|{_SCALE}|{_NOISE}",
    "subbands_exchanged": rf"subband|{_NOISE}|{_SKY}|artefact",
    "subbands_exchanged_everywhere": rf"subband|{_NOISE}|{_SKY}|phase|{_SCALE}",
    "nsamples": rf"weight|nsamples|{_NOISE}",
    "nsamples_uneven": rf"weight|nsamples|{_NOISE}",
    "nan_block": rf"not_finite|flagged|finite|integrations|{_NOISE}",
    "gap": rf"gap|flagged|integrations|{_NOISE}",
    "clock": _PLACE,
    "clock_of_tile": rf"{_PLACE}|same_time|header_differs|quarantined",
    "conjugated": rf"{_SKY}|{_SCALE}|{_PLACE}",
    "duplicated": rf"{_SKY}|{_PLACE}",
    "exchanged_tiles": rf"{_SKY}|{_PLACE}",
    "noise": _NOISE,
    "dead_tiles": rf"{_SKY}|tile_fraction",
    "dead_subband": rf"subband|{_SCALE}|{_NOISE}",
    "bandpass_tilt": rf"subband|bandpass|band|{_SCALE}|{_NOISE}",
    "antenna_gain": rf"antenna|{_NOISE}|artefact|{_SCALE}",
    "antenna_phase": rf"antenna|{_NOISE}|artefact|{_SCALE}",
    "antenna_phases": rf"phase|decorrel|{_SCALE}|{_NOISE}|artefact|peak",
    "arm_delay": rf"arm|delay|{_SCALE}|{_NOISE}|artefact",
    "antennas_swapped": rf"antenna|swap|{_NOISE}|artefact",
    "polarisations_swapped": rf"polaris|antenna|{_NOISE}|artefact|{_SCALE}",
    "constant": rf"{_SKY}|{_NOISE}|no_data|stripe|striping|flux",
    "zero": r"no_data|empty|subband_empty|flagged|failed|calibrated",
    "stuck": rf"{_SKY}|{_NOISE}|stuck|repeat|artefact",
    "offset": rf"offset|stripe|striping|{_NOISE}|artefact|bowl",
    "aliased": rf"{_SKY}|{_NOISE}|artefact|{_SCALE}",
    "integrations_dropped": rf"{_PLACE}|{_NOISE}|artefact|{_SCALE}",
    "time_reversed": rf"{_SKY}|{_PLACE}|{_NOISE}|{_SCALE}",
    "channels_reversed": rf"subband|channel|{_NOISE}|{_SCALE}|artefact",
    "bit_flips": HARMLESS,
    "autos": HARMLESS,
    "gain_ramp": rf"ramp|{_SCALE}|tilt|artefact",
    "bright_integration": HARMLESS,
    "bad_baseline": HARMLESS,
    "declination": rf"{_PLACE}|declination|{_SCALE}|beam|tilt",
    "beam_diameter": rf"beam|bow|{_SCALE}|outliers",
    "tile_invented": rf"{_SKY}",
    "tile_noise": _NOISE,
    "tile_image_shifted": _PLACE,
    "tile_image_of_previous": rf"{_SKY}|{_PLACE}|{_FILE}",
    "tile_image_scaled": _SCALE,
    "tile_pb_scaled": rf"{_SCALE}|beam|pb",
    "tile_pb_elsewhere": rf"{_SCALE}|beam|pb|peaks",
    "mosaic_scaled": rf"{_SCALE}|flux",
    "mosaic_shifted": _PLACE,
    "mosaic_replaced": _SKY,
    "mosaic_invented": rf"{_SKY}|unmatched",
    "tile_centre_off": rf"centred|{_FILE}|{_PLACE}",
    "tile_rotated": rf"{_PLACE}|rotation|{_SKY}",
    "tile_mirrored": rf"{_PLACE}|{_SKY}",
    "tile_negated": rf"{_SKY}|negative",
    "tile_unit_factor": _SCALE,
    "tile_nan_stripe": rf"{_FILE}|finite",
    "tile_ghost": _SKY,
    "tile_double_beam": rf"{_SCALE}|beam|peak|wide",
    "tile_residual_only": _SKY,
    "tile_sources_twice": _SCALE,
    "tile_pb_squared": rf"{_SCALE}|beam|pb",
    "tile_beam_header": rf"beam|{_SCALE}",
    "tile_b1950": rf"{_PLACE}|{_SKY}",
    "mosaic_rotated": rf"{_PLACE}|{_SKY}|rotation|distortion",
    "mosaic_mirrored": rf"{_PLACE}|{_SKY}",
    "mosaic_negated": rf"{_SKY}|negative",
    "mosaic_nan_stripe": r"finite|NaN|no value",
    "mosaic_double_beam": r"peak_over_total|wide",
    "mosaic_beam_header": r"peak_over_total|beam",
    "mosaic_frequency": rf"frequency|{_SCALE}",
    "mosaic_b1950": rf"{_PLACE}|{_SKY}",
    "crosstalk": rf"{_SCALE}|{_NOISE}",
    "baselines_scaled": rf"antenna|{_SCALE}|{_NOISE}|artefact",
    "times_frozen": r"time|quarantined|integrations",
    "subband_late": rf"subband|time|quarantined|{_NOISE}",
    "satellite_trail": HARMLESS,
    "correlator_offset": HARMLESS,  # receivers' phases scatter it: the mosaic's fluxes and pixels stay
    "drift": rf"{_SCALE}|drift|step",
    "polarisations_swapped_once": rf"polaris|antenna|{_NOISE}|artefact|{_SCALE}",
    "nsamples_zero": r"no_data|empty|flagged|failed|lost|weight",
    "subband_repeated": rf"subband|{_NOISE}|{_SCALE}|artefact",
    "integrations_elsewhere": rf"integration|time|{_NOISE}|{_SCALE}|{_SKY}",
    "frequencies_off": r"frequency|quarantined|subband",
    "subband_frequencies_off": r"frequency|quarantined|subband",
    "catalogue_shifted": rf"{_SKY}|{_PLACE}|catalogue|matches|not_measured",
    "catalogue_b1950": rf"{_SKY}|{_PLACE}|catalogue|matches|not_measured",
    "catalogue_fluxes": _SCALE,
    "tile_quarter_turn": rf"{_PLACE}|rotation|{_SKY}",
    "tile_beam_angle": r"beam|BPA|position angle",
    "tile_pb_stretched": rf"{_SCALE}|beam|pb",
    "tile_images_exchanged": rf"{_SKY}|{_PLACE}",
    "mosaic_centre_off": rf"{_PLACE}|{_SKY}|centre",
}


@dataclass(frozen=True)
class Kind:
    """A kind of fault in the campaign.

    Attributes
    ----------
    value : float
        Its size.
    modes : tuple of str
        ``data``, ``edited``, ``made``, ``reference`` (of what the configuration names), ``uncatalogued`` (of the data
        or of a product, without a catalogue of the sky).
    words : str
        Regular expression of which a match in codes or messages is the right diagnosis, or `HARMLESS`: the fault takes
        nothing from the mosaic, which passes, or it is named.
    fault : str
        Name in the libraries of faults, where it is not the kind's own.
    changes : callable, optional
        Returns the sections of the configuration that the fault changes.
    edits : callable
        Of a fault of mode ``reference`` without `changes`: changes the files of a night's folder.
    """

    value: float
    modes: tuple[str, ...]
    words: str
    fault: str = ""
    changes: Callable[[float], dict[str, dict[str, Any]]] | None = None
    edits: Callable[[Path, float], None] = scale_calibrators

    def told(self, outcome: Outcome, tile: str | None) -> bool:
        """Return whether a fault was named: by a reason of the right kind, or by the tile that was left out for it."""
        if tile in outcome.left_out or (tile is None and outcome.left_out):
            return True
        flagged = [outcome.flagged.get(tile)] if tile is not None else list(outcome.flagged.values())
        if "subband" in self.words and any(flagged):
            return True  # the faulty subbands are left out
        if self.words == HARMLESS:
            flux = outcome.numbers.get("flux_scale")
            return flux is not None and (abs(flux - 1) < 0.03 or outcome.verdict != "passed")
        if any(code.startswith("quarantined:") and re.search(self.words, code) for code in outcome.codes):
            return True  # a file, or some of its samples
        said = " ".join([*outcome.codes, *outcome.messages, str(outcome.numbers.get("diagnosis", ""))])
        return outcome.verdict not in ("passed", "none") and re.search(self.words, said) is not None


def _kinds() -> dict[str, Kind]:
    found = {name: Kind(fault.value, ("data",), WORDS[name]) for name, fault in DATA.items()}
    for name, fault in PRODUCTS.items():
        modes = ("edited", "made") if fault.made else ("edited",)
        found[name] = Kind(fault.value, modes, f"{WORDS.get(name, _FILE)}|{_FILE}")
    found["calibrator_flux"] = Kind(1.1, ("reference",), WORDS["calibrator_flux"])
    found["beam_diameter"] = Kind(
        1.1, ("reference",), WORDS["beam_diameter"], changes=lambda value: {"beam": {"dish_diameter_m": 4.65 * value}}
    )
    for name, value in (
        ("conjugated", 1),
        ("duplicated", 1),
        ("target_scale", 2),
        ("clock", 10),
        ("tile_centre_off", 5),
        ("dead_tiles", 1),
        ("noise", 3),
        ("mosaic_invented", 60),
    ):
        words = rf"catalogue|{found[name].words}"
        found[f"{name}_uncatalogued"] = Kind(value, ("uncatalogued",), words, fault=name)
    for name, value in (("tile_invented", 60), ("tile_scale", 1.25), ("tile_image_shifted", 30), ("tile_negated", 1)):
        # One tile is wrong: nothing but its neighbours can tell, and it must be named.
        found[f"{name}_uncatalogued"] = Kind(value, ("uncatalogued",), found[name].words, fault=name)
    found["tile_bright"] = Kind(1.15, ("data",), WORDS["tile_scale"], fault="tile_scale")
    found["tile_shift_small"] = Kind(5, ("made",), found["tile_image_shifted"].words, fault="tile_image_shifted")
    found["clock_1s"] = Kind(1, ("data",), WORDS["clock"], fault="clock")
    found["nsamples_quarter"] = Kind(0.25, ("data",), WORDS["nsamples"], fault="nsamples")
    found["calibrator_flux_low"] = Kind(0.9, ("reference",), WORDS["calibrator_flux"])
    for name, value, edits in (
        ("catalogue_shifted", 1.0, shift_catalogue),
        ("catalogue_b1950", 1.0, precess_catalogue),
        ("catalogue_fluxes", 1.2, scale_catalogue),
    ):
        found[name] = Kind(value, ("reference",), WORDS[name], edits=edits)
    found["arm_delay_small"] = Kind(1, ("data",), WORDS["arm_delay"], fault="arm_delay")
    found["beam_diameter_small"] = Kind(
        0.9, ("reference",), WORDS["beam_diameter"], changes=lambda value: {"beam": {"dish_diameter_m": 4.65 * value}}
    )
    return found


KINDS = _kinds()

# kind, mode, sizes from small to large
LADDERS = (
    ("tile_image_scaled", "made", (1.02, 1.05, 1.1, 1.15)),
    ("tile_image_shifted", "made", (1, 2, 4, 8)),
    ("tile_noise", "made", (1.2, 1.5, 2)),
    ("tile_invented", "made", (5, 7, 10, 20)),
    ("tile_pb_scaled", "made", (0.98, 0.95, 0.9)),
    ("target_scale", "data", (1.03, 1.06, 1.1)),
    ("subband_gain", "data", (1.1, 1.5, 2)),
    ("clock", "data", (0.3, 1, 3)),
)
