"""Adapter of rule summarise_mosaic."""

from contimg import logs
from contimg.naming import Layout

with logs.to_file(snakemake.log[0]):
    from contimg.report.summarise_mosaic import summarise_mosaic

    summarise_mosaic(logs.path(snakemake.input.mosaic_twin), logs.path(snakemake.input.crossmatch_twin),
                     logs.path(snakemake.output.page),
                     layout=Layout(**{name: logs.path(root) for name, root in snakemake.params.paths.items()}))
