"""Pictures: what all of them have in common, and the picture of a piece of sky."""

from contimg.plotting.setup import matplotlib_cache, stamp_synthetic

__all__ = ["matplotlib_cache", "stamp_synthetic"]
