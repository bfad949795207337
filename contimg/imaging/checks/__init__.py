"""Quality measurements of a tile image: noise and artefacts, beam and geometry, comparison with the catalogue."""
