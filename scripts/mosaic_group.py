"""Adapter of rule mosaic_group."""

from pathlib import Path

from contimg.operations import job_log
from contimg.config import MosaicOptions, QaOptions

with job_log.to_file(snakemake.log[0]):
    from contimg.mosaic.mosaic_group import mosaic_group
    from contimg.plan.frozen import read_thresholds

    mosaic_group([Path(twin) for twin in snakemake.input.twins], job_log.path(snakemake.output.mosaic),
                 job_log.path(snakemake.output.twin), mosaic_id=snakemake.wildcards.mosaic,
                 options=MosaicOptions(**snakemake.params.mosaic), pb_limit=snakemake.params.pb_limit,
                 qa=QaOptions(**read_thresholds(snakemake.params.frozen_plan, "qa")),
                 threads=snakemake.threads)
