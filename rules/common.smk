"""Configuration, plan and input functions that the rules share; decisions are made in contimg/operations."""

import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.enums import Quietness

# In a clone the library stands beside the rules; jobs, local or on other nodes, import it from there.
if os.path.isdir(os.path.join(FOLDER, "contimg")):
    sys.path.insert(0, FOLDER)

from contimg import __version__, naming
from contimg import config as configuration
from contimg.config import used_keys
from contimg.operations import (
    damaged_twins,
    interrupted_removals,
    interruption,
    orphans,
    preflight,
    priorities,
    resources,
    run_lock,
    run_log,
    status,
    targets,
    what_waits,
)
from contimg.operations import typed_commands
from contimg.errors import ContimgError
from contimg.plan import frozen
from contimg.retention import end_of_run
from contimg.products.judged import verdict_of_image

if FOLDER in sys.path:
    run_lock.share_library(FOLDER)


def pasteable(text):
    """Return a message whose contimg commands name this run's configuration."""
    return typed_commands.with_options(text, typed_options())


def typed_options():
    """Return what commands have after contimg that read this run's configuration."""
    folder = os.getcwd() if configuration.has_relative_paths(config) else None
    return typed_commands.options(workflow.config_settings.configfiles, folder)


def or_stop(function, *args, **options):
    """Call a function; an error stops Snakemake with one sentence instead of a traceback."""
    try:
        return function(*args, **options)
    except (ContimgError, OSError) as error:
        message = pasteable(f"contimg: {preflight.one_sentence(error)}")
        if Quietness.ALL in (workflow.output_settings.quiet or ()):  # Snakemake prints nothing then
            print(message, file=sys.stderr)
        raise WorkflowError(message) from None


DRY_RUN = damaged_twins.is_dry_run(sys.argv)
if workflow.is_main_process and not workflow.output_settings.verbose:
    run_log.install(logger, dry_run=DRY_RUN, versions=f"contimg {__version__}")
if workflow.is_main_process:
    or_stop(configuration.check_files, workflow.config_settings.configfiles)
SETTINGS = or_stop(configuration.load, config)
LAYOUT = SETTINGS.layout
# What commands on pages name; no parameter of a rule, as another folder makes no other page.
typed_commands.announce(typed_options())
if SETTINGS.umask is not None:
    os.umask(int(SETTINGS.umask, 8))  # jobs inherit it

# The main process plans; jobs read the plan it froze, since new files may have come meanwhile.
if workflow.is_main_process:
    PLAN = or_stop(preflight.checked_plan, SETTINGS, local=workflow.resource_settings.nodes is None)
    for sentence in or_stop(damaged_twins.set_aside_damaged_twins, SETTINGS, PLAN, dry_run=DRY_RUN):
        print(f"contimg: {sentence}", file=sys.stderr)
    if not run_lock.only_looks(sys.argv):
        or_stop(interrupted_removals.finish_interrupted_removals, LAYOUT, PLAN)
    if any(word.startswith("--report") for word in sys.argv):
        PLAN = or_stop(frozen.for_report, PLAN, SETTINGS)
    # Here, as Snakemake has no handler for a run without jobs.
    if DRY_RUN or not run_lock.only_looks(sys.argv):
        for line in what_waits.lines(SETTINGS, PLAN):
            print(pasteable(line), file=sys.stderr)
else:
    PLAN = or_stop(frozen.frozen_plan, SETTINGS)

# A job on a cluster runs in a Snakemake of its own, which counts as memory of the job.
REMOTE = workflow.resource_settings.nodes is not None
EPOCH = SETTINGS.processing_epoch
DIGESTS = or_stop(targets.reference_digests, SETTINGS)
# A parameter of the rules that write verdicts for people: only they run again when a threshold changes.
THRESHOLDS = frozen.threshold_options(SETTINGS)
SOLVABLE = targets.solvable(PLAN)
PRIORITIES = priorities.priorities(PLAN)


def begin_run():
    """Take the locks of this run, which a second run on the same roots cannot, and write its plan."""
    interruption.watch()
    or_stop(run_lock.hold_run_locks, LAYOUT)
    orphans.announce_controller()
    if cancelled := or_stop(orphans.cancel_slurm_jobs, Path.cwd()):
        print(f"contimg: cancelled Slurm jobs of an earlier run: {' '.join(cancelled)}", file=sys.stderr)
    or_stop(frozen.freeze, PLAN, SETTINGS)


# Snakemake calls the handlers of the main Snakefile only: where this file is a module, the run begins here.
if (
    workflow.is_main_process
    and not workflow.modifier.is_main_snakefile()
    and not run_lock.only_looks(sys.argv)
):
    begin_run()


def outcome():
    or_stop(frozen.write_quarantine, PLAN, SETTINGS)
    parts = [status.outcome(SETTINGS, PLAN), status.held_mosaics(SETTINGS, pasteable), tidied()]
    return pasteable("\n".join(filter(None, parts)))


def failure():
    or_stop(frozen.write_quarantine, PLAN, SETTINGS)
    return "\n".join(filter(None, [status.failure(interruption.interrupted()), tidied()]))


def tidied():
    """Apply the limits of what is kept; at every end of a run, as a full disk is a reason why jobs fail."""
    return or_stop(end_of_run.tidy, SETTINGS, Path.cwd(), PLAN)


def wanted_products():
    return targets.wanted_products(SETTINGS, PLAN)


def options(section):
    """Return the options of a section of the configuration, as a rule's parameter."""
    return used_keys.section_options(section, getattr(SETTINGS, section))


def published_as():
    """Return the options that a bundle's description contains, where they are not the defaults."""
    return {key: value for key, value in options("publish").items() if key in ("ivoid", "licence")}


def used_options(rule, section):
    """Return the options of a section that a rule depends on, as its parameter."""
    return used_keys.used_options(rule, section, getattr(SETTINGS, section))


def verdicts_of_tiles(wildcards):
    """Return the verdict of each tile imaged so far by the present thresholds: the mosaic depends on them.

    Snakemake calls this when it plans and again before the job, but would record what it remembers of the first call:
    a tile imaged in between would have changed its verdict, and the next run would make the mosaic again.
    """
    workflow.persistence._params.cache_clear()
    tiles = group_of(wildcards).tiles
    return {tile: or_stop(verdict_of_image, SETTINGS, tile) for tile in tiles}


def digests_of(*keys):
    """Return the SHA-256 of the files that some configuration keys name, as a rule's parameter.

    Of a folder of catalogues it is the strip of the job's declination.
    """
    digests = {key: DIGESTS[key] for key in keys if key in DIGESTS}
    if "sky.catalogue" not in keys or "sky.catalogue" in DIGESTS or not SETTINGS.sky.catalogue:
        return digests
    return lambda wildcards: digests | {"sky.catalogue": DIGESTS[catalogue_path(wildcards)]}


def unless_kept(kind, output):
    """Mark an intermediate product as temporary unless `keep` names its kind."""
    return output if kind in SETTINGS.keep else temp(output)


def tile_of(wildcards):
    return PLAN.tiles[naming.iso(wildcards.tile)]


def group_of(wildcards):
    return PLAN.groups[naming.iso(wildcards.mosaic)]


def calibration_of(wildcards):
    return PLAN.calibrations[wildcards.calibration]


def tile_of_calibration(wildcards):
    return PLAN.tiles[calibration_of(wildcards).tile]


def priority_of(rule):
    """Return a function for the priority of a rule's jobs."""
    return lambda wildcards: PRIORITIES.get((rule, naming.stem(wildcards[-1])), 0)


def made_from(tile):
    return targets.made_from(SETTINGS, tile)


def tile_memory(rule, tile_of=tile_of):
    """Return a function for the memory (MB) of a rule on a tile, by attempt."""
    return lambda wildcards, attempt: resources.tile_mb(
        SETTINGS, tile_of(wildcards), rule, attempt, remote=REMOTE
    )


def mosaic_memory(rule):
    """Return a function for the memory (MB) of a rule on a mosaic, by attempt."""
    forgets = REMOTE and workflow.is_main_process and rule == "mosaic_group"

    def memory(wildcards, attempt):
        if forgets:
            forget_parameters(rule, wildcards.mosaic)
        return resources.mosaic_mb(SETTINGS, PLAN, group_of(wildcards).id, rule, attempt, remote=REMOTE)

    return memory


def forget_parameters(rule, mosaic):
    """Let Snakemake evaluate the parameters of a mosaic's job anew when it has ended, and record these.

    It evaluates requests again before it submits a job, and so calls this; the parameters of jobs on a cluster it would
    record as they were when it planned (9.27): before the tiles had verdicts, so that the next run made the mosaic again.
    """
    workflow.persistence._params.cache_clear()
    for job in workflow.dag.jobs:
        if (job.rule.name, job.wildcards.get("mosaic")) == (rule, mosaic):
            job._non_derived_params = None


def catalogue_path(wildcards):
    """Return the path of the catalogue for the declination of a job's tile, or first tile; None without one."""
    if "mosaic" in wildcards.keys():
        tile = PLAN.tiles[group_of(wildcards).tiles[0]]
    else:
        tile = tile_of_calibration(wildcards) if "calibration" in wildcards.keys() else tile_of(wildcards)
    return or_stop(targets.catalogue_of, SETTINGS, tile.dec_app_deg)


def catalogue(wildcards):
    """Return the catalogue, if there is one; `ancient`, as its digest is a parameter and its mtime is irrelevant."""
    return [ancient(catalogue_path(wildcards))] if SETTINGS.sky.catalogue else []


def ms_twin_of_calibration(wildcards):
    """Return the twin of a calibration's MS; the MS is no input, see contimg/operations/borrowed_ms.py."""
    tile = calibration_of(wildcards).tile
    twin = str(LAYOUT.twin("ms", tile))
    return twin if targets.solved_on_another_ms(LAYOUT, wildcards.calibration, tile) else ancient(twin)


def bandpass_of_gains(wildcards):
    """Return the twin of the bandpass that gains are solved on top of; none for a bandpass itself."""
    bandpass = calibration_of(wildcards).bandpass
    return [str(LAYOUT.twin("calibration", bandpass))] if bandpass else []


def calibrations_of_tile(wildcards):
    chosen = PLAN.choices[naming.iso(wildcards.tile)].calibrations
    return [str(LAYOUT.twin("calibration", name)) for name in chosen]


def tables_of_tile(wildcards):
    chosen = PLAN.choices[naming.iso(wildcards.tile)].calibrations
    return [str(LAYOUT.product("calibration", name)) for name in chosen]


def images_of_group(wildcards):
    return [str(LAYOUT.product("image", tile)) for tile in group_of(wildcards).tiles]


def image_twins_of_group(wildcards):
    return [str(LAYOUT.twin("image", tile)) for tile in group_of(wildcards).tiles]


def crossmatch_of_mosaic(wildcards):
    """Return the twin of the comparison with the catalogue, if it is enabled."""
    return [str(LAYOUT.twin("crossmatch", wildcards.mosaic))] if SETTINGS.crossmatch.enabled else []
