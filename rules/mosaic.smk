rule mosaic_group:
    """Bring the tiles of a group to a common beam and add them up, weighted by beam and noise."""
    input:
        images=images_of_group,
        twins=image_twins_of_group,
    output:
        mosaic=report(
            directory("<stage>/mosaics/{date}/{mosaic}"),
            patterns=["{picture,[^.]+}.png"],
            category="1 mosaic",
            labels={"mosaic": "{picture}", "shows": "image"},
            caption="../report/mosaic.rst",
        ),
        twin="<stage>/mosaics/{date}/{mosaic}.json",
    log:
        "logs/mosaic_group/{date}/{mosaic}.log",
    benchmark:
        "benchmarks/mosaic_group/{date}/{mosaic}.tsv"
    priority: priority_of("mosaic_group")
    conda:
        "../envs/contimg.yaml"
    threads: 2  # the last job of a group: the other core would be idle
    resources:
        mem_mb=mosaic_memory("mosaic_group"),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        mosaic=used_options("mosaic_group", "mosaic"),
        pb_limit=SETTINGS.image.pb_limit,
        verdicts=verdicts_of_tiles,
        epoch=EPOCH,
        frozen_plan=str(LAYOUT.frozen_plan),
    script:
        "../scripts/mosaic_group.py"


rule crossmatch_mosaic:
    """Find the sources of a mosaic and compare fluxes and positions with the catalogue."""
    input:
        mosaic="<stage>/mosaics/{date}/{mosaic}",
        mosaic_twin="<stage>/mosaics/{date}/{mosaic}.json",
        catalogue=catalogue,
    output:
        matches=report(
            directory("<stage>/crossmatch/{date}/{mosaic}"),
            patterns=["{plot}.png"],
            category="1 mosaic",
            labels={"mosaic": "{mosaic}", "shows": "{plot}"},
            caption="../report/crossmatch.rst",
        ),
        twin="<stage>/crossmatch/{date}/{mosaic}.json",
    log:
        "logs/crossmatch_mosaic/{date}/{mosaic}.log",
    benchmark:
        "benchmarks/crossmatch_mosaic/{date}/{mosaic}.tsv"
    priority: priority_of("crossmatch_mosaic")
    conda:
        "../envs/contimg.yaml"
    threads: 1
    resources:
        mem_mb=mosaic_memory("crossmatch_mosaic"),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        crossmatch=used_options("crossmatch_mosaic", "crossmatch"),
        beam=used_options("crossmatch_mosaic", "beam"),
        reference_data=digests_of("sky.catalogue", "beam.cube"),
        epoch=EPOCH,
        frozen_plan=str(LAYOUT.frozen_plan),
    script:
        "../scripts/crossmatch_mosaic.py"


rule summarise_mosaic:
    """Write the page with every verdict and number behind a mosaic."""
    input:
        mosaic="<stage>/mosaics/{date}/{mosaic}",
        mosaic_twin="<stage>/mosaics/{date}/{mosaic}.json",
        crossmatch_twin=crossmatch_of_mosaic,
    output:
        page=report(
            "<stage>/reports/{date}/{mosaic}.html",
            category="1 mosaic",
            labels={"mosaic": "{mosaic}", "shows": "verdicts"},
            caption="../report/summary.rst",
        ),
    log:
        "logs/summarise_mosaic/{date}/{mosaic}.log",
    benchmark:
        "benchmarks/summarise_mosaic/{date}/{mosaic}.tsv"
    priority: priority_of("summarise_mosaic")
    conda:
        "../envs/contimg.yaml"
    threads: 1
    resources:
        mem_mb=mosaic_memory("summarise_mosaic"),
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        paths=options("paths"),
        judged_by=THRESHOLDS,
    script:
        "../scripts/summarise_mosaic.py"
