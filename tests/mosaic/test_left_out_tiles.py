"""Tiles that stay out of a mosaic, and mosaics without any: named, with the reason."""

import csv

import numpy as np
import pytest

from contimg.products.twin import Reason, read_twin
from tests.support.fake_tiles import TileMaker
from tests.support.mosaics_of_tiles import MOSAIC_ID, mosaic, plane
from tests.support.twins import write_with_manifest


class TestLeavingOut:
    FAULT = Reason(code="no_data", severity="failed", message="no unflagged visibility")

    def table(self, folder):
        with open(folder / f"{MOSAIC_ID}.tiles.csv", newline="") as file:
            return list(csv.DictReader(file))

    def test_bad_tiles_stay_out_and_are_named(self, tmp_path):
        maker = TileMaker(tmp_path)
        twins = [maker.make(i, 127 + 0.3 * i) for i in range(5)]
        twins.append(maker.make(5, 128.5, reasons=(self.FAULT,)))
        twins.append(maker.make(6, 128.6, rms_jy=8e-3))
        twins.append(maker.make(7, 128.7, beam_arcsec=(330, 240, 0)))
        made, folder = mosaic(tmp_path, twins)
        rows = self.table(folder)
        assert [row["used"] for row in rows] == ["yes"] * 5 + ["no"] * 3
        assert "no_data" in rows[5]["left_out"]
        assert "max_rms_ratio" in rows[6]["left_out"]
        assert "max_beam_deviation" in rows[7]["left_out"]
        assert len(made.notes) == 3
        assert made.facts["left_out"] == {row["tile"]: row["left_out"] for row in rows[5:]}
        assert made.facts["n_images"] == made.qa["n_images"] == 5
        assert made.qa["tile_fraction"] == 0.625
        assert made.verdict == "passed"
        assert len(made.inputs) == 8
        assert sum(float(row["weight_fraction"]) for row in rows[:5]) == pytest.approx(1, abs=1e-5)

    def test_a_tile_left_out_leaves_no_trace_in_the_pixels(self, tmp_path):
        maker = TileMaker(tmp_path)
        twins = [maker.make(i, 127 + 0.3 * i) for i in range(3)]
        _, without = mosaic(tmp_path, twins, "without")
        bad = maker.make(3, 128.5, rms_jy=1.0)
        _, with_it = mosaic(tmp_path, [*twins, bad], "with")
        assert np.array_equal(plane(without)[0], plane(with_it)[0], equal_nan=True)

    def test_few_tiles_left_is_a_warning(self, tmp_path):
        maker = TileMaker(tmp_path)
        twins = [maker.make(0, 127.0)] + [maker.make(i, 127.0, reasons=(self.FAULT,)) for i in (1, 2)]
        made, _ = mosaic(tmp_path, twins)
        assert made.verdict == "warning"
        assert [reason.code for reason in made.reasons] == ["tile_fraction_low"]
        assert made.reasons[0].measured == pytest.approx(1 / 3, abs=1e-4)
        assert made.reasons[0].threshold == 0.6

    def test_no_tile_left_is_a_failed_mosaic_and_an_empty_folder(self, tmp_path):
        maker = TileMaker(tmp_path)
        twins = [maker.make(i, 127.0, reasons=(self.FAULT,)) for i in range(3)]
        made, folder = mosaic(tmp_path, twins)
        assert made.verdict == "failed"
        assert [reason.code for reason in made.reasons] == ["no_usable_tile"]
        assert list(folder.iterdir()) == []
        assert made.facts["tiles_used"] == []

    def test_a_tile_with_a_warning_is_used_and_named(self, tmp_path):
        maker = TileMaker(tmp_path)
        warn = Reason(code="made_up", severity="warning", message="of no gate: a gate is judged again")
        twins = [maker.make(i, 127.0 + 0.1 * i) for i in range(4)] + [maker.make(4, 127.5, reasons=(warn,))]
        made, _ = mosaic(tmp_path, twins)
        assert made.facts["n_images"] == 5
        assert "made_up" in made.notes[0]
        assert made.qa["warned_weight"] == pytest.approx(0.2, abs=0.01)
        (reason,) = made.reasons
        assert (reason.code, reason.severity) == ("warned_weight_high", "warning")
        assert reason.message.endswith("tile 2026-02-11T00:20:36 (made_up: of no gate: a gate is judged again)")

    def test_what_was_not_measured_on_a_tile_is_no_warning_of_the_mosaic(self, tmp_path):
        maker = TileMaker(tmp_path)
        twins = [maker.make(0, 127.0), maker.make(1, 127.5)]
        for path in twins:
            twin = read_twin(path)
            write_with_manifest(
                path, twin.model_copy(update={"qa": twin.qa | {"n_compared": 2, "median_flux_ratio": None}})
            )
        made, _ = mosaic(tmp_path, twins)
        assert "used with a warning (median_flux_ratio_not_measured)" in made.notes[0]
        assert made.qa["warned_weight"] == 0
        assert made.verdict == "passed"

    def test_a_warning_that_carries_little_weight_is_a_note(self, tmp_path):
        maker = TileMaker(tmp_path)
        warn = Reason(code="made_up", severity="warning", message="of no gate: a gate is judged again")
        faint = maker.make(8, 127.5, reasons=(warn,), rms_jy=1.9 * maker.rms_jy)
        made, _ = mosaic(tmp_path, [*(maker.make(i, 127.0 + 0.1 * i) for i in range(8)), faint][::-1])
        assert made.qa["warned_weight"] == pytest.approx(1 / 1.9**2 / (8 + 1 / 1.9**2), rel=0.1)
        assert made.verdict == "passed"
        assert "made_up" in made.notes[0]

    def test_a_tile_of_threefold_noise_is_a_warning(self, tmp_path):
        maker = TileMaker(tmp_path)
        noise = [maker.rms_jy, 3 * maker.rms_jy, maker.rms_jy, maker.rms_jy]
        made, _ = mosaic(tmp_path, [maker.make(i, 127.0 + i, rms_jy=rms) for i, rms in enumerate(noise)])
        assert made.qa["tile_noise_spread"] == pytest.approx(3, rel=0.05)
        assert "tile_noise_spread_high" in [reason.code for reason in made.reasons]
