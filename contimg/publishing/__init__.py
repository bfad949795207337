"""Registering and publishing mosaics: bundles, claims, copies, markers, decisions of persons, and reconciling."""
