"""Transforms between visibilities and images: the w-gridder and the direct Fourier transform."""
