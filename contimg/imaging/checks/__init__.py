"""What an image is judged by: noise and artefacts, beam and geometry, the catalogue."""
