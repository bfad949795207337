"""`contimg report`: verdicts, numbers and places; measured against the truth of a simulated sky."""

import pytest

from contimg.storage.atomic import write_json
from tests.support import mosaics
from tests.support import mosaics_of_sources as sources

ID = mosaics.MOSAIC


def cells(text: str) -> dict[str, str]:
    """Return the rows of a table of two columns, which stand at least two blanks apart."""
    rows = (line.split("  ", 1) for line in text.splitlines() if "  " in line.strip())
    return {name.strip(): value.strip() for name, value in rows}


def test_a_published_mosaic(program, publish):
    folder = publish().path
    done = program("report", ID)
    assert done.code == 0
    assert f"\n{ID} (SIMULATED): verdict passed, published\n" in done.out
    rows = cells(done.out)
    assert rows["rms [mJy/beam]"] == "4"
    assert rows["median flux / catalogue"] == "1.01"
    assert rows["mosaic"] == str(folder / "data" / f"{ID}.fits")
    assert program("report", "20260211T002649", "--json").json[0]["folder"] == str(folder)


def test_a_held_mosaic_is_shown_with_reason_and_next_step(program, publish):
    publish(reasons=[mosaics.FAILED])
    said = program("report", ID).out
    assert f"{ID} (SIMULATED): verdict failed, held" in said
    assert f"    noise: {mosaics.FAILED.message}\n" in said
    assert f"    then: contimg publish approve {ID}" in said


def test_an_unknown_mosaic_is_refused(program):
    done = program("report", "mosaic_20990101T000000")
    assert done.code == 1
    assert done.sentence == "no mosaic mosaic_20990101T000000 has been made: see `contimg status`"


def test_without_an_id_every_committed_group_with_a_mosaic_is_shown(program, sqlite_config, publish):
    assert program("report").out == ""
    publish()
    for group, tiles in ((mosaics.GROUP, mosaics.TILES), ("2026-02-12T03:00:00", ("2026-02-12T03:00:00",))):
        tiles = [{"id": tile, "name_time": tile, "files": []} for tile in tiles]
        write_json(sqlite_config.layout.group(group), {"id": group, "tiles": tiles})
    assert [record["mosaic"] for record in program("report", "--json").json] == [ID]


@pytest.fixture
def measured(sqlite_config, tmp_path):
    """A mosaic of 40 sources whose flux densities are 0.9 of the truth, and the truth."""
    root = sqlite_config.layout.twin("mosaic", sources.MOSAIC_ID).parent
    sky = sources.lattice()
    sources.make_mosaic(root, sky, scale=0.9)
    return sources.make_catalogue(tmp_path / "truth.csv", sky)


def test_against_the_truth(program, measured):
    done = program("report", sources.MOSAIC_ID, "--truth", measured)
    assert done.code == 0
    rows = cells(done.out)
    assert float(rows["median flux / truth"]) == pytest.approx(0.9, abs=0.01)
    assert float(rows["completeness against truth"]) == 1
    assert float(rows["found (S/N ≥ 10), not in the truth"]) == 0
    (record,) = program("report", sources.MOSAIC_ID, "--truth", measured, "--json").json
    assert record["truth"]["n_matched"] == 40
    assert record["truth"]["median_offset_arcsec"] < 0.02 * sources.BEAM
    assert record["state"] == "open" and "median_flux_ratio" not in record["qa"]


@pytest.mark.parametrize("content", ["", "name,ra_deg\nA,12.5\n"])
def test_a_truth_that_is_no_catalogue_is_refused(program, measured, content):
    measured.write_text(content)
    done = program("report", sources.MOSAIC_ID, "--truth", measured)
    assert done.code == 1
    assert str(measured) in done.sentence


def test_a_missing_truth_is_wrong_usage(program, publish, tmp_path):
    """Also where the mosaic holds no image, so that the truth would not be read."""
    publish()
    done = program("report", ID, "--truth", tmp_path / "truth.csv")
    assert done.code == 2
    assert f"'{tmp_path / 'truth.csv'}' does not exist" in done.err.replace("\n", " ")


def test_a_reason_forges_no_line_and_reaches_no_terminal(program, publish):
    from contimg.products.twin import Reason

    text = "noise\x1b[2J\nFORGED: verdict passed [red]x[/red] \u202e"
    publish(reasons=[Reason(code="noise", severity="warning", message=text)])
    done = program("report", mosaics.MOSAIC)
    assert "FORGED" in done.out and not any(line.startswith("FORGED") for line in done.out.splitlines())
    assert not {"\x1b", "\u202e"} & set(done.out) and "[red]x[/red]" in done.out
