"""The BagIt 1.0 form of a bundle (RFC 8493): tag files beside the payload, which any BagIt tool validates.

The payload's manifest is the bundle's identity; the tag files say what it is, for people and programs without contimg.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from contimg.storage.process import one_line

PAYLOAD = "data"
DECLARATION = "bagit.txt"
INFO = "bag-info.txt"
README = "README.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
# Those that the tag manifest lists, beside the manifest itself.
TAGS = (DECLARATION, INFO, README)

_DECLARED = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

# What the end of a file's name says about it; the first that fits.
_KINDS = (
    ("metadata.json", "what it is, verdict, parameters, and the lineage down to the telescope's files (JSON)"),
    (".weights.fits", "weight of each pixel, 1/Jy^2 (FITS)"),
    (".rms.fits", "expected noise of each pixel, Jy/beam (FITS)"),
    (".coverage.fits", "number of tiles that cover each pixel (FITS)"),
    (".frequency.fits", "effective frequency of each pixel, Hz (FITS)"),
    (".alpha.fits", "spectral index of each pixel (FITS)"),
    (".fits", "the image, Jy/beam, with world coordinates in its header (FITS)"),
    (".tiles.csv", "one line for each tile: weight, noise, flux scale, whether it was used (CSV)"),
    (".csv", "a table, its columns named in the first line (CSV)"),
    (".png", "a picture for a quick look"),
    (".html", "a page for people; it needs no network"),
    (".json", "verdict, numbers, inputs and parameters (JSON)"),
)


def tag_files(
    metadata: Mapping[str, Any], sizes: Mapping[str, int], manifest: bytes, name: str, doi: str | None
) -> dict[str, bytes]:
    """Return the tag files of a bundle, the tag manifest among them: name -> bytes.

    Parameters
    ----------
    metadata : mapping
        The content of ``metadata.json``.
    sizes : mapping
        Bytes of each file of the payload.
    manifest : bytes
        Of the payload.
    name : str
        The bundle's folder in the archive.
    doi : str or None
        The DOI under which it is cited.
    """
    times = one_line(f"{metadata.get('start_utc')} to {metadata.get('end_utc')}")
    what = f"Radio continuum mosaic of the DSA-110, {times}"
    what += ", SIMULATED DATA" if metadata.get("synthetic") else ""
    fields = [
        ("Source-Organization", "DSA-110, Owens Valley Radio Observatory, California Institute of Technology"),
        ("External-Description", f"{what}; verdict {metadata['verdict']['verdict']}"),
        ("External-Identifier", name),
        *([("External-Identifier", f"https://doi.org/{doi}")] if doi is not None else []),
        ("Payload-Oxum", f"{sum(sizes.values())}.{len(sizes)}"),
    ]
    found = {
        DECLARATION: _DECLARED,
        INFO: "".join(f"{key}: {value}\n" for key, value in fields).encode(),
        README: _readme(what, metadata, sizes, name, doi).encode(),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    digests["manifest-sha256.txt"] = hashlib.sha256(manifest).hexdigest()
    found[TAG_MANIFEST] = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()
    return found


def _readme(what: str, metadata: Mapping[str, Any], sizes: Mapping[str, int], name: str, doi: str | None) -> str:
    """Return a text that a person can read who has this folder and nothing else."""
    width = max(len(file) for file in sizes)
    files = "\n".join(f"  {file:{width}}  {_kind_of(file)}" for file in sorted(sizes))
    cited = f"Cite it as https://doi.org/{doi}\n" if doi is not None else ""
    found = [one_line(f"{reason['severity']}: {reason['message']}") for reason in metadata["verdict"]["reasons"]]
    reasons = "".join(f"  {one}\n" for one in found)
    return f"""{name}
{"=" * len(name)}
{what}.
Made by contimg {", ".join(metadata.get("versions", {}).get("contimg", []))}. {cited}
Verdict: {metadata["verdict"]["verdict"]}
{reasons}
Files
-----
{files}

  manifest-sha256.txt     SHA-256 of every file in data/: 'sha256sum -c manifest-sha256.txt' checks them
  tagmanifest-sha256.txt  SHA-256 of the files beside data/
  publication.json        version, approval, and what persons decided about it since (JSON)
  bagit.txt, bag-info.txt this folder is a bag of BagIt 1.0 (RFC 8493), which other tools can check as well

Formats
-------
FITS (https://fits.gsfc.nasa.gov) holds images: a header of 80-character lines of ASCII text, then numbers, big-endian,
of the kind that BITPIX in the header says (-32: IEEE 754 single precision). Pixels without data are NaN. CSV is text,
values separated by commas. JSON is text as well (RFC 8259). Times are UTC, or Modified Julian Dates where a name ends
in _mjd; frequencies are in Hz, angles in the unit that the name ends in, positions ICRS, flux densities Jy or mJy as
the name says.
"""


def _kind_of(file: str) -> str:
    return next((text for end, text in _KINDS if file.endswith(end)), "")
