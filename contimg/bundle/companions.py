"""Licence, citation and RO-Crate metadata of a bundle, and what each of its files is.

Pure functions of the bundle's metadata and of the digests of its files: equal products give equal bytes. No wall clock
goes in; when it was published, and a DOI once there is one, stand in ``publication.json``, which no manifest lists.
RO-Crate: the specification 1.1 (Sefton et al. 2020); citation: the Citation File Format 1.2.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

LICENCE, CITATION, CRATE = "LICENSE.txt", "CITATION.cff", "ro-crate-metadata.json"
NAMES = (LICENCE, CITATION, CRATE)
_SPDX = "https://spdx.org/licenses"
# End of a file's name -> MIME type and what it is; the first that fits.
_FILES = (
    (".weights.fits", "image/fits", "weights, unnormalised: 1/(Jy/beam)^2, unit beam2.Jy-2"),
    (".rms.fits", "image/fits", "noise by the weights, Jy/beam"),
    (".coverage.fits", "image/fits", "number of tiles of each pixel"),
    (".frequency.fits", "image/fits", "effective frequency of each pixel, Hz"),
    (".alpha.fits", "image/fits", "spectral index of bright pixels"),
    (".sources.fits", "application/fits", "sources found, FITS table with units and UCDs"),
    (".sources.vot", "application/x-votable+xml", "sources found, VOTable"),
    (".sources.csv", "text/csv", "sources found, CSV"),
    (".matches.fits", "application/fits", "comparison with a catalogue, FITS table"),
    (".matches.vot", "application/x-votable+xml", "comparison with a catalogue, VOTable"),
    (".matches.csv", "text/csv", "comparison with a catalogue, CSV"),
    (".tile_fluxes.csv", "text/csv", "fluxes of bright sources in each tile"),
    (".tiles.csv", "text/csv", "tiles of the mosaic, used or left out"),
    (".flux.png", "image/png", "fluxes against a catalogue"),
    (".astrometry.png", "image/png", "positions against a catalogue"),
    (".fits", "image/fits", "image, corrected for the primary beam, Jy/beam; axes: RA, Dec, frequency, Stokes I"),
    (".narrow.png", "image/png", "picture with larger letters, for narrow screens"),
    (".png", "image/png", "picture"),
    (".html", "text/html", "page with verdict and every number; open it in a browser"),
    (CRATE, "application/ld+json", "files, software and origin for programs (RO-Crate 1.1)"),
    ("metadata.json", "application/json", "verdict, numbers, parameters, software and lineage"),
    (".json", "application/json", "twin: verdict, measured numbers and inputs of a product"),
    (LICENCE, "text/plain", "licence of the data"),
    (CITATION, "text/yaml", "how to cite this mosaic"),
)  # fmt: skip


def companions(metadata: Mapping[str, Any], digests: Mapping[str, str], ivoid: str, licence: str) -> dict[str, bytes]:
    """Return name -> content of the files that describe a bundle.

    Parameters
    ----------
    metadata : mapping
        Of `contimg.bundle.metadata.describe`.
    digests : mapping of str to str
        SHA-256 of every other file of the bundle.
    ivoid : str
        The archive's identifier (``publish.ivoid``).
    licence : str
        Name in the list of SPDX (``publish.licence``).
    """
    identifier = f"{ivoid}?{metadata['data_id']}"
    made = {
        LICENCE: _licence(metadata, licence),
        CITATION: _citation(metadata, identifier, licence),
    }
    made[CRATE] = _crate(metadata, {**digests, **dict.fromkeys(made, None)}, identifier, licence)
    return {name: text.encode() for name, text in made.items()}


def kind_of(name: str) -> tuple[str, str]:
    """Return the MIME type of a file of a bundle, and what it is."""
    base = PurePosixPath(name).name
    for end, mime, words in _FILES:
        if base.endswith(end):
            return mime, words
    return "application/octet-stream", "file of the product"


def _title(metadata: Mapping[str, Any]) -> str:
    words = f"DSA-110 continuum {metadata['data_id'].replace('_', ' ')}"
    return f"{words} (simulated data)" if metadata["synthetic"] else words


def _licence(metadata: Mapping[str, Any], licence: str) -> str:
    return (
        f"SPDX-License-Identifier: {licence}\n\n"
        f"The data of this bundle, {metadata['data_id']}, are under the licence {licence}:\n{_SPDX}/{licence}.html\n"
    )


def _citation(metadata: Mapping[str, Any], identifier: str, licence: str) -> str:
    """Return the citation; a DOI that is registered later stands in publication.json."""
    content = {
        "cff-version": "1.2.0",
        "message": "If you use this mosaic, please cite it as below.",
        "type": "dataset",
        "title": _title(metadata),
        "authors": [{"name": "The DSA-110 Collaboration"}],
        "identifiers": [{"type": "other", "value": identifier, "description": "identifier in the Virtual Observatory"}],
        "license": licence,
        "keywords": ["radio astronomy", "continuum", "DSA-110"],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _crate(metadata: Mapping[str, Any], digests: Mapping[str, str | None], identifier: str, licence: str) -> str:
    """Return the RO-Crate metadata: the bundle, its files, the software that made them, the instrument."""
    software = [f"#contimg-{version}" for version in metadata["versions"]["contimg"]]
    # RO-Crate asks for a date of publication, which is not known when the manifest is made.
    end = (metadata["end_utc"] or metadata["start_utc"] or "1970-01-01")[:10]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": _title(metadata),
        "description": "Mosaic of the radio continuum sky, its noise, weights, source lists, verdict and provenance. "
        "datePublished is the last day of observation; the day of publication stands in publication.json.",
        "datePublished": end,
        "license": {"@id": f"{_SPDX}/{licence}.html"},
        "identifier": identifier,
        "temporalCoverage": "/".join(str(metadata[key]) for key in ("start_utc", "end_utc") if metadata[key]),
        "hasPart": [{"@id": name} for name in sorted(digests)],
    }
    action = {
        "@id": "#processing",
        "@type": "CreateAction",
        "name": "calibration, imaging and co-addition",
        "instrument": [{"@id": one} for one in software],
        "result": {"@id": "./"},
    }
    about = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    licence_entity = {"@id": f"{_SPDX}/{licence}.html", "@type": "CreativeWork", "name": licence}
    programs = [
        {"@id": one, "@type": "SoftwareApplication", "name": "contimg", "version": one.removeprefix("#contimg-")}
        for one in software
    ]
    graph = [about, root, *(_file(name, digests[name]) for name in sorted(digests)), action, *programs, licence_entity]
    return json.dumps({"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}, indent=1) + "\n"


def _file(name: str, digest: str | None) -> dict[str, Any]:
    mime, words = kind_of(name)
    entity = {"@id": name, "@type": "File", "name": words, "encodingFormat": mime}
    return entity if digest is None else entity | {"sha256": digest}
