"""Adapter of rule summarise_mosaic."""

from contimg.operations import job_log, typed_commands
from contimg.naming import Layout

with job_log.to_file(snakemake.log[0]):
    from contimg.report.summarise_mosaic import summarise_mosaic

    summarise_mosaic(job_log.path(snakemake.input.mosaic_twin), job_log.path(snakemake.input.crossmatch_twin),
                     job_log.path(snakemake.output.page),
                     layout=Layout(**{name: job_log.path(root) for name, root in snakemake.params.paths.items()}),
                     judged_by=snakemake.params.judged_by, command_options=typed_commands.announced())
