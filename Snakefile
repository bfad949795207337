"""contimg: a night of DSA-110 correlator files becomes published mosaics.

    snakemake --configfile NIGHT/config.yaml --cores 2      (-n shows what would be done)

The rules follow one tile: convert, calibrate, image, mosaic, publish. What there is to do stands in the
plan (rules/common.smk, contimg/plan); the rules only look things up in it.
"""

from snakemake.utils import min_version

min_version("9.25")
# Not workflow.basedir, which is the importer's where this file is a module or included.
FOLDER = workflow.current_basedir.get_path_or_uri(secret_free=True)


report: "report/workflow.rst"


configfile: os.path.join(FOLDER, "config.yaml")


include: "rules/common.smk"


pathvars:
    stage=str(SETTINGS.paths.stage),


wildcard_constraints:
    date=naming.DATE_PATTERN,
    tile=naming.STEM_PATTERN,
    calibration=naming.CALIBRATION_PATTERN,
    mosaic=naming.MOSAIC_PATTERN,


include: "rules/convert.smk"
include: "rules/calibrate.smk"
include: "rules/image.smk"
include: "rules/mosaic.smk"
include: "rules/publish.smk"


rule all:
    """Publish the mosaic of every group in the plan."""
    default_target: True
    input:
        wanted_products(),
    localrule: True


onstart:
    begin_run()


onsuccess:
    print(outcome(), file=sys.stderr)


onerror:
    print(failure(), file=sys.stderr)
