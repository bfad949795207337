"""Replicas: further copies of published bundles in other folders or object stores, to repair the archive from."""
