"""Solved calibrations against the gains that the simulator put in, and against what must be refused."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from casacore import tables

from contimg import measurement_set
from contimg.calibration import casa
from contimg.calibration.caltables import FILES, read_solutions
from contimg.calibration.reference_antenna import choose
from contimg.calibration.solve_calibration import solve_calibration
from contimg.config import BeamOptions, CalibrationOptions
from contimg.errors import ConfigError, InputError, UnknownIdError
from contimg.products.manifest import make_manifest
from contimg.products.twin import Reason, read_twin, twin_digest, write_twin
from tests.support.calibration_nights import CALIBRATOR, gain_errors, make_night
from tests.support.calibration_tables import describe_again

OPTIONS, BEAM = CalibrationOptions(), BeamOptions()


def _solve(night, tile, folder, *, calibrator=CALIBRATOR, options=OPTIONS, catalogue=True, ms=None, **given):
    return solve_calibration(
        ms or night.ms(tile),
        night.twin(tile) if ms is None else _described(ms, night.twin(tile)),
        folder,
        folder.with_suffix(".json"),
        calibrator=calibrator,
        options=options,
        beam=BEAM,
        catalogue=night.catalogue if catalogue else None,
        **{"bandpass": None} | given,
    )


def _described(ms, of_another):
    """Write the twin of an MS that a test made from another one, as its rule would have, and return its path."""
    content = {"files": make_manifest(ms), "run": {}}
    write_twin(ms.with_suffix(".json"), read_twin(of_another).model_copy(update=content))
    return ms.with_suffix(".json")


def _digest(folder):
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "table.lock":
            total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def _rms(values):
    return float(np.sqrt(np.nanmean(values**2)))


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return make_night(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def solved(night):
    folder = night.folder / "cal1"
    before = _digest(night.ms(1))
    twin = _solve(night, 1, folder)
    assert _digest(night.ms(1)) == before, "the science MS was touched"
    return twin, folder


def test_gains_are_recovered(night, solved):
    twin, folder = solved
    assert twin.verdict == "passed", twin.reasons
    assert twin.facts["type"] == "bandpass"
    assert twin.facts["outcome"] == "solved"
    assert twin.qa["lost_antennas"] == []
    assert twin.qa["flagged_fraction"] == 0
    assert twin.qa["subband_phase_offset_deg"] < 5
    assert twin.synthetic
    ratio = gain_errors(night, 1, {k: folder / FILES[k] for k in "KBG"}, twin.facts["refant"])
    size = np.abs(ratio)
    assert _rms(size - 1) < 0.01
    assert np.mean(size) ** 2 == pytest.approx(1, abs=0.002)  # the flux scale; 1 % is asked
    assert np.abs(size.mean((1, 2, 3)) - 1).max() < 0.005
    assert np.degrees(_rms(np.angle(ratio))) < 1.0


def test_product_holds_tables_and_pictures_and_nothing_else(solved):
    twin, folder = solved
    pictures = [f"{twin.id}.{shown}.png" for shown in ("bandpass", "delays", "gains", "losses", "overlay")]
    assert sorted(p.name for p in folder.iterdir()) == sorted([*FILES.values(), *pictures])
    for name in pictures:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert read_twin(folder.with_suffix(".json")) == twin


def test_receivers_noise_is_measured(solved):
    twin, _ = solved
    assert twin.qa["sefd_median_jy"] == pytest.approx(5800, rel=0.02)  # what the simulator was told
    values = np.array(list(twin.facts["sefd_jy"].values()))
    assert np.abs(values / 5800 - 1).max() < 0.15


def test_facts_say_what_the_scale_rests_on(solved):
    twin, _ = solved
    assert twin.facts["calibrator"] == CALIBRATOR
    assert twin.facts["flux_anchor"] == "Perley & Butler 2017, epoch 2016"
    assert twin.facts["flux_jy"] == pytest.approx(15.06, abs=0.05)
    assert 13.5 < twin.facts["apparent_flux_jy"] < 15.06  # the beam's attenuation along the transit
    assert twin.facts["refant_reason"]
    assert [i.kind for i in twin.inputs] == ["ms", "catalogue"]


def test_reference_antenna_has_phase_zero(solved):
    twin, folder = solved
    for kind in "BG":
        solutions = read_solutions(folder / FILES[kind])
        antenna = solutions.antenna_names.index(twin.facts["refant"])
        assert np.abs(np.angle(solutions.values[:, antenna])).max() < 1e-5


def test_same_inputs_same_bytes(night, solved, tmp_path):
    twin, folder = solved
    again = _solve(night, 1, tmp_path / "again")
    assert twin_digest(again) == twin_digest(twin)
    assert _digest(tmp_path / "again") == _digest(folder)
    assert twin.facts["compared_with"] is None and any("compared with none" in note for note in twin.notes)


def test_a_bandpass_is_compared_with_the_one_before_and_solved_the_same(night, solved, tmp_path):
    """The same tile stands for the set before; in it, half of the antennas then had other amplifiers."""
    twin, folder = solved
    before = tmp_path / "cal_before"
    shutil.copytree(folder, before)
    write_twin(before.with_suffix(".json"), twin)
    with tables.table(str(before / "B.cal"), readonly=False, ack=False) as table:
        values, odd = table.getcol("CPARAM"), table.getcol("ANTENNA1") % 2 == 1
        values[odd] *= 2
        table.putcol("CPARAM", values)
    describe_again(before.with_suffix(".json"))
    judged = read_twin(before.with_suffix(".json"))
    again = _solve(night, 1, tmp_path / "again", previous=before.with_suffix(".json"))
    assert _digest(tmp_path / "again" / "B.cal") == _digest(folder / "B.cal")
    assert again.facts["compared_with"] == {"id": twin.id, "sha256": twin_digest(judged)}
    assert [item.kind for item in again.inputs] == [item.kind for item in twin.inputs]  # no input
    changes = again.qa["gain_change_by_antenna"]
    names = read_solutions(folder / "B.cal").antenna_names
    odd_ones = {changes[name] for i, name in enumerate(names) if i % 2 and name in changes}
    others = {changes[name] for i, name in enumerate(names) if i % 2 == 0 and name in changes}
    assert min(others) == max(others) == pytest.approx(2 * max(odd_ones), abs=2e-4)
    assert again.verdict == "warning" and "antennas_changed" in [r.code for r in again.reasons]


def test_subbands_exchanged_in_the_tile_are_a_warning(night, tmp_path):
    """sb04 and sb09, of four channels each, stand at each other's frequencies."""
    vis = measurement_set.read(night.ms(1))
    one, two = slice(4 * 11, 4 * 12), slice(4 * 6, 4 * 7)  # ascending
    for column in (vis.data, vis.flag, vis.weight):
        column[:, one], column[:, two] = column[:, two].copy(), column[:, one].copy()
    measurement_set.write(tmp_path / "exchanged.ms", vis)
    twin = _solve(night, 1, tmp_path / "cal", ms=tmp_path / "exchanged.ms")
    assert "subband_phases" in [r.code for r in twin.reasons] and twin.verdict == "warning"
    offsets = twin.qa["phase_offset_by_subband_deg"]
    assert min(offsets["sb04"], offsets["sb09"]) > 20
    assert any("sb04 (" in note and "sb09 (" in note for note in twin.notes)


def test_model_without_the_beam_would_be_wrong(night, solved):
    """The apparent flux is that of a beam 30 arcmin wide at most half a degree off at the tile's ends."""
    twin, _ = solved
    vis = measurement_set.read_coordinates(night.ms(1))
    ra, dec = np.radians(twin.facts["calibrator_deg"])
    away = np.hypot((vis.pointing_rad[:, 0] - ra) * np.cos(dec), vis.pointing_rad[:, 1] - dec)
    # Airy main lobe, Gaussian to a per cent out to 0.6 deg: FWHM 2.70 deg at 1.405 GHz
    expected = np.mean(np.exp(-4 * np.log(2) * (np.degrees(away) / 2.70) ** 2)) * twin.facts["flux_jy"]
    assert twin.facts["apparent_flux_jy"] == pytest.approx(expected, rel=0.01)


def test_gains_against_the_catalogue(night, solved, tmp_path):
    """On another tile, with the bandpass of the transit, and a catalogue whose fluxes are 8 % too high."""
    twin, folder = solved
    catalogue = tmp_path / "catalogue.csv"
    header, *lines = (night.folder / "night" / "truth.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines]
    column = header.split(",").index("flux_jy")
    for row in cells:
        row[column] = str(1.08 * float(row[column]))
    catalogue.write_text("\n".join([header, *(",".join(row) for row in cells)]) + "\n")
    gains = solve_calibration(
        night.ms(0), night.twin(0), tmp_path / "gains", tmp_path / "gains.json", calibrator=None,
        bandpass=folder.with_suffix(".json"), options=OPTIONS, beam=BEAM, catalogue=catalogue,
    )  # fmt: skip
    assert gains.verdict == "passed", gains.reasons
    assert gains.facts["type"] == "gains"
    assert gains.facts["outcome"] == "solved"
    assert gains.facts["bandpass"] == twin.id
    tables = {"K": folder / "K.cal", "B": folder / "B.cal", "G": tmp_path / "gains" / "G.cal"}
    ratio = gain_errors(night, 0, tables, twin.facts["refant"])
    assert _rms(np.abs(ratio) - 1) < 0.01
    assert np.degrees(_rms(np.angle(ratio))) < 1.0
    # The flux scale stays the bandpass's; how the catalogue's differs is measured.
    assert np.mean(np.abs(ratio)) ** 2 == pytest.approx(1, abs=0.005)
    assert gains.qa["flux_ratio_to_catalogue"] == pytest.approx(1 / 1.08, abs=0.01)


def test_gains_without_a_sky_fall_back_to_the_bandpass_alone(night, solved, tmp_path):
    _, folder = solved
    twin = folder.with_suffix(".json")
    dark = _solve(night, 0, tmp_path / "dark", calibrator=None, bandpass=twin, catalogue=False)
    assert (dark.verdict, dark.facts["outcome"]) == ("warning", "bandpass only")
    assert [r.code for r in dark.reasons] == ["no_sky_model"]
    demanding = OPTIONS.model_copy(update={"min_field_jy": 1000.0})
    faint = _solve(night, 0, tmp_path / "faint", calibrator=None, bandpass=twin, options=demanding)
    assert [r.code for r in faint.reasons] == ["field_too_faint"]
    assert list((tmp_path / "faint").iterdir()) == []


@pytest.fixture(scope="module")
def silent(night):
    """A copy of tile 1 in which nothing but noise was received."""
    vis = measurement_set.read(night.ms(1))
    rng = np.random.default_rng(4)
    size = 1e-3 * np.ones(vis.shape, np.float32)
    vis.data[:] = size * (rng.standard_normal(vis.shape) + 1j * rng.standard_normal(vis.shape))
    path = night.folder / "silent.ms"
    measurement_set.write(path, vis)
    return path


def test_noise_alone_is_failed(night, silent, tmp_path):
    twin = _solve(night, 1, tmp_path / "noise", ms=silent)
    assert twin.verdict == "failed"
    assert {r.code for r in twin.reasons} & {"solutions_lost", "antennas_lost", "low_snr", "no_solutions"}
    assert twin.facts["outcome"] == "not solved"


def test_gains_of_noise_fall_back_to_the_bandpass_alone(night, solved, silent, tmp_path):
    _, folder = solved
    twin = _solve(night, 1, tmp_path / "lost", ms=silent, calibrator=None, bandpass=folder.with_suffix(".json"))
    assert (twin.verdict, twin.facts["outcome"]) == ("warning", "bandpass only")
    assert [r.code for r in twin.reasons] == ["gains_lost"]
    assert twin.reasons[0].measured > OPTIONS.max_flagged
    assert list((tmp_path / "lost").iterdir()) == []


def test_everything_flagged_is_failed_with_an_empty_product(night, tmp_path):
    vis = measurement_set.read(night.ms(1))
    vis.flag[:] = True
    measurement_set.write(tmp_path / "flagged.ms", vis)
    twin = _solve(night, 1, tmp_path / "cal", ms=tmp_path / "flagged.ms")
    assert [r.code for r in twin.reasons] == ["no_data"]
    assert list((tmp_path / "cal").iterdir()) == []


@pytest.mark.parametrize(("changes", "calibrator", "code"), [
    ({}, "3C48", "calibrator_outside_beam"),
    ({"min_calibrator_jy": 100.0}, CALIBRATOR, "calibrator_too_faint"),
    ({"max_extent_arcsec": 1.0}, CALIBRATOR, "calibrator_resolved"),
])  # fmt: skip
def test_calibrators_that_will_not_do(night, tmp_path, changes, calibrator, code):
    twin = _solve(night, 1, tmp_path / "cal", calibrator=calibrator, options=OPTIONS.model_copy(update=changes))
    assert twin.verdict == "failed"
    assert [r.code for r in twin.reasons] == [code]
    assert list((tmp_path / "cal").iterdir()) == []


def test_calibrator_without_a_flux_is_a_reason(night, tmp_path):
    users = tmp_path / "mine.csv"
    users.write_text("name,ra_deg,dec_deg,flux_jy\nmystery,202.7845,30.5092,\n")
    options = OPTIONS.model_copy(update={"calibrators": str(users)})
    twin = _solve(night, 1, tmp_path / "cal", calibrator="mystery", options=options)
    assert [r.code for r in twin.reasons] == ["no_flux_anchor"]
    listed = next(item for item in twin.inputs if item.kind == "calibrators")
    assert (listed.path, listed.sha256) == (str(users), hashlib.sha256(users.read_bytes()).hexdigest())
    with pytest.raises(UnknownIdError, match="'3C999'"):
        _solve(night, 1, tmp_path / "other", calibrator="3C999")


def test_a_beam_cube_is_an_input_and_gains_have_no_list_of_calibrators(night, tmp_path):
    """The inputs are the files that are read: they are known by the SHA-256 of their bytes."""
    cube, users = tmp_path / "beam.fits", tmp_path / "mine.csv"
    cube.write_bytes(b"not read for a failed tile")
    users.write_text("name,ra_deg,dec_deg,flux_jy\n")
    reason = Reason(code="bad", severity="failed", message="too bad")
    write_twin(tmp_path / "tile.json", read_twin(night.twin(0)).model_copy(update={
        "verdict": "failed", "reasons": [reason], "files": {}
    }))  # fmt: skip
    twin = solve_calibration(
        night.ms(0), tmp_path / "tile.json", tmp_path / "cal", tmp_path / "cal.json", calibrator=None, bandpass=None,
        options=OPTIONS.model_copy(update={"calibrators": str(users)}), catalogue=None,
        beam=BEAM.model_copy(update={"cube": str(cube)}),
    )  # fmt: skip
    assert [(item.kind, item.id, item.sha256) for item in twin.inputs[1:]] == [
        ("beam_cube", "beam.fits", hashlib.sha256(cube.read_bytes()).hexdigest())
    ]


def test_failed_tile_and_failed_bandpass(night, solved, tmp_path):
    _, folder = solved
    reason = Reason(code="bad", severity="failed", message="too bad")
    for source, name in ((night.twin(0), "tile"), (folder.with_suffix(".json"), "bandpass")):
        twin = read_twin(source).model_copy(update={"verdict": "failed", "reasons": [reason], "files": {}})
        write_twin(tmp_path / f"{name}.json", twin)
    common = {"options": OPTIONS, "beam": BEAM, "catalogue": night.catalogue, "calibrator": None}
    good = folder.with_suffix(".json")
    one = solve_calibration(
        night.ms(0), tmp_path / "tile.json", tmp_path / "a", tmp_path / "a.json", bandpass=good, **common
    )
    assert [r.code for r in one.reasons] == ["tile_failed"]
    two = solve_calibration(
        night.ms(0), night.twin(0), tmp_path / "b", tmp_path / "b.json", bandpass=tmp_path / "bandpass.json", **common
    )
    assert [r.code for r in two.reasons] == ["bandpass_failed"]


def test_broken_machine_is_an_error_and_leaves_nothing(night, tmp_path):
    (tmp_path / "gone.ms").mkdir()
    with pytest.raises(InputError, match="is not a Measurement Set"):
        _solve(night, 1, tmp_path / "cal", ms=tmp_path / "gone.ms")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gone.json", "gone.ms"]


def test_dead_antennas_missing_subband_and_an_off_axis_transit(tmp_path):
    """One calibrator a degree off in declination, late in the tile; two deaf antennas; a subband missing."""
    night = make_night(
        tmp_path, tiles=1, transit_tile=0, antennas=20, missing=((0, 5),), declination_offset_deg=1.0,
        transit_offset_s=90.0, seed=11, dead=(24, 31),
    )  # fmt: skip
    twin = _solve(night, 0, tmp_path / "cal")
    assert twin.verdict == "passed", twin.reasons
    names, _ = night.true_gains(0)
    dead = [name for name in ("24", "31") if name in names]
    assert dead, names
    assert set(twin.qa["lost_antennas"]) <= set(dead)
    assert not set(twin.facts["refant_list"]) & set(dead)
    assert twin.qa["flagged_fraction"] < 0.01
    bandpass = read_solutions(tmp_path / "cal" / "B.cal")
    gone = bandpass.flag.all((0, 1, 3))
    assert gone.sum() == 4  # the channels of one subband
    ratio = gain_errors(night, 0, {k: tmp_path / "cal" / FILES[k] for k in "KBG"}, twin.facts["refant"])
    alive = [i for i, name in enumerate(names) if name not in dead]
    assert np.isfinite(ratio[alive][:, ~gone]).all()
    assert _rms(np.abs(ratio[alive]) - 1) < 0.01
    assert np.nanmean(np.abs(ratio[alive])) ** 2 == pytest.approx(1, abs=0.003)
    assert np.degrees(_rms(np.angle(ratio[alive]))) < 1.0


def test_reference_antenna_is_chosen_from_the_data(night):
    vis = measurement_set.read(night.ms(1))
    first = choose(vis, "auto", point_source=False).names[0]
    index = vis.antenna_names.index(first)
    vis.flag[(vis.antenna1 == index) | (vis.antenna2 == index), ::4] = True
    chosen = choose(vis, "auto", point_source=False)
    assert first not in chosen.names
    assert "from the middle of the array" in chosen.reason
    assert choose(vis, first, point_source=False).names[0] == first
    seen = {*vis.antenna1, *vis.antenna2}
    absent = next(name for i, name in enumerate(vis.antenna_names) if i not in seen)
    assert "has no usable data" in choose(vis, absent, point_source=False).reason
    with pytest.raises(ConfigError, match="'pad1' is not an antenna"):
        choose(vis, "pad1", point_source=False)


def test_fluxes_are_those_of_setjy(night, tmp_path):
    """CASA's own task, on a copy whose field bears the calibrator's name."""
    copy = tmp_path / "setjy.ms"
    shutil.copytree(night.ms(1), copy)
    with tables.table(f"{copy}::FIELD", readonly=False, ack=False) as field:
        field.putcol("NAME", [CALIBRATOR])
    with casa.tasks() as tasks:
        answer = tasks.setjy(str(copy), standard="Perley-Butler 2017", usescratch=False, model="")
    from contimg.sky import calibrator_lists, calibrators

    freq = measurement_set.read_coordinates(night.ms(1)).freq_hz[0]  # where setjy states it
    expected = calibrator_lists.find(calibrators.builtin(), CALIBRATOR).flux_jy(freq)
    assert answer["0"]["0"]["fluxd"][0] == pytest.approx(float(expected), rel=1e-3)


def test_twin_is_plain_json(solved):
    _, folder = solved
    assert json.loads(folder.with_suffix(".json").read_text())["kind"] == "calibration"
