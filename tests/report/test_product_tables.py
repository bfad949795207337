"""The tables of products on a mosaic's page: each cell is what a twin states, or a dash."""

import re
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from contimg.naming import Layout
from contimg.products.lineage import Lineage, Node
from contimg.products.twin import Input, Reason, Twin, verdict_of
from contimg.report.product_tables import (
    anchor,
    calibration_pictures,
    calibrations_table,
    tile_pictures,
    tiles_table,
    verdicts_table,
)
from contimg.report.provenance_tables import provenance_tables

TILES = ("2026-02-11T00:26:49", "2026-02-11T00:31:58")
BANDPASS, GAINS = "cal_20260211T002649", "cal_20260211T020000"
DASH = "–"
WARNING = Reason(code="flagged", severity="warning", message="30 % <b>flagged</b>", measured=0.3, threshold=0.2)
FAILED = Reason(code="no_data", severity="failed", message="nothing")

MS = {
    "start_mjd": 61082.0186, "end_mjd": 61082.0222, "mid_mjd": 61082.0204, "dec_app_deg": 37.1,
    "phase_centre_deg": [12.5, 37.1], "n_times": 24, "integration_s": 12.88, "n_antennas": 3,
    "antennas": ["1", "2", "3"], "n_subbands": 16, "missing_subbands": [], "n_channels": 48, "bandwidth_hz": 1.8e8,
    "band_hz": [1.3e9, 1.5e9], "channel_width_hz": 2.4e5, "polarisations": ["XX", "YY"], "location": [37, -118, 1188],
}  # fmt: skip
IMAGE = {
    "beam": {"bmaj_arcsec": 14.44, "bmin_arcsec": 10.86, "bpa_deg": 10.0}, "centre_deg": [12.5, 37.1],
    "freq_hz": 1.405e9, "bandwidth_hz": 1.8e8, "start_mjd": 61082.0186, "end_mjd": 61082.0222, "size_px": 420,
    "cell_arcsec": 3.0, "files": {"image": "i.fits"}, "bandpass": BANDPASS, "gains": BANDPASS,
}  # fmt: skip
MOSAIC = {"tiles": list(TILES), "tiles_used": [TILES[0]], "n_images": 1, "left_out": {}}


def twin(kind: str, name: str, reasons: tuple[Reason, ...] = (), **content: Any) -> Twin:
    base = {"verdict": verdict_of(reasons), "reasons": list(reasons), "synthetic": True, "code_version": "0.1.0"}
    return Twin(kind=kind, id=name, **base | content)


def tree(*twins: Twin, root: str = "/stage", files: tuple[Input, ...] = ()) -> Lineage:
    nodes = {f"{i:064x}": Node(f"{root}/{one.kind}/{one.id}.json", f"{i:064x}", one) for i, one in enumerate(twins)}
    return Lineage(nodes, {(item.sha256, item.id): item for item in files})


def cells(markup: str) -> list[list[str]]:
    """Return the texts of the rows of a table, without the heading."""
    body = ElementTree.fromstring(markup).find("table/tbody")
    return [["".join(cell.itertext()) for cell in row.iter("td")] for row in body]


def test_every_reason_and_note_has_a_line_and_silent_products_one_together():
    lineage = tree(
        twin("image", TILES[0], (WARNING, FAILED), notes=["short"]), twin("image", TILES[1]), twin("ms", TILES[0]),
        twin("mosaic", "mosaic_20260211T002649", notes=["a note"]),
    )  # fmt: skip
    assert cells(verdicts_table(lineage)) == [
        ["mosaic", "mosaic_20260211T002649", "note", DASH, "a note"],
        ["image", TILES[0], "warning", "flagged", "30 % <b>flagged</b>"],
        ["image", TILES[0], "failed", "no_data", "nothing"],
        ["image", TILES[0], "note", DASH, "short"],
        ["image", "1 of 2", "passed", DASH, "no reason, no note"],
        ["ms", "1 of 1", "passed", DASH, "no reason, no note"],
    ]


def one_tile(*others: Twin, facts: dict | None = None, qa: dict | None = None, mosaic: dict | None = None) -> list[str]:
    """Return the cells of the only tile of a mosaic."""
    image = twin("image", TILES[0], facts=IMAGE if facts is None else facts, qa=qa or {})
    top = twin("mosaic", "mosaic_20260211T002649", facts=MOSAIC | (mosaic or {}))
    (row,) = cells(tiles_table(top, tree(image, *others)))
    return row


def test_a_tile_has_its_numbers_with_few_digits():
    qa = {"rms_mjy": 4.23456, "noise_ratio": 1.1, "flagged_fraction": 0.12345}
    assert one_tile(qa=qa) == [
        TILES[0], "passed", "yes", "4.235", "1.100", "14.4 × 10.9", "12.3 %", DASH, DASH, BANDPASS,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("altitude", "daytime", "shown"), [(40.4, True, "day: 40° high, 71° away"), (-12.0, False, "night")]
)
def test_a_tile_says_day_or_night_and_where_the_sun_is(altitude, daytime, shown):
    sun = {"altitude_deg": altitude, "separation_deg": 71.2, "daytime": daytime}
    assert one_tile(facts=IMAGE | {"sun": sun})[7] == shown


def test_a_tile_that_was_left_out_says_why():
    assert (
        one_tile(mosaic={"left_out": {TILES[0]: "its image failed <no_data>"}})[2] == "no: its image failed <no_data>"
    )


def test_a_tile_without_image_has_dashes():
    assert one_tile(facts={}) == [TILES[0], "passed", "yes", *[DASH] * 7]


@pytest.mark.parametrize(
    ("of_ms", "of_image", "shown"),
    [
        (MS, None, "none"),
        (MS | {"missing_subbands": [3, 7]}, [], "sb03, sb07"),  # the Measurement Set knows better than the image
        ({}, [5], "sb05"),  # not converted
        (None, [5], "sb05"),  # no twin of it in the lineage
        (None, [], "none"),
        (None, None, DASH),
    ],
)
def test_missing_subbands_are_those_of_the_ms_or_else_of_the_image(of_ms, of_image, shown):
    others = [] if of_ms is None else [twin("ms", TILES[0], facts=of_ms)]
    assert one_tile(*others, facts=IMAGE | {"missing_subbands": of_image})[8] == shown


@pytest.mark.parametrize(
    ("facts", "sets", "shown"),
    [
        ({"bandpass": BANDPASS, "gains": BANDPASS}, [BANDPASS], BANDPASS),
        ({"bandpass": BANDPASS, "gains": GAINS}, [GAINS], f"bandpass {BANDPASS}gains {GAINS}"),
        ({"bandpass": BANDPASS, "gains": GAINS}, None, f"bandpass {BANDPASS}gains {GAINS}"),
        (
            {"bandpass": BANDPASS, "gains": BANDPASS},
            [BANDPASS, GAINS],
            f"bandpass {BANDPASS}gains {BANDPASS}and {GAINS}",
        ),
        ({"bandpass": BANDPASS, "gains": None}, [], f"bandpass {BANDPASS}gains {DASH}"),
        ({"bandpass": None, "gains": None}, None, DASH),
    ],
)
def test_the_calibration_of_a_tile_is_one_set_or_bandpass_and_gains(facts, sets, shown):
    others = [] if sets is None else [twin("calibrated", TILES[0], facts=MS | {"gain_sets": sets})]
    assert one_tile(*others, facts=IMAGE | facts)[9] == shown


def test_a_tile_that_could_not_be_calibrated_names_no_gain_sets():
    failed = twin("calibrated", TILES[0], (FAILED,), facts={})
    assert one_tile(failed)[9] == BANDPASS


def test_calibrations_have_their_anchor_and_what_was_lost():
    facts = {"type": "bandpass", "tile": TILES[0], "calibrator": "3C286", "flux_anchor": "PB2017", "refant": "24"}
    lineage = tree(
        twin("calibration", BANDPASS, facts=facts, qa={"snr_median": 151.66, "flagged_fraction": 0.0125}),
        twin("calibration", GAINS, (FAILED,), facts={"type": "gains", "tile": TILES[1]}),
    )
    assert cells(calibrations_table(lineage)) == [
        [BANDPASS, "passed", "bandpass", "3C286", "PB2017", "24", "151.7", "1.2 %"],
        [GAINS, "failed", "gains", DASH, DASH, DASH, DASH, DASH],
    ]
    assert calibrations_table(tree()) == '<p class="soft">None.</p>'


def test_each_tile_has_its_place_with_the_pictures_that_are_there(tmp_path):
    named = IMAGE | {"files": {"thumbnail": "t.png", "quality": "t.quality.png"}}
    folder = tmp_path / "image" / TILES[0]
    folder.mkdir(parents=True)
    for name in ("t.png", "t.quality.png"):
        Image.new("L", (500, 250), 99).save(folder / name)
    lineage = tree(
        twin("image", TILES[0], facts=named),
        twin("image", TILES[1], facts=named),  # its files are gone
        twin("image", "2026-02-11T00:37:07", facts=IMAGE),  # it names none
        twin("image", "2026-02-11T00:42:16", facts={}),  # it has no image
        root=str(tmp_path),
    )
    shown = tile_pictures(lineage)
    assert re.findall(r'alt="([^"]*)"', shown) == ["t", "t quality"]
    assert re.findall(r'<details id="([^"]*)"', shown) == [
        anchor(name) for name in (*TILES, "2026-02-11T00:37:07", "2026-02-11T00:42:16")
    ]
    assert shown.count("Its pictures are not kept.") == 2 and shown.count("No image was made.") == 1
    # The table of tiles leads there.
    table = tiles_table(twin("mosaic", "mosaic_20260211T002649", facts=MOSAIC), lineage)
    assert all(f'href="#{anchor(tile)}"' in table for tile in TILES) and ":" not in anchor(TILES[0])


def test_each_calibration_has_its_plots(tmp_path):
    folder = tmp_path / "calibration" / BANDPASS
    folder.mkdir(parents=True)
    for name in ("delays", "overlay", "bandpass", "gains", "losses"):
        Image.new("L", (50, 25), 99).save(folder / f"{BANDPASS}.{name}.png")
    both = (twin("calibration", name, facts={"type": "bandpass", "tile": TILES[0]}) for name in (BANDPASS, GAINS))
    lineage = tree(*both, root=str(tmp_path))
    shown = calibration_pictures(lineage)
    found = [f"{BANDPASS} {name}" for name in ("delays", "overlay", "gains", "losses")]
    assert re.findall(r'alt="([^"]*)"', shown) == found
    assert f'<details id="{anchor(GAINS)}">' in shown and shown.count("Its pictures are not kept.") == 1
    assert f'href="#{anchor(GAINS)}"' in calibrations_table(lineage)


LAYOUT = Layout(*(Path("/r") / name for name in ("incoming", "stage", "products", "state")))


def provenance(mosaic: Twin, lineage: Lineage) -> tuple[dict[str, str], list[list[str]]]:
    """Return the rows of the first table by their names, and those of the second."""
    first, second = re.findall(
        r'<div class="scroll">.*?</table></div>', provenance_tables(mosaic, lineage, LAYOUT), re.S
    )
    return {name: value for name, value in cells(first)}, cells(second)


def test_files_and_products_are_counted_by_kind():
    files = tuple(
        Input(path=f"/in/{kind}{n}", kind=kind, id=f"{kind}{n}", sha256=f"{n:064d}")
        for kind, count in (("subband_file", 16), ("catalogue", 1), ("beam_cube", 2))
        for n in range(count)
    )
    mosaic = twin("mosaic", "mosaic_20260211T002649", facts=MOSAIC | {"calibrators": ["3C286", "3C48"]})
    lineage = tree(mosaic, *(twin("image", tile, facts=IMAGE) for tile in TILES), files=files)
    rows, _ = provenance(mosaic, lineage)
    assert (rows["subband files"], rows["files: catalogue"], rows["files: beam_cube"]) == ("16", "1", "2")
    assert rows["products"] == "0 ms, 0 calibration, 0 calibrated, 2 image"
    assert rows["calibrators"] == "3C286, 3C48"


def test_parameters_are_those_of_the_mosaic_without_thresholds():
    parameters = {"mosaic": {"cell_arcsec": 3.0, "kernel": "lanczos<3>"}, "qa": {"version": 1}, "pb_limit": 0.2}
    mosaic = twin("mosaic", "mosaic_20260211T002649", facts=MOSAIC, parameters=parameters)
    rows, _ = provenance(mosaic, tree(mosaic))
    assert rows["mosaic parameters"] == "mosaic.cell_arcsec=3.0  mosaic.kernel=lanczos<3>  pb_limit=0.2"


def test_software_has_every_version_that_made_a_product():
    mosaic = twin("mosaic", "mosaic_20260211T002649", facts=MOSAIC, libraries={"numpy": "2.1", "ducc0": "0.36"})
    older = twin("image", TILES[0], facts=IMAGE, code_version="0.0.9", libraries={"numpy": "1.26"})
    rows, _ = provenance(mosaic, tree(mosaic, older))
    assert rows["software"] == "contimg 0.0.9, contimg 0.1.0, ducc0 0.36, numpy 1.26, 2.1"


@pytest.mark.parametrize(
    ("root", "shown"),
    [("/r/stage", "stage/image/"), ("/r/products", "products/image/"), ("/elsewhere", "/elsewhere/image/")],
)
def test_twins_are_named_below_their_root_with_the_first_digits_of_their_sha256(root, shown):
    mosaic = twin("mosaic", "mosaic_20260211T002649", facts=MOSAIC)
    lineage = tree(mosaic, twin("image", TILES[0], facts=IMAGE), root=root)
    _, digests = provenance(mosaic, lineage)
    assert digests[1] == ["image", TILES[0], f"{shown}{TILES[0]}.json", f"{1:064x}"[:16]]


def test_texts_of_twins_cannot_become_markup():
    evil = "<script>alert(1)</script>"
    facts = MOSAIC | {"calibrators": [evil], "left_out": {TILES[0]: evil}}
    mosaic = twin("mosaic", "mosaic_20260211T002649", facts=facts, parameters={evil: {evil: evil}}, notes=[evil])
    lineage = tree(mosaic, twin("image", TILES[0], facts=IMAGE | {"bandpass": evil}, notes=[evil]))
    for markup in (
        verdicts_table(lineage), tiles_table(mosaic, lineage), provenance_tables(mosaic, lineage, LAYOUT),
    ):  # fmt: skip
        assert "<script" not in markup and evil in unescape(markup)
