"""Bundles: the immutable folders that are registered and published, with manifest and metadata."""
