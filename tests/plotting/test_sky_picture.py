"""The picture of a piece of sky: labels where the sources are, one stretch, close-ups, letters that can be read."""

import dataclasses

import numpy as np
import pytest
from astropy.wcs import WCS
from PIL import Image

from contimg.plotting import close_ups, labels
from contimg.plotting.sky_picture import (
    HIGH_SIGMA,
    LOW_SIGMA,
    NARROW_IN,
    WIDE_IN,
    Mark,
    SkyPicture,
    _heading,
    block_means,
    draw,
)
from contimg.plotting.stretch import norm_of

RMS_MJY = 0.5
CALIBRATOR = Mark("3C286", 202.7845, 30.5092, calibrator=True)


def picture(shape=(300, 900), **changes):
    """Noise with five sources on a tangent plane, of which the calibrator is the second brightest."""
    ny, nx = shape
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---SIN", "DEC--SIN"], [202.7845, 30.5092]
    wcs.wcs.crpix, wcs.wcs.cdelt = [nx // 2 + 1, ny // 2 + 1], [-0.006, 0.006]
    image = np.random.default_rng(1).normal(0, RMS_MJY / 1e3, shape).astype(np.float32)
    y, x = np.indices(shape)
    for row, column, flux in ((0.2, 0.1, 20.0), (0.5, 0.5, 13.96), (0.8, 0.3, 1.5), (0.3, 0.8, 0.9), (0.7, 0.97, 0.2)):
        centre = round(row * ny), round(column * nx)
        image += flux * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 8).astype(np.float32)
        image[centre] = flux
    image[ny // 4, nx // 4] = -4.05e-3
    image[:, : nx // 40] = np.nan
    given = {
        "image_jy": image, "noise_jy": RMS_MJY / 1e3, "wcs": wcs, "cell_deg": 0.006, "beam_deg": (0.03, 0.025, 20.0),
        "rms_mjy": RMS_MJY, "title": "mosaic_20260211T113608", "facts": ("10 tiles", "1.4056 GHz"),
        "brightness": "brightness", "synthetic": True, "marks": (CALIBRATOR, Mark("SIM0001", 203.7, 30.0)),
    }  # fmt: skip
    return SkyPicture(**(given | changes))


@pytest.mark.parametrize("width_in", [WIDE_IN, NARROW_IN], ids=["wide", "narrow"])
def test_the_same_bytes_each_time_at_the_width_asked_for(tmp_path, width_in):
    found = draw(tmp_path / "one.png", picture(), width_in)
    draw(tmp_path / "two.png", picture(), width_in, found)
    draw(tmp_path / "real.png", picture(synthetic=False), width_in)
    one, two, real = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "two", "real"))
    assert one == two != real
    with Image.open(tmp_path / "one.png") as opened:
        assert opened.width == width_in * 120


@pytest.mark.parametrize("shape", [(60, 60), (1300, 200), (40, 3000)], ids=str)
@pytest.mark.parametrize("width_in", [WIDE_IN, NARROW_IN], ids=["wide", "narrow"])
def test_any_shape_is_drawn(tmp_path, shape, width_in):
    draw(tmp_path / "a.png", picture(shape), width_in)
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.width == width_in * 120 and opened.height < 2400


@pytest.mark.parametrize("width_in", [WIDE_IN, NARROW_IN], ids=["wide", "narrow"])
def test_no_text_is_cut_and_no_labels_cover_each_other(tmp_path, width_in, monkeypatch):
    """Every letter lies within the figure, as matplotlib measures it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation, Text

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: figures.append(self))
    draw(tmp_path / "a.png", picture(), width_in)
    (figure,) = figures
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    edge = figure.bbox
    shown = [one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip()]
    for text in shown:
        box = text.get_window_extent(renderer)
        assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1, text.get_text()
    boxes = [one.get_window_extent(renderer) for one in shown if isinstance(one, Annotation)]
    for number, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[number + 1 :])


@pytest.mark.parametrize("across", [-30, -12, 12, 30, 60])
def test_no_label_covers_the_most_negative_pixel(tmp_path, across, monkeypatch):
    """It is often beside the brightest source, where the label of that is wanted."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

    shown = picture()
    shown.image_jy[150, 450 + across] = -20e-3
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: figures.append(self))
    found = draw(tmp_path / "a.png", shown, WIDE_IN)
    assert (found.lowest.y, found.lowest.x) == (150, 450 + across)
    (figure,) = figures
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    place = figure.axes[0].transData.transform((found.lowest.x, found.lowest.y))
    boxes = {one.get_text(): one.get_window_extent(renderer) for one in figure.axes[0].findobj(Annotation)}
    assert {"−40.0σ", "3C286 13.96 Jy"} <= set(boxes)
    for text, box in boxes.items():
        assert not box.contains(*place), text


@pytest.mark.parametrize("row", [21, 150, 278])
def test_letters_of_close_ups_at_the_edge_stand_within_the_picture(tmp_path, row, monkeypatch):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    residual = np.zeros((300, 900), np.float32)
    residual[row, 200] = -50e-3
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: figures.append(self))
    draw(tmp_path / "a.png", picture(residual_jy=residual), WIDE_IN)
    (figure,) = figures
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    edge = figure.axes[0].get_window_extent(renderer)
    thin = 900 / figure.axes[0].images[0].get_array().shape[1]
    assert figure.axes[0].get_ylim() == pytest.approx((-0.5, 300 / thin - 0.5))  # no grey margin beside the image
    letters = {one.get_text().strip(): one for one in figure.axes[0].findobj(Text)}
    box = letters["b"].get_window_extent(renderer)
    assert edge.y0 <= box.y0 and box.y1 <= edge.y1


def test_calibrator_and_five_brightest_are_named():
    shown = picture()
    texts = labels.texts(shown, shown.features())
    assert [text for _, text in texts] == ["3C286 13.96 Jy", "20.00 Jy", "1.500 Jy", "900 mJy", "200 mJy"]
    assert (texts[0][0].y, texts[0][0].x) == (150, 450)


def test_the_lowest_pixel_and_the_count_are_said():
    shown = picture()
    found = shown.features()
    assert (found.lowest.y, found.lowest.x, found.below) == (75, 225, 1)
    assert _heading(shown, found, True) == [
        "10 tiles   ·   1.4056 GHz   ·   peak 20.00 Jy, lowest −4.05 mJy per beam   ·   1 pixel below −5σ"
        " (lowest −8.1σ)"
    ]
    assert max(map(len, _heading(shown, found, False))) <= 62


def test_close_ups_are_of_calibrator_worst_residual_and_deepest_part():
    noise = np.full((300, 900), RMS_MJY / 1e3, np.float32)
    noise[200:220, 700:720] = 0.2e-3
    shown = picture(noise_jy=noise)
    squares = close_ups.choose(shown, shown.features())
    assert [square.letter for square in squares] == ["a", "b", "c"]
    assert (squares[0].y, squares[0].x, squares[0].title) == (150, 450, "3C286, 13.96 Jy/beam")
    assert squares[1].title.startswith("lowest, −") and squares[2].title == "deepest, rms 0.200 mJy"
    assert 200 <= squares[2].y < 220 and 700 <= squares[2].x < 720


@pytest.mark.parametrize(("value", "title"), [(9e-3, "worst residual, +18.0σ"), (-7e-3, "worst residual, −14.0σ")])
def test_the_worst_residual_may_have_either_sign(value, title):
    residual = np.zeros((300, 900), np.float32)
    residual[33, 44] = value
    shown = picture(residual_jy=residual)
    square = close_ups.choose(shown, shown.features())[1]
    assert (square.y, square.x, square.title) == (33, 44, title)


def test_without_a_calibrator_in_the_image_the_brightest_source_is_shown():
    away = dataclasses.replace(CALIBRATOR, ra_deg=20.0)
    for marks in ((), (away,)):
        shown = picture(marks=marks)
        assert close_ups.choose(shown, shown.features())[0].title == "brightest, 20.00 Jy/beam"


def test_a_close_up_at_the_edge_is_blank_beyond_it():
    image = np.arange(20.0, dtype=np.float32).reshape(4, 5)
    cut = close_ups.cut_out(image, close_ups.Square("a", 0, 4, 1, ""))
    assert np.array_equal(cut, np.array([[np.nan] * 3, [3, 4, np.nan], [8, 9, np.nan]]), equal_nan=True)
    assert (close_ups.cut_out(0.5, close_ups.Square("a", 0, 0, 2, "")) == 0.5).all()


def test_the_stretch_shows_noise_and_bright_sources_in_one_order():
    """Of the colours: dark to light without a step back, so that they are told apart without hue."""
    from matplotlib import colormaps

    norm = norm_of(RMS_MJY)
    assert float(norm(LOW_SIGMA * RMS_MJY)) == 0 and float(norm(HIGH_SIGMA * RMS_MJY)) == 1
    red, green, blue, _ = colormaps["inferno"](np.linspace(0, 1, 256)).T
    luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    assert (np.diff(luminance) > 0).all()


@pytest.mark.parametrize("thin", [1, 2, 3, 7])
def test_block_means(thin):
    data = np.random.default_rng(2).normal(size=(21, 42))
    data[:3, :5] = np.nan
    rows, columns = range(0, 21, thin), range(0, 42, thin)
    parts = [[data[r : r + thin, c : c + thin] for c in columns] for r in rows]
    expected = [[np.nanmean(one) if np.isfinite(one).any() else np.nan for one in row] for row in parts]
    assert np.allclose(block_means(data, thin), expected, equal_nan=True)


def test_a_width_that_is_no_multiple_has_means_of_what_there_is():
    assert block_means(np.arange(25.0).reshape(5, 5), 2)[2, 2] == 24.0


@pytest.mark.parametrize("width_in", [WIDE_IN, NARROW_IN], ids=["wide", "narrow"])
@pytest.mark.parametrize("column", [30, 240, 600, 660, 700, 760, 890])
def test_no_label_touches_the_frame(tmp_path, width_in, column, monkeypatch):
    """A label near the right edge stands to the left of its source, by its measured width."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

    shown = picture(marks=[CALIBRATOR])
    ra_deg, dec_deg = shown.wcs.all_pix2world(column, 110, 0)
    y, x = np.indices(shown.image_jy.shape)
    shown.image_jy[:] += 30 * np.exp(-((y - 110) ** 2 + (x - column) ** 2) / 8)
    shown = dataclasses.replace(shown, marks=[CALIBRATOR, Mark("SIM0001WWW", float(ra_deg), float(dec_deg))])
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: figures.append(self))
    draw(tmp_path / "a.png", shown, width_in)
    (figure,) = figures
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    frame = figure.axes[0].get_window_extent(renderer)
    for one in figure.axes[0].findobj(Annotation):
        box = one.get_window_extent(renderer)
        assert frame.x0 + 3 <= box.x0 and box.x1 <= frame.x1 - 3, one.get_text()


def test_labels_give_the_peak_between_pixels():
    """Pixels of 2.7 to a beam: the highest is 9 % below the peak."""
    shown = picture(marks=[CALIBRATOR])
    y, x = np.indices(shown.image_jy.shape)
    distance = 4 * np.log(2) * ((y - 100.5) ** 2 / 2.73**2 + (x - 300) ** 2 / 5.17**2)
    shown.image_jy[:] += 40.0 * np.exp(-distance).astype(np.float32)
    assert float(np.nanmax(shown.image_jy)) == pytest.approx(40 * 2 ** -((1 / 2.73) ** 2), rel=1e-3)
    found = shown.features()
    assert found.brightest[0].value == pytest.approx(40.0, rel=1e-4)
    assert labels.texts(shown, found)[1][1] == "40.00 Jy"
    assert "peak 40.00 Jy" in _heading(shown, found, True)[0]
    without = dataclasses.replace(shown, marks=())
    assert close_ups.choose(without, found)[0].title == "brightest, 40.00 Jy/beam"
