"""Applied calibrations: equal to CASA's applycal, true to the simulator, and refused where they do not belong."""

import itertools
import shutil

import numpy as np
import pytest
from casacore import tables

from contimg import measurement_set
from contimg.calibration import casa
from contimg.calibration.apply_calibration import apply_calibration
from contimg.calibration.caltables import Solutions
from contimg.calibration.jones import gains_at
from contimg.calibration.solve_calibration import solve_calibration
from contimg.config import BeamOptions, CalibrationOptions
from contimg.errors import InputError
from contimg.products.manifest import product_of
from contimg.products.twin import Reason, read_twin, write_twin
from contimg.sky.catalogue import read_catalogue
from contimg.sky.predict import predict
from tests.support.calibration_nights import CALIBRATOR, make_night
from tests.support.calibration_tables import describe_again

OPTIONS, BEAM = CalibrationOptions(), BeamOptions()
CHOICE = {"bandpass": "the plan's", "reasons": ["nearest"]}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Three tiles; a bandpass of the middle one, gains of the first and the last on top of it."""
    night = make_night(tmp_path_factory.mktemp("night"), integrations=12, missing=((1, 9),), channels=3)
    common = {"options": OPTIONS, "beam": BEAM, "catalogue": night.folder / "night" / "truth.csv"}
    for tile, calibrator in ((1, CALIBRATOR), (0, None), (2, None)):
        twin = solve_calibration(
            night.ms(tile), night.twin(tile), _cal(night, tile).with_suffix(""), _cal(night, tile),
            calibrator=calibrator, bandpass=None if calibrator else _cal(night, 1), **common,
        )  # fmt: skip
        assert twin.verdict == "passed", twin.reasons
    return night


def _cal(night, tile):
    return night.folder / f"cal{tile}.json"


def _apply(night, tile, folder, calibrations, *, twin=None, choice=CHOICE):
    return apply_calibration(
        night.ms(tile), twin or night.twin(tile), folder / "out.ms", folder / "out.json",
        calibrations=calibrations, choice=choice, options=OPTIONS,
    )  # fmt: skip


def _applycal(ms, copy, gaintable):
    """Return what CASA's applycal makes of a copy of a tile."""
    shutil.copytree(ms, copy)
    with casa.tasks() as tasks:
        tasks.applycal(
            vis=str(copy), gaintable=[str(t) for t in gaintable],
            interp=["nearest", "nearest,nearestflag", "linear"][: len(gaintable)],
            calwt=False, flagbackup=False, parang=False,
        )  # fmt: skip
    return measurement_set.read(copy, column="CORRECTED_DATA")


@pytest.mark.parametrize(("tile", "sets"), [(1, (1,)), (0, (1,)), (0, (1, 0))])
def test_equals_applycal(night, tmp_path, tile, sets):
    """Data and flags are those of CASA's applycal on the same tables."""
    folder = night.folder / f"cal{sets[0]}"
    chosen = [folder / "K.cal", folder / "B.cal", night.folder / f"cal{sets[-1]}" / "G.cal"]
    calibrations = [_cal(night, one) for one in sets]
    ours = _apply(night, tile, tmp_path, calibrations)
    assert ours.verdict == "passed", ours.reasons
    vis = measurement_set.read(tmp_path / "out.ms")
    theirs = _applycal(night.ms(tile), tmp_path / "casa.ms", chosen)
    assert np.array_equal(vis.flag, theirs.flag)
    good = ~vis.flag
    assert 0.05 < vis.flag.mean() < 0.2  # the subband that the bandpass lacks
    difference = np.abs(vis.data - theirs.data)[good] / np.abs(theirs.data)[good]
    assert difference.max() < 1e-5


def test_calibrated_data_are_the_sky_and_weights_inverse_variances(night, tmp_path):
    _apply(night, 1, tmp_path, [_cal(night, 1)])
    vis = measurement_set.read(tmp_path / "out.ms")
    sky = read_catalogue(night.folder / "night" / "truth.csv")
    ra, dec = np.radians(sky.ra_deg), np.radians(sky.dec_deg)
    model = predict(vis, ra, dec, sky.flux_at(vis.freq_hz), BEAM, true_places=True)[:, :, None]
    good = ~vis.flag & (vis.weight > 0)
    scale = np.sum(np.where(good, vis.data * model.conj(), 0)) / np.sum(np.where(good, np.abs(model) ** 2, 0))
    assert scale.real == pytest.approx(1, abs=0.005)  # janskys
    assert np.degrees(np.angle(scale)) == pytest.approx(0, abs=0.1)
    pull = ((vis.data - model) * np.sqrt(vis.weight))[good]
    assert np.std(pull.real) == pytest.approx(1, abs=0.05)
    assert np.std(pull.imag) == pytest.approx(1, abs=0.05)


def test_gain_sets_on_both_sides_are_interpolated(night, tmp_path):
    """The middle tile, its own gains left out, between those of its neighbours."""
    twin = _apply(night, 1, tmp_path, [_cal(night, 1), _cal(night, 0), _cal(night, 2)])
    assert twin.verdict == "passed", twin.reasons
    assert not any("not interpolated" in note for note in twin.notes)
    both = measurement_set.read(tmp_path / "out.ms").data
    (tmp_path / "own").mkdir()
    _apply(night, 1, tmp_path / "own", [_cal(night, 1)])
    own = measurement_set.read(tmp_path / "own" / "out.ms")
    ratio = both[~own.flag] / own.data[~own.flag]
    assert np.degrees(np.std(np.angle(ratio))) < 2.5
    assert np.median(np.abs(ratio)) == pytest.approx(1, abs=0.005)


def test_the_rest_of_the_tile_is_kept(night, tmp_path):
    twin = _apply(night, 0, tmp_path, [_cal(night, 1)])
    before, after = measurement_set.read(night.ms(0)), measurement_set.read(tmp_path / "out.ms")
    for name in ("uvw_m", "time_mjd_s", "antenna1", "antenna2", "freq_hz", "pointing_rad", "phase_centre_rad",
                 "antenna_positions_m", "times_mjd_s"):  # fmt: skip
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert after.synthetic
    assert twin.synthetic
    bandpass = read_twin(_cal(night, 1)).id
    assert after.history[-1] == f"calibrated with {bandpass}"
    assert twin.facts["bandpass"] == bandpass
    assert twin.facts["flux_anchor"] == "Perley & Butler 2017, epoch 2016"
    assert twin.facts["choice"] == CHOICE
    source = read_twin(night.twin(0))
    assert twin.facts["freq_hz"] == source.facts["freq_hz"]
    assert [i.kind for i in twin.inputs] == ["ms", "calibration"]
    assert (
        f"gains are not interpolated: those of {bandpass} alone, 2.6 min later, at the nearest solution" in twin.notes
    )
    assert twin.qa["flagged_by_calibration"] == pytest.approx(1 / 16, rel=0.1)


def _changed(source, folder, **changes):
    """Write a twin with other facts, its product beside it."""
    folder.mkdir(exist_ok=True)
    twin = read_twin(source)
    verdict = changes.pop("verdict", twin.verdict)
    reasons = [Reason(code="bad", severity=verdict, message="made up")] if verdict != "passed" else []
    changed = twin.model_copy(update={"facts": twin.facts | changes, "verdict": verdict, "reasons": reasons})
    write_twin(folder / source.name, changed)
    product = product_of(source, twin.kind)
    (folder / product.name).symlink_to(product)
    return folder / source.name


@pytest.mark.parametrize(("changes", "code"), [
    ({"applied_delays_sha256": "0" * 64}, "delays_disagree"),
    ({"antenna_order_sha256": "0" * 64}, "antennas_disagree"),
    ({"fs_table": "another"}, "fringe_stopping_disagrees"),
    ({"dec_app_deg": 35.0}, "declination_strip"),
    ({"verdict": "failed"}, "calibration_failed"),
    ({"type": "gains"}, "no_bandpass"),
])  # fmt: skip
def test_pairs_that_do_not_belong_together_are_refused(night, tmp_path, changes, code):
    twin = _apply(night, 0, tmp_path, [_changed(_cal(night, 1), tmp_path / "changed", **changes)])
    assert twin.verdict == "failed"
    assert [r.code for r in twin.reasons] == [code]
    assert list((tmp_path / "out.ms").iterdir()) == []
    assert read_twin(tmp_path / "out.json") == twin


def test_gains_of_another_bandpass_failed_tile_and_no_calibration(night, tmp_path):
    other = _changed(_cal(night, 0), tmp_path / "other", bandpass="cal_20260101T000000")
    twin = _apply(night, 0, tmp_path, [_cal(night, 1), other])
    assert [r.code for r in twin.reasons] == ["gains_of_another_bandpass"]
    failed = _changed(night.twin(0), tmp_path / "tile", verdict="failed")
    assert [r.code for r in _apply(night, 0, tmp_path, [_cal(night, 1)], twin=failed).reasons] == ["tile_failed"]
    assert [r.code for r in _apply(night, 0, tmp_path, []).reasons] == ["no_calibration"]


def test_gains_that_could_not_be_solved_are_not_said_to_be_applied(night, tmp_path):
    """A set whose outcome is 'bandpass only' gives none; one that should have them must."""
    without = _changed(_cal(night, 0), tmp_path / "without", outcome="bandpass only", files={}, solutions_sha256={})
    twin = _apply(night, 0, tmp_path, [_cal(night, 1), without])
    assert twin.verdict == "passed", twin.reasons
    assert (twin.facts["bandpass"], twin.facts["gains"]) == (read_twin(_cal(night, 1)).id, None)
    assert twin.facts["gain_sets"] == []
    assert f"no gains: the delays and bandpass of {twin.facts['bandpass']} alone are applied" in twin.notes
    lacking = _changed(_cal(night, 0), tmp_path / "lacking", files={}, solutions_sha256={})
    with pytest.raises(InputError, match=r"holds no table G\.cal, which cal_\w+ is chosen for"):
        _apply(night, 0, tmp_path / "lacking", [_cal(night, 1), lacking])


def test_a_bandpass_without_gains_in_reach_is_applied_alone(night, tmp_path):
    """What the plan calls 'bandpass only' is K and B: the bandpass calibration's own gains are of another hour."""
    twin = _apply(night, 0, tmp_path, [_cal(night, 1)], choice={"bandpass": "cal", "gains": None})
    assert twin.verdict == "passed", twin.reasons
    assert (twin.facts["gains"], twin.facts["gain_sets"]) == (None, [])
    assert f"no gains: the delays and bandpass of {twin.facts['bandpass']} alone are applied" in twin.notes
    ours = measurement_set.read(tmp_path / "out.ms")
    theirs = _applycal(night.ms(0), tmp_path / "casa.ms", [night.folder / "cal1" / name for name in ("K.cal", "B.cal")])
    assert np.array_equal(ours.flag, theirs.flag)
    good = ~ours.flag
    assert (np.abs(ours.data - theirs.data)[good] / np.abs(theirs.data)[good]).max() < 1e-5


def test_a_warning_is_handed_on(night, tmp_path):
    warned = _changed(_cal(night, 1), tmp_path / "warned", verdict="warning")
    twin = _apply(night, 0, tmp_path, [warned])
    assert twin.verdict == "warning"
    assert (tmp_path / "out.ms" / "table.dat").exists()


@pytest.fixture
def damaged(night, tmp_path):
    """Return a function that copies the bandpass calibration, so that it can be spoilt, and gives the copy's twin."""
    folder = tmp_path / "damaged"
    shutil.copytree(night.folder / "cal1", folder / "cal1")
    shutil.copy(_cal(night, 1), folder)
    return folder / "cal1.json"


def _truncate(folder):
    for path in (folder / "B.cal").glob("table.f*"):
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size // 2)


def _truncate_description(folder):
    with open(folder / "B.cal" / "table.dat", "r+b") as file:
        file.truncate(500)


def _rename_an_antenna(folder):
    with tables.table(str(folder / "B.cal" / "ANTENNA"), readonly=False, ack=False) as table:
        table.putcell("NAME", 4, "pad5")


def _another_kind(folder):
    shutil.rmtree(folder / "B.cal")
    shutil.copytree(folder / "G.cal", folder / "B.cal")


def _cut(path, columns, part):
    """Make the arrays of some columns smaller."""
    with tables.table(str(path), readonly=False, ack=False) as table:
        for name in columns:
            values, kind = table.getcol(name)[part], table.coldatatype(name)
            table.removecols([name])
            table.addcols(tables.maketabdesc(tables.makearrcoldesc(name, 0, ndim=2, valuetype=kind)))
            table.putcol(name, values)


def _fewer_channels(folder):
    _cut(folder / "B.cal", ("CPARAM", "FLAG", "SNR"), np.s_[:, :-3])


def _one_polarisation(folder):
    for kind in "KBG":
        _cut(folder / f"{kind}.cal", ("FPARAM" if kind == "K" else "CPARAM", "FLAG", "SNR"), np.s_[..., :1])


@pytest.mark.parametrize(("spoil", "message"), [
    (_truncate, "B.cal is damaged"),
    (_truncate_description, "B.cal is damaged"),
    (_rename_an_antenna, "B.cal has no antenna '5'"),
    (_another_kind, "B.cal holds a table of kind G instead of B"),
    (_fewer_channels, "B.cal has 45 channels instead of 48"),
    (_one_polarisation, "K.cal has 1 polarisations and the tile 2"),
])  # fmt: skip
def test_damaged_tables_are_errors_in_one_sentence(night, tmp_path, damaged, spoil, message):
    """Tables that were damaged before they were listed. Nothing half-made stays."""
    spoil(damaged.with_suffix(""))
    describe_again(damaged)
    with pytest.raises(InputError, match=message) as caught:
        _apply(night, 0, tmp_path, [damaged])
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(
        f"with: rm -r {tmp_path}/damaged/cal1 {tmp_path}/damaged/cal1.json; then rerun snakemake"
    )
    with pytest.raises(InputError, match=message):
        solve_calibration(
            night.ms(0), night.twin(0), tmp_path / "gains", tmp_path / "gains.json", calibrator=None, bandpass=damaged,
            options=OPTIONS, beam=BEAM, catalogue=night.catalogue,
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]


@pytest.mark.parametrize(("kind", "how"), [*itertools.product("KBG", ["gone", "edited"]), ("G", "of another set")])
def test_tables_that_are_not_those_judged_are_refused(night, tmp_path, damaged, kind, how):
    table = damaged.with_suffix("") / f"{kind}.cal"
    if how == "edited":
        with tables.table(str(table), readonly=False, ack=False) as opened:
            name = "FPARAM" if kind == "K" else "CPARAM"
            opened.putcol(name, 1.3 * opened.getcol(name))
    else:
        shutil.rmtree(table)
    if how == "of another set":
        shutil.copytree(night.folder / "cal0" / table.name, table)
    with pytest.raises(
        InputError, match=rf"{kind}\.cal/\S+ (is missing|was altered).*rm -r \S+cal1 \S+cal1\.json; then rerun"
    ):
        _apply(night, 0, tmp_path, [damaged])
    assert not (tmp_path / "out.ms").exists()


def test_a_truncated_tile_is_an_error_in_one_sentence(night, tmp_path):
    shutil.copytree(night.ms(0), tmp_path / "0.ms")
    for path in (tmp_path / "0.ms").glob("table.f*_TSM*"):
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size // 2)
    with pytest.raises(InputError, match=r"0\.ms is damaged .*: delete it and rerun snakemake to make it again$"):
        apply_calibration(
            tmp_path / "0.ms", night.twin(0), tmp_path / "out.ms", tmp_path / "out.json",
            calibrations=[_cal(night, 1)], choice=CHOICE, options=OPTIONS,
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["0.ms"]


def test_a_tile_that_is_flagged_whole_has_nothing_to_calibrate(night, tmp_path):
    vis = measurement_set.read(night.ms(0))
    vis.flag[:] = True
    measurement_set.write(tmp_path / "flagged.ms", vis)
    twin = apply_calibration(
        tmp_path / "flagged.ms", night.twin(0), tmp_path / "out.ms", tmp_path / "out.json",
        calibrations=[_cal(night, 1)], choice=CHOICE, options=OPTIONS,
    )  # fmt: skip
    assert [r.code for r in twin.reasons] == ["no_data"]
    assert list((tmp_path / "out.ms").iterdir()) == []


def test_two_gain_sets_equal_applycal_with_both(night, tmp_path):
    """CASA interpolates linearly over the solutions of one table: here those of both sides."""
    _apply(night, 1, tmp_path, [_cal(night, 1), _cal(night, 0), _cal(night, 2)])
    both = tmp_path / "G.cal"
    shutil.copytree(night.folder / "cal0" / "G.cal", both)
    after = night.folder / "cal2" / "G.cal"
    with tables.table(str(after), ack=False) as second, tables.table(str(both), readonly=False, ack=False) as first:
        second.copyrows(first)
    bandpass = night.folder / "cal1"
    ours = measurement_set.read(tmp_path / "out.ms")
    theirs = _applycal(night.ms(1), tmp_path / "casa.ms", [bandpass / "K.cal", bandpass / "B.cal", both])
    assert np.array_equal(ours.flag, theirs.flag)
    difference = np.abs(ours.data - theirs.data)[~ours.flag] / np.abs(theirs.data)[~ours.flag]
    assert difference.max() < 1e-5


def _gains(times, values, flag=None):
    values = np.asarray(values, complex).reshape(len(times), 1, 1, 1)
    flag = np.zeros(values.shape, bool) if flag is None else np.asarray(flag).reshape(values.shape)
    return Solutions("G", np.array(times, float), values, flag, np.ones(values.shape), np.array([1.4e9]), ["1"])


@pytest.fixture
def one_antenna(night):
    coordinates = measurement_set.read_coordinates(night.ms(0))
    coordinates.antenna_names, coordinates.polarisations = ["1"], ("XX",)
    return coordinates


def test_interpolation_of_amplitude_and_phase(one_antenna):
    """Linear in each; the phase takes the short way across 180 degrees; the nearest outside."""
    two = _gains([0, 100], [1 * np.exp(1j * np.radians(170)), 2 * np.exp(1j * np.radians(-170))])
    for time, size, degrees in ((-50, 1, 170), (0, 1, 170), (25, 1.25, 175), (75, 1.75, 185), (200, 2, 190)):
        value, missing = gains_at([two], time, one_antenna)
        assert not missing.any()
        assert value.item() == pytest.approx(size * np.exp(1j * np.radians(degrees)), abs=1e-12)


def test_interpolation_passes_over_flagged_solutions_and_merges_sets(one_antenna):
    first = _gains([0, 50], [1, 9], [False, True])
    second = _gains([100], [3])
    assert gains_at([second, first], 50, one_antenna)[0].item() == pytest.approx(2)
    lost = _gains([0, 50], [1, 9], [True, True])
    assert gains_at([lost], 10, one_antenna)[1].all()
    assert gains_at([lost, second], 10, one_antenna)[0].item() == pytest.approx(3)
    value, missing = gains_at([], 10, one_antenna)
    assert (value.item(), missing.any()) == (1, False)


def test_sets_of_other_reference_antennas_are_interpolated_as_the_baselines_change(night):
    """Phases drift by up to 70 degrees between two sets; the second refers to an antenna 3 rad away."""
    dice = np.random.default_rng(3)
    coordinates = measurement_set.read_coordinates(night.ms(0))
    names = coordinates.antenna_names
    start = dice.uniform(-np.pi, np.pi, (len(names), 2))
    drift = np.radians(dice.uniform(-70, 70, start.shape))
    sets = []
    for time, phase in ((0.0, start), (100.0, start + drift - 3.0)):  # another antenna's phase: 3 rad off all of them
        values = np.exp(1j * phase)[None, :, None]
        shape = values.shape
        sets.append(Solutions("G", np.array([time]), values, np.zeros(shape, bool), np.ones(shape), np.ones(1), names))
    value, missing = gains_at(sets, 50.0, coordinates)
    assert not missing.any()
    true = np.exp(1j * (start + drift / 2))
    seen, expected = value[:, 0] * value[:1, 0].conj(), true * true[:1].conj()
    assert np.abs(seen - expected).max() < 1e-12
