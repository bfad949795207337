"""The outside proof: pyuvdata's geometry, true gains divided out, imaged by WSClean.

Nothing of contimg takes part after the files are written: the primary beam comes from a numerical integral
over the aperture, the sources' way through it from pyuvdata, positions from astropy's WCS.
"""

from __future__ import annotations

import subprocess
import warnings

import numpy as np
import pytest

from contimg.simulate import NightOptions, simulate_night

pytestmark = pytest.mark.wsclean
INTEGRATIONS = 24
SOURCES = """name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index
NORTH,202.93,31.35,1.2,1.4e9,-0.7
SOUTH,202.61,29.65,1.5,1.4e9,-0.2
EAST,203.42,30.75,1.0,1.4e9,-1.0
WEST,202.18,30.20,1.1,1.4e9,0.3
"""


def _divide_gains(uv, truth, subband):
    """Undo the true gains of one file (the formula of truth_gains.npz) and turn units into Jy."""
    order = {int(number) - 1: index for index, number in enumerate(truth["stations"])}
    hertz = uv.freq_array - truth["delay_reference_hz"]
    gain = truth["amplitudes"] * np.exp(1j * truth["phases"])
    gain = gain[:, :, None] * truth["bandpass"][:, :, subband]
    gain = gain * np.exp(2j * np.pi * truth["delays_ns"][:, :, None] * 1e-9 * hertz)
    drift = truth["drifts"][:, :, 0]
    time = np.repeat(np.arange(INTEGRATIONS), uv.Nblts // INTEGRATIONS)
    of = []
    for antennas in (uv.ant_1_array, uv.ant_2_array):
        index = np.array([order[antenna] for antenna in antennas])
        of.append(np.moveaxis(gain[index] * drift[index, :, time][:, :, None], 1, 2))
    uv.data_array /= np.conj(of[0]) * of[1] * truth["units_per_jy"]


def _write_ms(record, subband_file, read, path):
    """Write one tile as a Measurement Set, phased to the meridian at its middle, and return the UVData."""
    truth = np.load(record.out / "truth_gains.npz")
    parts = []
    for subband in range(16):
        uv = read(subband_file(record, 0, subband))
        _divide_gains(uv, truth, subband)
        uv.select(bls=[pair for pair in uv.get_antpairs() if pair[0] != pair[1]], run_check=False)
        parts.append(uv)
    uv = parts[0].fast_concat(parts[1:], "freq", run_check=False)
    unphased = uv.copy(metadata_only=True)
    ra, dec = np.radians(record.tile_centres_deg[0])
    uv.phase(lon=ra, lat=dec, phase_frame="icrs", epoch=2000.0, cat_name="tile")
    uv.reorder_freqs(channel_order="freq", run_check=False)
    uv.conjugate_bls("ant1<ant2")
    uv.telescope.mount_type = ["alt-az"] * uv.telescope.Nants
    uv.write_ms(str(path))
    return unphased


def _peak(image, x, y):
    """Return position and height of the maximum near (x, y) from a paraboloid through the 3 x 3 pixels."""
    box = image[y - 4 : y + 5, x - 4 : x + 5]
    row, column = np.unravel_index(np.argmax(box), box.shape)
    y, x = y - 4 + row, x - 4 + column
    offsets = np.arange(-1, 2)
    dx, dy = np.meshgrid(offsets, offsets)
    dx, dy = dx.ravel(), dy.ravel()
    design = np.stack([np.ones(9), dx, dy, dx**2, dx * dy, dy**2], axis=1)
    # The logarithm of a Gaussian beam is a paraboloid.
    a, b, c, d, e, f = np.linalg.lstsq(design, np.log(image[y - 1 : y + 2, x - 1 : x + 2].ravel()), rcond=None)[0]
    shift = np.linalg.solve([[2 * d, e], [e, 2 * f]], [-b, -c])
    return x + shift[0], y + shift[1], float(np.exp(a + (b * shift[0] + c * shift[1]) / 2))


def test_wsclean_finds_every_source_where_and_as_bright_as_it_is(
    tmp_path, subband_file, open_with_pyuvdata, aperture_beam, offset_from_axis
):
    from astropy.io import fits
    from astropy.wcs import WCS

    (tmp_path / "sky.csv").write_text(SOURCES)
    options = NightOptions(
        tiles=1, antennas=30, channels=4, max_baseline_m=700.0, calibrator="none", declination_deg=30.4,
        start="2026-02-11T11:56:44", sky_file=tmp_path / "sky.csv", seed=11,
    )  # fmt: skip
    record = simulate_night(tmp_path / "night", options)
    measurement_set = tmp_path / "tile.ms"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        uv = _write_ms(record, subband_file, open_with_pyuvdata, measurement_set)
    # Natural weights make the peak the plain mean over times and channels; fine pixels let CLEAN's components
    # stand where the sources are.
    cell, size = record.cell_arcsec / 2, "1100"
    command = [
        "wsclean", "-quiet", "-j", "2", "-no-update-model-required", "-name", str(tmp_path / "tile"),
        "-size", size, size, "-scale", f"{cell}asec", "-weight", "natural", "-pol", "I", "-niter", "20000",
        "-mgain", "0.8", "-auto-mask", "8", "-auto-threshold", "1", str(measurement_set),
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr

    with fits.open(tmp_path / "tile-image.fits") as opened:
        image, header = opened[0].data[0, 0], opened[0].header
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs = WCS(header).celestial
    beam_arcsec = 3600 * np.sqrt(header["BMAJ"] * header["BMIN"])
    truth = np.genfromtxt(record.out / "truth.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert len(truth) == 4
    for source in truth:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            offset = offset_from_axis(uv, source["ra_deg"], source["dec_deg"])
        offset = offset.reshape(INTEGRATIONS, -1)[:, 0]
        logs = np.log10(uv.freq_array / source["ref_freq_hz"])
        slope = source["spectral_index"] * logs + source["spectral_curvature"] * logs**2
        flux = source["flux_jy"] * 10**slope
        beam = np.array([aperture_beam(offset, frequency).mean() for frequency in uv.freq_array])
        expected = (flux * beam).mean()
        guess = np.rint(wcs.wcs_world2pix([[source["ra_deg"], source["dec_deg"]]], 0)[0]).astype(int)
        x, y, peak = _peak(image, *guess)
        ra, dec = wcs.wcs_pix2world([[x, y]], 0)[0]
        east = ((ra - source["ra_deg"] + 180) % 360 - 180) * np.cos(np.radians(dec)) * 3600
        off = np.hypot(east, (dec - source["dec_deg"]) * 3600) / beam_arcsec
        print(f"{source['name']}: beam {beam.mean():.3f}, flux ratio {peak / expected:.4f}, off {off:.4f} beam")
        assert off < 0.05, source["name"]
        assert peak == pytest.approx(expected, rel=0.02), source["name"]
