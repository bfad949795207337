"""Every quality number that a product can hold has a name in words, with a unit, for pages and the terminal."""

import ast
import re
from pathlib import Path

import pytest

from contimg.products import numbers
from contimg.products.gates import GATES
from contimg.report.numbers_table import numbers_in_words, words_of

SOURCE = Path(__file__).parents[2] / "contimg"
PRODUCERS = {
    "ms": ("convert/summary.py",),
    "calibrated": ("calibration/apply_calibration.py",),
    "calibration": (
        "calibration/bandpass_on_field.py", "calibration/flux_ensemble.py", "calibration/flux_scale.py",
        "calibration/on_calibrator.py", "calibration/on_field.py", "calibration/previous_bandpass.py",
        "calibration/quality.py", "calibration/solve_calibration.py",
    ),
    "image": (
        "imaging/image_tile.py", "imaging/prepare.py", "imaging/tile_products.py", "imaging/checks/arm_gains.py",
        "imaging/checks/beam_and_geometry.py", "imaging/checks/catalogue.py", "imaging/checks/image_quality.py",
        "imaging/checks/model_gains.py", "imaging/checks/system_noise.py",
    ),
    "mosaic": (
        "mosaic/mosaic_numbers.py", "mosaic/neighbours.py", "mosaic/overlap.py", "mosaic/tile_trends.py",
        "mosaic/tile_checks.py",
    ),
    "crossmatch": ("crossmatch/matching.py", "crossmatch/systematics.py", "crossmatch/group_beam.py"),
    "template": ("template/template_files.py",),
}  # fmt: skip
"""Modules that measure, by kind of product: each key of a mapping that they write is a number, a fact or a list."""
FACTS = {
    "ms": {
        "antenna_order_sha256", "applied_delays_sha256", "band_hz", "bandwidth_hz", "channel_width_hz", "clock_epoch",
        "dec_app_deg", "end_mjd", "freq_hz", "fs_table", "integration_s", "mid_mjd", "missing_subbands", "n_antennas",
        "n_channels", "n_subbands", "n_times", "phase_centre_deg", "start_mjd",
    },
    "calibrated": {"flux_anchor", "gain_sets", "inverse_variance_weights", "primary_beam", "uncalibrated_subbands"},
    "calibration": {
        "apparent_flux_jy", "calibrator_deg", "compared_with", "field_sources", "first_light", "flux_anchor", "flux_jy",
        "flux_scale", "min_uv_klambda", "primary_beam", "sefd_jy", "transit_mjd",
    },
    "image": {
        "band_hz", "bandwidth_hz", "cell_arcsec", "centre_deg", "end_mjd", "far_sources", "freq_hz", "mid_mjd",
        "min_uv_klambda", "n_channels", "n_samples", "n_times", "pb_peak_deg", "size_px", "start_mjd", "sun_in_data",
    },
    "crossmatch": {
        "ddec_arcsec", "dra_arcsec", "e_log_ratio", "e_offset_arcsec", "flux_ratio", "peak_ratio", "separation_arcsec",
    },
}  # fmt: skip
"""Keys of the same modules that are facts of a product or columns of its tables."""
LISTS = re.compile(r"\w*_by_\w+")
"""Numbers of each antenna, subband or reason, which are shown in pictures."""


def written(path):
    """Return the keys of mappings that a module writes; ``x`` stands for what is filled in."""

    def text(node):
        if isinstance(node, ast.JoinedStr):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""

    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Dict):
            found |= {text(key) for key in node.keys if key is not None}
        elif isinstance(node, ast.Assign):
            found |= {text(one.slice) for one in node.targets if isinstance(one, ast.Subscript)}
    return {key for key in found if re.fullmatch(r"[a-z]+\d*(_[a-zA-Z0-9]+)+", key)}


@pytest.mark.parametrize("kind", PRODUCERS)
def test_every_number_that_the_code_writes_has_words(kind):
    keys = {key for name in PRODUCERS[kind] for key in written(SOURCE / name)} - FACTS.get(kind, set())
    assert len(keys) >= 2
    assert sorted(key for key in keys if not LISTS.fullmatch(key) and words_of(kind, key)[0] == key) == []


MODELS = {
    "ms": numbers.MsQa, "calibration": numbers.CalibrationQa, "image": numbers.ImageQa, "mosaic": numbers.MosaicQa,
    "crossmatch": numbers.CrossmatchQa,
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_every_number_of_the_models_has_words(kind):
    keys = set(MODELS[kind].model_fields)
    assert [key for key in keys if not LISTS.fullmatch(key) and words_of(kind, key)[0] == key] == []


def test_every_judged_number_and_its_error_has_words():
    for gate in GATES:
        for key in filter(None, (gate.key, gate.error)):
            assert words_of(gate.kind, key)[0] != key, key


@pytest.mark.parametrize(
    ("kind", "key", "words"),
    [
        ("crossmatch", "e_shift_arcsec", ("error of: shift of the field in RA", "arcsec")),
        ("crossmatch", "e_flux_scale", ("error of: flux scale against the catalogue", "")),
        ("image", "subband_noise_of", ("noise of one subband over the median's: which one", "")),
        ("image", "flagged_fraction", ("flagged fraction", "")),
        ("mosaic", "flagged_fraction", ("flagged fraction, mean of the tiles", "")),
        ("ms", "flagged_fraction", ("flagged fraction", "")),
        ("calibration", "flagged_fraction", ("lost fraction of the working receptors' solutions", "")),
        ("calibration", "flagged_fraction_K", ("lost fraction of the working receptors' solutions: delays", "")),
        ("calibration", "snr_median_B", ("median signal-to-noise ratio of the solutions: bandpass", "")),
        ("calibration", "lost_ap_60s", ("solutions lost where amplitudes and phases were solved over 60 s", "")),
        ("calibration", "lost_p_all", ("solutions lost where phases were solved over the whole tile", "")),
        ("calibration", "sefd_median_jy", ("median SEFD of the receptors", "Jy")),
        ("image", "no_such_number", ("no_such_number", "")),
    ],
)
def test_the_words_of_a_number(kind, key, words):
    assert words_of(kind, key) == words


def test_errors_and_parts_stand_beside_their_numbers():
    qa = {
        "shift_ra_arcsec": -0.119, "shift_dec_arcsec": None, "e_shift_arcsec": 0.682, "flux_scale": 0.986235,
        "e_flux_scale": 0.010233, "beam_width": 1.0, "beam_width_of": None, "subband_gain": 1.02,
        "subband_gain_of": "sb04", "lost_antennas": [], "changed_antennas": ["3", "14"], "flux_by_subband": {"a": 1.0},
        "dynamic_range": 13720.41, "n_matched": 11,
    }  # fmt: skip
    assert [(value, key) for _, value, _, key in numbers_in_words("image", qa)] == [
        ("-0.12 ± 0.68", "shift_ra_arcsec"),
        ("not measured", "shift_dec_arcsec"),
        ("0.986 ± 0.010", "flux_scale"),
        ("1", "beam_width"),
        ("1.02 (sb04)", "subband_gain"),
        ("none", "lost_antennas"),
        ("3, 14", "changed_antennas"),
        ("13 720", "dynamic_range"),
        ("11", "n_matched"),
    ]
