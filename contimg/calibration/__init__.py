"""Calibration of a tile: delays (K), bandpass (B) and gains (G) solved, judged, certified and applied.

- `solve_calibration`: the rule, from a tile to a calibration with its twin
- `on_calibrator`, `on_field`: solutions against a calibrator; gains against the catalogue (`field_model`)
- `working_copy`, `casa_solver`, `casa`: the private copy that CASA's tasks work on, and their calls
- `reference_antenna`: the antenna that phases refer to, and why
- `caltables`, `jones`: solutions read from CASA's tables, and on a tile's axes
- `quality`, `previous_bandpass`, `outcome`: what the verdict rests on
- `apply_calibration`: the rule that applies bandpass and gains to a tile
- `certification`: what persons certified and withdrew
"""
