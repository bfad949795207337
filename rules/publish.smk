# The only two rules that write to the registry: they run on the head node, one at a time. Where it is stands in the
# configuration and is no parameter: parameters are recorded and printed, and the URL may hold a password.


rule register_mosaic:
    """Freeze a mosaic into a bundle and register it with all that it was made from, in one transaction."""
    input:
        mosaic="<stage>/mosaics/{date}/{mosaic}",
        mosaic_twin="<stage>/mosaics/{date}/{mosaic}.json",
        crossmatch_twin=crossmatch_of_mosaic,
        page="<stage>/reports/{date}/{mosaic}.html",
    output:
        marker="<stage>/registered/{date}/{mosaic}.json",
    log:
        "logs/register_mosaic/{date}/{mosaic}.log",
    benchmark:
        "benchmarks/register_mosaic/{date}/{mosaic}.tsv"
    priority: priority_of("register_mosaic")
    localrule: True
    conda:
        "../envs/contimg.yaml"
    threads: 1
    resources:
        registry=1,
        mem_mb=mosaic_memory("register_mosaic"),
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        paths=options("paths"),
        publish={"auto": SETTINGS.publish.auto} | published_as(),
        judged_by=THRESHOLDS,
    script:
        "../scripts/register_mosaic.py"


rule publish_mosaic:
    """Copy a registered bundle into the archive, verify it there, and make it visible at once."""
    input:
        registered="<stage>/registered/{date}/{mosaic}.json",
    output:
        marker="<stage>/published/{date}/{mosaic}.json",
    log:
        "logs/publish_mosaic/{date}/{mosaic}.log",
    benchmark:
        "benchmarks/publish_mosaic/{date}/{mosaic}.tsv"
    priority: priority_of("publish_mosaic")
    localrule: True
    conda:
        "../envs/contimg.yaml"
    threads: 1
    resources:
        registry=1,
        mem_mb=mosaic_memory("publish_mosaic"),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        paths=options("paths"),
        publish=options("publish"),
    script:
        "../scripts/publish_mosaic.py"
