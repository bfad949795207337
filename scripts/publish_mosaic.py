"""Adapter of rule publish_mosaic."""

from contimg.operations import job_log
from contimg.config import from_sections

with job_log.to_file(snakemake.log[0]):
    from contimg.publishing.publish_mosaic import publish_mosaic

    publish_mosaic(snakemake.wildcards.mosaic, from_sections(paths=snakemake.params.paths,
                 registry=snakemake.config.get("registry", {}), publish=snakemake.params.publish))
