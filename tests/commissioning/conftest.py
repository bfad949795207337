"""Small transits with one fault each, simulated and checked once a session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from contimg.commissioning.check import first_light
from contimg.config import default_file, load_files
from contimg.simulate import NightOptions, TelescopeErrors, simulate_night

# The arms and both far groups of outriggers; 21, 22 and 23 have no antennas.
STATIONS = (1, 4, 12, 20, 28, 36, 44, 51, 68, 76, 84, 92, 102, 103, 107, 109, 111, 114, 116)
SMALL = NightOptions(
    tiles=1,
    stations=STATIONS,
    channels=2,
    integrations=18,
    declination_deg=54.57,
    calibrator_flux_jy=7.0,
    sources=8,
    start="2026-02-11T08:00:00",
    seed=14,
    missing=tuple((0, subband) for subband in range(1, 16, 2)),
)


@pytest.fixture(scope="session")
def transit(tmp_path_factory):
    """Return a function that simulates a transit (files of one tile) and returns the night's folder."""

    def simulate(change=None, options=SMALL, **errors):
        folder = tmp_path_factory.mktemp("transit") / "night"
        record = simulate_night(folder, replace(options, telescope=TelescopeErrors(**errors)))
        if change is not None:
            change({file.subband: file.path for file in record.files if file.path is not None})
        return folder

    return simulate


@pytest.fixture(scope="session")
def config_of():
    """Return a function that loads the configuration of a simulated night."""
    return lambda folder: load_files([default_file(), Path(folder) / "config.yaml"], base=None)


@pytest.fixture(scope="session")
def checked(transit, config_of):
    """Return a function that simulates a transit and checks it."""

    def check(change=None, options=SMALL, **errors):
        folder = transit(change, options, **errors)
        return first_light([str(folder)], config_of(folder))

    return check


@pytest.fixture(scope="session")
def clean_night(transit):
    return transit()


@pytest.fixture(scope="session")
def clean(clean_night, config_of):
    """The check of a transit without faults."""
    return first_light([str(clean_night)], config_of(clean_night))
