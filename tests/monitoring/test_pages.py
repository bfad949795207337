"""The pages as a browser shows them: on a desk (1400 px) and on a telephone (420 px) nothing sticks out."""

import pytest

from contimg.monitoring.overview import overview
from contimg.monitoring.overview_page import write_page
from contimg.monitoring.period_page import write_period_page
from contimg.monitoring.period_report import of_night, period_report
from contimg.monitoring.trends import trends
from contimg.monitoring.trends_page import write_trends_page
from tests.monitoring import test_period_report
from tests.monitoring.test_jobs import failed
from tests.monitoring.test_trends import weeks
from tests.support.browser import look

__all__ = ["weeks"]
pytestmark = pytest.mark.chromium
LONG = "InputError: /data/incoming/2026-02-11T00:26:49_sb03.hdf5" + "/deep" * 30 + " is torn: copy it again"


@pytest.fixture(scope="module")
def pages(tmp_path_factory, weeks):
    """Pages of a night with a failure and a held mosaic, of its state, and of the weeks."""
    place = tmp_path_factory.mktemp("pages")
    config = test_period_report.night_below(place)
    failed(place, text=LONG)
    night = period_report(config, place, of_night(config, test_period_report.NIGHT))
    write_period_page(night, place / "night.html")
    write_page(overview(config, place).content, place / "state.html")
    write_trends_page(trends(weeks, days=30), place / "trends.html")
    return place


@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.parametrize("name", ["night", "state", "trends"])
def test_a_page_fits_its_window(pages, name, width):
    seen = look(pages / f"{name}.html", width, pages)
    assert seen.sticking_out == [] and seen.scroll_px <= width
    assert seen.pixels.shape[1] == width
    assert 0.01 < seen.ink < 0.9
