"""A sample of the campaign of verdicts (`benchmarks/verdicts.py`): faults of products are named."""

import shutil
from dataclasses import asdict

import numpy as np
import pytest

from benchmarks import verdict_report
from benchmarks.verdict_kinds import KINDS
from benchmarks.verdicts import Run, read_record, write_record
from contimg.config import CrossmatchOptions, MosaicOptions, QaOptions
from contimg.crossmatch.crossmatch_mosaic import crossmatch_mosaic
from contimg.errors import ContimgError
from contimg.mosaic.mosaic_group import mosaic_group
from contimg.products.twin import read_twin
from tests.support import product_faults
from tests.support.fake_tiles import TileMaker, strip_sky
from tests.support.whole_nights import Outcome

MOSAIC = "mosaic_20260211T000000"
FAULTY = 2
TILES = [(name, False) for name, fault in product_faults.FAULTS.items() if fault.kind == "image"]
# Those that the tiles themselves tell: invented sources are found by the comparison of the mosaic with the catalogue.
TILES += [(f"tile_{name}", True) for name in ("image_scaled", "image_shifted", "image_of_previous", "pb_scaled")]
TILES += [(f"tile_{name}", True) for name in ("pb_elsewhere", "centre_off", "noise", "truncated")]
TILES += [(f"tile_{name}", True) for name in ("rotated", "mirrored", "negated", "nan_stripe", "residual_only")]
TILES += [(f"tile_{name}", True) for name in ("sources_twice", "pb_squared", "unit_factor", "double_beam", "b1950")]
MOSAICS = [name for name, fault in product_faults.FAULTS.items() if fault.kind == "mosaic"]


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Return the folder of five tiles with 60 sources, and the verdict of their mosaic."""
    root = tmp_path_factory.mktemp("group")
    maker = TileMaker(root, size=180, cell_arcsec=80.0, beam_arcsec=(240.0, 240.0, 0.0))
    sky = strip_sky(60, (124.5, 133.5), flux_jy=(0.1, 2.0))
    for number in range(5):
        maker.make(number, 127.0 + 1.2 * number, sky)
    return root, mosaic(root).verdict


def twins_of(root):
    return sorted(root.glob("images/*/*.json"))


def mosaic(root):
    return mosaic_group(
        twins_of(root), root / MOSAIC, root / f"{MOSAIC}.json", mosaic_id=MOSAIC,
        options=MosaicOptions(cell_arcsec=80.0), pb_limit=0.2, qa=QaOptions(),
    )  # fmt: skip


def what_is_said(root):
    made = mosaic(root)
    used = set(made.facts["tiles_used"])
    left_out = {tile: "left out" for tile in made.facts["tiles"] if tile not in used}
    reasons = [(reason.code, reason.message) for reason in made.reasons]
    return Outcome(made.verdict, *map(list, zip(*reasons, strict=True)) if reasons else ([], []), left_out)


@pytest.mark.parametrize(("name", "made"), TILES)
def test_a_fault_of_a_tile_is_named(clean, tmp_path, name, made):
    root, verdict = clean
    assert verdict == "passed"
    shutil.copytree(root / "images", tmp_path / "images")
    twins = twins_of(tmp_path)
    product_faults.apply(name, twins[FAULTY], twins[FAULTY - 1], made=made)
    said = what_is_said(tmp_path)
    assert KINDS[name].told(said, read_twin(twins[FAULTY]).id), (said, name)


@pytest.mark.parametrize("name", MOSAICS)
def test_an_edited_mosaic_is_refused_by_name(clean, tmp_path, name):
    root, _ = clean
    for part in root.glob(f"{MOSAIC}*"):
        (shutil.copytree if part.is_dir() else shutil.copy2)(part, tmp_path / part.name)
    product_faults.apply(name, tmp_path / f"{MOSAIC}.json", tmp_path / f"{MOSAIC}.json", made=False)
    catalogue = tmp_path / "catalogue.csv"
    catalogue.write_text("name,ra_deg,dec_deg,flux_jy\nA,127.0,54.57,1.0\n")
    with pytest.raises(ContimgError, match=rf"{MOSAIC}.*fits.*(altered|damaged|size|missing)"):
        crossmatch_mosaic(
            tmp_path / f"{MOSAIC}.json", tmp_path / "x", tmp_path / "x.json", catalogue=catalogue,
            options=CrossmatchOptions(), qa=QaOptions(),
        )  # fmt: skip


def test_every_kind_of_the_campaign_has_a_diagnosis():
    assert len(KINDS) >= 60
    assert all(kind.words and kind.modes for kind in KINDS.values())
    assert np.isfinite([kind.value for kind in KINDS.values()]).all()


def run(kind, mode, value, *, right, **numbers):
    return {
        "kind": kind, "mode": mode, "value": value, "seed": 0, "verdict": "warning" if right else "passed",
        "right": right, "codes": ["flux_scale_off"] if right else [], "messages": [], "left_out": {},
        "numbers": numbers, "wall_s": 1.0,
    }  # fmt: skip


def test_the_report_counts_runs_and_finds_the_smallest_size_and_what_limits_tell_apart():
    runs = [run("clean", "clean", 0.0, right=True, flux_scale=1 + 0.001 * k, e_flux_scale=0.002) for k in range(4)]
    runs[3]["right"] = False
    runs += [run("target_scale", "data", 1.01, right=False, flux_scale=1.01, e_flux_scale=0.002)]
    runs += [
        run("target_scale", "data", size, right=True, flux_scale=size, e_flux_scale=0.002) for size in (1.05, 1.15)
    ]
    text = verdict_report.report(runs)
    # Two are steps of a ladder, of sizes that the kind does not have by itself.
    assert "1 runs with a fault of 1 kinds: 1 named (100.0%). 4 clean nights: 1 with a warning" in text
    assert "| target_scale | data | 1.01: 0/1, 1.05: 1/1, 1.15: 1/1 |" in text
    # Beyond 3 % and four errors: two of three with a fault, no clean night; every fault is farther off than these.
    assert "| flux_scale | 0.03 | 0.002 | 0.03 |" in text
    assert "| crossmatch | flux_scale | within a factor of 1.03 | 4 | 0.0% | 3 | 66.7% | 1.00 | 1.003 |" in text


def test_the_record_is_short_and_gives_the_same_report(tmp_path):
    runs = [Run("clean", "clean", 0.0, k, "passed", True, numbers={"flux_scale": 1.01}) for k in range(3)]
    runs += [Run("subband_gain", "data", 1.3, 1, "warning", True, ["a"], ["m" * 500], {"t": "w" * 200}, part="sb03")]
    runs[-1].part_named = True
    write_record(tmp_path / "docs" / "record.jsonl", runs)
    write_record(tmp_path / "docs" / "record.jsonl.gz", runs)
    again = read_record(tmp_path / "docs" / "record.jsonl")
    assert read_record(tmp_path / "docs" / "record.jsonl.gz") == again
    assert len((tmp_path / "docs" / "record.jsonl").read_text()) < 900
    assert [run.key for run in again] == ["subband_gain data 1.3 1", *(f"clean clean 0 {k}" for k in range(3))]
    assert (len(again[0].messages[0]), len(again[0].left_out["t"])) == (160, 80)
    reports = [verdict_report.report([asdict(run) for run in some]) for some in (runs, again)]
    assert "Of 1 runs with a fault of one subband or antenna, 1 name it." in reports[0]
    assert reports[0] == reports[1]
