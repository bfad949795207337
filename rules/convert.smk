rule convert_tile:
    """Read the subband files of a tile, phase them to one centre, flag interference, write one MS."""
    input:
        subbands=lambda wildcards: tile_of(wildcards).files,
    output:
        ms=unless_kept("ms", directory("<stage>/ms/{date}/{tile}.ms")),
        twin="<stage>/ms/{date}/{tile}.json",
    log:
        "logs/convert_tile/{date}/{tile}.log",
    benchmark:
        "benchmarks/convert_tile/{date}/{tile}.tsv"
    priority: priority_of("convert_tile")
    conda:
        "../envs/contimg.yaml"
    threads: 1
    resources:
        mem_mb=tile_memory("convert_tile"),
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        tile=lambda wildcards: tile_of(wildcards).id,
        ingest=used_options("convert_tile", "ingest"),
        flag=used_options("convert_tile", "flag"),
        made_from=lambda wildcards: made_from(tile_of(wildcards)),
    script:
        "../scripts/convert_tile.py"
