"""A stage that is not mounted, or another one: said so, and no mosaic is made again for it."""

import contextlib

import pytest

from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.engine import open_registry
from tests.publishing.test_reconcile import needs_a_person
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.mark.parametrize("stage", ["empty", "another"])
def test_a_stage_without_bundle_and_mosaic_may_not_be_mounted(registry, config, stage):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    if stage == "empty":
        config.paths.stage.rename(config.paths.stage.with_name("disk"))
        config.paths.stage.mkdir()
    else:
        paths = config.paths.model_copy(update={"stage": config.paths.stage.with_name("other")})
        config = config.model_copy(update={"paths": paths})
        paths.stage.mkdir()
    with contextlib.closing(open_registry(config)) as opened:  # with that stage
        message = needs_a_person(opened, config, "stage_altered").message
    assert f"not there either: mount {config.paths.stage} or correct paths.stage" in message
