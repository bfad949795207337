"""The list of bright sources: joined, selected, never changed in place."""

import dataclasses

import numpy as np
import pytest

from contimg.imaging.bright.sources import BrightSources, PositionCorrections


def source(east, flux, name=None):
    one = np.array([east])
    return BrightSources(1.4e9, one, -one, np.array([flux]), np.array([-0.7]), ("assumed",), (name,))


def test_sources_are_joined_in_order_and_selected_by_a_mask():
    none = BrightSources(1.4e9)
    assert len(none) == 0
    three = none.extended([source(0.1, 1.0, "A"), source(0.2, 2.0), source(0.3, 3.0, "C")])
    assert (len(three), three.name, three.index_from) == (3, ("A", None, "C"), ("assumed",) * 3)
    assert three.flux_jy.tolist() == [1.0, 2.0, 3.0]
    kept = three.select(np.array([True, False, True]))
    assert (kept.name, kept.east.tolist(), kept.north.tolist()) == (("A", "C"), [0.1, 0.3], [-0.1, -0.3])
    assert len(three) == 3
    assert len(three.select(np.zeros(3, bool))) == 0
    assert three.extended([]).flux_jy.tolist() == three.flux_jy.tolist()


def test_sources_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        source(0.1, 1.0).flux_jy = np.zeros(1)


def test_a_series_of_corrections_starts_without_any_limit():
    start = PositionCorrections.none(2)
    first = start.following(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1e9, 0.1]))
    assert first.shift.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert not first.held.any()
    assert start.shift.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_a_position_that_is_held_stays_held_whatever_its_dipole_does():
    shift = np.ones((1, 2))
    corrections = PositionCorrections.none(1).following(shift, np.array([1.0])).following(shift, np.array([2.0]))
    assert corrections.held.tolist() == [True]
    assert corrections.shift.tolist() == [[-1.0, -1.0]]  # goes back
    for dipole in (0.1, 5.0):
        corrections = corrections.following(shift, np.array([dipole]))
        assert corrections.shift.tolist() == [[0.0, 0.0]]
