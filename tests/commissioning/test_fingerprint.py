"""A fingerprint holds enough for the same findings, fits in 2 MB, and holds nothing of the site but its data."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from contimg.commissioning.check import first_light
from contimg.commissioning.findings import OF_SINGLE_ANTENNAS
from contimg.commissioning.fingerprint import BASELINES, LARGEST_BYTES, unpacked, write_fingerprint
from contimg.commissioning.tile import find_transit
from contimg.correlator import hdf5
from contimg.errors import InputError
from contimg.simulate import ArrayErrors, CorrelatorErrors, HeaderErrors
from tests.commissioning.conftest import SMALL, STATIONS

SECRETS = ("/home/operator/secret", "corr03.ovro.example", "jane.doe", "password")


@pytest.fixture(scope="module")
def printed(transit, config_of, tmp_path_factory):
    """Return a function that simulates a transit, makes its fingerprint, and checks that and the raw files."""

    def make(change=None, options=SMALL, antennas=(), **errors):
        folder = transit(change, options, **errors)
        config = config_of(folder)
        out = tmp_path_factory.mktemp("fingerprint") / "out.fingerprint"
        made = write_fingerprint(find_transit([str(folder)], config).headers, out, antennas)
        return made, first_light([str(folder)], config), first_light([str(out)], config)

    return make


@pytest.fixture(scope="module")
def clean_print(printed):
    return printed()


def by_key(outcome):
    return {one.key: one for one in outcome.findings}


def test_a_clean_transit_gives_the_same_findings(clean_print):
    made, raw, outcome = clean_print
    assert made.baselines == BASELINES and made.bytes < LARGEST_BYTES
    found, original = by_key(outcome), by_key(raw)
    assert list(found) == list(original)
    same = set(found) - set(OF_SINGLE_ANTENNAS) - {"clock"}
    assert {key: found[key].verdict for key in same} == {key: original[key].verdict for key in same}
    for key in OF_SINGLE_ANTENNAS:  # nothing is said of antennas without baselines
        assert found[key].verdict == "not measurable"
        assert found[key].text.startswith(f"right for the {len(made.antennas)} of {len(STATIONS)} antennas")
    assert outcome.files.tile_id == raw.files.tile_id and outcome.synthetic
    assert outcome.files.calibrator == raw.files.calibrator


def test_the_numbers_agree_within_their_errors(clean_print):
    _, raw, outcome = clean_print
    found, original = by_key(outcome), by_key(raw)
    assert found["sign"].value == pytest.approx(original["sign"].value, abs=0.05)
    for key in ("clock", "integration_time"):
        assert abs(found[key].value - original[key].value) < 4 * found[key].error
    assert abs(found["clock"].value) < 4 * found["clock"].error  # no error was simulated
    levels = (one["boards"].details["level"] for one in (found, original))
    for name, value in next(levels).items():
        assert value == pytest.approx(original["boards"].details["level"][name], rel=1e-3)


@pytest.mark.parametrize(
    ("errors", "key", "named"),
    [
        ({"correlator": CorrelatorErrors(conjugated=True)}, "sign", ()),
        ({"correlator": CorrelatorErrors(clock_error_s=-60.0)}, "clock", ()),
        ({"correlator": CorrelatorErrors(packet_loss=((36, 0.2),))}, "packet_loss", ("36",)),
        ({"array": ArrayErrors(local_positions=True)}, "frame", ()),
        ({"header": HeaderErrors(host_delays=(4,))}, "header_agreement", ("sb04",)),
    ],
    ids=["conjugated", "clock", "packets", "frame", "delays"],
)
def test_faults_of_the_array_and_of_single_autocorrelations_are_named(printed, errors, key, named):
    _, raw, outcome = printed(**errors)
    assert [one.key for one in raw.refuted] == [one.key for one in outcome.refuted] == [key]
    assert outcome.refuted[0].named == named
    if key == "clock":
        assert outcome.refuted[0].value == pytest.approx(-60, abs=4 * outcome.refuted[0].error)


def test_dead_antennas_are_named_and_have_no_baselines(printed):
    made, _, outcome = printed(options=replace(SMALL, dead=(51, 109)))
    assert [(one.key, one.named) for one in outcome.refuted] == [("boards", ("51", "109"))]
    assert not {"51", "109"} & set(made.antennas)


def test_antennas_that_are_asked_for_are_in_it_and_their_faults_are_named(printed):
    made, raw, outcome = printed(antennas=("12", "44"), array=ArrayErrors(swapped_antennas=((12, 44),)))
    assert {"12", "44"} <= set(made.antennas)
    assert [(one.key, one.named) for one in outcome.refuted] == [("swapped_antennas", ("12", "44"))]
    assert outcome.refuted[0].named == raw.refuted[0].named


def test_products_in_another_order_and_company_are_read(printed):
    _, _, outcome = printed(correlator=CorrelatorErrors(products=("YY", "XY", "YX", "XX")))
    assert outcome.refuted == ()
    assert by_key(outcome)["polarisations"].text.startswith("the file holds YY XX;")


def test_nothing_private_is_in_it(transit, config_of, tmp_path):
    def mark(files):
        for path in files.values():
            with h5py.File(path, "r+") as file:
                for key, text in zip(("history", "extra_keywords/applied_delays_ns"), SECRETS, strict=False):
                    del file[f"Header/{key}"]
                    file[f"Header/{key}"] = f"made by {text} simulated"
                del file["Header/extra_keywords/fs_table"]
                file["Header/extra_keywords/fs_table"] = f"{SECRETS[0]}/fringestopping_dec54.6deg_96ant.npz"
                del file["Header/object_name"]
                file["Header/object_name"] = SECRETS[2]
                file["Header/extra_keywords/operator"] = SECRETS[2]
                file["Header"].attrs["note"] = SECRETS[3]
                file.attrs["host"] = SECRETS[1]

    folder = transit(mark)
    out = tmp_path / "out"
    write_fingerprint(find_transit([str(folder)], config_of(folder)).headers, out)
    content = out.read_bytes()
    with zipfile.ZipFile(out) as archive:
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        content += b"".join(archive.read(name) for name in archive.namelist())
        with h5py.File(archive.open(archive.namelist()[0])) as file:
            names = []
            file.visit(names.append)
            scalars = [file[name] for name in names if getattr(file[name], "shape", None) == ()]
            texts = [one[()] for one in scalars]
            content += b"".join(text for text in texts if isinstance(text, bytes))
            assert not file.attrs and file["Header/extra_keywords/fs_table"][()] == b"dec54.6deg_96ant"
    for secret in (*SECRETS, str(folder), Path.home().name if Path.home().name != "root" else "/root"):
        assert secret.encode() not in content


def test_two_fingerprints_of_the_same_files_are_the_same_bytes(clean_night, config_of, tmp_path):
    headers = find_transit([str(clean_night)], config_of(clean_night)).headers
    for name in ("one", "two"):
        write_fingerprint(headers, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_existing_file_is_not_replaced(clean_night, config_of, tmp_path):
    headers = find_transit([str(clean_night)], config_of(clean_night)).headers
    out = tmp_path / "out"
    out.write_bytes(b"mine")
    with pytest.raises(InputError, match="out exists: remove it"):
        write_fingerprint(headers, out)
    assert out.read_bytes() == b"mine"


def test_antennas_that_are_not_there_are_refused(clean_night, config_of, tmp_path):
    headers = find_transit([str(clean_night)], config_of(clean_night)).headers
    with pytest.raises(InputError, match="antenna 21 is not in the data"):
        write_fingerprint(headers, tmp_path / "out", ["21"])
    with pytest.raises(InputError, match="ties 12 antennas, 13 are asked for"):
        write_fingerprint(headers, tmp_path / "out", [str(station) for station in STATIONS[:13]])
    assert not (tmp_path / "out").exists()


def test_the_pipeline_itself_does_not_take_its_files_for_data(clean_night, config_of, tmp_path):
    write_fingerprint(find_transit([str(clean_night)], config_of(clean_night)).headers, tmp_path / "out")
    with unpacked([str(tmp_path / "out")]) as (folder,):
        path = sorted(Path(folder).iterdir())[0]
        with pytest.raises(InputError, match="part of a fingerprint"):
            hdf5.read_header(path)
        assert hdf5.read_header(path, any_frame=True).n_baselines == len(STATIONS) + BASELINES
    assert not Path(folder).exists()


def test_archives_of_other_things_are_refused(tmp_path, config_of, clean_night):
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("../2026-02-11T08:00:00_sb00.hdf5", b"escape")
    with pytest.raises(InputError, match="is no fingerprint"):
        first_light([str(other)], config_of(clean_night))
    with zipfile.ZipFile(other, "w"):
        pass
    with pytest.raises(InputError, match="it holds 'nothing'"):
        first_light([str(other)], config_of(clean_night))


def test_values_are_rounded_to_less_than_their_noise():
    from contimg.commissioning.fingerprint import _rounded

    values = (np.random.default_rng(1).normal(size=(500, 2)) @ [1, 1j]).astype(np.complex64)
    rounded = _rounded(values, 7)
    assert np.abs(rounded.real / values.real - 1).max() <= 2**-8
    assert (rounded.view(np.uint32) & 0xFFFF == 0).all()
