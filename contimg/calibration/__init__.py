"""Calibration of a tile: delays (K), bandpass (B) and gains (G) solved, judged, certified and applied.

- `solve_calibration`: the rule, from a tile to a calibration with its twin
- `on_calibrator`, `on_field`: solutions against a calibrator; gains against the catalogue (`field_model`)
- `solving`: what both share; `working_copy`, `casa_solver`, `casa`: the copy that CASA's tasks work on, and their calls
- `reference_antenna`: the choice of the reference antenna
- `caltables`, `jones`: solutions read from CASA's tables, and evaluated on a tile's axes
- `quality`, `previous_bandpass`: the numbers that the gates of a calibration judge; `plots`: its pictures
- `apply_calibration`: the rule that applies bandpass and gains to a tile
- `calibration_set`, `compatibility`: a calibration checked against its twin, and against a tile
- `certification`: decisions of persons about calibrations
"""
