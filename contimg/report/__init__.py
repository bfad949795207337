"""The report of one mosaic: a single HTML page that needs no network."""
