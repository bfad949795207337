"""Config, plan and the look-ups that the rules share. Nothing here reads visibilities."""

import sys

from snakemake.exceptions import WorkflowError

# The library stands beside this file; jobs, local or on other nodes, import it from here.
sys.path.insert(0, workflow.basedir)

from contimg import config as configuration
from contimg import naming
from contimg.operations import run_lock, status
from contimg.errors import ContimgError
from contimg.plan import frozen, observe

run_lock.share_library(workflow.basedir)


def or_stop(function, *args):
    """Call a function; its error becomes one sentence instead of a traceback."""
    try:
        return function(*args)
    except ContimgError as error:
        raise WorkflowError(str(error)) from None


SETTINGS = or_stop(configuration.load, config)
or_stop(configuration.check_ready, SETTINGS)
LAYOUT = SETTINGS.layout

# The main process plans; jobs read the plan it froze, since new files may have come meanwhile.
PLAN = or_stop(observe.current_plan if workflow.is_main_process else frozen.frozen_plan, SETTINGS)


def begin_run():
    """Refuse a second run on the same state, then fix the plan for this one."""
    or_stop(run_lock.hold_run_lock, SETTINGS.paths.state)
    or_stop(frozen.freeze, PLAN, SETTINGS)


def outcome():
    or_stop(frozen.write_quarantine, PLAN, SETTINGS)
    return status.outcome(SETTINGS, PLAN)


def failure():
    or_stop(frozen.write_quarantine, PLAN, SETTINGS)
    return status.failure()


def wanted_products():
    """Name every product that must stand when the run has ended."""
    kinds = ["mosaic", "crossmatch"] if SETTINGS.crossmatch.enabled else ["mosaic"]
    wanted = [LAYOUT.product("summary", group) for group in PLAN.groups]
    wanted += [LAYOUT.twin(marker, group) for group in PLAN.groups for marker in ("registered", "published")]
    made = [("calibration", name) for name in PLAN.calibrations]
    made += [(kind, group) for group in PLAN.groups for kind in kinds]
    made += [("image", tile) for group in PLAN.groups.values() for tile in group.tiles]
    for kind, name in made:
        wanted += [LAYOUT.product(kind, name), LAYOUT.twin(kind, name)]
    return [str(path) for path in wanted]


def options(section):
    """The options of a section of the config, as a rule's parameter."""
    return getattr(SETTINGS, section).model_dump(mode="json")


def unless_kept(kind, output):
    """An intermediate product: temporary unless `keep` names its kind."""
    return output if kind in SETTINGS.keep else temp(output)


def tile_of(wildcards):
    return PLAN.tiles[naming.iso(wildcards.tile)]


def group_of(wildcards):
    return PLAN.groups[naming.iso(wildcards.mosaic)]


def calibration_of(wildcards):
    return PLAN.calibrations[wildcards.calibration]


def made_from(tile):
    """What an MS is made from. Rules that read an MS name it as a parameter: the MS itself is temporary,
    so that making it again for one of them must not rerun the others."""
    return {
        "files": [str(file) for file in tile.signature],
        "ingest": options("ingest"),
        "flag": options("flag"),
        "epoch": EPOCH,
    }


def catalogue(wildcards):
    """The catalogue, if there is one; `ancient`, as a touched catalogue is no new sky."""
    return [ancient(SETTINGS.sky.catalogue)] if SETTINGS.sky.catalogue else []


EPOCH = SETTINGS.processing_epoch


def planes_mb():
    """Fourteen double-precision planes of an image, and two a channel group (`contimg.imaging.limits`)."""
    image = SETTINGS.image
    # Where each tile finds its own size: the main beam and its drift are not wider than 8 degrees.
    size_px = image.size_px or 8 * 3600 / image.cell_arcsec
    groups = image.channel_groups if image.channel_groups > 1 else 0
    return size_px**2 * 8 * (14 + 2 * groups) / 1e6


def image_memory_mb(wildcards, attempt):
    """The planes of the image, and its visibilities: 4.5 times their files, measured."""
    files_mb = sum(file.size for file in tile_of(wildcards).signature) / 1e6
    return int((planes_mb() + 4.5 * files_mb + 1000) * 1.5 ** (attempt - 1))


def mosaic_memory_mb(wildcards, attempt):
    """The mosaic is a few times larger than a tile, and holds three planes of its own."""
    return int((2 * planes_mb() + 2000) * 1.5 ** (attempt - 1))


def ms_of_calibration(wildcards):
    return ancient(str(LAYOUT.product("ms", calibration_of(wildcards).tile)))


def ms_twin_of_calibration(wildcards):
    return ancient(str(LAYOUT.twin("ms", calibration_of(wildcards).tile)))


def bandpass_of_gains(wildcards):
    """The twin of the bandpass that gains are solved on top of; none for a bandpass itself."""
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
    """The twin of the comparison with the catalogue, where the config wants one."""
    return [str(LAYOUT.twin("crossmatch", wildcards.mosaic))] if SETTINGS.crossmatch.enabled else []


# Only calibrations whose tile is at hand can be solved; those of settled nights are there already.
SOLVABLE = (
    "|".join(name for name, planned in PLAN.calibrations.items() if planned.tile in PLAN.tiles) or "none"
)
