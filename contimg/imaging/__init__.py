"""Images of one tile: Stokes I with its effective beam, in apparent and true brightness."""
