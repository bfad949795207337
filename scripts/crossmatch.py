"""Adapter of rule crossmatch."""

from contimg import logs
from contimg.config import CrossmatchOptions, QaOptions

with logs.to_file(snakemake.log[0]):
    from contimg.crossmatch.crossmatch_mosaic import crossmatch_mosaic

    crossmatch_mosaic(logs.path(snakemake.input.mosaic_twin), logs.path(snakemake.output.matches),
                      logs.path(snakemake.output.twin), catalogue=logs.path(snakemake.input.catalogue),
                      options=CrossmatchOptions(**snakemake.params.crossmatch),
                      qa=QaOptions(**snakemake.params.qa))
