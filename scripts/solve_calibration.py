"""Adapter of rule solve_calibration."""

from contimg import logs
from contimg.config import BeamOptions, CalibrationOptions

with logs.to_file(snakemake.log[0]):
    from contimg.calibration import solve_calibration
    from contimg.plan.frozen import read_previous

    given, made = snakemake.input, snakemake.output
    solve_calibration(logs.path(given.ms), logs.path(given.ms_twin), logs.path(made.tables), logs.path(made.twin),
                      calibrator=snakemake.params.calibrator, bandpass=logs.path(given.bandpass),
                      options=CalibrationOptions(**snakemake.params.calibration),
                      beam=BeamOptions(**snakemake.params.beam), catalogue=logs.path(given.catalogue),
                      previous=read_previous(snakemake.params.frozen_plan, logs.path(made.twin)))
