"""Comparison of a mosaic with a catalogue: its sources, their fluxes and positions."""
