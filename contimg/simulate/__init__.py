"""Simulated nights in the correlator's file format, with the truth in files of its own.

The simulator shares no geometry, beam, naming, frequency or gain code with the pipeline that it tests.
"""

from contimg.simulate.errors import SimulationError
from contimg.simulate.night import simulate_night
from contimg.simulate.options import GainErrors, NightOptions
from contimg.simulate.telescope import (
    ArrayErrors,
    BeamErrors,
    CorrelatorErrors,
    HeaderErrors,
    HostileSky,
    TelescopeErrors,
)

__all__ = [
    "ArrayErrors",
    "BeamErrors",
    "CorrelatorErrors",
    "GainErrors",
    "HeaderErrors",
    "HostileSky",
    "NightOptions",
    "SimulationError",
    "TelescopeErrors",
    "simulate_night",
]
