"""Adapter of rule register_mosaic."""

from contimg import logs
from contimg.config import from_sections

with logs.to_file(snakemake.log[0]):
    from contimg.publishing.register_mosaic import run_register

    run_register(snakemake.wildcards.mosaic, from_sections(paths=snakemake.params.paths,
                 registry=snakemake.params.registry, publish=snakemake.params.publish))
