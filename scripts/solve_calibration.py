"""Adapter of rule solve_calibration."""

from contimg.operations import job_log
from contimg.config import BeamOptions, CalibrationOptions

with job_log.to_file(snakemake.log[0]):
    from contimg.calibration.solve_calibration import solve_calibration
    from contimg.commissioning.of_tile import first_light_of_tile
    from contimg.operations.borrowed_ms import borrowed_ms
    from contimg.plan.frozen import read_previous, read_thresholds

    given, made, params = snakemake.input, snakemake.output, snakemake.params
    thresholds = read_thresholds(params.frozen_plan, "calibration")
    options, beam = CalibrationOptions(**params.calibration, **thresholds), BeamOptions(**params.beam)
    seen = first_light_of_tile(job_log.path(given.ms_twin), params.calibrator, options, beam)
    with borrowed_ms(job_log.path(given.ms_twin)) as ms:
        solve_calibration(ms, *map(job_log.path, (given.ms_twin, made.tables, made.twin)),
                          calibrator=params.calibrator, bandpass=job_log.path(given.bandpass),
                          options=options, beam=beam, catalogue=job_log.path(given.catalogue), first_light=seen,
                          previous=read_previous(params.frozen_plan, job_log.path(made.twin)))
