"""Small made-up files in the forms in which radio surveys are distributed, with sources of known flux and place."""

import gzip

import numpy as np
from astropy.table import Table

from contimg.sky.catalogue import Catalogue
from contimg.sky.strip_files import write_strip

# Name, right ascension and declination (deg), flux density at 1.4 GHz (Jy), spectral index.
SOURCES = (
    ("3C286", 202.7845, 30.5092, 15.0, -0.45),
    ("steep", 203.25, 30.0, 0.5, -1.0),
    ("flat", 201.5, 31.25, 0.08, 0.0),
)
OUTSIDE = ("south", 203.25, -12.5, 2.0, -0.7)


def sexagesimal(ra_deg, dec_deg, separator=" "):
    """Return right ascension and declination as text, to 0.01 s and 0.1 arcsec."""
    centiseconds, tenths = round(ra_deg * 24000), round(abs(dec_deg) * 36000)
    ra = (centiseconds // 360000, centiseconds // 6000 % 60, centiseconds % 6000 / 100)
    dec = (tenths // 36000, tenths // 600 % 60, tenths % 600 / 10)
    s = separator
    sign = "-" if dec_deg < 0 else "+"
    return f"{ra[0]:02}{s}{ra[1]:02}{s}{ra[2]:05.2f}", f"{sign}{dec[0]:02}{s}{dec[1]:02}{s}{dec[2]:04.1f}"


def flux_mjy(source, freq_hz):
    """Return the flux density of a source at a frequency, in mJy."""
    return 1e3 * source[3] * (freq_hz / 1.4e9) ** source[4]


def vizier_text(path, separator="\t", extra=(), sources=(*SOURCES, OUTSIDE)):
    """Write NVSS as VizieR's table VIII/65: units below the names, sexagesimal positions, mJy."""
    s = separator
    rows = [s.join((f"{name} ", *sexagesimal(ra, dec), f" {1e3 * flux:8.1f}", f"{30 * flux:6.1f}", "<"))
            for name, ra, dec, flux, _ in sources]  # fmt: skip
    names = s.join(("NVSS", "RAJ2000", "DEJ2000", "S1.4", "e_S1.4", "l_MajAxis"))
    units = s.join((" ", '"h:m:s"', '"d:m:s"', "mJy", "mJy", " "))
    line = s.join(("--------------", "-----------", "-----------", "--------", "-------", "-"))
    path.write_text("\n".join(["#", "#   VizieR Astronomical Server", "#", names, units, line, *rows, *extra, ""]))
    return path


def vizier_plain_csv(path):
    """Write NVSS as VizieR's CSV without units (-out.meta=)."""
    rows = [",".join((name, *sexagesimal(ra, dec), f"{1e3 * flux}", f"{30 * flux}"))
            for name, ra, dec, flux, _ in (*SOURCES, OUTSIDE)]  # fmt: skip
    path.write_text("\n".join(["NVSS,RAJ2000,DEJ2000,S1.4,e_S1.4", *rows]) + "\n")
    return path


def vizier_table(path):
    """Write NVSS as VizieR's FITS (S1_4, degrees) or VOTable (sexagesimal, units)."""
    rows = (*SOURCES, OUTSIDE)
    place = [sexagesimal(ra, dec) for _, ra, dec, *_ in rows]
    table = Table({"NVSS": [row[0] for row in rows]})
    votable = path.suffix != ".fits"
    table["RAJ2000"] = [ra for ra, _ in place] if votable else [row[1] for row in rows]
    table["DEJ2000"] = [dec for _, dec in place] if votable else [row[2] for row in rows]
    flux = "S1.4" if votable else "S1_4"
    table[flux] = np.array([1e3 * row[3] for row in rows], np.float32)
    table["e_" + flux] = np.array([30 * row[3] for row in rows], np.float32)
    for name in (flux, "e_" + flux):
        table[name].unit = "mJy"
    table.write(path, format="votable" if votable else "fits")
    return path


def heasarc_tdat(path, extra=()):
    """Write NVSS in HEASARC's tdat form: degrees, mJy, a separator at the end of each line; compressed if so named."""
    fields = [
        "field[name] = char19  [meta.id;meta.main] (index) // Source Designation",
        "field[ra] = float8:.5f_degree [pos.eq.ra] (key) // Right Ascension",
        "field[dec] = float8:.5f_degree [pos.eq.dec] (key) // Declination",
        "field[lii] = float8:.5f_degree [pos.galactic.lon] (index) // Galactic Longitude",
        "field[flux_20_cm] = float8:8.1f_mJy [phot.flux.density;em.radio.750-1500MHz] (index) // Integrated Flux",
        "field[flux_20_cm_error] = float8:7.1f_mJy [stat.error] // Error in Flux",
    ]
    rows = [f"NVSS {name}|{ra:.5f}|{dec:.5f}|12.0|{1e3 * flux}|{30 * flux}|"
            for name, ra, dec, flux, _ in (*SOURCES, OUTSIDE)]  # fmt: skip
    text = "\n".join([
        "<HEADER>", "#", "#         TABLE: heasarc_nvss", "#", "table_name = heasarc_nvss", *fields,
        "line[1] = name ra dec lii flux_20_cm flux_20_cm_error", "#", "<DATA>", *rows, *extra, "<END>", "",
    ])  # fmt: skip
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def pybdsf_table(path, freq_hz, *, flux="Total_flux", name="Source_name", extra_columns=None):
    """Write a survey with PyBDSF's columns (TGSS, LoTSS, RACS, VLASS), in mJy and degrees, by the suffix's form."""
    rows = (*SOURCES, OUTSIDE)
    table = Table({
        name: [row[0] for row in rows], "RA": [row[1] for row in rows], "E_RA": [0.1] * len(rows),
        "DEC": [row[2] for row in rows], flux: [flux_mjy(row, freq_hz) for row in rows],
        f"E_{flux}": [0.02 * flux_mjy(row, freq_hz) for row in rows],
        "Peak_flux": [0.9 * flux_mjy(row, freq_hz) for row in rows],
    } | (extra_columns or {}))  # fmt: skip
    forms = {".fits": "fits", ".xml": "votable", ".csv": "ascii.csv", ".tsv": "ascii.tab"}
    table.write(path, format=forms[path.suffix])
    return path


def write_test_strip(path, dec_deg, ra_deg=202.5, width_deg=10.0):
    """Write a catalogue in binary form with one source in the middle of a strip."""
    one = {name: np.array([value]) for name, value in (("flux_jy", 1.0), ("flux_err_jy", 0.03), ("ref_freq_hz", 1.4e9))}
    known = Catalogue(np.array(["A"]), np.array([ra_deg]), np.array([dec_deg]), **one, spectral_index=np.array([-0.7]))
    write_strip(path, known, (dec_deg - width_deg / 2, dec_deg + width_deg / 2), "NVSS")
    return path
