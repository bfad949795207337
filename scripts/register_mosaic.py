"""Adapter of rule register_mosaic."""

from contimg.operations import job_log
from contimg.config import from_sections

with job_log.to_file(snakemake.log[0]):
    from contimg.publishing.publish_mosaic import WAITS_S
    from contimg.publishing.register_mosaic import register_mosaic

    given = snakemake.params
    config = from_sections(paths=given.paths, registry=snakemake.config.get("registry", {}), publish=given.publish)
    register_mosaic(snakemake.wildcards.mosaic, config, judged_by=given.judged_by, waits_s=WAITS_S)
