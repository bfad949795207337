"""One line for each reason for which a plan leaves something for later."""

import ast
from pathlib import Path

import pytest

from contimg import config as configuration
from contimg import times
from contimg.correlator.inbox import Quarantined
from contimg.errors import InputError
from contimg.operations.what_waits import REASONS, lines
from contimg.plan.model import Group, Late, Plan, Waiting
from contimg.plan.observe import current_plan
from contimg.simulate import NightOptions
from tests.support.inboxes import inbox_config, simulated_inbox

SOURCE = Path(__file__).parents[2] / "contimg"
INBOX = "which ones: contimg inbox (tiles and files)"
BOTH = INBOX + ", contimg plan (groups)"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return configuration.load({}, base=tmp_path_factory.mktemp("roots"))


def tiles(code, *ready):
    return [Waiting(f"t{n}", "tile", code, "", "s", one) for n, one in enumerate(ready)]


def test_every_code_of_what_waits_has_words(config):
    codes = {"growing", "subbands"}  # chosen between
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Waiting" and len(node.args) > 2:
                codes |= {node.args[2].value} if isinstance(node.args[2], ast.Constant) else set()
    assert set(REASONS) == codes
    for code in codes:
        assert "{" not in lines(config, Plan(waiting=[Waiting("m", "group", code, "", "s")]))[0]


def test_tiles_that_wait_for_one_reason_are_one_line(config):
    today = times.now(0)[:10]
    plan = Plan(waiting=tiles("growing", f"{today}T07:45:10", f"{today}T07:45:10", f"{today}T07:45:10"))
    assert lines(config, plan) == [
        "3 tiles wait: files younger than ingest.settle_s = 60 s; ready at 07:45:10 UTC",
        INBOX,
    ]


def test_times_of_another_day_have_their_date_and_unknown_ones_are_counted(config):
    plan = Plan(waiting=tiles("subbands", "2026-02-11T23:50:00", None, "2026-02-12T00:10:00"))
    assert lines(config, plan)[0] == (
        "3 tiles wait: subbands that are missing, until ingest.deadline_s = 3600 s after the tile's time; "
        "2 of them ready from 2026-02-11 23:50:00 to 2026-02-12 00:10:00 UTC"
    )


def test_groups_and_all_that_is_left_out_have_lines_of_their_own(config):
    plan = Plan(
        waiting=[Waiting("m", "group", "no_room", "", "s"), *tiles("no_bandpass", None)],
        late=[Late("g", "t", ("a",), "report"), Late("g", "u", ("b",), "reprocess")],
        quarantined=[Quarantined("/in/a", "empty", "", "t"), Quarantined("/in/b", "empty", "", "t")],
        other_nights={"2026-02-12": 3, "2026-02-10": 1},
        open_files=16,
    )
    asked = config.model_copy(update={"nights": ("2026-02-11",)})
    assert lines(asked, plan) == [
        "1 group waits: room on the disks",
        "1 tile waits: a calibrator",
        "4 tiles of 2026-02-10, 2026-02-12 left out: nights names 2026-02-11 only",
        "16 files still open: the correlator has not closed them",
        "1 tile got files after the group was settled: left as they are (group.late)",
        "2 files set aside: 2 empty",
        BOTH,
    ]


def test_a_plan_with_work_says_nothing_and_one_without_says_why(config):
    assert lines(config, Plan(groups={"t": Group("t", ("t",))})) == []
    assert lines(config, Plan()) == ["nothing to do: all tiles of the inbox are of settled groups"]


def test_an_inbox_of_open_files_alone_says_so(tmp_path):
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    for subband in range(2):
        (incoming / f"2026-02-11T00:26:49_sb{subband:02d}_incomplete.hdf5").touch()
    settings = configuration.load({"paths": {"incoming": str(incoming)}}, base=tmp_path)
    with pytest.raises(InputError, match="holds no subband files but 2 that the correlator has not closed: wait"):
        current_plan(settings)


NIGHT = NightOptions(tiles=3, antennas=8, channels=2, sources=4, calibrator="3C286", max_baseline_m=250.0)


def test_the_plan_counts_tiles_of_nights_that_are_not_asked_for(tmp_path):
    """The night is that of 2026-02-11; a file whose name still says that it is written is counted, too."""
    incoming = simulated_inbox(tmp_path / "night", NIGHT)
    config = inbox_config(incoming, tmp_path)
    assert current_plan(config).other_nights == {}
    first = sorted(incoming.iterdir())[0]
    (incoming / first.name.replace(".hdf5", "_incomplete.hdf5")).write_bytes(b"")
    plan = current_plan(config.model_copy(update={"nights": ("2026-02-12",)}))
    assert (plan.other_nights, plan.open_files, plan.groups) == ({"2026-02-11": 3}, 1, {})
    assert Plan.from_json(plan.to_json()) == plan
