"""Tile images of a known sky, in the imager's format, made with astropy alone (no code of the pipeline's science)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter

from contimg import naming
from contimg.products.twin import Reason, Twin, verdict_of
from tests.support.twins import write_with_manifest

DEC_DEG = 54.57
FWHM_PB_DEG = 2.7
TILE_S = 309.12


@dataclass
class Sky:
    """Point sources (deg, Jy)."""

    ra_deg: np.ndarray
    dec_deg: np.ndarray
    flux_jy: np.ndarray


@dataclass
class TileMaker:
    """A maker of tile images; every number of a tile can be chosen."""

    stage: Path
    size: int = 300
    cell_arcsec: float = 60.0
    beam_arcsec: tuple[float, float, float] = (240.0, 240.0, 0.0)
    rms_jy: float = 1e-3
    expected_rms_jy: float | None = None
    dec_deg: float = DEC_DEG
    seed: int = 1
    synthetic: bool = True
    facts: dict = field(default_factory=dict)
    groups_hz: tuple[float, ...] = ()
    spectral_index: float = -0.7

    def path(self, tile_id: str) -> Path:
        stem = naming.stem(tile_id)
        return self.stage / "images" / naming.date(tile_id) / stem

    def make(
        self,
        index: int,
        ra_deg: float,
        sky: Sky | None = None,
        *,
        beam_arcsec: tuple[float, float, float] | None = None,
        rms_jy: float | None = None,
        reasons: tuple[Reason, ...] = (),
        constant: float | None = None,
    ) -> Path:
        """Make tile number `index` centred on (`ra_deg`, self.dec_deg); return its twin's path."""
        beam = beam_arcsec or self.beam_arcsec
        rms = self.rms_jy if rms_jy is None else rms_jy
        start = 61082.0 + index * TILE_S / 86400
        tile_id = naming.id_from_mjd(start)
        folder = self.path(tile_id)
        folder.mkdir(parents=True)
        wcs = self.wcs(ra_deg)
        pb = self.beam_map(wcs, ra_deg)
        files, extremes = {}, {}
        if verdict_of(reasons) != "failed":
            image = np.zeros((self.size, self.size)) if constant is None else constant * pb
            if sky is not None:
                self._add_sources(image, wcs, sky, ra_deg, beam)
            if rms:
                image += self._noise(index, beam, rms)
            files["files"] = self._write(folder, tile_id, wcs, image, pb, beam, index)
            if self.groups_hz:
                files["files"] |= self._write_groups(folder, tile_id, wcs, sky, ra_deg, beam, index)
                files["groups"] = [{"freq_hz": hz, "bandwidth_hz": 60e6} for hz in self.groups_hz]
            extremes |= {"peak_mjy": round(image.max() * 1e3, 4), "min_mjy": round(image.min() * 1e3, 4)}
        bmaj, bmin, bpa = beam
        expected = self.expected_rms_jy if self.expected_rms_jy is not None else rms
        twin = Twin(
            kind="image",
            id=tile_id,
            verdict=verdict_of(reasons),
            reasons=list(reasons),
            facts={
                "beam": {"bmaj_arcsec": bmaj, "bmin_arcsec": bmin, "bpa_deg": bpa},
                "freq_hz": 1.405e9 + index * 1e5,
                "bandwidth_hz": 187.5e6,
                "centre_deg": [ra_deg, self.dec_deg],
                "pb_peak_deg": [ra_deg, self.dec_deg],
                "size_px": self.size,
                "cell_arcsec": self.cell_arcsec,
                **files,
                "start_mjd": start,
                "end_mjd": start + TILE_S / 86400,
                "telescope": "DSA-110",
                "bandpass": "cal_20260211T000000",
                "gains": "cal_20260211T000000",
                "flux_anchor": "3C147 Perley & Butler 2017",
                **self.facts,
            },
            qa={
                "rms_mjy": rms * 1e3 if rms else 1.0,
                "expected_rms_mjy": expected * 1e3 if expected else 1.0,
                "noise_ratio": 1.0,
                "flagged_fraction": 0.05,
                "n_compared": 40,
                **extremes,
            },
            synthetic=self.synthetic,
        )
        write_with_manifest(folder.with_name(folder.name + ".json"), twin)
        return folder.with_name(folder.name + ".json")

    def _write_groups(self, folder, tile_id, wcs, sky, ra_deg, beam, index):
        """Write apparent image and beam of parts of the band: Gaussian beams as wide as the wavelength is long."""
        files = {}
        for number, hz in enumerate(self.groups_hz):
            scale = hz / 1.405e9
            pb = self.beam_map(wcs, ra_deg) ** (scale**2)
            image = np.zeros((self.size, self.size))
            self._add_sources(image, wcs, sky, ra_deg, beam)
            image *= scale**self.spectral_index * self.beam_map(wcs, ra_deg) ** (scale**2 - 1)
            image += self._noise(1000 * (number + 1) + index, beam, self.rms_jy * len(self.groups_hz) ** 0.5)
            for name, data in (("image", image), ("pb", pb)):
                files[f"group{number}.{name}"] = f"{naming.stem(tile_id)}.group{number}.{name}.fits"
                fits.PrimaryHDU(data.astype(np.float32), wcs.to_header()).writeto(
                    folder / files[f"group{number}.{name}"]
                )
        return files

    def wcs(self, ra_deg: float) -> WCS:
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.crval = [ra_deg % 360, self.dec_deg]
        wcs.wcs.cdelt = [-self.cell_arcsec / 3600, self.cell_arcsec / 3600]
        wcs.wcs.crpix = [self.size // 2 + 1, self.size // 2 + 1]
        wcs.wcs.radesys = "ICRS"
        return wcs

    def beam_map(self, wcs: WCS, ra_deg: float) -> np.ndarray:
        """Return a Gaussian beam that is 1 at the tile's centre."""
        y, x = np.mgrid[: self.size, : self.size]
        offset = np.hypot(x - self.size // 2, y - self.size // 2) * self.cell_arcsec / 3600
        return np.exp(-4 * np.log(2) * (offset / FWHM_PB_DEG) ** 2)

    def _add_sources(self, image, wcs, sky, ra_deg, beam):
        sigma_y, sigma_x = (b / self.cell_arcsec / 2.3548200450309493 for b in beam[:2])
        angle = np.radians(beam[2])
        half = int(6 * sigma_y) + 1
        near = np.abs((sky.ra_deg - ra_deg + 180) % 360 - 180) < 20
        xs, ys = wcs.all_world2pix(sky.ra_deg[near], sky.dec_deg[near], 0)
        for x, y, flux in zip(xs, ys, sky.flux_jy[near], strict=True):
            offset = np.hypot(x - self.size // 2, y - self.size // 2) * self.cell_arcsec / 3600
            apparent = flux * np.exp(-4 * np.log(2) * (offset / FWHM_PB_DEG) ** 2)
            rows = slice(max(0, int(y) - half), min(self.size, int(y) + half))
            columns = slice(max(0, int(x) - half), min(self.size, int(x) + half))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            yy, xx = np.mgrid[rows, columns]
            east, north = -(xx - x), yy - y
            along = east * np.sin(angle) + north * np.cos(angle)
            across = east * np.cos(angle) - north * np.sin(angle)
            image[rows, columns] += apparent * np.exp(-0.5 * ((along / sigma_y) ** 2 + (across / sigma_x) ** 2))

    def _noise(self, index, beam, rms):
        """Return noise with the correlation of an image's: white noise smoothed by the beam, scaled to `rms`."""
        white = np.random.default_rng([self.seed, index]).normal(size=(self.size, self.size))
        sigma = [b / self.cell_arcsec / 2.3548200450309493 for b in beam[:2]]
        smooth = gaussian_filter(white, sigma, mode="wrap")  # position angle 0 is enough for noise
        return smooth * (rms * np.sqrt(4 * np.pi * sigma[0] * sigma[1]))

    def _write(self, folder, tile_id, wcs, image, pb, beam, index):
        header = wcs.to_header()
        header["BMAJ"], header["BMIN"], header["BPA"] = beam[0] / 3600, beam[1] / 3600, beam[2]
        header["SYNTHET"], header["OBJECT"] = self.synthetic, tile_id
        header["FREQ"], header["MJD-OBS"] = 1.405e9 + index * 1e5, 61082.0 + index * TILE_S / 86400
        stem = naming.stem(tile_id)
        for name, data, unit, kind in (
            ("image", image, "Jy/beam", "Apparent brightness, flat noise"),
            ("pb", pb, "", "Effective primary beam (power)"),
        ):
            header["BUNIT"], header["BTYPE"] = unit, kind
            hdu = fits.PrimaryHDU(data.astype(np.float32), header)
            hdu.add_datasum()
            hdu.writeto(folder / f"{stem}.{name}.fits")
        return {name: f"{stem}.{name}.fits" for name in ("image", "pb")}


def strip_sky(n: int, ra_deg: tuple[float, float], seed: int = 3, flux_jy: tuple[float, float] = (0.05, 2.0)) -> Sky:
    """Return sources spread over a strip, log-uniform in flux, none closer than 0.12 deg to another."""
    rng = np.random.default_rng(seed)
    places: list[tuple[float, float]] = []
    while len(places) < n:
        ra, dec = rng.uniform(*ra_deg), DEC_DEG + rng.uniform(-1.3, 1.3)
        scale = np.cos(np.radians(DEC_DEG))
        if all(np.hypot((ra - r) * scale, dec - d) > 0.12 for r, d in places):
            places.append((ra, dec))
    ra, dec = np.array(places).T
    return Sky(ra % 360, dec, np.exp(rng.uniform(*np.log(flux_jy), size=n)))
