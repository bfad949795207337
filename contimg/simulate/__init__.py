"""Simulated nights in the correlator's own file format, with the truth beside them.

The simulator shares no geometry, beam, naming, frequency or gain code with the pipeline that it tests.
"""

from contimg.simulate.errors import SimulationError
from contimg.simulate.night import simulate_night
from contimg.simulate.options import GainErrors, NightOptions

__all__ = ["GainErrors", "NightOptions", "SimulationError", "simulate_night"]
