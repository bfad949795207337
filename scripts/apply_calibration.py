"""Adapter of rule apply_calibration."""

from pathlib import Path

from contimg.operations import job_log
from contimg.config import CalibrationOptions

with job_log.to_file(snakemake.log[0]):
    from contimg.calibration.apply_calibration import apply_calibration
    from contimg.plan.frozen import read_choice, read_thresholds

    given, made = snakemake.input, snakemake.output
    apply_calibration(*map(job_log.path, (given.ms, given.ms_twin, made.ms, made.twin)),
                      calibrations=[Path(twin) for twin in given.calibrations],
                      choice=read_choice(snakemake.params.frozen_plan, snakemake.params.tile),
                      options=CalibrationOptions(**snakemake.params.calibration),
                      commissioning=read_thresholds(snakemake.params.frozen_plan, "qa")["commissioning"])
