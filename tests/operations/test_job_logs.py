"""`contimg log`: the logs of the jobs behind an id, wherever Snakemake worked."""

import os

import pytest

from contimg.errors import ContimgError, UnknownIdError
from contimg.operations.job_logs import find_logs
from contimg.plan.frozen import working_folder
from contimg.storage.atomic import write_json

TILE, DATE = "2026-02-11T00:26:49", "2026-02-11"


def write_log(folder, rule, name, age_s):
    path = folder / "logs" / rule / DATE / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{rule} worked\n")
    os.utime(path, (1e9 - age_s, 1e9 - age_s))
    return path


@pytest.fixture
def worked(sqlite_config, tmp_path):
    """The folder of a run of which the frozen plan knows, with the logs of a tile, its calibration and its mosaic."""
    folder = tmp_path / "work"
    write_json(sqlite_config.layout.frozen_plan, {"working_folder": str(folder)})
    write_log(folder, "image_tile", "20260211T002649", 1)
    write_log(folder, "convert_tile", "20260211T002649", 3)
    write_log(folder, "solve_calibration", "cal_20260211T002649", 2)
    write_log(folder, "mosaic_group", "mosaic_20260211T002649", 0)
    return folder


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (TILE, ["convert_tile", "image_tile"]),
        ("20260211T002649", ["convert_tile", "image_tile"]),
        ("cal_20260211T002649", ["solve_calibration"]),
        ("mosaic_20260211T002649", ["mosaic_group"]),
    ],
)
def test_logs_are_found_in_the_order_of_the_jobs(worked, sqlite_config, text, rules):
    found = find_logs(sqlite_config, text)
    assert [one.rule for one in found] == rules
    assert all(one.path.is_relative_to(worked) for one in found)


def test_one_rule_of_a_given_folder(worked, sqlite_config, tmp_path):
    other = write_log(tmp_path / "other", "image_tile", "20260211T002649", 0)
    (found,) = find_logs(sqlite_config, TILE, folder=tmp_path / "other", rule="image_tile")
    assert found.path == other


def test_no_log_is_a_sentence_that_names_the_folders(worked, sqlite_config):
    with pytest.raises(UnknownIdError, match=r"no log of mosaic_group for 2026-02-11T00:26:49 stands in .*work/logs"):
        find_logs(sqlite_config, TILE, rule="mosaic_group")
    with pytest.raises(ContimgError, match="is not an id"):
        find_logs(sqlite_config, "../../etc/passwd")


def test_the_folder_of_a_run_is_unknown_before_the_first_one(sqlite_config):
    assert working_folder(sqlite_config) is None
    write_json(sqlite_config.layout.frozen_plan, {"tiles": {}})
    assert working_folder(sqlite_config) is None
