"""Adapter of rule mosaic_group."""

from pathlib import Path

from contimg import logs
from contimg.config import MosaicOptions, QaOptions

with logs.to_file(snakemake.log[0]):
    from contimg.mosaic.mosaic_group import mosaic_group

    mosaic_group([Path(twin) for twin in snakemake.input.twins], logs.path(snakemake.output.mosaic),
                 logs.path(snakemake.output.twin), mosaic_id=snakemake.wildcards.mosaic,
                 options=MosaicOptions(**snakemake.params.mosaic), pb_limit=snakemake.params.pb_limit,
                 qa=QaOptions(**snakemake.params.qa))
