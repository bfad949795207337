"""Files on disk: written whole or not at all, found without following links, owned by a known process."""
