"""Stokes I samples of a tile: averaging, weights, noise, and bandwidth and time smearing."""
