"""Deconvolution: Radler's CLEAN in major cycles, and spectra in channel groups."""
