import contextlib
import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contimg.config import IngestOptions
from contimg.correlator import inbox
from contimg.correlator.facts import FactsCache, inspect
from contimg.errors import InputError
from contimg.simulate import GainErrors, NightOptions, simulate_night

SETTLED = IngestOptions(settle_s=0.0)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    options = NightOptions(tiles=1, antennas=4, channels=2, integrations=4, sources=1, gains=GainErrors.none())
    return simulate_night(tmp_path_factory.mktemp("inbox") / "night", options)


@pytest.fixture
def folder(night, tmp_path):
    """The files of one tile, hard-linked, so that a test may remove or replace some."""
    for path in (night.out / "incoming").iterdir():
        os.link(path, tmp_path / path.name)
    return tmp_path


def look(folder, cache=None, options=SETTLED, now=None):
    listing = inbox.arrange(inbox.list_files(folder), options)
    cache = cache or FactsCache(folder / "cache")
    return listing, inspect(listing.clusters, cache, options, now or datetime.now(UTC)), cache


def test_headers_agree_with_the_simulator(night, folder):
    _, facts, _ = look(folder)
    assert len(facts) == 16
    for fact in facts.values():
        assert fact.fault is None and fact.synthetic
        assert abs(fact.integration_s - 12.884902) < 1e-6
        assert abs((fact.end_mjd - fact.start_mjd) * 86400 - 3 * 12.884902) < 1e-3


def test_what_was_read_once_is_remembered_until_the_file_changes(folder, monkeypatch):
    _, first, cache = look(folder)
    cache.save()
    monkeypatch.setattr("contimg.correlator.probe.look", lambda path: pytest.fail(f"{path} was opened again"))
    assert look(folder)[1] == first
    monkeypatch.undo()
    changed = next(iter(first))
    content = Path(changed).read_bytes()
    os.unlink(changed)  # the hard link, not the night's own file
    with open(changed, "wb") as file:
        file.write(content[:1000])
    assert look(folder)[1][changed].fault_code == "unreadable"


def test_a_damaged_cache_costs_time_and_nothing_else(folder):
    _, first, cache = look(folder)
    cache.save()
    for place in (folder / "cache").iterdir():
        place.write_text("{")
    assert look(folder)[1] == first


def test_a_young_file_may_still_grow(folder):
    young = sorted(folder.glob("*.hdf5"))[0]
    os.utime(young)
    _, facts, _ = look(folder, options=IngestOptions(settle_s=60.0))
    assert facts[str(young)].fault_code == "growing"
    later = datetime.now(UTC) + timedelta(minutes=5)
    _, facts, _ = look(folder, options=IngestOptions(settle_s=60.0), now=later)
    assert facts[str(young)].fault is None


def test_a_file_in_the_place_of_another_subband_is_found_out(folder):
    (source,), (target,) = folder.glob("*_sb03.hdf5"), folder.glob("*_sb04.hdf5")
    target.unlink()
    target.write_bytes(source.read_bytes())
    _, facts, _ = look(folder)
    assert facts[str(target)].fault_code == "frequency"
    assert "are those of sb03" in facts[str(target)].fault


def test_a_clock_that_is_ten_minutes_off_is_found_out(folder):
    for path in sorted(folder.glob("*.hdf5")):
        moment = datetime.strptime(path.name[:19], "%Y-%m-%dT%H:%M:%S") + timedelta(minutes=11)
        path.rename(folder / (moment.strftime("%Y-%m-%dT%H:%M:%S") + path.name[19:]))
    _, facts, _ = look(folder)
    assert {fact.fault_code for fact in facts.values()} == {"clock"}


@pytest.mark.parametrize(("content", "code"), [(b"", "empty"), (b"not HDF5", "unreadable")])
def test_files_without_content_have_a_code(folder, content, code):
    path = sorted(folder.glob("*.hdf5"))[0]
    path.unlink()
    path.write_bytes(content)
    _, facts, _ = look(folder)
    assert facts[str(path)].fault_code == code


@contextlib.contextmanager
def as_nobody():
    """Be a user without rights: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_has_a_code_until_it_may(night):
    with tempfile.TemporaryDirectory() as place:  # which others may enter, unlike pytest's folders
        os.chmod(place, 0o755)
        for path in (night.out / "incoming").iterdir():
            shutil.copy(path, place)
            os.chmod(Path(place) / path.name, 0o644)
        path = sorted(Path(place).glob("*.hdf5"))[3]
        path.chmod(0o000)
        with as_nobody():
            _, facts, cache = look(Path(place))
        assert {Path(name).name for name, fact in facts.items() if fact.fault} == {path.name}
        fact = facts[str(path)]
        assert fact.fault_code == "permission"
        assert fact.fault == f"{path.name} is not readable: give this user read permission"
        path.chmod(0o644)
        with as_nobody():
            assert look(Path(place), cache)[1][str(path)].fault is None


def test_files_that_vanish_meanwhile_are_left_out(folder):
    listing = inbox.arrange(inbox.list_files(folder), SETTLED)
    gone = listing.clusters[0].files[0].path
    os.unlink(gone)
    facts = inspect(listing.clusters, FactsCache(folder / "cache"), SETTLED, datetime.now(UTC))
    assert gone not in facts and len(facts) == 15


def test_a_missing_inbox_is_named(tmp_path):
    with pytest.raises(InputError, match=r"paths\.incoming .*nowhere does not exist"):
        inbox.list_files(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        inbox.list_files(tmp_path / "file")


def test_a_changed_limit_is_applied_to_what_is_remembered(folder):
    _, facts, cache = look(folder)
    assert {fact.fault_code for fact in facts.values()} == {None}
    strict = IngestOptions(settle_s=0.0, max_clock_error_s=1e-3)
    _, facts, _ = look(folder, cache, options=strict)
    assert {fact.fault_code for fact in facts.values()} == {"clock"}
