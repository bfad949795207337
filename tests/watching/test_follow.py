"""`contimg watch` from files that drop into the inbox to a published mosaic, with the real workflow."""

import json

import psutil
import pytest

from benchmarks.watched_night import WATCH, WatchedNight

pytestmark = pytest.mark.long

SIZE = ("--tiles", "1", "--antennas", "20", "--channels", "3", "--sources", "8", "--max-baseline", "500")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    made = WatchedNight(
        tmp_path_factory.mktemp("follow") / "night", SIZE, WATCH | {"min_free_gb": 0.0, "max_wait_s": 5.0}
    )
    yield made
    made.kill()


def test_files_that_drop_in_become_a_published_mosaic_and_nothing_runs_afterwards(night):
    """The watch is killed with its run half-way, and started again: nobody clears anything up."""
    night.start()
    night.wait(lambda: night.state.get("state") == "waiting", 60, "the first look")
    assert "holds no subband files" in night.state["message"]
    night.bring(sorted(night.source.glob("*.hdf5")))
    night.wait(lambda: list((night.place / "work" / "logs" / "convert_tile").glob("*/*.log")), 120, "the conversion")
    night.kill()
    night.start()
    night.wait(lambda: night.settled() and night.state.get("state") == "idle", 300, "the mosaic")
    (name,) = night.settled()
    assert night.settled() == {name: "published"}
    assert (next((night.place / "products" / "mosaics").glob("*/*")) / "manifest-sha256.txt").is_file()
    runs = night.said.count(" running: run ")
    night.wait(lambda: night.said.count(" idle: ") >= 1, 20, "rest")
    assert night.said.count(" running: run ") == runs
    content = json.loads(night.command("status", "--json").stdout)
    assert content["watch"]["alive"] and content["published_today"] == 1 and content["alarms"] == {}


def test_sigterm_ends_the_watch_and_leaves_no_process(night):
    family = psutil.Process(night.pid).children(recursive=True)
    assert night.stop(60) < 30
    assert night.state["state"] == "stopped"
    assert not [one for one in family if one.is_running()]
    assert json.loads(night.command("status", "--json").stdout)["watch"]["alive"] is False
