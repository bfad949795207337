"""Where matplotlib keeps its cache, and the stamp of simulated data."""

import os
import stat
import tempfile

import pytest

from contimg.errors import ContimgError
from contimg.plotting import matplotlib_cache, stamp_synthetic


@pytest.fixture
def temporary(monkeypatch, tmp_path):
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    os.environ.pop("MPLCONFIGDIR", None)


def test_the_cache_is_a_private_folder_that_stays(temporary):
    place = matplotlib_cache()
    assert place == temporary / f"contimg-matplotlib-{os.getuid()}"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert os.environ["MPLCONFIGDIR"] == str(place)
    (place / "fontlist.json").write_text("{}")
    del os.environ["MPLCONFIGDIR"]
    assert matplotlib_cache() == place
    assert (place / "fontlist.json").exists()


def test_a_folder_that_the_user_chose_is_left_alone(temporary, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(temporary / "mine"))
    assert matplotlib_cache() == temporary / "mine"
    assert list(temporary.iterdir()) == []


def test_a_link_in_its_place_is_refused(temporary):
    (temporary / "elsewhere").mkdir()
    (temporary / f"contimg-matplotlib-{os.getuid()}").symlink_to(temporary / "elsewhere")
    with pytest.raises(ContimgError, match="belongs to another user: set MPLCONFIGDIR"):
        matplotlib_cache()


def test_the_stamp_stands_where_it_is_put():
    from matplotlib.figure import Figure

    figure = Figure()
    stamp_synthetic(figure, 0.9, 0.95)
    (text,) = figure.texts
    assert (text.get_text(), text.get_position(), text.get_ha()) == ("SYNTHETIC", (0.9, 0.95), "right")
