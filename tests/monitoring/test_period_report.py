"""Reports of a run and of a night: products planned and done, verdicts, slow jobs, failures, and their page."""

import json
import os
import re

import pytest
from click.testing import CliRunner

from contimg import naming
from contimg.cli.entry import main
from contimg.errors import InputError
from contimg.monitoring.period_page import write_period_page
from contimg.monitoring.period_report import KIND_OF, of_night, of_run, period_report
from contimg.plan.frozen import freeze
from contimg.plan.model import Group, Plan, Waiting
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.storage.atomic import write_json
from tests.monitoring.test_jobs import failed
from tests.monitoring.test_resource_use import write
from tests.support import mosaics

NIGHT = "2026-02-11"
STEMS = [naming.stem(tile) for tile in mosaics.TILES]


def night_below(place):
    """Make a night of one mosaic that is held, with the records of its jobs."""
    config = mosaics.config_below(place, watch={"min_free_gb": 0.0})
    members = [{"id": tile, "name_time": tile, "files": []} for tile in mosaics.TILES]
    write_json(config.layout.group(mosaics.GROUP), {"id": mosaics.GROUP, "tiles": members})
    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    register_mosaic(mosaics.MOSAIC, config)
    publish_mosaic(mosaics.MOSAIC, config, waits_s=())
    for number, stem in enumerate(STEMS):
        write(place, "image_tile", stem, wall_s=100 + 60 * number, cpu_s=90, used_mb="500.0", asked=(800, 30))
    write(place, "mosaic_group", mosaics.MOSAIC, wall_s=30, cpu_s=25)
    write(place, "image_tile", "20260311T000000", wall_s=9999, cpu_s=9999)  # of another night
    row = {"path": f"/in/{NIGHT}T00:26:49_sb03.hdf5", "code": "times", "message": "torn", "name_time": mosaics.GROUP}
    write_json(config.layout.quarantine(NIGHT), [row])
    return config


@pytest.fixture
def config(tmp_path):
    return night_below(tmp_path)


def test_a_night_tells_what_was_planned_and_done(config, tmp_path):
    content = period_report(config, tmp_path, of_night(config, NIGHT))
    work = {one["rule"]: (one["planned"], one["done"], one["jobs"]) for one in content["work"]}
    assert list(work) == list(KIND_OF)
    assert work["image_tile"] == (2, 2, 2) and work["solve_calibration"] == (1, 1, 0)
    assert work["mosaic_group"] == (1, 1, 1) and work["publish_mosaic"] == (1, 1, 0)
    assert next(one for one in content["work"] if one["rule"] == "image_tile")["wall_s"] == 260
    (mosaic,) = content["mosaics"]
    assert (mosaic["id"], mosaic["verdict"], mosaic["state"]) == (mosaics.MOSAIC, "warning", "held")
    assert mosaic["reasons"] == ["noise: rms is 2.4 times the expected noise"]
    assert mosaic["next"].startswith(f"contimg publish approve {mosaics.MOSAIC}")
    assert [one["id"] for one in content["tiles"]] == list(mosaics.TILES)
    assert [(one["rule"], one["id"], one["wall_s"]) for one in content["slowest"]][:2] == [
        ("image_tile", STEMS[1], 160), ("image_tile", STEMS[0], 100),
    ]  # fmt: skip
    assert content["resources"][0]["asked_mb"] == 800 and content["resources"][0]["used_mb"] == 500
    assert content["quarantined"] == [{"file": f"{NIGHT}T00:26:49_sb03.hdf5", "code": "times", "message": "torn"}]
    assert json.loads(json.dumps(content)) == content


def test_products_that_are_missing_are_planned_and_not_done(config, tmp_path):
    config.layout.twin("image", mosaics.TILES[1]).unlink()
    config.layout.twin("mosaic", mosaics.GROUP).unlink()
    content = period_report(config, tmp_path, of_night(config, NIGHT))
    work = {one["rule"]: (one["planned"], one["done"]) for one in content["work"]}
    assert work["image_tile"] == (2, 1) and work["mosaic_group"] == (1, 0)
    assert content["mosaics"][0]["verdict"] is None and content["mosaics"][0]["next"] == "snakemake"


def test_a_failed_job_is_shown_with_the_end_of_its_log(config, tmp_path):
    text = "\n".join([f"line {number}" for number in range(40)] + ["InputError: a.hdf5 is torn: copy it again"])
    failed(tmp_path, text=text)
    (failure,) = period_report(config, tmp_path, of_night(config, NIGHT))["failures"]
    assert failure["reason"] == "a.hdf5 is torn: copy it again"
    assert failure["tail"].splitlines()[0] == "line 26" and len(failure["tail"].splitlines()) == 15


def test_a_damaged_twin_does_not_stop_the_report(config, tmp_path):
    config.layout.twin("image", mosaics.TILES[0]).write_text("{")
    content = period_report(config, tmp_path, of_night(config, NIGHT))
    assert [one["id"] for one in content["tiles"]] == [mosaics.TILES[1]]


def test_a_run_counts_the_jobs_since_it_began(config, tmp_path):
    with pytest.raises(InputError):
        of_run(config)
    waits = [Waiting(mosaics.MOSAIC, "group", "no_bandpass", "no bandpass yet", mosaics.GROUP)]
    plan = Plan(waiting=waits)
    freeze(plan, config)
    content = period_report(config, tmp_path, of_run(config))
    assert content["slowest"] == [] and content["waiting"][0]["message"] == "no bandpass yet"
    frozen = json.loads(config.layout.frozen_plan.read_text())
    del frozen["sha256"]
    frozen["groups"] = Plan(groups={mosaics.GROUP: Group(mosaics.GROUP, mosaics.TILES)}).to_json()["groups"]
    config.layout.frozen_plan.write_text(json.dumps(frozen))
    began = config.layout.frozen_plan.stat().st_mtime
    for path in (tmp_path / "benchmarks").rglob("*.tsv"):
        os.utime(path, (began - 5, began - 5))
    late = write(tmp_path, "image_tile", STEMS[0], wall_s=77)
    os.utime(late, (began + 5, began + 5))
    content = period_report(config, tmp_path, of_run(config))
    assert [(one["rule"], one["wall_s"]) for one in content["slowest"]] == [("image_tile", 77)]


def test_a_night_of_which_nothing_is_known_is_refused(config):
    with pytest.raises(InputError, match="nothing is known of the night 2026-02-12: contimg status --all"):
        of_night(config, "2026-02-12")


def test_the_page_escapes_and_loads_nothing(config, tmp_path):
    failed(tmp_path, text="InputError: <script>alert(1)</script> is torn: copy it again")
    content = period_report(config, tmp_path, of_night(config, NIGHT))
    write_period_page(content, tmp_path / "deep" / "night.html")
    page = (tmp_path / "deep" / "night.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page) and "<script>" not in page
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings[:3] == ["Failures", "Mosaics", "Planned and done"]
    assert "Slowest jobs" in headings and "Set aside" in headings


def test_the_page_names_units_and_what_is_simulated(config, tmp_path):
    """Flagged fractions are per cent, tiles have the ids of the other tables, noise is per beam."""
    content = period_report(config, tmp_path, of_night(config, NIGHT))
    assert content["simulated"] == "simulated"
    content["tiles"][0] |= {"flagged_fraction": 0.0721, "rms_mjy": 1.126, "noise_ratio": 1.012}
    write_period_page(content, tmp_path / "night.html")
    file = f'<code class="id">{NIGHT}T00:26:49_sb03.hdf5</code>'  # not split at a hyphen
    assert file in (tmp_path / "night.html").read_text()
    page = (tmp_path / "night.html").read_text()
    assert f'<h1>Report of the night {NIGHT}</h1><span class="badge synthetic">simulated</span>' in page
    for column in ("noise [mJy/beam]", "flagged data [%]", "lost solutions [%]", "found [%]", "asked [MB]", "CPU [h]"):
        assert f">{column}</th>" in page
    assert '<td class="number">1.012</td><td class="number">1.126</td><td class="number">7.2</td>' in page
    assert f'<td>image_tile</td><td><code class="id">{mosaics.TILES[1]}</code></td>' in page.replace(
        ' class="name"', ""
    )
    assert STEMS[1] not in page
    content["simulated"] = None
    write_period_page(content, tmp_path / "night.html")
    assert "synthetic" not in (tmp_path / "night.html").read_text().partition("</style>")[2]


def test_the_command(config, tmp_path):
    paths = {name: str(getattr(config.paths, name)) for name in ("incoming", "stage", "products", "state")}
    (tmp_path / "config.yaml").write_text(json.dumps({"paths": paths, "crossmatch": {"enabled": False}}))
    words = ["-c", str(tmp_path / "config.yaml"), "-d", str(tmp_path), "report"]
    done = CliRunner().invoke(main, [*words, "--night", NIGHT, "--html", str(tmp_path / "n.html")])
    assert done.exit_code == 0, done.output
    assert "Report of the night 2026-02-11 (simulated)" in done.output and (tmp_path / "n.html").exists()
    assert json.loads(CliRunner().invoke(main, [*words, "--night", NIGHT, "--json"]).output)["title"] == (
        "the night 2026-02-11"
    )
    for wrong in (["--night", NIGHT, "--run"], ["--run", mosaics.MOSAIC], ["--html", "x"]):
        assert CliRunner().invoke(main, [*words, *wrong]).exit_code == 2
