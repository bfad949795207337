"""Measurement Sets: what is written comes back, and other programs read it the same way."""

import subprocess

import numpy as np
import pytest

from contimg import measurement_set
from contimg.errors import InputError
from contimg.sky import geometry

OVRO = geometry.Location(0.6498455107238486, -2.064427799136453, 1188.0519)
CENTRE = np.radians([200.0, 54.0])  # WSClean writes right ascensions beyond 180 deg as negative


def make(*, antennas=7, times=5, channels=6, offset_rad=(0.0, 0.0), scale_m=300.0, noise=0.0):
    """Return visibilities of one 1-Jy source at (l, m) off the centre."""
    rng = np.random.default_rng(5)
    relative = rng.normal(0, scale_m, (antennas, 3))
    # Times at which the centre stands near the meridian.
    day = 61082 + np.linspace(0, 1, 2000)
    ha, _ = geometry.apparent_from_icrs(CENTRE, day, OVRO)
    mjd = day[np.abs(ha).argmin()] + np.arange(times) * 12.884902 / 86400
    one, two = np.triu_indices(antennas, 1)
    uvw = geometry.uvw(relative, CENTRE, mjd, OVRO)
    uvw = (uvw[:, one] - uvw[:, two]).reshape(-1, 3)
    freq = 1.4e9 + 2e6 * np.arange(channels)
    east, north = offset_rad
    lmn = np.array([east, north, np.sqrt(1 - east**2 - north**2) - 1])
    plane = np.exp(2j * np.pi * (uvw @ lmn)[:, None] * freq / geometry.C_M_S)
    data = np.repeat(plane[..., None], 2, axis=-1)
    data = data + noise * (rng.standard_normal(data.shape) + 1j * rng.standard_normal(data.shape))
    weight = np.full(data.shape, 96, np.float32)
    weight[:, 2] = 0
    return measurement_set.Visibilities(
        uvw_m=uvw, time_mjd_s=np.repeat(mjd * 86400, len(one)),
        antenna1=np.tile(one, times).astype(np.int32), antenna2=np.tile(two, times).astype(np.int32),
        freq_hz=freq, channel_width_hz=2e6, polarisations=("XX", "YY"), phase_centre_rad=CENTRE,
        times_mjd_s=mjd * 86400, pointing_rad=CENTRE + 1e-3 * np.arange(2 * times).reshape(-1, 2),
        antenna_names=[str(3 * n + 1) for n in range(antennas)], antenna_positions_m=relative + OVRO.itrf(),
        dish_diameter_m=4.65, telescope="OVRO_MMA", integration_s=12.884902, synthetic=True,
        history=["first writer", "second writer"], array_position_m=OVRO.itrf(),
        data=data.astype(np.complex64), flag=weight == 0, weight=weight,
    )  # fmt: skip


@pytest.fixture(scope="module")
def vis():
    return make(offset_rad=(0.004, -0.002))


@pytest.fixture(scope="module")
def ms(vis, tmp_path_factory):
    path = tmp_path_factory.mktemp("ms") / "one.ms"
    measurement_set.write(path, vis)
    return path


def test_round_trip(vis, ms):
    back = measurement_set.read(ms)
    for name, value in vars(vis).items():
        other = getattr(back, name)
        assert np.array_equal(value, other), name
        assert getattr(value, "dtype", None) == getattr(other, "dtype", None), name


def test_coordinates_alone(vis, ms):
    alone = measurement_set.read_coordinates(ms)
    assert alone.shape == vis.shape == vis.data.shape
    assert np.array_equal(alone.uvw_m, vis.uvw_m)


def test_same_content_same_bytes(vis, ms, tmp_path):
    again = tmp_path / "again.ms"
    measurement_set.write(again, vis)
    # Of the main table; casacore leaves arbitrary bytes between the cells of small subtables.
    bulk = sorted(path.name for path in ms.glob("table.f*"))
    assert len(bulk) > 5
    for name in bulk:
        assert (ms / name).read_bytes() == (again / name).read_bytes(), name


def test_written_in_parts(vis, ms, tmp_path):
    path = tmp_path / "parts.ms"
    cut = 40
    with measurement_set.create(path, vis) as writer:
        for rows in (slice(cut, None), slice(0, cut)):
            writer.put(rows.start, vis.data[rows], vis.weight[rows])
            writer.put_flags(rows.start, vis.flag[rows])
        writer.put_flags(3, ~vis.flag[3:7])
    back = measurement_set.read(path)
    assert np.array_equal(back.data, vis.data)
    assert np.array_equal(back.flag[3:7], ~vis.flag[3:7])
    assert np.array_equal(back.flag[7:], vis.flag[7:])


def test_main_table(vis, ms):
    from casacore import tables

    with tables.table(str(ms), ack=False) as table:
        assert table.getcol("WEIGHT") == pytest.approx(np.full((len(vis.uvw_m), 2), 96.0))
        assert table.getcol("SIGMA") == pytest.approx(np.full((len(vis.uvw_m), 2), 96**-0.5))
        assert not table.getcol("FLAG_ROW").any()
        years = 1858.879 + table.getcol("TIME") / 86400 / 365.25
        assert ((years > 2020) & (years < 2040)).all()
        assert np.array_equal(table.getcol("TIME"), table.getcol("TIME_CENTROID"))
        assert (table.getcol("ANTENNA1") < table.getcol("ANTENNA2")).all()
        managers = {info["NAME"]: info["TYPE"] for info in table.getdminfo().values()}
        assert managers["TiledDATA"] == managers["TiledWEIGHT_SPECTRUM"] == "TiledShapeStMan"
        with tables.table(table.getkeyword("SPECTRAL_WINDOW"), ack=False) as window:
            assert (window.getcol("CHAN_WIDTH") > 0).all()
            assert window.nrows() == 1


def test_directions_are_equal_and_icrs(vis, ms):
    from casacore import tables

    with tables.table(f"{ms}::FIELD", ack=False) as field:
        assert field.nrows() == 1
        for name in ("PHASE_DIR", "REFERENCE_DIR", "DELAY_DIR"):
            assert field.getcol(name).shape == (1, 1, 2)
            assert np.array_equal(measurement_set.direction(field.getcol(name))[0], vis.phase_centre_rad)
            assert field.getcolkeyword(name, "MEASINFO")["Ref"] == "ICRS"


@pytest.mark.parametrize("shape", [(3, 1, 2), (3, 2, 1), (3, 2)])
def test_direction_shapes(shape):
    value = np.arange(6.0).reshape(shape)
    assert np.array_equal(measurement_set.direction(value), [[0, 1], [2, 3], [4, 5]])


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 3, 2), (3, 2, 1, 1)])
def test_other_direction_shapes_are_errors(shape):
    with pytest.raises(ValueError, match="direction column"):
        measurement_set.direction(np.zeros(shape))


def test_bad_axes_are_refused(vis, tmp_path):
    wrong = measurement_set.Visibilities(**(vars(vis) | {"freq_hz": vis.freq_hz[::-1]}))
    with pytest.raises(ValueError, match="ascend"):
        measurement_set.write(tmp_path / "descending.ms", wrong)
    epoch = measurement_set.Visibilities(**(vars(vis) | {"time_mjd_s": vis.time_mjd_s + 51544 * 86400}))
    with pytest.raises(ValueError, match="year 2167"):
        measurement_set.write(tmp_path / "epoch.ms", epoch)


def test_no_measurement_set(tmp_path, ms):
    with pytest.raises(InputError, match="not a Measurement Set"):
        measurement_set.read(tmp_path)
    with pytest.raises(InputError, match="no column CORRECTED_DATA"):
        measurement_set.read(ms, column="CORRECTED_DATA")


def test_casa_reads_it(vis, ms, tmp_path):
    from contimg.calibration import casa

    log = tmp_path / "casa.log"
    with casa.tasks(log) as casatasks:
        import casatools

        casatasks.listobs(str(ms), listfile=str(tmp_path / "listobs.txt"))
        listed = (tmp_path / "listobs.txt").read_text()
        assert f"Data records: {len(vis.uvw_m)}" in listed and "Fields: 1" in listed and "XX  YY" in listed

        details = casatools.msmetadata()
        details.open(str(ms))
        assert details.antennanames() == vis.antenna_names
        assert details.nchan(0) == 6
        assert details.chanfreqs(0) == pytest.approx(vis.freq_hz)
        centre = details.phasecenter(0)
        assert centre["refer"] == "ICRS"
        assert centre["m0"]["value"] % (2 * np.pi) == pytest.approx(CENTRE[0], abs=1e-12)
        assert details.timesforfield(0) == pytest.approx(vis.times_mjd_s, abs=1e-3)
        assert details.observatorynames() == ["OVRO_MMA"]
        axis = details.pointingdirection(2 * 21, initialrow=0)["antenna1"]["pointingdirection"]
        assert axis["m1"]["value"] == pytest.approx(vis.pointing_rad[2, 1], abs=1e-9)
        details.done()
        table = casatools.ms()
        table.open(str(ms))
        assert table.getdata(["data"])["data"].shape == (2, 6, len(vis.uvw_m))
        assert table.summary()["nfields"] == 1
        table.close()
    said = log.read_text()
    assert "listobs" in said and "WARN" not in said and "SEVERE" not in said


def test_pyuvdata_reads_it(vis, ms):
    from astropy.utils import iers
    from pyuvdata import UVData

    with iers.conf.set_temp("auto_download", False):
        uv = UVData.from_file(str(ms), file_type="ms")
    # pyuvdata turns uvw and data back to its own sense: antenna 2 minus antenna 1.
    assert uv.uvw_array == pytest.approx(-vis.uvw_m, abs=1e-9)
    assert np.array_equal(uv.data_array, vis.data.conj())
    assert uv.nsample_array == pytest.approx(vis.weight)
    uv.check(strict_uvw_antpos_check=True, check_autos=False)


@pytest.mark.wsclean
@pytest.mark.filterwarnings("ignore:'datfix' made the change")  # WSClean writes DATE-OBS without MJD-OBS
def test_wsclean_puts_a_source_where_it_is(tmp_path):
    from astropy.coordinates import SkyCoord
    from astropy.io import fits
    from astropy.wcs import WCS

    east, north = np.radians([0.5, -0.3])
    vis = make(antennas=24, times=6, offset_rad=(np.sin(east), np.sin(north)), noise=0.0)
    measurement_set.write(tmp_path / "off.ms", vis)
    command = "wsclean -make-psf -j 1 -size 1024 1024 -scale 6asec -pol I -weight natural -name off off.ms"
    done = subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "warning" not in (done.stdout + done.stderr).lower()
    with fits.open(tmp_path / "off-dirty.fits") as hdus:
        image, header = hdus[0].data[0, 0], hdus[0].header
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert image.max() == pytest.approx(1, abs=0.01)
    # The peak of a parabola through three pixels each way.
    peak = [
        centre + (line[0] - line[2]) / (2 * (line[0] - 2 * line[1] + line[2]))
        for centre, line in ((column, image[row, column - 1 : column + 2]), (row, image[row - 1 : row + 2, column]))
    ]
    found = WCS(header).celestial.pixel_to_world(*peak)
    expected = WCS(naxis=2)
    expected.wcs.ctype, expected.wcs.crval = ["RA---SIN", "DEC--SIN"], np.degrees(CENTRE)
    expected.wcs.cdelt, expected.wcs.crpix = [1, 1], [1, 1]
    truth = expected.pixel_to_world(np.degrees(np.sin(east)), np.degrees(np.sin(north)))
    offset = SkyCoord(found.ra, found.dec).separation(SkyCoord(truth.ra, truth.dec)).deg
    with fits.open(tmp_path / "off-psf.fits") as hdus:
        assert offset < 0.02 * hdus[0].header["BMIN"]
