"""Adapter of rule crossmatch_mosaic."""

from contimg.operations import job_log
from contimg.config import BeamOptions, CrossmatchOptions, QaOptions

with job_log.to_file(snakemake.log[0]):
    from contimg.crossmatch.crossmatch_mosaic import crossmatch_mosaic
    from contimg.plan.frozen import read_thresholds

    crossmatch_mosaic(job_log.path(snakemake.input.mosaic_twin), job_log.path(snakemake.output.matches),
                      job_log.path(snakemake.output.twin), catalogue=job_log.path(snakemake.input.catalogue),
                      options=CrossmatchOptions(**snakemake.params.crossmatch),
                      beam=BeamOptions(**snakemake.params.beam),
                      qa=QaOptions(**read_thresholds(snakemake.params.frozen_plan, "qa")))
