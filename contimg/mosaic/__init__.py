"""Mosaics: tiles brought to a common beam, regridded and co-added with weights PB^2 / s^2."""
