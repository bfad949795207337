"""Typed reading of twins: what a twin says is read as it is, and a missing key is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from contimg.errors import InputError
from contimg.products import facts, numbers
from contimg.products.twin import Twin

BEAM = {"bmaj_arcsec": 12.5, "bmin_arcsec": 10.0, "bpa_deg": 170.0}
IMAGE = {
    "beam": BEAM, "centre_deg": [127.5, 54.6], "freq_hz": 1.405e9, "bandwidth_hz": 1.875e8, "start_mjd": 61082.0,
    "end_mjd": 61082.004, "size_px": 4800, "cell_arcsec": 3.0, "files": {"image": "a.image.fits"},
    "telescope": "DSA-110", "missing_subbands": [3],
}  # fmt: skip
NO_TILE = {"group": "2026-02-11T00:00:00", "tiles": ["2026-02-11T00:00:00"], "tiles_used": [], "n_images": 0}
MOSAIC = NO_TILE | {
    "tiles_used": ["2026-02-11T00:00:00"], "n_images": 1, "left_out": {}, "beam": BEAM, "freq_hz": 1.405e9,
    "bandwidth_hz": 1.875e8, "centre_deg": [127.5, 54.6], "size_px": [9000, 5000], "cell_arcsec": 3.0,
    "sun": {"altitude_deg": [-40.0, 12.0], "separation_deg": 71.0, "daytime": "day and night"},
    "area_deg2": 30.0, "flux_anchor": "3C286", "start_mjd": 61082.0, "end_mjd": 61082.036,
    "files": dict(image="m.fits", weights="m.weights.fits", rms="m.rms.fits", picture="m.png", tiles="m.tiles.csv"),
}  # fmt: skip
MS = {
    "start_mjd": 61082.0, "end_mjd": 61082.004, "mid_mjd": 61082.002, "dec_app_deg": 30.0,
    "phase_centre_deg": [197.6, 30.5], "n_times": 24, "integration_s": 12.88, "n_antennas": 2, "antennas": ["1", "4"],
    "n_subbands": 16, "missing_subbands": [], "n_channels": 128, "bandwidth_hz": 1.875e8, "band_hz": [1.3e9, 1.5e9],
    "channel_width_hz": 1.46e6, "polarisations": ["XX", "YY"], "location": [37.2, -118.3, 1188.0], "freq_hz": None,
    "sun": {"altitude_deg": 40.5, "separation_deg": 71.0, "daytime": True},
    "clock_epoch": {"since": "2026-06-02", "clock": "wall clock", "offset_s": -1.8, "source": "notes"},
}  # fmt: skip
CROSSMATCH = {"mosaic": "mosaic_20260211T000000", "catalogue": "strip.csv"}


def twin(kind: str, said: dict | None = None, qa: dict | None = None) -> Twin:
    return Twin(kind=kind, id="2026-02-11T00:00:00", verdict="passed", facts=said or {}, qa=qa or {}, synthetic=True)


COMPLETE = {
    "ms": (facts.ms_facts, MS),
    "calibrated": (facts.calibrated_facts, MS | {"bandpass": "cal_20260211T000000", "choice": {"why": ["nearest"]}}),
    "calibration": (facts.calibration_facts, {"type": "bandpass", "tile": "2026-02-11T00:00:00"}),
    "image": (facts.image_facts, IMAGE),
    "mosaic": (facts.mosaic_image_facts, MOSAIC),
    "crossmatch": (facts.crossmatch_facts, CROSSMATCH),
}


@pytest.mark.parametrize("kind", COMPLETE)
def test_what_a_twin_says_is_read_as_it_is(kind):
    read, said = COMPLETE[kind]
    record = read(twin(kind, said))
    dumped = record.model_dump(mode="json", exclude_unset=True)
    assert dumped == said
    with pytest.raises(ValueError, match="frozen"):
        record.freq_hz = 1.0


@pytest.mark.parametrize(
    ("kind", "key"),
    [(kind, key) for kind, (read, said) in COMPLETE.items() for key in said]
    + [("image", "beam.bmin_arcsec"), ("mosaic", "files.rms")],
)
def test_a_missing_key_is_one_sentence_or_none(kind, key):
    read, said = COMPLETE[kind]
    record = type(read(twin(kind, said)))
    first, _, last = key.partition(".")
    without = {name: value for name, value in said.items() if name != first}
    if last:
        without[first] = {name: value for name, value in said[first].items() if name != last}
    if last or record.model_fields[first].is_required():
        with pytest.raises(InputError) as error:
            read(twin(kind, without), Path("/stage/a.json"))
        assert str(error.value) == f"/stage/a.json does not say its {key}: delete it and rerun snakemake"
    else:
        assert getattr(read(twin(kind, without)), first) == record.model_fields[first].get_default()


@pytest.mark.parametrize("value", [None, "wide", [], float("nan"), float("inf")])
def test_a_value_of_another_type_is_one_sentence(value):
    with pytest.raises(InputError, match=r"the twin of image 2026-02-11T00:00:00 holds an impossible freq_hz \("):
        facts.image_facts(twin("image", IMAGE | {"freq_hz": value}))


def test_a_failed_mosaic_has_members_but_no_image():
    failed = twin("mosaic", NO_TILE)
    assert not facts.has_image(failed)
    assert facts.mosaic_facts(failed).tiles == ["2026-02-11T00:00:00"]
    assert facts.mosaic_facts(failed).flux_anchor is None
    with pytest.raises(InputError, match="does not say its start_mjd"):
        facts.mosaic_image_facts(failed)
    assert facts.has_image(twin("mosaic", MOSAIC))


def test_a_failed_tile_says_what_its_data_said():
    failed = twin("image", {"telescope": "DSA-110", "bandpass": "cal_20260211T000000"})
    assert not facts.has_image(failed)
    assert facts.tile_facts(failed).bandpass == "cal_20260211T000000"
    assert not facts.is_converted(twin("ms", {"n_subbands": 3}))
    assert facts.is_converted(twin("ms", MS))


@pytest.mark.parametrize(
    ("kind", "read", "qa"),
    [
        ("ms", numbers.ms_qa, {"flagged_fraction": 0.01, "flagged_by_antenna": {"1": 0.5}}),
        ("calibration", numbers.calibration_qa, {"snr_median": 87.5, "lost_by_antenna": {"1": 1.0}}),
        ("image", numbers.image_qa, {"rms_mjy": 0.59, "noise_ratio": None}),
        ("mosaic", numbers.mosaic_qa, {"rms_mjy": 0.3, "n_images": 10, "tile_fraction": 1.0}),
        ("crossmatch", numbers.crossmatch_qa, {"n_sources": 40, "median_flux_ratio": 0.99, "completeness": None}),
    ],
)
def test_numbers_are_read_as_they_are_and_missing_ones_are_none(kind, read, qa):
    record = read(twin(kind, qa=qa))
    assert record.model_dump(exclude_unset=True) == qa
    empty = read(twin(kind))
    assert {value for value in empty.model_dump().values() if value != {}} == {None}
    key = next(iter(qa))
    with pytest.raises(InputError, match=f"holds an impossible {key}"):
        read(twin(kind, qa={key: "much"}))
