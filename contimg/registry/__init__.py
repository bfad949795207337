"""The registry of products: a database of mosaics, their versions and states, and all that they were made from.

``engine`` opens it, ``schema`` and ``migrations`` are its tables, ``rows`` what a mosaic's lineage puts into
them, ``queries`` reads it and records events. `contimg.publishing` acts on it.
"""
