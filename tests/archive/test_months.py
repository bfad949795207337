"""The archive by months: whose month a mosaic is of, and what is kept of it."""

from pathlib import Path

import pytest

from contimg.archive import months
from contimg.naming import Layout
from contimg.storage.notes import write_note

LAYOUT = Layout(*(Path("/r") / name for name in ("incoming", "stage", "products", "state")))


@pytest.mark.parametrize(
    ("name", "month"),
    [
        ("mosaic_20260211T002649", "2026-02"),
        ("mosaic_20251231T235959", "2025-12"),
        ("mosaic_20260211T002649.v2", "2026-02"),
        ("2026-02-11T00:26:49", "2026-02"),
    ],
)
def test_the_month_of_a_name(name, month):
    assert months.month_of(name) == month


def test_rows_by_month():
    rows = [{"data_id": f"mosaic_{day}T000000"} for day in ("20251231", "20260101", "20260131", "20260201")]
    assert months.split(rows) == {"2025-12": rows[:1], "2026-01": rows[1:3], "2026-02": rows[3:]}
    assert months.split([]) == {}


def test_what_months_say_of_themselves_is_read_in_order(tmp_path):
    here = {"archive": str(tmp_path.parent), "schema": months.SCHEMA}
    for month, content in (
        ("2026-02", here | {"month": "2026-02"}),
        ("2025-12", here | {"month": "2025-12"}),
        ("2025-11", here | {"month": "2025-11", "archive": "/where/it/was"}),  # before the archive was moved
        ("2026-01", here | {"schema": months.SCHEMA + 1, "month": "2026-01"}),  # of another contimg: made again
        ("lost+found", here | {"month": "lost+found"}),
        ("2026-03", []),
        ("2026-04", None),
        ("2026-05", "text"),
    ):
        (tmp_path / month).mkdir()
        write_note(tmp_path / month / months.SUMMARY, content)
    (tmp_path / "2026-06").mkdir()
    (tmp_path / "2026-07").mkdir()
    (tmp_path / "2026-07" / months.SUMMARY).write_text("{")
    assert [one["month"] for one in months.summaries(tmp_path)] == ["2025-12", "2026-02"]


def test_a_month_without_rows_is_removed(tmp_path):
    (tmp_path / "2026-02").mkdir()
    (tmp_path / "2026-02" / "mosaics.js").write_text("")
    months.write(tmp_path, "2026-02", [], LAYOUT, anew=False)
    months.write(tmp_path, "2026-03", [], LAYOUT, anew=False)
    assert list(tmp_path.iterdir()) == []
