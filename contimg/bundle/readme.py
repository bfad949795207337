"""The text beside a bundle's files for a person who has this folder and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contimg.bundle.companions import CITATION, LICENCE, kind_of
from contimg.storage.process import one_line

_TEXT = """{name}
{rule}
{what}.
Made by contimg {versions}. {cited}
Verdict: {verdict}
{reasons}
{facts}

Files
-----
{files}

  manifest-sha256.txt     SHA-256 of every file in data/: 'sha256sum -c manifest-sha256.txt' checks them
  tagmanifest-sha256.txt  SHA-256 of the files beside data/
  publication.json        version, DOI, approval, and what persons decided about it since (JSON)
  bagit.txt, bag-info.txt this folder is a bag of BagIt 1.0 (RFC 8493), which other tools can check as well

data/{citation} says how to cite it, data/{licence} under which licence it is.

Formats
-------
FITS (https://fits.gsfc.nasa.gov) holds images: a header of 80-character lines of ASCII text, then numbers, big-endian,
of the kind that BITPIX in the header says (-32: IEEE 754 single precision). Pixels without data are NaN. CSV is text,
values separated by commas. JSON is text as well (RFC 8259). Times are UTC, or Modified Julian Dates where a name ends
in _mjd; frequencies are in Hz, angles in the unit that the name ends in, positions ICRS, flux densities Jy or mJy as
the name says.
"""


def readme(what: str, metadata: Mapping[str, Any], sizes: Mapping[str, int], name: str, doi: str | None) -> str:
    """Return the text: what the bundle is, its verdict and main numbers, which file is what, and the formats.

    Parameters
    ----------
    what : str
        The mosaic in one line.
    metadata : mapping
        The content of ``metadata.json``.
    sizes : mapping
        Bytes of each file of the payload.
    name : str
        The bundle's folder in the archive.
    doi : str or None
        The DOI under which it is cited.
    """
    width = max(len(file) for file in sizes)
    found = [one_line(f"{reason['severity']}: {reason['message']}") for reason in metadata["verdict"]["reasons"]]
    return _TEXT.format(
        name=name,
        rule="=" * len(name),
        what=what,
        versions=", ".join(metadata.get("versions", {}).get("contimg", [])),
        cited="" if doi is None else f"Cite it as https://doi.org/{doi}\n",
        verdict=metadata["verdict"]["verdict"],
        reasons="".join(f"  {one}\n" for one in found),
        facts="\n".join(f"{key}: {value or 'not recorded'}" for key, value in _facts(metadata).items()),
        files="\n".join(f"  {file:{width}}  {kind_of(file)[1]}" for file in sorted(sizes)),
        citation=CITATION,
        licence=LICENCE,
    )


def _facts(metadata: Mapping[str, Any]) -> dict[str, str | None]:
    beam, centre = metadata.get("beam") or {}, metadata.get("centre_deg")
    tiles, anchor = metadata.get("n_images"), metadata.get("flux_anchor")
    return {
        "Centre (ICRS)": f"{centre[0]:.4f} {centre[1]:+.4f} deg" if centre else None,
        "Frequency": _number(metadata.get("freq_hz"), 1e9, "GHz"),
        "Bandwidth": _number(metadata.get("bandwidth_hz"), 1e6, "MHz"),
        "Beam": f"{beam['bmaj_arcsec']:.1f} x {beam['bmin_arcsec']:.1f} arcsec" if beam.get("bmin_arcsec") else None,
        "Noise": _noise(metadata.get("rms_mjy")),
        "Tiles": None if tiles is None else str(tiles),
        "Flux scale": None if anchor is None else one_line(str(anchor)),
    }


def _noise(rms_mjy: float | None) -> str | None:
    """Return the noise of a mosaic and where it holds."""
    if rms_mjy is None:
        return None
    where = "median where the weight is at least half of its 95th percentile; higher towards the edges"
    return f"{_number(rms_mjy, 1, 'mJy/beam')} ({where})"


def _number(value: float | None, unit: float, name: str) -> str | None:
    return None if value is None else f"{value / unit:.4g} {name}"
