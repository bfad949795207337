"""A page as headless Chromium shows it in a window of some width, without any network."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FRAME = """<!DOCTYPE html><html><body style="margin:0"><iframe id="seen" style="border:0;display:block;
width:%(width)dpx; height:%(height)dpx"></iframe><pre id="measured"></pre><script>
const frame = document.getElementById("seen");
frame.onload = () => {
  const page = frame.contentDocument, wide = [];
  for (const one of page.querySelectorAll("main *")) {
    if (one.closest(".scroll")) continue;  // scrolls by itself
    if (one.getBoundingClientRect().right > %(width)d + 1) wide.push(one.tagName + " " + one.textContent.slice(0, 40));
  }
  document.getElementById("measured").textContent = JSON.stringify(
    {scroll: page.documentElement.scrollWidth, height: page.documentElement.scrollHeight, wide: wide.slice(0, 5)});
};
frame.srcdoc = %(content)s;
</script></body></html>"""


@dataclass(frozen=True)
class Seen:
    """How a page looks: pixels (height, width, 3), its width with what sticks out, and the elements that do."""

    pixels: NDArray[np.uint8]
    scroll_px: int
    height_px: int
    sticking_out: list[str]

    @property
    def ink(self) -> float:
        """The fraction of pixels that differ from the background."""
        apart = np.abs(self.pixels.astype(int) - self.pixels[0, 0].astype(int)).max(axis=2)
        return float((apart > 30).mean())


def look(page: Path, width_px: int, folder: Path, height_px: int = 2400) -> Seen:
    """Show a page in a frame of some width (narrower than a window can be) and return what is seen."""
    from PIL import Image

    content = json.dumps(page.read_text()).replace("</", "<\\/")
    frame, shot = folder / f"frame-{width_px}.html", folder / f"{page.stem}-{width_px}.png"
    frame.write_text(_FRAME % {"width": width_px, "height": height_px, "content": content})
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--window-size={max(width_px, 600)},{height_px}", f"--user-data-dir={folder / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000",
    ]  # fmt: skip
    words = [*command, f"--screenshot={shot}", "--dump-dom", frame.as_uri()]
    said = subprocess.run(words, check=True, capture_output=True, timeout=120).stdout.decode()
    if not shot.exists():  # this Chromium does one thing at a time
        subprocess.run([*command, f"--screenshot={shot}", frame.as_uri()], check=True, capture_output=True, timeout=120)
    match = re.search(r'<pre id="measured">(\{.*?\})</pre>', said, re.DOTALL)
    if match is None:
        raise AssertionError(f"{page} was not shown: {said[-500:]}")
    measured = json.loads(unescape(match[1]))
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB").crop((0, 0, width_px, height_px)))
    return Seen(pixels, measured["scroll"], measured["height"], measured["wide"])
