"""Stokes I samples of a tile: baseline-dependent averaging, weights, noise, bandwidth and time smearing."""
