"""What the correlator writes: its HDF5 files, their band, and the inbox they arrive in."""
