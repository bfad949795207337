"""Bright sources: found, fitted and subtracted in the visibilities, with the beam at each time and channel."""
