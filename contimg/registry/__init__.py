"""The registry of products (DESIGN section 8).

``engine`` opens it, ``schema`` and ``migrations`` are its tables, ``register`` and ``finalize`` put a
mosaic in, ``queries`` reads it and records events.
"""
