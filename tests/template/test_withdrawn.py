"""A template from which mosaics are taken that were withdrawn or rejected after it was made."""

from __future__ import annotations

import contextlib
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import insert, update

from contimg.errors import InputError
from contimg.products.twin import read_twin
from contimg.registry.engine import open_registry
from contimg.registry.schema import data_registry
from contimg.template.update_template import update_template
from contimg.template.versions import facts_of, newest, withdrawn
from tests.support.fake_tiles import strip_sky
from tests.template.test_template import STRIP, config_of, make_night, plane


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three nights, of which the second is 1.1 times as bright, and the template of all of them."""
    config = config_of(tmp_path_factory.mktemp("three"), max_width=100.0)
    sky = strip_sky(25, (125, 130), flux_jy=(0.02, 1.0))
    twins = [make_night(config, n, sky, rms_jy=(1 + 0.3 * n) * 1e-3, scale=1.1 if n == 1 else 1.0) for n in range(3)]
    for twin in twins:
        update_template(twin, config)
    return config, [twin.stem for twin in twins]


@pytest.fixture
def copied(three, tmp_path):
    """The configuration of a copy of them, and their mosaics."""
    shutil.copytree(three[0].layout.stage, tmp_path / "stage")
    return config_of(tmp_path, max_width=100.0), three[1]


def decide(config, mosaic, status, version=1):
    """Set the status of a mosaic's version in the registry, as a person's decision does."""
    table = data_registry
    row = {"data_type": "mosaic", "data_id": mosaic, "version": version, "status": status, "auto_publish": True}
    row |= {"stage_path": "s", "sha256": "0" * 64, "metadata_json": "{}", "attempts": 0, "created_at": "2026-02-11"}
    row |= {"synthetic": True, "qa_status": "passed", "validation_status": "validated"}
    row |= {"published_path": f"{mosaic}.{version}"}
    row |= {"finalization_status": "finalized", "staged_at": "2026-02-11", "published_at": "2026-02-11"}
    known = {column.name for column in table.columns}
    with contextlib.closing(open_registry(config)) as registry, registry.transaction() as connection:
        same = (table.c.data_id == mosaic) & (table.c.version == version)
        if not connection.execute(update(table).where(same).values(status=status)).rowcount:
            connection.execute(insert(table).values({key: value for key, value in row.items() if key in known}))


def image(config, name):
    return plane(config.layout.templates(STRIP) / name, name)[0]


def test_without_a_registry_nothing_was_withdrawn(copied):
    config, mosaics = copied
    assert withdrawn(config, mosaics) == []
    assert not config.layout.registry_file.exists()


@pytest.mark.parametrize("status", ["withdrawn", "rejected"])
def test_the_next_command_makes_a_version_without_it(copied, status):
    config, mosaics = copied
    decide(config, mosaics[1], status)
    done = update_template(config.layout.twin("mosaic", mosaics[2]), config)
    assert done.template is None and "already" in done.why_not
    assert done.remade is not None and done.remade.id == f"{STRIP}.v4"
    assert done.remade.notes == [f"made without {mosaics[1]}, withdrawn or rejected since v3, which holds it"]
    assert done.remade.facts["epochs"] == [mosaics[0], mosaics[2]]
    # The same as if the second had never been in it.
    other = config.layout.templates(STRIP)
    alone = config.model_copy(update={"paths": config.paths})
    shutil.move(other, other.with_name("aside"))
    for mosaic in (mosaics[0], mosaics[2]):
        update_template(alone.layout.twin("mosaic", mosaic), alone)
    expected = image(alone, "v2")
    found = plane(other.with_name("aside") / "v4", "v4")[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_of_the_first_mosaic_the_beam_and_the_pixels_stay(copied):
    config, mosaics = copied
    decide(config, mosaics[0], "withdrawn")
    done = update_template(config.layout.twin("mosaic", mosaics[0]), config)
    assert done.template is None and done.why_not == f"{mosaics[0]} was withdrawn or rejected"
    assert done.remade.facts["epochs"] == mosaics[1:]
    before = read_twin(config.layout.templates(STRIP) / "v3.json")
    assert done.remade.facts["beam"] == before.facts["beam"]
    assert image(config, "v4").shape == image(config, "v3").shape
    again = update_template(config.layout.twin("mosaic", mosaics[0]), config)
    assert again.remade is None and newest(config.layout, STRIP).stem == "v4"


def test_what_was_withdrawn_and_restored_goes_in_again(copied):
    config, mosaics = copied
    decide(config, mosaics[2], "withdrawn")
    twin = config.layout.twin("mosaic", mosaics[2])
    assert update_template(twin, config).remade.facts["epochs"] == mosaics[:2]
    decide(config, mosaics[2], "published")
    done = update_template(twin, config)
    assert done.remade is None and done.template.facts["epochs"] == mosaics
    np.testing.assert_allclose(image(config, "v5"), image(config, "v3"), rtol=0, atol=1e-6)


def test_a_later_version_of_a_mosaic_counts(copied):
    config, mosaics = copied
    decide(config, mosaics[1], "withdrawn", version=1)
    decide(config, mosaics[1], "published", version=2)
    assert withdrawn(config, mosaics) == []


def test_a_template_of_withdrawn_mosaics_alone_stays_until_one_is_back(copied):
    config, mosaics = copied
    for mosaic in mosaics:
        decide(config, mosaic, "withdrawn")
    twin = config.layout.twin("mosaic", mosaics[1])
    assert update_template(twin, config).remade is None
    decide(config, mosaics[1], "published")
    done = update_template(twin, config)
    assert done.remade.id == f"{STRIP}.v4" and done.remade.facts["epochs"] == [mosaics[1]]
    assert "already" in done.why_not


def test_a_mosaic_whose_files_are_gone_is_named(copied):
    config, mosaics = copied
    decide(config, mosaics[0], "withdrawn")
    config.layout.twin("mosaic", mosaics[1]).unlink()
    with pytest.raises(
        InputError, match=f"holds {mosaics[0]}, which was withdrawn, .* takes {mosaics[1]}, whose files"
    ):
        update_template(config.layout.twin("mosaic", mosaics[2]), config)
    assert facts_of(newest(config.layout, STRIP)).epochs == mosaics


def test_the_command_says_so(copied, tmp_path, monkeypatch):
    from contimg.cli.entry import main

    config, mosaics = copied
    decide(config, mosaics[1], "rejected")
    (tmp_path / "c.yaml").write_text("template: {confusion_ujy: 0.0, max_width: 100.0}\nmosaic: {cell_arcsec: 60.0}\n")
    monkeypatch.chdir(tmp_path)
    if not (tmp_path / "state").exists():
        config.layout.registry_file.parent.rename(tmp_path / "state")
    done = CliRunner().invoke(main, ["-c", "c.yaml", "-d", str(tmp_path), "template", mosaics[1]])
    assert done.exit_code == 3, done.output
    assert f"template {STRIP}.v4: made without {mosaics[1]}, withdrawn or rejected since v3" in done.output
    assert f"not in the template: {mosaics[1]} was withdrawn or rejected" in done.output
