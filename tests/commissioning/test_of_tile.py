"""The check of a calibrator's tile for its calibration's twin, and what a gone or damaged file makes of it."""

from __future__ import annotations

import json
import shutil

import pytest

from contimg.commissioning.of_tile import first_light_of_tile
from contimg.config import BeamOptions, CalibrationOptions
from contimg.products.twin import Input, Twin, write_twin


@pytest.fixture
def tile(clean_night, tmp_path):
    """Return the twin of a tile, its raw files, and the options that know its calibrator."""
    files = []
    for path in sorted((clean_night / "incoming").glob("*.hdf5"))[:4]:
        files.append(tmp_path / path.name)
        shutil.copy(path, files[-1])
    inputs = [Input(path=str(path), kind="subband_file", id=path.name, sha256="0" * 64) for path in files]
    twin = Twin(kind="ms", id="2026-02-11T08:00:06", verdict="passed", inputs=inputs, synthetic=True)
    write_twin(tmp_path / "tile.json", twin)
    return tmp_path / "tile.json", files, CalibrationOptions(calibrators=str(clean_night / "calibrators.csv"))


def test_summary_of_the_findings(tile):
    twin, _, options = tile
    found = first_light_of_tile(twin, "SIMCAL", options, BeamOptions())
    assert found["refuted"] == []
    by_key = {one["key"]: one for one in found["findings"]}
    assert by_key["sign"]["verdict"] == "confirmed" and by_key["sign"]["value"] > 0.95
    assert by_key["files"]["value"] == 4
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_without_a_calibrator_nothing_is_checked(tile):
    assert first_light_of_tile(tile[0], None, tile[2], BeamOptions()) is None


def test_gone_and_damaged_files_are_said(tile):
    twin, files, options = tile
    for path in files:
        path.write_bytes(b"damaged")
    assert "not a whole HDF5 file" in first_light_of_tile(twin, "SIMCAL", options, BeamOptions())["unchecked"]
    files[0].unlink()
    found = first_light_of_tile(twin, "SIMCAL", options, BeamOptions())
    assert found == {"unchecked": "1 of the tile's 4 raw files are gone"}
