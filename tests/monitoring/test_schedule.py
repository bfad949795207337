"""The simulated schedule against closed forms."""

import pytest

from contimg.errors import ContimgError
from contimg.monitoring.schedule import Task, simulate


@pytest.mark.parametrize(("jobs", "cores", "end"), [(10, 1, 100), (10, 2, 50), (10, 3, 40), (10, 16, 10), (0, 4, 0)])
def test_jobs_of_one_length_take_as_many_rounds_as_they_fill(jobs, cores, end):
    done = simulate([Task(str(n), "r", 10.0) for n in range(jobs)], cores)
    assert (done.end_s, done.work_s) == (end, 10 * jobs)


@pytest.mark.parametrize("cores", [1, 4])
def test_a_chain_takes_its_sum_on_any_number_of_cores(cores):
    tasks = [Task(str(n), "r", float(n), after=(str(n - 1),)) for n in range(1, 6)]
    assert simulate(tasks, cores).end_s == 15
    assert simulate(tasks, cores, overhead_s=2.0).end_s == 25


def test_a_job_waits_for_its_data_and_for_the_slowest_before_it():
    tasks = [
        Task("a", "r", 5.0),
        Task("b", "r", 1.0, not_before_s=20.0),
        Task("c", "r", 1.0, after=("a", "b")),
    ]
    assert simulate(tasks, 4).ends == {"a": 5, "b": 21, "c": 22}


def test_files_are_removed_when_the_last_that_needs_them_has_ended():
    """Two products of 10 and 20 bytes, read by two jobs that leave 1 byte each: 30, then 31, and 12 at the end."""
    tasks = [
        Task("a", "r", 1.0, disk_bytes=10),
        Task("b", "r", 2.0, disk_bytes=20),
        Task("c", "r", 1.0, after=("a", "b"), disk_bytes=1, frees=("a",)),
        Task("d", "r", 3.0, after=("a", "b"), disk_bytes=1, frees=("a", "b")),
        Task("e", "r", 1.0, after=("d",), disk_bytes=29),
    ]
    assert simulate(tasks, 2).peak_bytes == 32
    assert simulate(tasks[:4], 2).peak_bytes == 32


def test_of_ready_jobs_the_first_named_begins():
    done = simulate([Task("long", "r", 5.0), Task("short", "r", 1.0)], 1)
    assert done.ends == {"long": 5, "short": 6}


def test_what_is_there_already_is_not_waited_for():
    assert simulate([Task("b", "r", 1.0, after=("a",))], 1).end_s == 1


def test_a_circle_is_an_error():
    with pytest.raises(ContimgError, match="job a waits for b"):
        simulate([Task("a", "r", 1.0, after=("b",)), Task("b", "r", 1.0, after=("a",))], 1)


def test_what_is_noticed_late_holds_up_followers_and_no_core():
    """Two chains on one core: 10 s each, noticed after 30: the second job runs meanwhile."""
    tasks = [Task("a", "r", 10.0), Task("b", "r", 10.0), Task("c", "r", 10.0, after=("a",))]
    assert simulate(tasks, 1, notice_s=30.0).ends == {"a": 40, "b": 50, "c": 80}
    assert simulate(tasks, 1).ends == {"a": 10, "b": 20, "c": 30}
