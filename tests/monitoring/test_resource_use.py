"""What jobs asked for and took, from benchmark files as Snakemake writes them."""

import math

import pytest

from contimg.monitoring.benchmark_records import job_records
from contimg.monitoring.resource_use import RuleUse, resource_use

PLAIN = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
EXTENDED = PLAIN + "\tjobid\trule_name\twildcards\tparams\tthreads\tcpu_usage\tresources\tinput_size_mb"


def write(work, rule, name, *, wall_s=120.0, used_mb="300.5", cpu_s=100.0, asked=(400, 30), header=EXTENDED):
    path = work / "benchmarks" / rule / "2026-02-11" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    row = [wall_s, "0:02:00", used_mb, "900", "200", "210", "1", "2", "80", cpu_s]
    if header == EXTENDED:
        resources = {"mem_mb": asked[0], "runtime": asked[1], "tmpdir": "/tmp"}
        row += [3, rule, {"tile": name}, {"a": "x" * 200_000}, 1, 80, resources, {}]
    path.write_text(header + "\n" + "\t".join(str(one) for one in row) + "\n")
    return path


def test_the_largest_and_the_longest_job_stand_for_a_rule(tmp_path):
    write(tmp_path, "image_tile", "20260211T000000", wall_s=60, used_mb="500.0", cpu_s=50, asked=(800, 30))
    write(tmp_path, "image_tile", "20260211T000509", wall_s=600, used_mb="300.0", cpu_s=550, asked=(1200, 60))
    assert resource_use(tmp_path) == [
        RuleUse("image_tile", 2, 800.0, 500.0, 60.0, 10.0, pytest.approx(600 / 3600), pytest.approx(660 / 3600))
    ]


def test_jobs_too_short_to_be_sampled_and_files_of_before_are_unknown(tmp_path):
    write(tmp_path, "register_mosaic", "mosaic_20260211T000000", used_mb="NA", cpu_s="NA", header=PLAIN)
    (record,) = job_records(tmp_path)
    assert (record.rule, record.name, record.date) == ("register_mosaic", "mosaic_20260211T000000", "2026-02-11")
    assert record.wall_s == 120 and all(map(math.isnan, (record.used_mb, record.cpu_s, record.asked_mb)))
    (use,) = resource_use(tmp_path)
    assert use.to_json()["used_mb"] is None and use.cpu_h == 0


@pytest.mark.parametrize("content", [b"", b"s\th:m:s\n", b"\xff\xfe\x00", b'a\tb\n"never closed'])
def test_files_that_are_not_whole_are_passed_over(tmp_path, content):
    write(tmp_path, "image_tile", "20260211T000509")
    torn = write(tmp_path, "image_tile", "20260211T000000")
    torn.write_bytes(content)
    names = [one.name for one in job_records(tmp_path) if not math.isnan(one.wall_s)]
    assert names == ["20260211T000509"]


def test_only_jobs_since_a_time_count(tmp_path):
    import os

    os.utime(write(tmp_path, "convert_tile", "20260211T000000"), (1000, 1000))
    os.utime(write(tmp_path, "image_tile", "20260211T000509"), (2000, 2000))
    assert [one.rule for one in resource_use(tmp_path, since_unix_s=1500)] == ["image_tile"]
    assert [one.rule for one in resource_use(tmp_path)] == ["convert_tile", "image_tile"]


def test_a_folder_without_benchmarks_has_no_rows(tmp_path):
    assert resource_use(tmp_path) == []
