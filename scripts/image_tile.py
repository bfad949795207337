"""Adapter of rule image_tile."""

from contimg.operations import job_log
from contimg.config import BeamOptions, ImageOptions, QaOptions

with job_log.to_file(snakemake.log[0]):
    from contimg.imaging.image_tile import image_tile
    from contimg.plan.frozen import read_thresholds

    given, made = snakemake.input, snakemake.output
    image_tile(job_log.path(given.ms), job_log.path(given.twin), job_log.path(made.image), job_log.path(made.twin),
               tile_id=snakemake.params.tile, options=ImageOptions(**snakemake.params.image),
               beam=BeamOptions(**snakemake.params.beam), catalogue=job_log.path(given.catalogue),
               qa=QaOptions(**read_thresholds(snakemake.params.frozen_plan, "qa")), threads=snakemake.threads)
