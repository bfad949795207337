"""The gallery with many mosaics, in headless Chromium: time to the first paint, to the cards, and of a search.

    python -m benchmarks.gallery [--mosaics 10000]

Nothing is published: the entries are made up, and the page and its months are written as a publish writes them.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits
from mocpy import MOC

from contimg.archive import gallery
from contimg.archive.thumbnail import write_thumbnail
from tests.archive.entry import made

SCRIPT = """
<script>
(async () => {
  while (!document.body.dataset.drawn) await new Promise(done => setTimeout(done, 5));
  const drawn = performance.now(), painted = () => performance.getEntriesByType('paint');
  // A browser without a window paints late, and ends when the page is loaded: scripts that are loaded keep it.
  while (!painted().length) await new Promise(done => {
    const empty = make('script');
    empty.src = 'empty.js?' + performance.now();
    empty.onload = () => setTimeout(done, 0);
    document.head.append(empty);
  });
  box.value = '13:31:08 +30:30 rms<2';
  const begun = performance.now();
  await draw();
  const searched = performance.now() - begun;
  const first = painted().find(one => one.name === 'first-contentful-paint');
  document.body.setAttribute('data-times', JSON.stringify(
    {first_paint_ms: first.startTime, cards_ms: drawn, first_search_ms: searched,
     found: status.textContent}));
})();
</script>
"""


def write(folder: Path, count: int) -> Path:
    """Write a page of made-up mosaics, 420 a month; return its path."""
    rng = np.random.default_rng(0)
    picture = _picture(folder / "picture.png", rng)
    months, left, year, month = [], count, 2026, 12
    while left > 0:
        name = f"{year}-{month:02d}"
        place = folder / "gallery" / name
        place.mkdir(parents=True)
        some = []
        for number in range(min(420, left)):
            ident = f"mosaic_{year}{month:02d}{number % 28 + 1:02d}T{number // 28 + 1:02d}0000"
            ra, dec = rng.uniform(0, 360), rng.choice([-10.0, 16.5, 30.5, 54.0])
            corners = [[ra + x, dec + y] for x, y in ((4, 1.5), (-4, 1.5), (-4, -1.5), (4, -1.5))]
            some.append(made(data_id=ident, name=ident, path=str(folder / "mosaics" / ident), centre_deg=[ra, dec],
                             corners_deg=corners, rms_mjy=float(rng.uniform(0.5, 4)),
                             thumbnail=f"{ident}.png"))  # fmt: skip
            (place / f"{ident}.png").hardlink_to(picture)
        gallery.write_month(place / "mosaics.js", some, place)
        strips = [gallery.strip_of(one) for one in some]
        months.append({"month": name, "mosaics": len(some), "simulated": 0,
                       "strips": {one: strips.count(one) for one in strips if one}})  # fmt: skip
        left -= len(some)
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    cells = rng.choice(49152, 2000, replace=False).astype(np.uint64)
    MOC.from_healpix_cells(cells, np.full(len(cells), 6, np.uint8), 11).save(str(folder / "moc.fits"), format="fits")
    gallery.write_page(folder / "index.html", months, folder / "moc.fits")
    return folder / "index.html"


def _picture(place: Path, rng: np.random.Generator) -> Path:
    """Write a thumbnail of noise in its usual size, which all mosaics get under names of their own; return its path."""
    pixels = rng.normal(0, 1e-3, (270, 420)).astype(np.float32)
    fits.writeto(place.with_suffix(".fits"), pixels)
    write_thumbnail(place.with_suffix(".fits"), place, 1.0)
    return place


def measure(page: Path, profile: Path) -> dict[str, float]:
    """Return the times of one visit."""
    page.with_name("empty.js").write_text("")
    tested = page.with_name("tested.html")
    tested.write_text(page.read_text().replace("</main>", SCRIPT + "</main>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
               "--timeout=60000", "--window-size=1400,1000", "--dump-dom", tested.as_uri()]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, timeout=300)
    times = re.search(r'data-times="([^"]*)"', done.stdout.decode())
    assert times is not None, "the browser ended before the page was painted: try again on a machine with less load"
    return json.loads(html.unescape(times[1]))


def main() -> None:
    """Print the times of three visits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mosaics", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = write(Path(folder), options.mosaics)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.js")) / 1e6
        print(f"{options.mosaics} mosaics: page {page.stat().st_size / 1e3:.0f} kB, months {size:.1f} MB")
        for _ in range(3):
            print(measure(page, Path(folder) / "profile"))


if __name__ == "__main__":
    main()
