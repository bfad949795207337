"""Snakemake's records as the terminal shows them: one line a job, with progress by a given clock."""

import enum
import logging
import re
from pathlib import Path

import pytest

from contimg.operations import run_log

ROOT = Path(__file__).parents[2]


class Event(enum.Enum):
    """The names of Snakemake's events."""

    RUN_INFO = 0
    WORKFLOW_STARTED = 1
    JOB_INFO = 2
    JOB_STARTED = 3
    JOB_FINISHED = 4
    PROGRESS = 5
    JOB_ERROR = 6
    ERROR = 7


def record(event=None, text="", **fields):
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, text, None, None)
    if event is not None:
        made.event = Event[event]
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def job(number, rule="convert_tile", reason="Missing output files: /a/x.ms", threads=1, **wildcards):
    return record("JOB_INFO", jobid=number, rule_name=rule, wildcards=wildcards, reason=reason, threads=threads)


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def run(clock):
    """Return a function that gives the text of a record, as the handler's formatter and the logger's filter see it."""
    state = run_log.RunState(clock)

    def show(one, dry_run=False):
        assert state.filter(one) is True
        handler = logging.StreamHandler()
        formatter = formatters.setdefault(
            dry_run, run_log.RunFormatter(handler, state, dry_run=dry_run, versions="contimg 1")
        )
        return formatter.format(one)

    formatters = {}
    show.state = state
    return show


TILE = {"date": "2026-02-11", "tile": "20260211T002649"}


def test_a_dry_run_has_a_line_for_each_job_with_the_id_and_the_reason(run):
    assert run(job(1, **TILE), dry_run=True) == "convert_tile      2026-02-11T00:26:49    output missing"
    made = job(2, "solve_calibration", "Forced execution", date="2026-02-11", calibration="cal_20260211T002649")
    assert run(made, dry_run=True).split() == ["solve_calibration", "cal_20260211T002649", "Forced", "execution"]
    assert run(job(3, "all", ""), dry_run=True) == "all"


RULES = re.findall(r"^rule (\w+):", "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk")), re.MULTILINE)


@pytest.mark.parametrize("rule", RULES)
def test_reasons_of_all_rules_and_ids_stand_in_one_column_of_a_narrow_terminal(rule, run):
    """Rule and id take 40 characters, of 17 and 22 at the most; with its time a job that starts takes 73 of 80."""
    for ids in ({"tile": "20260211T002649"}, {"calibration": "cal_20260211T002649"},
                {"mosaic": "mosaic_20260211T002649"}):  # fmt: skip
        line = run(job(1, rule, **ids), dry_run=True)
        assert line[40:] == " output missing" and line[17] == " " and line.split()[:2] == [rule, run_log.id_of(ids)]
        assert len(run(job(1, rule, **ids))) == 73


def test_a_job_that_ends_tells_its_time_and_that_of_the_run(run, clock):
    run(record("RUN_INFO", "table", stats={"convert_tile": 3, "image_tile": 1, "total": 4}))
    assert "convert_tile" in run(job(1, **TILE)) and run.state.left_s() is None
    clock.now = 10.0
    line = run(record("JOB_FINISHED", job_id=1))
    # three jobs are left, of 10 s each, one at a time
    assert line.endswith("done 10 s; 1/4, 30 s left") and "2026-02-11T00:26:49" in line
    run(job(2, **TILE))
    clock.now = 14.0
    assert run.state.left_s() == pytest.approx(30 - 4)
    clock.now = 30.0
    assert run(record("JOB_FINISHED", job_id=2)).endswith("done 20 s; 2/4, 30 s left")  # 2 of 15 s


@pytest.mark.parametrize("rule", RULES)
def test_a_job_that_ends_fits_into_a_narrow_terminal(rule, run, clock):
    """A run of 370 jobs (ten times the demo night's) that take 90 s each, of which the first is done."""
    of_tile = rule in ("convert_tile", "image_tile")
    name = {"tile": "20260211T002649"} if of_tile else {"mosaic": "mosaic_20260211T002649"}
    run(record("RUN_INFO", "table", stats={rule: 370, "total": 370}))
    run(job(1, rule, **name))
    clock.now = 90.0
    line = run(record("JOB_FINISHED", job_id=1))
    assert line.endswith(" done 90 s; 1/370, 9.2 h left")
    assert len(line) <= 80


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (99.4, "99 s"), (99.6, "2 min"), (421, "7 min"), (5969, "99 min"), (5971, "1.7 h"), (35818, "9.9 h"),
     (35822, "10 h"), (169200, "47 h"), (172800, "2.0 d")],
)  # fmt: skip
def test_durations_are_short(seconds, words):
    assert run_log.duration(seconds) == words


def test_two_jobs_at_once_halve_the_time_that_is_left(run, clock):
    run(record("RUN_INFO", "table", stats={"convert_tile": 6, "total": 6}))
    for number in (1, 2):
        run(job(number, **TILE))
    clock.now = 20.0
    for number in (1, 2):
        run(record("JOB_FINISHED", job_id=number))
    assert run.state.left_s() == pytest.approx(4 * 20 / 2)


def test_the_last_job_leaves_no_time(run, clock):
    run(record("RUN_INFO", "table", stats={"convert_tile": 1, "total": 1}))
    run(job(1, **TILE))
    clock.now = 75.0
    assert run(record("JOB_FINISHED", job_id=1)).endswith("done 75 s; 1/1")


def test_what_every_run_says_is_left_out_and_other_messages_stay(run):
    assert run(record("RUN_INFO", "Job stats", stats={"total": 0})) == "Job stats"
    assert run(record("RUN_INFO", "Job stats", stats={"total": 0})) == ""
    for text in ("Would remove temporary output /a/x.ms", "Select jobs to execute...", "Reasons:\n    (check)"):
        assert run(record(None, text)) == ""
    for event in ("JOB_STARTED", "PROGRESS"):
        assert run(record(event)) == ""
    assert run(record(None, "Nothing to be done.")) == "Nothing to be done."


def test_the_head_names_versions_configuration_and_folder(run):
    head = run(record("WORKFLOW_STARTED", configfiles=["night.yaml", "/x/config.yaml"], snakemake_version="9.27.1",
                      python_version="3.11.7 (main)", cwd="/work"))  # fmt: skip
    assert head.splitlines() == [
        "contimg 1, Snakemake 9.27.1, Python 3.11.7", "configuration: night.yaml", "working folder: /work",
    ]  # fmt: skip


def failure(number, message=None):
    files = ["/in/a.hdf5"] * 16
    return record("JOB_ERROR", f"Error in rule convert_tile, jobid: {number}", jobid=number, rule_name="convert_tile",
                  rule_msg=message, input=files, log=["logs/convert_tile/x.log", "slurm/7.log"])  # fmt: skip


def test_a_job_that_failed_is_one_line_with_its_logs(run):
    run(job(1, tile="20260211T002649"))
    line = run(failure(1))
    assert line[10:] == ("convert_tile      2026-02-11T00:26:49    failed; log: logs/convert_tile/x.log, slurm/7.log")
    said = "SLURM-job '7' failed, SLURM status is: 'CANCELLED'."
    assert f" failed: {said}; log: " in run(failure(1, said))


def test_the_time_of_a_job_that_is_tried_again_begins_anew(run, clock):
    run(record("RUN_INFO", stats={"convert_tile": 1, "total": 1}))
    run(job(1, tile="20260211T002649"))
    clock.now = 100.0
    run(failure(1))
    clock.now = 130.0
    run(job(1, tile="20260211T002649"))
    clock.now = 137.0
    assert run(record("JOB_FINISHED", job_id=1)).endswith("done 7 s; 1/1")


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        ("returned non-zero exit status 1.", ""),  # the job has said why
        ("died with <Signals.SIGKILL: 9>.", "contimg: the job was ended by SIGKILL"),
    ],
)
def test_of_a_script_that_failed_only_the_signal_is_told(end, shown, run):
    text = "RuleException:\nCalledProcessError in file /w/convert.smk, line 24:\nCommand 'set -euo pipefail;  x.py' "
    assert run(record("ERROR", text + end)) == shown


def test_other_exceptions_are_shown_whole(run):
    assert run(record("ERROR", "WorkflowError:\ncontimg: a sentence")) == "WorkflowError:\ncontimg: a sentence"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Missing output files: /a, /b; Input files updated by another job: /c", "output missing"),
        ("Input files updated by another job: /c, /d", "inputs are made again"),
        ("Updated input files: /in/x.hdf5, /in/y.hdf5, /in/z.hdf5", "newer x.hdf5 and 2 more inputs"),
        ("Updated input files: /in/x.hdf5", "newer x.hdf5"),
        ("Set of input files has changed since last execution", "other input files than before"),
        ("Forced execution", "Forced execution"),
        ("", ""),
    ],
)
def test_reasons_are_short(text, shown):
    assert run_log.reason(text) == shown


CHANGED = "Params have changed since last execution: Union of exclusive params before and now across all output: "


def test_changed_parameters_are_named_with_both_values():
    text = CHANGED + "before: {'robust': 0.5, 'size_px': 4800} now: {'robust': 0.0, 'size_px': 4800} "
    assert run_log.reason(text) == "parameters changed (robust 0.5 -> 0.0)"
    nested = CHANGED + "before: {'selfcal': {'rounds': 3, 'snr': 5}} now: {'selfcal': {'rounds': 2, 'snr': 5}} "
    assert run_log.reason(nested) == "parameters changed (selfcal.rounds 3 -> 2)"
    many = CHANGED + "before: {'a': 1, 'b': 2, 'c': 3, 'd': 4} now: {'a': 0, 'b': 0, 'c': 0, 'd': 0} "
    assert run_log.reason(many) == "parameters changed (a 1 -> 0, b 2 -> 0, c 3 -> 0, and 1 more)"


def test_long_parameters_are_digests_that_do_not_depend_on_their_order():
    one, other = ("before: <x>,[1, 2] now: <y> ", "before: [1, 2],<x> now: <y> ")
    assert run_log.reason(CHANGED + one).startswith("parameters changed (")
    first, second = (run_log.reason(CHANGED + "Missing; " + text).split(" -> ")[0] for text in (one, other))
    assert len(first) < 40 and sorted(first[-8:]) != [] and first == second


def test_only_the_terminal_is_shortened(tmp_path):
    logger = logging.Logger("snakemake")
    terminal, file = logging.StreamHandler(), logging.FileHandler(tmp_path / "full.log")
    for handler in (terminal, file):
        logger.addHandler(handler)
    run_log.install(logger, dry_run=True, versions="contimg 1")
    assert isinstance(terminal.formatter, run_log.RunFormatter)
    assert file.formatter is None
    file.close()
