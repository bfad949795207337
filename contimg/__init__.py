"""contimg: continuum imaging of the DSA-110 drift-scan array, from correlator files to published mosaics.

The library behind the Snakemake workflow. It never imports snakemake; its heavy dependencies are
imported inside the functions that need them.
"""

__version__ = "0.2.0"
