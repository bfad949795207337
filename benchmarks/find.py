"""What finding sources costs, by the size of the image: CPU time and memory, both linear in the number of pixels.

    python benchmarks/find.py [--size N ...]

An image of N x N pixels has noise of the beam's correlation, and a source of 7 to 100 sigma in each square of 190
pixels. Printed are CPU seconds, the largest memory beyond the image and its rms, and the fraction of the sources that
is found.
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contimg.crossmatch.islands import SkyImage
from contimg.crossmatch.source_finder import find_components

SIGMA_PX = 1.7
APART_PX = 190
BEAM = SIGMA_PX**2 * np.eye(2)


def sky(size: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of noise with an rms of 1, and its sources (n, 3): x, y and peak."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng([seed, size])
    white = rng.standard_normal((size, size), dtype=np.float32)
    image = gaussian_filter(white, SIGMA_PX, mode="wrap") * np.float32(2 * np.sqrt(np.pi) * SIGMA_PX)
    corners = np.arange(20, size - 20, APART_PX)
    places = np.stack(np.meshgrid(corners, corners), -1).reshape(-1, 2) + rng.uniform(0, 20, (len(corners) ** 2, 2))
    sources = np.column_stack([places, rng.uniform(7, 100, len(places))])
    for x, y, peak in sources:
        rows, columns = (slice(max(0, int(v) - 12), int(v) + 13) for v in (y, x))
        yy, xx = np.mgrid[rows, columns]
        inside = (yy < size) & (xx < size)
        spot = peak * np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / SIGMA_PX**2)
        image[yy[inside], xx[inside]] += spot[inside].astype(np.float32)
    return image, sources


def measure(size: int) -> dict[str, float]:
    """Return CPU seconds, peak memory in bytes a pixel, sources, and the fraction of them that is found."""
    image, sources = sky(size)
    rms = np.ones_like(image)
    started = time.process_time()
    find_components(SkyImage(image, rms, BEAM, 2 * BEAM))
    seconds = time.process_time() - started
    tracemalloc.start()
    found = find_components(SkyImage(image, rms, BEAM, 2 * BEAM))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    places = np.array([(one.x, one.y) for one in found])
    near = [np.hypot(*(places - source[:2]).T).min() < 3 for source in sources]
    return {"cpu_s": seconds, "bytes": peak / image.size, "sources": len(sources), "complete": float(np.mean(near))}


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, action="append", help="pixels a side; may be repeated")
    for size in parser.parse_args().size or [1200, 2400, 4800]:
        found = measure(size)
        print(
            f"{size:5d}^2 pixels, {found['sources']:4.0f} sources: {found['cpu_s']:6.2f} CPU s"
            f" ({1e6 * found['cpu_s'] / size**2:.3f} us a pixel), {found['bytes']:5.1f} bytes a pixel,"
            f" {found['complete']:.1%} found",
            flush=True,
        )


if __name__ == "__main__":
    main()
