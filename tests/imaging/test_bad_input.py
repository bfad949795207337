"""Tiles that hold no image, and images that no machine holds: one sentence, and the right verdict."""

import numpy as np
import pytest

from contimg.config import ImageOptions
from contimg.errors import ConfigError
from contimg.imaging import limits
from contimg.products.twin import Reason, Twin, read_twin
from tests.imaging.test_image_tile import OPTIONS, TILE, run, tile
from tests.support import skies
from tests.support.twins import write_with_manifest


def test_a_tile_without_data_is_failed_with_a_reason(tmp_path):
    vis = skies.empty(antennas=4, times=2, channels=4)
    vis.flag[:] = True
    paths = tile(tmp_path, vis)
    twin = run(paths)
    assert (twin.verdict, [r.code for r in twin.reasons]) == ("failed", ["no_data"])
    assert list(paths[2].iterdir()) == []
    assert read_twin(paths[3]) == twin


def test_a_failed_calibration_makes_a_failed_image(tmp_path):
    (tmp_path / "in.ms").mkdir()
    reason = Reason(code="no_bandpass", severity="failed", message="none within 24 h")
    source = Twin(kind="calibrated", id=TILE, verdict="failed", reasons=[reason], synthetic=True)
    write_with_manifest(tmp_path / "in.json", source)
    paths = tmp_path / "in.ms", tmp_path / "in.json", tmp_path / "out", tmp_path / "out.json"
    twin = run(paths)
    assert [r.code for r in twin.reasons] == ["calibration_failed"]
    assert "no_bandpass" in twin.reasons[0].message
    assert list(paths[2].iterdir()) == []


def test_three_antennas_closer_than_a_wavelength_have_no_beam_and_are_failed(tmp_path):
    twin = run(tile(tmp_path, skies.empty(antennas=3, times=1, channels=2, span_m=0.1)))
    assert [r.code for r in twin.reasons] == ["beam_fit"]


@pytest.mark.parametrize(("times", "channels"), [(24, 64), (1, 64), (24, 1)])
def test_one_baseline_is_failed_whatever_its_coverage(tmp_path, times, channels):
    vis = skies.empty(antennas=2, times=times, channels=channels, span_m=300)
    skies.add_source(vis, *skies.offset(vis, 0.1, 0.1), 5.0)
    skies.add_noise(vis, 0.1)
    twin = run(tile(tmp_path, vis), OPTIONS.model_copy(update={"size_px": 256}))
    assert (twin.verdict, [r.code for r in twin.reasons]) == ("failed", ["too_few_antennas"])


def test_a_measurement_set_without_rows_is_failed(tmp_path):
    from casacore import tables

    paths = tile(tmp_path, skies.empty(antennas=3, times=2, channels=4))
    with tables.table(str(paths[0]), ack=False) as table:
        table.query("ANTENNA1 < 0").copy(str(tmp_path / "none.ms"), deep=True).close()
    twin = run((tmp_path / "none.ms", *paths[1:]))
    assert (twin.verdict, [r.code for r in twin.reasons]) == ("failed", ["no_data"])
    assert "no rows" in twin.reasons[0].message
    assert list(paths[2].iterdir()) == []


def test_weights_that_are_no_numbers_count_as_flags(tmp_path):
    vis = skies.empty(antennas=8, times=4, channels=8, span_m=130)
    skies.add_source(vis, *skies.offset(vis, 0.2, 0.1), 1.0)
    skies.add_noise(vis, 0.05)
    all_bad = skies.empty(antennas=8, times=4, channels=8, span_m=130)
    all_bad.weight[:] = np.nan
    vis.weight[: len(vis.weight) // 3] = np.nan
    vis.data[: len(vis.weight) // 3] = 1e9
    small = OPTIONS.model_copy(update={"size_px": 256})
    twin = run(tile(tmp_path / "some", vis), small)
    assert twin.verdict != "failed"
    assert twin.qa["peak_mjy"] == pytest.approx(1000, rel=0.02)
    none = run(tile(tmp_path / "none", all_bad), small)
    assert [r.code for r in none.reasons] == ["no_data"]


def test_another_telescope_is_failed(tmp_path):
    vis = skies.empty(antennas=4, times=2, channels=4)
    vis.telescope = "VLA"
    twin = run(tile(tmp_path, vis))
    assert [r.code for r in twin.reasons] == ["wrong_telescope"]
    assert "'VLA'" in twin.reasons[0].message


def test_an_image_too_large_for_the_memory_or_the_sky_is_refused_before_anything_is_read(tmp_path):
    nothing = tmp_path / "in.ms", tmp_path / "in.json", tmp_path / "out", tmp_path / "out.json"
    with pytest.raises(ConfigError, match=r"size_px 4000000 needs 1792000\.0 GB of memory"):
        run(nothing, ImageOptions(size_px=4000000, cell_arcsec=0.01))
    with pytest.raises(ConfigError, match="233 degrees, more than the sky"):
        run(nothing, ImageOptions(size_px=14000, cell_arcsec=60.0))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"needs 2\.6 GB of memory, and there are 2\.0 GB"):
        limits.check_size(ImageOptions(), memory_bytes=2_000_000_000)
    limits.check_size(ImageOptions(), memory_bytes=3_000_000_000)


def test_wsclean_that_is_not_installed_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"image\.backend"):
        run(tile(tmp_path / "x", skies.empty(antennas=3, times=1, channels=2)), ImageOptions(backend="wsclean"))
