import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from contimg import times
from contimg.imaging import fits_output
from contimg.imaging.grid import TileGrid as TileGrid
from contimg.mosaic import fits_output as mosaic_fits
from contimg.mosaic.grid import MosaicGrid
from contimg.products.facts import BeamFacts, MosaicFiles, MosaicImageFacts
from contimg.products.fits_header import ImageKeywords

DAY = 61082  # 2026-02-11 (astropy: Time(61082, format='mjd').iso)
MJDS = st.floats(51544, 88069)  # 2000 to 2100


@pytest.mark.parametrize(
    ("seconds", "decimals", "text"),
    [
        (1602.558, 3, "2026-02-11T00:26:42.558"),
        (0.0004, 3, "2026-02-11T00:00:00.000"),
        (0.0006, 3, "2026-02-11T00:00:00.001"),
        (0.5, 0, "2026-02-11T00:00:01"),
        (0.4999, 0, "2026-02-11T00:00:00"),
        (12.25, 1, "2026-02-11T00:00:12.3"),
        (0.001234, 6, "2026-02-11T00:00:00.001234"),
        (86399.9996, 3, "2026-02-12T00:00:00.000"),  # the carry goes through to the date
        (-0.0004, 3, "2026-02-11T00:00:00.000"),
    ],
)
def test_text_is_rounded_to_the_decimals_asked_for(seconds, decimals, text):
    moment = times.MJD_EPOCH + timedelta(days=DAY, seconds=seconds)
    assert times.utc_from_datetime(moment, decimals) == text
    halves = 2 * seconds * 10**decimals
    if decimals < 6 and halves % 2 != 1:  # a float64 MJD is granular by 0.6 us: no exact ties, no microseconds
        assert times.utc_from_mjd(DAY + seconds / 86400, decimals) == text


@given(MJDS, st.integers(0, 5))
def test_text_differs_from_the_time_by_half_a_step_at_most(mjd, decimals):
    text = times.utc_from_mjd(mjd, decimals)
    assert len(text) == (20 + decimals if decimals else 19)
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    error_s = (moment - times.datetime_from_mjd(mjd)).total_seconds()
    assert abs(error_s) <= 0.5 * 10**-decimals + 1e-9


@pytest.mark.filterwarnings("ignore:ERFA function")
@given(MJDS)
def test_mjds_are_those_of_astropy(mjd):
    moment = times.datetime_from_mjd(mjd)
    assert Time(moment.replace(tzinfo=None), scale="utc").mjd == pytest.approx(mjd, abs=2e-11)
    assert times.mjd_from_datetime(moment) == pytest.approx(mjd, abs=2e-11)
    assert times.MJD_ZERO_JD + mjd == pytest.approx(Time(mjd, format="mjd", scale="utc").jd, abs=1e-9)


def test_a_datetime_of_another_zone_is_turned_to_utc():
    there = datetime(2026, 2, 10, 16, 26, 42, 558000, tzinfo=timezone(timedelta(hours=-8)))
    assert times.utc_from_datetime(there) == "2026-02-11T00:26:42.558"


def test_years_have_four_digits():
    assert times.utc_from_datetime(datetime(33, 4, 3, tzinfo=UTC), 0) == "0033-04-03T00:00:00"


@pytest.mark.parametrize("decimals", [-1, 7])
def test_decimals_that_a_datetime_does_not_hold_are_refused(decimals):
    with pytest.raises(ValueError, match="0 to 6 decimals"):
        times.utc_from_datetime(times.MJD_EPOCH, decimals)


@pytest.mark.parametrize("mjd", [math.nan, math.inf, 1e9])
def test_what_is_no_time_is_an_error(mjd):
    with pytest.raises((ValueError, OverflowError)):
        times.utc_from_mjd(mjd)


@pytest.mark.parametrize(("decimals", "said"), [(0, "23:59:59Z"), (3, "23:59:59.999Z"), (6, "23:59:59.999999Z")])
def test_now_is_never_ahead_of_the_clock(decimals, said, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 2, 11, 23, 59, 59, 999_999, tzinfo=tz)

    monkeypatch.setattr(times, "datetime", Clock)
    assert times.now(decimals) == f"2026-02-11T{said}"


def test_now_says_its_zone_and_is_now():
    before = datetime.now(UTC)
    said = datetime.fromisoformat(times.now())
    assert times.now().endswith("Z")
    assert abs(said - before) < timedelta(seconds=5)


def test_a_span_names_both_ends_to_the_second():
    start, end = DAY + 1602.558 / 86400, DAY + 1911.12 / 86400
    assert times.span_from_mjd(start, end) == "2026-02-11 00:26:43 – 00:31:51 UTC"


@pytest.mark.parametrize("fraction_ms", [0.1, 0.49, 0.51, 0.9])
def test_a_tile_and_its_mosaic_give_one_instant_the_same_text(fraction_ms):
    start = DAY + (1602 + fraction_ms / 1000) / 86400
    end = DAY + (1911 + fraction_ms / 1000) / 86400
    keywords = ImageKeywords(
        kind="tile", name="2026-02-11T00:26:42", telescope="OVRO_DSA", beam_deg=(0.01, 0.01, 0.0), freq_hz=1.4e9,
        bandwidth_hz=1.8e8, start_mjd=start, end_mjd=end, synthetic=True,
    )  # fmt: skip
    tile = fits_output.header(TileGrid(64, 1e-5, (2.0, 0.9)), keywords)
    facts = MosaicImageFacts.model_construct(
        beam=BeamFacts(bmaj_arcsec=20.0, bmin_arcsec=20.0, bpa_deg=0.0), telescope="OVRO_DSA", freq_hz=1.4e9,
        bandwidth_hz=1.8e8, start_mjd=start, end_mjd=end, flux_anchor="3C 147",
        files=MosaicFiles(image="", weights="", rms="", picture="", tiles=""),
    )  # fmt: skip
    mosaic = mosaic_fits.header(
        MosaicGrid((120.0, 50.0), 1e-3, (32, 32), (64, 64)), facts, "mosaic_20260211T002642", [], True
    )
    milliseconds = "001" if fraction_ms > 0.5 else "000"
    for key, minute in (("DATE-OBS", "26:42"), ("DATE-BEG", "26:42"), ("DATE-END", "31:51")):
        assert tile[key] == mosaic[key] == f"2026-02-11T00:{minute}.{milliseconds}"


def test_times_are_formatted_in_one_place():
    """Days of a calendar are another thing; `simulate` shares nothing with the pipeline."""
    root = Path(times.__file__).parent
    elsewhere = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in sorted(root.rglob("*.py"))
        if path.relative_to(root).parts[0] not in ("simulate", "times.py", "naming.py")
        for line in path.read_text().splitlines()
        if "strftime(" in line or "isoformat(timespec" in line or "2_400_000.5" in line or "2400000.5" in line
    ]
    assert elsewhere == []


@pytest.mark.parametrize(
    "seconds, text",
    [(90, "2 min"), (7200, "120 min"), (172800, "2880 min"), (172801, "2.0 days"), (31557600, "365.2 days")],
)
def test_a_span_in_words(seconds, text):
    assert times.span_text(seconds) == text
