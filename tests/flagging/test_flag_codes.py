"""The codes of flags: one table, whose numbers and names stand in twins."""

import numpy as np

from contimg.flagging.flag_codes import N_CODES, NOTHING_MEASURED, REASONS, FlagCode, count, nothing_measured


def test_codes_are_the_numbers_0_to_11_and_labels_the_names_in_twins():
    assert [code.value for code in FlagCode] == list(range(12)) and N_CODES == 12
    assert [code.label for code in REASONS] == [
        "correlator", "not_finite", "zero", "constant", "dead_antenna", "aoflagger", "clip", "cell", "antenna", "edge",
    ]  # fmt: skip


def test_samples_without_a_measurement_are_those_not_received_flagged_by_the_correlator_or_without_data():
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.flatnonzero(nothing_measured(codes)).tolist() == [1, 2, 3, 4, 5] == list(NOTHING_MEASURED)


def test_count_is_the_sum_beyond_what_a_byte_holds():
    found = np.random.default_rng(3).random((4, 700, 3)) < 0.9
    assert found.sum(1).max() > 510
    for axis in range(3):
        assert np.array_equal(count(found, axis), found.sum(axis))
