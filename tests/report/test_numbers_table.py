"""The table of measured numbers: thresholds and verdicts are those of the gates that the twin was judged by."""

from xml.etree import ElementTree

import pytest

from contimg.config import CalibrationOptions, QaOptions
from contimg.products.gates import gates_of
from contimg.products.judged import judged
from contimg.products.numbers import CrossmatchQa, MosaicQa
from contimg.products.twin import Twin
from contimg.report.numbers_table import LABELS, numbers_table, with_error, words_of


def rows(kind: str, qa: dict, **thresholds: float) -> dict[str, list[str]]:
    """Return the cells of each number by its name, of a twin that was judged by some thresholds."""
    twin = Twin(kind=kind, id="mosaic_20260211T002649", verdict="passed", qa=qa, synthetic=True)
    options = {"qa": QaOptions(**thresholds), "calibration": CalibrationOptions()}
    markup = numbers_table(judged(twin, options))
    table = ElementTree.fromstring(f"<div>{markup}</div>").find("div/table/tbody")
    found = [["".join(cell.itertext()) for cell in row.iter("td")] for row in table]
    return {row[0]: row[1:] for row in found}


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(1.0, "passed"), (1.9, "passed"), (2.0, "passed"), (2.1, "warning"), (3.1, "failed")]
)
def test_a_number_has_the_verdict_of_its_limits(ratio, verdict):
    row = rows("mosaic", {"noise_ratio": ratio}, warn_noise_ratio=2.0, max_noise_ratio=3.0)
    label, _ = LABELS["noise_ratio"]
    assert row[label][0] == f"{ratio:.3f}" and row[label][3] == verdict
    assert "≤ 3 (else failed)" in row[label][2] and "≤ 2 (else warning)" in row[label][2]


def test_what_was_not_measured_says_so_where_it_is_judged():
    found = rows("mosaic", {"noise_ratio": None, "peak_mjy": None})
    assert found[LABELS["noise_ratio"][0]][3] == "not measured"
    assert found[LABELS["peak_mjy"][0]] == ["–", "mJy/beam", "–", ""]


def test_a_number_without_a_limit_has_no_verdict():
    found = rows("mosaic", {"noise_ratio": 1.0, "area_deg2": 12.345})
    assert found[LABELS["area_deg2"][0]] == ["12.35", "deg²", "–", ""]


def test_numbers_with_thresholds_stand_before_those_without():
    names = list(rows("mosaic", {"peak_mjy": 1.0, "area_deg2": 2.0, "noise_ratio": 1.0}))
    assert names.index(LABELS["noise_ratio"][0]) < names.index(LABELS["peak_mjy"][0])


def test_the_version_of_the_thresholds_is_named():
    twin = Twin(kind="mosaic", id="mosaic_20260211T002649", verdict="passed", qa={"rms_mjy": 4.0}, synthetic=True)
    assert "Thresholds: version 7 (qa.version)." in numbers_table(
        judged(twin, {"qa": QaOptions(version=7), "calibration": CalibrationOptions()})
    )


@pytest.mark.parametrize(("kind", "model"), [("mosaic", MosaicQa), ("crossmatch", CrossmatchQa)])
def test_every_number_of_a_mosaic_is_on_the_page(kind, model):
    """By a name of its own or by that of its gate; errors stand beside numbers, what one is of in its reason."""
    qa = {name: 2.0 for name in model.model_fields if not name.startswith("e_") and not name.endswith("_of")}
    assert [name for name in qa if name not in LABELS and name not in gates_of(kind, qa)] == []


def test_a_number_with_an_error_has_it_beside_it_and_is_judged_by_it():
    """1.2 off a limit of 1.1: not by an error of 0.1, of which 0.2 are only two."""
    gate = gates_of("crossmatch", {"flux_scale": 1.0})["flux_scale"][0]
    limit = gate.threshold({"qa": QaOptions()})
    value = 1 + 1.5 * (limit - 1)
    assert limit == 1.03
    for error, verdict, words in ((0.001, gate.severity, "1.0450 ± 0.0010"), (value - 1, "passed", "1.045 ± 0.045")):
        row = rows("crossmatch", {"flux_scale": value, "e_flux_scale": error})[gate.label]
        assert row[0] == words and row[3] == verdict


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [(0.001901, 0.008, "0.0019 ± 0.0080"), (-0.3701, 0.2137, "-0.37 ± 0.21"), (0.06703, 0.2137, "0.07 ± 0.21"),
     (1234.5, 12.3, "1234 ± 12"), (5.0, 250.0, "5 ± 250"), (0.5, 0.0, "0.5 ± 0")],
)  # fmt: skip
def test_a_number_has_the_digits_of_its_error(value, error, words):
    assert with_error(value, error) == words


def test_both_shifts_have_the_error_that_they_share():
    found = rows("crossmatch", {"shift_ra_arcsec": 1.25, "shift_dec_arcsec": -0.5, "e_shift_arcsec": 0.125})
    assert found["shift of the field in RA"][:2] == ["1.25 ± 0.12", "arcsec"]
    assert found["shift of the field in Dec"][0] == "-0.50 ± 0.12"


def test_an_explanation_is_shown_as_it_is_worded():
    assert rows("crossmatch", {"diagnosis": "a flux scale"})["best explanation of the differences"][0] == "a flux scale"


def test_a_map_is_shown_by_its_extremes():
    qa = {"beam_ratio_map": [[-0.0213, 0.0], [0.004, 0.0551]]}
    twin = Twin(kind="mosaic", id="mosaic_20260211T002649", verdict="passed", qa=qa, synthetic=True)
    assert "-0.021 to +0.055" in numbers_table(judged(twin, {"qa": QaOptions(), "calibration": CalibrationOptions()}))


def test_a_number_is_named_in_words_where_words_are_known():
    assert words_of("mosaic", "area_deg2") == ("area", "deg\u00b2")
    assert words_of("calibration", "gain_phase_scatter_deg") == ("phase scatter of the gains over the tile", "deg")
    assert words_of("crossmatch", "e_median_flux_ratio") == ("error of: median flux over catalogue", "")
    assert words_of("mosaic", "e_nothing") == ("e_nothing", "")
    assert words_of("mosaic", "nothing") == ("nothing", "")
