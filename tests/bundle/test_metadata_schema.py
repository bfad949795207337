"""Metadata of another form are refused with the place in them; those that contimg writes are read."""

import json

import pytest

from contimg.bundle.metadata_schema import MAX_DEPTH, parse

GOOD = {
    "data_type": "mosaic", "data_id": "mosaic_20260211T002649", "synthetic": True,
    "verdict": {"verdict": "passed", "reasons": [], "notes": []}, "n_images": 2, "start_mjd": 61082.02,
    "beam": {"bmaj_arcsec": 14.4, "bpa_deg": None}, "centre_deg": [12.5, 37.1], "rms_mjy": 4.0,
    "tiles": ["2026-02-11T00:26:49"],
    "lineage": {"products": [], "files": []}, "something_new": [1, {"of": "a later version"}],
}  # fmt: skip
WRONG = [
    ("data_id", 7), ("data_id", ["mosaic"]), ("synthetic", "yes"), ("synthetic", None), ("verdict", "passed"),
    ("verdict", {"verdict": "excellent"}), ("verdict", {}), ("verdict", {"verdict": ["passed"]}),
    ("verdict", {"verdict": "failed", "reasons": "many"}), ("n_images", "2"), ("n_images", 2.5), ("start_mjd", "today"),
    ("beam", []), ("beam", {"bmaj_arcsec": "wide"}), ("centre_deg", {}), ("centre_deg", [None]), ("tiles", "all"),
    ("tiles", [1]), ("lineage", []), ("lineage", {"products": []}), ("lineage", {"products": [1], "files": []}),
    ("qa", []), ("qa", {"mosaic": 1}), ("facts", 1), ("rms_mjy", True), ("calibrators", "3C286"),
    ("centre_deg", [12.5]), ("centre_deg", [12.5, 37.1, 0.0]), ("tiles_used", ["[bold]x[/]"]), ("group", "../../etc"),
    ("verdict", {"verdict": "failed", "reasons": [{"code": "noise"}]}), ("tiles", ["2026-02-30T00:26:49"]),
]  # fmt: skip


def test_what_is_right_is_returned_as_it_is():
    assert parse(json.dumps(GOOD).encode()) == GOOD


@pytest.mark.parametrize(("key", "value"), WRONG, ids=[f"{i}-{key}" for i, (key, _) in enumerate(WRONG)])
def test_a_wrong_type_is_named_with_its_key(key, value):
    with pytest.raises(ValueError, match=rf"^is damaged: '{key}"):
        parse(json.dumps(GOOD | {key: value}).encode())


@pytest.mark.parametrize("key", sorted(GOOD))
def test_a_key_that_is_missing_is_left_to_who_needs_it(key):
    assert key not in parse(json.dumps({k: v for k, v in GOOD.items() if k != key}).encode())


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(constant):
    with pytest.raises(ValueError, match=r"^is no JSON"):
        parse(b'{"rms_mjy": ' + constant.encode() + b"}")


@pytest.mark.parametrize(("content", "said"), [
    (b"", "is no JSON"), (b"{", "is no JSON"), (b"\xff{}", "is no JSON"), (b"[" * 100_000, "is no JSON"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "is no JSON"), (b"[]", "holds no JSON object"), (b"3", "holds no"),
    (b'{"a":' * (MAX_DEPTH + 2) + b"1" + b"}" * (MAX_DEPTH + 2), "is nested too deeply"),
], ids=["empty", "half", "bytes", "deep-list", "deep-object", "list", "number", "rather-deep"])  # fmt: skip
def test_what_is_no_object_is_refused(content, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        parse(content)
