"""Each adapter in scripts/, run without Snakemake: one tile from HDF5 to the archive."""

import contextlib
import json
import runpy
from types import SimpleNamespace

import pytest

from contimg import naming
from contimg.config import Config, Section, load_files
from contimg.config.used_keys import USED_KEYS, used_options
from contimg.plan import frozen, observe
from contimg.products import gates
from tests.workflow.conftest import ROOT, simulate


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """One calibrator tile, planned and frozen."""
    place = tmp_path_factory.mktemp("adapters") / "night"
    night = simulate(
        place, "--tiles", "1", "--antennas", "20", "--channels", "3", "--sources", "8", "--max-baseline", "500"
    )
    config = load_files([night.config_file])
    plan = observe.current_plan(config)
    frozen.freeze(plan, config)
    return SimpleNamespace(config=config, plan=plan, id=next(iter(plan.tiles)), place=place)


def run(night, name, given, made, wildcards=(), **params):
    def named(files):
        return SimpleNamespace(**{k: [str(x) for x in v] if isinstance(v, list) else str(v) for k, v in files.items()})

    log = night.place / f"{name}.log"
    snakemake = SimpleNamespace(
        input=named(given), output=named(made), params=SimpleNamespace(**params), log=[str(log)], threads=1,
        wildcards=SimpleNamespace(**dict(wildcards)), config={},  # another workflow's module has the overlay alone
    )  # fmt: skip
    with keys_read() as read:
        runpy.run_path(str(ROOT / "scripts" / f"{name}.py"), init_globals={"snakemake": snakemake})
    if name in USED_KEYS:
        assert not unexpected(name, read)


@contextlib.contextmanager
def keys_read():
    """Give a set that takes every key of the configuration that is read meanwhile, as (class of the section, key)."""
    read, plain = set(), Section.__getattribute__

    def noted(self, name):
        if name in type(self).model_fields:
            read.add((type(self).__name__, name))
        return plain(self, name)

    Section.__getattribute__ = noted
    try:
        yield read
    finally:
        del Section.__getattribute__


def unexpected(rule, read):
    """Return the keys that a rule has read though it would not run again for them, and no verdict depends on them."""
    sections = {type(getattr(Config(), name)).__name__: name for name in Config.model_fields
                if isinstance(getattr(Config(), name), Section)}  # fmt: skip
    thresholds = [gates.threshold_keys(kind) for kind in frozen.THRESHOLD_KINDS]
    found = set()
    for owner, key in read:
        section = sections.get(owner)
        if section is None:  # the configuration itself
            continue
        used = USED_KEYS[rule].get(section, ())
        judged = any(key in some.get(section, ()) for some in thresholds)
        if not (used is None or key in used or judged):
            found.add(f"{section}.{key}")
    return found


def options(tile, section, rule=None):
    values = getattr(tile.config, section)
    return used_options(rule, section, values) if rule else values.model_dump(mode="json")


@pytest.mark.filterwarnings("ignore")  # libraries warn in their jobs' logs
def test_one_tile_passes_through_all_adapters(tile):
    layout, mosaic = tile.config.layout, naming.mosaic_id(tile.id)
    (calibration,) = tile.plan.calibrations
    catalogue = [tile.config.sky.catalogue]

    def place(kind, any_id=tile.id):
        return layout.product(kind, any_id)

    def twin(kind, any_id=tile.id):
        return layout.twin(kind, any_id)

    def made(name, kind, any_id=tile.id):
        return {name: place(kind, any_id), "twin": twin(kind, any_id)}

    run(tile, "convert_tile", {"subbands": list(tile.plan.tiles[tile.id].files)}, made("ms", "ms"), tile=tile.id,
        ingest=options(tile, "ingest", "convert_tile"), flag=options(tile, "flag", "convert_tile"))  # fmt: skip
    run(tile, "solve_calibration", {"ms": place("ms"), "ms_twin": twin("ms"), "bandpass": [], "catalogue": catalogue},
        made("tables", "calibration", calibration), calibrator="3C286",
        calibration=options(tile, "calibration", "solve_calibration"),
        beam=options(tile, "beam"), frozen_plan=str(layout.frozen_plan))  # fmt: skip
    run(tile, "apply_calibration",
        {"ms": place("ms"), "ms_twin": twin("ms"), "calibrations": [twin("calibration", calibration)]},
        made("ms", "calibrated"), tile=tile.id, calibration=options(tile, "calibration", "apply_calibration"),
        frozen_plan=str(layout.frozen_plan))  # fmt: skip
    run(tile, "image_tile", {"ms": place("calibrated"), "twin": twin("calibrated"), "catalogue": catalogue},
        made("image", "image"), tile=tile.id, image=options(tile, "image"), beam=options(tile, "beam"),
        frozen_plan=str(layout.frozen_plan))  # fmt: skip
    run(tile, "mosaic_group", {"twins": [twin("image")]}, made("mosaic", "mosaic"), {"mosaic": mosaic},
        mosaic=options(tile, "mosaic"), pb_limit=tile.config.image.pb_limit,
        frozen_plan=str(layout.frozen_plan))  # fmt: skip
    run(tile, "crossmatch_mosaic", {"mosaic_twin": twin("mosaic"), "catalogue": catalogue},
        made("matches", "crossmatch"),
        crossmatch=options(tile, "crossmatch", "crossmatch_mosaic"),
        beam=options(tile, "beam", "crossmatch_mosaic"), frozen_plan=str(layout.frozen_plan))  # fmt: skip
    run(tile, "summarise_mosaic", {"mosaic_twin": twin("mosaic"), "crossmatch_twin": [twin("crossmatch")]},
        {"page": place("summary")}, paths=options(tile, "paths"),
        judged_by=frozen.threshold_options(tile.config))  # fmt: skip
    shared = {"paths": options(tile, "paths")}
    run(
        tile,
        "register_mosaic",
        {},
        {},
        {"mosaic": mosaic},
        publish={"auto": True},
        judged_by=frozen.threshold_options(tile.config),
        **shared,
    )
    run(tile, "publish_mosaic", {}, {}, {"mosaic": mosaic}, publish=options(tile, "publish"), **shared)
    marker = json.loads(twin("published").read_text())
    assert (marker["status"], marker["version"]) == ("published", 1)
    assert (layout.bundle(mosaic, 1) / "data" / f"{mosaic}.fits").exists()
