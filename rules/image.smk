rule image_tile:
    """Image a calibrated tile: flat-noise image, effective beam, beam-corrected image, picture."""
    input:
        ms=ancient("<stage>/calibrated/{date}/{tile}.ms"),
        twin="<stage>/calibrated/{date}/{tile}.json",
        catalogue=catalogue,
    output:
        image=report(
            directory("<stage>/images/{date}/{tile}"),
            patterns=["{picture}.png"],
            category="3 tiles",
            labels={"tile": "{picture}"},
            caption="../report/tile.rst",
        ),
        twin="<stage>/images/{date}/{tile}.json",
    log:
        "logs/image_tile/{date}/{tile}.log",
    benchmark:
        "benchmarks/image_tile/{date}/{tile}.tsv"
    priority: priority_of("image_tile")
    conda:
        "../envs/contimg.yaml"
    threads: 1
    resources:
        mem_mb=tile_memory("image_tile"),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        tile=lambda wildcards: tile_of(wildcards).id,
        image=used_options("image_tile", "image"),
        beam=used_options("image_tile", "beam"),
        reference_data=digests_of("sky.catalogue", "beam.cube"),
        epoch=EPOCH,
        frozen_plan=str(LAYOUT.frozen_plan),
    script:
        "../scripts/image_tile.py"
