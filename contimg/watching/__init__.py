"""`contimg watch`: runs of the workflow while data come, for days."""
