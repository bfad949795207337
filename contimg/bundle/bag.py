"""The BagIt 1.0 form of a bundle (RFC 8493): tag files beside the payload, which any BagIt tool validates.

The payload's manifest is the bundle's identity; the tag files say what it is, for people and programs without contimg.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from contimg.bundle.readme import readme
from contimg.storage.process import one_line

PAYLOAD = "data"
DECLARATION = "bagit.txt"
INFO = "bag-info.txt"
README = "README.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
# Those that the tag manifest lists, beside the manifest itself.
TAGS = (DECLARATION, INFO, README)

_DECLARED = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


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
        README: readme(what, metadata, sizes, name, doi).encode(),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    digests["manifest-sha256.txt"] = hashlib.sha256(manifest).hexdigest()
    found[TAG_MANIFEST] = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()
    return found


def payload_bytes(info: bytes) -> int | None:
    """Return the bytes of the whole payload that a ``bag-info.txt`` tells; None where it tells none."""
    found = re.search(rb"^Payload-Oxum: ([0-9]{1,18})\.[0-9]+$", info, re.MULTILINE)
    return None if found is None else int(found[1])
