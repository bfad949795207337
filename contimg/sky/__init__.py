"""The sky over the array: geometry, catalogues, calibrators and their transits, beams, predicted visibilities."""
