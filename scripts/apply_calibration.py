"""Adapter of rule apply_calibration."""

from pathlib import Path

from contimg import logs
from contimg.config import CalibrationOptions

with logs.to_file(snakemake.log[0]):
    from contimg.calibration.apply_calibration import apply_calibration
    from contimg.plan.frozen import read_choice

    given, made = snakemake.input, snakemake.output
    apply_calibration(logs.path(given.ms), logs.path(given.ms_twin), logs.path(made.ms), logs.path(made.twin),
                      calibrations=[Path(twin) for twin in given.calibrations],
                      choice=read_choice(snakemake.params.frozen_plan, snakemake.params.tile),
                      options=CalibrationOptions(**snakemake.params.calibration))
