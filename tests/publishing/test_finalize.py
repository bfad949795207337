"""Finalizing: the verdict comes from the twins, the validation from the bundle, and both decide."""

import json

import numpy as np
import pytest
from astropy.io import fits

from contimg.errors import ContimgError, UnknownIdError
from contimg.products.judged import options_of
from contimg.products.twin import read_twin, write_twin
from contimg.publishing.finalize import finalize
from contimg.publishing.register import register
from contimg.registry import queries
from tests.support import mosaics


def finalized(registry, config, auto_publish=True, **mosaic):
    mosaics.make_mosaic(config, **mosaic)
    register(registry, config.layout, mosaics.MOSAIC, auto_publish=auto_publish)
    return finalize(registry, config.layout, mosaics.MOSAIC, 1)


def test_passed_and_validated_is_to_be_published(registry, config):
    done = finalized(registry, config)
    assert (done.status, done.qa_status, done.validation_status, done.held) == ("staging", "passed", "validated", ())


@pytest.mark.parametrize(
    ("mosaic", "crossmatch", "expected"),
    [
        ([mosaics.WARNING], True, "warning"),
        ([mosaics.FAILED], True, "failed"),
        ([], [mosaics.FAILED], "failed"),
        ([mosaics.WARNING], [mosaics.FAILED], "failed"),
        ([mosaics.WARNING], False, "warning"),
    ],
)
def test_the_worst_of_mosaic_and_crossmatch_counts(registry, config, mosaic, crossmatch, expected):
    done = finalized(registry, config, reasons=mosaic, crossmatch=crossmatch)
    assert (done.status, done.qa_status, done.validation_status) == ("held", expected, "validated")
    assert {reason["code"] for reason in done.held} == {"noise"}


def test_a_twin_is_never_better_than_its_reasons(registry, config):
    mosaics.make_mosaic(config, crossmatch=False)
    place = config.layout.twin("mosaic", mosaics.MOSAIC)
    write_twin(place, read_twin(place).model_copy(update={"verdict": "passed", "reasons": [mosaics.FAILED]}))
    register(registry, config.layout, mosaics.MOSAIC, auto_publish=True)
    assert finalize(registry, config.layout, mosaics.MOSAIC, 1).qa_status == "failed"


@pytest.mark.parametrize("ratio", [1.1, 40.0])
def test_in_commissioning_every_mosaic_is_held_and_none_is_failed(registry, config, ratio):
    mosaics.make_mosaic(config, crossmatch=False)
    place = config.layout.twin("mosaic", mosaics.MOSAIC)
    twin = read_twin(place)
    write_twin(place, twin.model_copy(update={"qa": twin.qa | {"noise_ratio": ratio, "tile_fraction": 1.0}}))
    thresholds = options_of(config) | {"qa": config.qa.model_copy(update={"commissioning": True})}
    register(registry, config.layout, mosaics.MOSAIC, auto_publish=True, judged_by=thresholds)
    done = finalize(registry, config.layout, mosaics.MOSAIC, 1)
    assert (done.status, done.qa_status, done.validation_status) == ("held", "warning", "validated")
    codes = [reason["code"] for reason in done.held]
    assert codes[-1] == "commissioning" and ("noise_ratio_high" in codes) is (ratio > 3)


def test_without_auto_every_mosaic_waits(registry, config):
    done = finalized(registry, config, auto_publish=False)
    assert (done.status, done.qa_status, done.validation_status) == ("held", "passed", "validated")
    assert [reason["code"] for reason in done.held] == ["auto"]


@pytest.mark.parametrize(
    ("mosaic", "code", "word"),
    [
        ({"omit": [f"{mosaics.MOSAIC}.rms.fits"]}, "file_missing", "rms.fits"),
        ({"omit": [f"{mosaics.MOSAIC}.png"]}, "file_missing", "png"),
        ({"facts": {"flux_anchor": None}}, "metadata_missing", "flux_anchor"),
        ({"facts": {"beam": None}}, "metadata_missing", "beam"),
        ({"cards": {"BMAJ": None}}, "header_missing", "BMAJ"),
        ({"cards": {"SYNTHET": False}}, "synthetic_differs", "does not say that it is simulated"),
    ],
)
def test_an_incomplete_bundle_is_held(registry, config, mosaic, code, word):
    done = finalized(registry, config, **mosaic)
    assert (done.status, done.qa_status, done.validation_status) == ("held", "passed", "failed")
    assert done.held[0]["code"] == code and word in done.held[0]["message"]


def rewrite(config, suffix, change):
    path = config.layout.product("mosaic", mosaics.MOSAIC) / f"{mosaics.MOSAIC}{suffix}"
    with fits.open(path) as opened:
        data, header = change(opened[0].data.copy(), opened[0].header.copy())
    fits.PrimaryHDU(data, header=header).writeto(path, overwrite=True)


def shifted(data, header):
    header["CRVAL1"] += 0.01
    return data, header


def holed(data, header):
    data[5, 7] = 0
    data[6, 7] = -1
    return data, header


def infinite(data, header):
    data[3, 3] = np.inf
    return data, header


@pytest.mark.parametrize(
    ("suffix", "change", "code", "measured"),
    [
        (".fits", lambda data, header: (np.full_like(data, np.nan), header), "no_pixels", 0),
        (".fits", infinite, "infinite_pixels", 1),
        (".weights.fits", shifted, "grid_differs", None),
        (".rms.fits", lambda data, header: (data[:-1], header), "grid_differs", None),
        (".weights.fits", holed, "weights_differ", 2),
        (".rms.fits", holed, "weights_differ", 2),
    ],
)
def test_an_image_that_cannot_be_used_is_held(registry, config, suffix, change, code, measured):
    mosaics.make_mosaic(config)
    rewrite(config, suffix, change)
    mosaics.judge_again(config)
    register(registry, config.layout, mosaics.MOSAIC, auto_publish=True)
    done = finalize(registry, config.layout, mosaics.MOSAIC, 1)
    assert (done.status, done.validation_status) == ("held", "failed")
    assert (done.held[0]["code"], done.held[0]["measured"]) == (code, measured)


def test_what_is_no_fits_is_held(registry, config):
    mosaics.make_mosaic(config)
    (config.layout.product("mosaic", mosaics.MOSAIC) / f"{mosaics.MOSAIC}.fits").write_bytes(b"SIMPLE is not what I am")
    mosaics.judge_again(config)
    register(registry, config.layout, mosaics.MOSAIC, auto_publish=True)
    assert finalize(registry, config.layout, mosaics.MOSAIC, 1).held[0]["code"] == "fits_invalid"


def test_bytes_altered_on_the_stage_are_no_verdict_but_an_error(registry, config):
    mosaics.make_mosaic(config)
    done = register(registry, config.layout, mosaics.MOSAIC, auto_publish=True)
    (done.path / "data" / f"{mosaics.MOSAIC}.png").unlink()
    with pytest.raises(ContimgError, match=r"png is missing: rerun the same command"):
        finalize(registry, config.layout, mosaics.MOSAIC, 1)
    assert queries.get(registry, mosaics.MOSAIC)["finalization_status"] == "pending"
    register(registry, config.layout, mosaics.MOSAIC, auto_publish=True)
    assert finalize(registry, config.layout, mosaics.MOSAIC, 1).status == "staging"


def test_a_mosaic_without_any_tile_is_held_with_all_that_it_lacks(registry, config):
    nothing = dict.fromkeys(("start_mjd", "end_mjd", "flux_anchor", "freq_hz", "bandwidth_hz", "beam", "centre_deg"))
    omit = [f"{mosaics.MOSAIC}{suffix}" for suffix in (".fits", ".weights.fits", ".rms.fits", ".png", ".tiles.csv")]
    done = finalized(
        registry, config, reasons=[mosaics.FAILED], omit=omit, facts=nothing | {"n_images": 0}, crossmatch=False
    )
    assert (done.status, done.qa_status, done.validation_status) == ("held", "failed", "failed")


def test_a_second_call_decides_nothing_anew(registry, config):
    first = finalized(registry, config, reasons=[mosaics.FAILED])
    row, events = queries.get(registry, mosaics.MOSAIC), queries.events(registry, mosaics.MOSAIC)
    assert finalize(registry, config.layout, mosaics.MOSAIC, 1) == first
    assert queries.get(registry, mosaics.MOSAIC) == row and queries.events(registry, mosaics.MOSAIC) == events
    assert [event["event"] for event in events] == ["registered", "held"]
    assert json.loads(row["held_json"])[0]["measured"] == 4.1


def test_an_unknown_id_is_named(registry, config):
    with pytest.raises(UnknownIdError, match="mosaic_20990101T000000"):
        finalize(registry, config.layout, "mosaic_20990101T000000", 1)


def test_a_verdict_without_a_stated_reason_holds_all_the_same(registry, config):
    mosaics.make_mosaic(config, crossmatch=False)
    place = config.layout.twin("mosaic", mosaics.MOSAIC)
    write_twin(place, read_twin(place).model_copy(update={"verdict": "warning", "reasons": []}))
    register(registry, config.layout, mosaics.MOSAIC, auto_publish=True)
    done = finalize(registry, config.layout, mosaics.MOSAIC, 1)
    assert (done.status, done.qa_status) == ("held", "warning")
    assert [(one["code"], one["message"]) for one in done.held] == [("verdict", "verdict warning, no reason stated")]


def test_of_two_that_finalize_at_once_one_decides_and_both_say_the_same(registry, config, monkeypatch):
    """The second has read the row as pending, and finds it finalized when it comes to write."""
    from contimg.publishing import finalize as module

    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    register(registry, config.layout, mosaics.MOSAIC, auto_publish=True)
    judge, others = module.judge, []

    def overtaken(*arguments, **options):
        values = judge(*arguments, **options)
        monkeypatch.setattr(module, "judge", judge)
        others.append(finalize(registry, config.layout, mosaics.MOSAIC, 1))
        return values

    monkeypatch.setattr(module, "judge", overtaken)
    assert [finalize(registry, config.layout, mosaics.MOSAIC, 1)] == others
    events = [event["event"] for event in queries.events(registry, mosaics.MOSAIC)]
    assert events == ["registered", "held"]
