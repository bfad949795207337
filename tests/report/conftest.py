"""A small night with a mosaic, a comparison, tiles and a calibration, of which pages are made."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.config import CrossmatchOptions, MosaicOptions, QaOptions
from contimg.crossmatch.crossmatch_mosaic import crossmatch_mosaic
from contimg.mosaic.mosaic_group import mosaic_group
from contimg.naming import Layout
from contimg.products.twin import Input, Reason, Twin, input_from_twin, read_twin, write_twin
from tests.support.fake_tiles import Sky, TileMaker

MOSAIC_ID = "mosaic_20260211T000000"
EVIL = "<script>alert('1 & 2')</script>"


@pytest.fixture(scope="session")
def night(tmp_path_factory):
    """A mosaic of two tiles with calibrations below them, one tile left out, and a comparison of too few sources."""
    root = tmp_path_factory.mktemp("night").resolve()
    stage = root / "stage"
    maker = TileMaker(stage, facts={"missing_subbands": [3, 7], "flux_anchor": EVIL})
    sky = Sky(np.array([127.3, 128.0]), np.array([54.6, 54.2]), np.array([3.0, 2.0]))
    fault = Reason(code="no_data", severity="failed", message="nothing")
    twins = [maker.make(0, 127.0, sky), maker.make(1, 128.29, sky), maker.make(2, 129.0, reasons=(fault,))]
    calibration = stage / "calibrations" / "2026-02-11" / "cal_20260211T000000.json"
    write_twin(
        calibration,
        Twin(
            kind="calibration",
            id="cal_20260211T000000",
            verdict="passed",
            facts={
                "type": "bandpass",
                "tile": "2026-02-11T00:00:00",
                "calibrator": "3C147",
                "flux_anchor": "PB2017",
                "refant": "24",
            },
            qa={"snr_median": 87.5, "flagged_fraction": 0.0125},
            inputs=[
                Input(path=f"/in/sb{i:02d}.hdf5", kind="subband_file", id=f"sb{i:02d}", sha256=f"{i:064d}")
                for i in range(16)
            ],
            synthetic=True,
        ),
    )
    _, record = input_from_twin(calibration)
    for path in twins:
        write_twin(path, read_twin(path).model_copy(update={"inputs": [record]}))
    layout = Layout(root / "incoming", stage, root / "products", root / "state")
    mosaic = layout.twin("mosaic", MOSAIC_ID)
    mosaic_group(
        twins, layout.product("mosaic", MOSAIC_ID), mosaic, mosaic_id=MOSAIC_ID,
        options=MosaicOptions(cell_arcsec=60.0), pb_limit=0.2, qa=QaOptions(),
    )  # fmt: skip
    catalogue = root / "catalogue.csv"
    catalogue.write_text("name,ra_deg,dec_deg,flux_jy\na,127.3,54.6,3.0\nb,128.0,54.2,2.0\n")
    comparison = layout.twin("crossmatch", MOSAIC_ID)
    crossmatch_mosaic(
        mosaic, layout.product("crossmatch", MOSAIC_ID), comparison, catalogue=catalogue,
        options=CrossmatchOptions(radius_arcsec=120.0), qa=QaOptions(),
    )  # fmt: skip
    return layout, mosaic, comparison
