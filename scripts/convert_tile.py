"""Adapter of rule convert_tile."""

from pathlib import Path

from contimg.operations import job_log
from contimg.config import FlagOptions, IngestOptions

with job_log.to_file(snakemake.log[0]):
    from contimg.convert.convert_tile import convert_tile

    convert_tile([Path(p) for p in snakemake.input.subbands], Path(snakemake.output.ms),
                 Path(snakemake.output.twin), tile_id=snakemake.params.tile,
                 ingest=IngestOptions(**snakemake.params.ingest), flag=FlagOptions(**snakemake.params.flag))
