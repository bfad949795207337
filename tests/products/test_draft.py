"""A twin in the making: reasons, inputs, the product's files, and what is written in the end."""

import numpy as np
import pytest

from contimg.config import QaOptions
from contimg.errors import InputError
from contimg.products.draft import TwinDraft
from contimg.products.manifest import AlteredProduct, read_product
from contimg.products.twin import Input, Reason, read_twin, twin_digest

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc", FIPS 180-2


def make(folder, name, *, synthetic=False):
    """Make a product of one file; return its twin's path."""
    draft = TwinDraft("image", name, synthetic=synthetic)
    with draft.product(folder / name) as part:
        part.mkdir()
        (part / "a.fits").write_bytes(b"abc")
    draft.write(folder / f"{name}.json", parameters={}, libraries=[])
    return folder / f"{name}.json"


def test_reasons_make_the_verdict():
    draft = TwinDraft("image")
    assert not draft.failed
    draft.warn("noisy", "a bit noisy", 2.5, 2.0)
    assert not draft.failed
    draft.fail("empty", "holds no data")
    draft.warn("late", "came late")
    assert draft.failed
    assert draft.reasons == [
        Reason(code="noisy", severity="warning", message="a bit noisy", measured=2.5, threshold=2.0),
        Reason(code="empty", severity="failed", message="holds no data"),
        Reason(code="late", severity="warning", message="came late"),
    ]


def test_inputs_are_recorded_once_and_simulated_data_stay_so(tmp_path):
    sky, simulated = make(tmp_path, "sky"), make(tmp_path, "simulated", synthetic=True)
    draft = TwinDraft("mosaic")
    assert draft.use(sky).id == "sky" and not draft.synthetic
    draft.use(simulated)
    draft.use(sky)
    assert draft.synthetic  # though the last one is not
    assert [(item.kind, item.id, item.sha256) for item in draft.inputs] == [
        ("image", "sky", twin_digest(read_twin(sky))),
        ("image", "simulated", twin_digest(read_twin(simulated))),
    ]


def test_an_input_that_was_altered_or_is_missing_is_not_recorded(tmp_path):
    place = make(tmp_path, "sky")
    (tmp_path / "sky" / "a.fits").write_bytes(b"abcd")
    draft = TwinDraft("mosaic")
    with pytest.raises(AlteredProduct, match=r"a\.fits was altered after image sky was made"):
        draft.use(place)
    with pytest.raises(InputError, match="does not exist: rerun snakemake"):
        draft.use(tmp_path / "nothing.json")
    assert draft.inputs == []


def test_a_file_is_known_by_its_bytes(tmp_path):
    (tmp_path / "catalogue.csv").write_bytes(b"abc")
    draft = TwinDraft("crossmatch")
    draft.use_file("catalogue", str(tmp_path / "catalogue.csv"))
    draft.use_file("beam", None)
    assert draft.inputs == [
        Input(path=str(tmp_path / "catalogue.csv"), kind="catalogue", id="catalogue.csv", sha256=ABC)
    ]
    with pytest.raises(
        InputError, match=r"nothing\.csv does not exist: put it there, or correct the key that names it"
    ):
        draft.use_file("catalogue", tmp_path / "nothing.csv")


def test_the_twin_says_what_was_found(tmp_path):
    draft = TwinDraft("mosaic", "m", facts={"freq_hz": 1.4e9}, qa={"noise_ratio": 1.2}, notes=["one tile left out"])
    draft.warn("noisy", "a bit noisy")
    with draft.product(tmp_path / "m") as part:
        (part / "sub").mkdir(parents=True)
        (part / "sub" / "a").write_bytes(b"abc")
    qa = QaOptions(max_noise_ratio=2.5)
    written = draft.write(tmp_path / "m.json", parameters={"x": 1}, libraries=["numpy"], judged_by={"qa": qa})
    twin, _ = read_product(tmp_path / "m.json")
    assert twin == written
    assert (twin.kind, twin.id, twin.verdict, twin.notes) == ("mosaic", "m", "warning", ["one tile left out"])
    assert {name: (one.size, one.sha256) for name, one in twin.files.items()} == {"sub/a": (3, ABC)}
    assert twin.libraries == {"numpy": np.__version__} and twin.parameters == {"x": 1}
    assert twin.judged_with["qa"]["max_noise_ratio"] == 2.5 and "max_offset_beams" not in twin.judged_with["qa"]
    state = (tmp_path / "m" / "sub" / "a").stat()
    assert twin.run["file_states"] == {"sub/a": [state.st_mtime_ns, state.st_ino]}
    assert twin.run["wall_s"] >= 0 and twin.run["peak_memory_mib"] > 1


def test_a_product_that_was_not_finished_has_neither_name_nor_twin(tmp_path):
    draft = TwinDraft("mosaic", "m")
    with pytest.raises(ZeroDivisionError), draft.product(tmp_path / "m") as part:
        part.mkdir()
        (part / "half").write_bytes(b"abc")
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AssertionError, match="the product of mosaic m was not made"):
        draft.write(tmp_path / "m.json", parameters={}, libraries=[])
    assert list(tmp_path.iterdir()) == []
