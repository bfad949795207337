"""Adapter of rule image_tile."""

from contimg import logs
from contimg.config import BeamOptions, ImageOptions, QaOptions

with logs.to_file(snakemake.log[0]):
    from contimg.imaging.image_tile import image_tile

    given, made = snakemake.input, snakemake.output
    image_tile(logs.path(given.ms), logs.path(given.twin), logs.path(made.image), logs.path(made.twin),
               tile_id=snakemake.params.tile, options=ImageOptions(**snakemake.params.image),
               beam=BeamOptions(**snakemake.params.beam), catalogue=logs.path(given.catalogue),
               qa=QaOptions(**snakemake.params.qa), threads=snakemake.threads)
