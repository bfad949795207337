"""Solving for delays (K), bandpasses (B) and gains (G) on one tile.

- `working_copy`: the private copy, phase-shifted, with true weights and MODEL_DATA
- `reference_antenna`: which antennas the phases refer to, and why
- `solver`: the calls of CASA's tasks
- `tables`: solutions read from CASA's tables
- `response`: solutions on a tile's axes, and data divided by them
- `statistics`, `assess`: what was lost, counted over working receptors; the verdict's reasons
- `field`: the catalogue's sources in a tile
- `on_calibrator`: K, B and G against a calibrator
- `on_field`: gains against the catalogue
- `work`: what these two share on the way to the twin
- `solve`: from a tile to a calibration with its twin
"""

from contimg.calibration.solve_calibration import solve_calibration

__all__ = ["solve_calibration"]
