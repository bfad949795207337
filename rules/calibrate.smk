rule solve_calibration:
    """Solve delays, bandpass and gains on a calibrator's transit, or gains on the catalogue sky."""
    input:
        ms_twin=ms_twin_of_calibration,
        bandpass=bandpass_of_gains,
        catalogue=catalogue,
    output:
        tables=report(
            directory("<stage>/calibrations/{date}/{calibration}"),
            patterns=["{plot}.png"],
            category="2 calibration",
            labels={"calibration": "{calibration}", "plot": "{plot}"},
            caption="../report/calibration.rst",
        ),
        twin="<stage>/calibrations/{date}/{calibration}.json",
    log:
        "logs/solve_calibration/{date}/{calibration}.log",
    benchmark:
        "benchmarks/solve_calibration/{date}/{calibration}.tsv"
    wildcard_constraints:
        calibration=SOLVABLE,
    priority: priority_of("solve_calibration")
    conda:
        "../envs/contimg.yaml"
    threads: 1
    resources:
        mem_mb=tile_memory("solve_calibration", tile_of_calibration),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        calibrator=lambda wildcards: calibration_of(wildcards).calibrator,
        calibration=used_options("solve_calibration", "calibration"),
        beam=used_options("solve_calibration", "beam"),
        made_from=lambda wildcards: made_from(tile_of_calibration(wildcards)),
        reference_data=digests_of("sky.catalogue", "calibration.calibrators", "beam.cube"),
        frozen_plan=str(LAYOUT.frozen_plan),
    script:
        "../scripts/solve_calibration.py"


rule apply_calibration:
    """Apply the chosen bandpass and gains to a tile, in one pass, into a new MS."""
    input:
        ms=ancient("<stage>/ms/{date}/{tile}.ms"),
        ms_twin=ancient("<stage>/ms/{date}/{tile}.json"),
        calibrations=calibrations_of_tile,
        tables=tables_of_tile,
    output:
        ms=unless_kept("calibrated", directory("<stage>/calibrated/{date}/{tile}.ms")),
        twin="<stage>/calibrated/{date}/{tile}.json",
    log:
        "logs/apply_calibration/{date}/{tile}.log",
    benchmark:
        "benchmarks/apply_calibration/{date}/{tile}.tsv"
    priority: priority_of("apply_calibration")
    conda:
        "../envs/contimg.yaml"
    threads: 1
    resources:
        mem_mb=tile_memory("apply_calibration"),
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        tile=lambda wildcards: tile_of(wildcards).id,
        calibration=used_options("apply_calibration", "calibration"),
        made_from=lambda wildcards: made_from(tile_of(wildcards)),
        frozen_plan=str(LAYOUT.frozen_plan),
    script:
        "../scripts/apply_calibration.py"
