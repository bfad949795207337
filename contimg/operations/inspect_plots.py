"""Quick-look pictures: amplitudes over time and frequency, levels of antennas, uv coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from contimg import plotting
from contimg.operations.inspect import Look
from contimg.sky.constants import C_M_S
from contimg.storage.atomic import atomic_path

_COLOURS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd")


def plot(look: Look, folder: Path) -> list[Path]:
    """Write ``<name>.waterfall.png``, ``.antennas.png`` and ``.uv.png`` into a folder; return their paths."""
    plotting.matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(look.facts["path"]).name.replace(":", "")
    title = f"{Path(look.facts['path']).name}{' (synthetic)' if look.facts['synthetic'] else ''}"
    made = []
    for name, draw, size in (("waterfall", _waterfall, (9, 5)), ("antennas", _antennas, (12, 6)), ("uv", _uv, (7, 7))):
        figure = Figure(figsize=size, dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, look)
        figure.suptitle(title, fontsize=11)
        made.append(folder / f"{stem}.{name}.png")
        with atomic_path(made[-1]) as part:
            figure.savefig(part, format="png", metadata={"Software": None})
    return made


def _waterfall(figure: Any, look: Look) -> None:
    """Draw the mean amplitude over frequency and time."""
    axes = figure.add_subplot()
    low, high = (x / 1e6 for x in look.facts["band_hz"])
    minutes = len(look.times_mjd) * look.facts["integration_s"] / 60
    known = look.waterfall[np.isfinite(look.waterfall)]
    limits = np.percentile(known, [1, 99]) if len(known) else (0, 1)
    shown = np.ma.masked_invalid(look.waterfall)
    image = axes.imshow(
        shown, aspect="auto", origin="lower", interpolation="nearest", extent=(low, high, 0, minutes),
        vmin=limits[0], vmax=limits[1], cmap="viridis",
    )  # fmt: skip
    axes.set_facecolor("0.8")
    axes.set(xlabel="frequency [MHz]", ylabel=f"minutes after {look.facts['start']} UTC")
    axes.set_title("mean amplitude of unflagged cross-correlations; grey: all flagged or not received", fontsize=9)
    figure.colorbar(image, ax=axes, label="amplitude [units of the file], 1st to 99th percentile")


def _antennas(figure: Any, look: Look) -> None:
    """Draw the mean amplitude and the flagged fraction of each antenna."""
    used = np.flatnonzero(np.isfinite(look.flagged))
    above, below = figure.subplots(2, 1, sharex=True)
    places = np.arange(len(used))
    for pol, name in enumerate(look.polarisations):
        shift = 0.25 * (pol - (len(look.polarisations) - 1) / 2)
        above.plot(places + shift, look.levels[used, pol], "o", color=_COLOURS[pol % 4], markersize=4, label=name)
    above.set_ylim(bottom=0)
    above.set_ylabel("mean amplitude\n[units of the file]")
    above.legend(loc="lower right", ncols=4, fontsize=8)
    below.bar(places, 100 * look.flagged[used], color="0.5")
    most = 100 * float(look.flagged[used].max(initial=0))
    below.set(xlabel="antenna", ylabel="flagged [%]", xlim=(-1, max(1, len(used))), ylim=(0, max(1, 1.05 * most)))
    below.set_xticks(places, [look.antenna_names[a] for a in used], rotation=90, fontsize=7)
    for axes in (above, below):
        axes.grid(axis="y", alpha=0.3)


def _uv(figure: Any, look: Look) -> None:
    """Draw the uv coverage at the mean frequency, u increasing to the left, as east on the sky."""
    axes = figure.add_subplot()
    freq_hz = float(look.freq_hz.mean())
    uv = look.uv_m * freq_hz / C_M_S / 1e3
    for sign, colour in ((1, _COLOURS[0]), (-1, _COLOURS[1])):
        axes.plot(sign * uv[:, 0], sign * uv[:, 1], ".", color=colour, markersize=1.5)
    reach = 1.05 * float(np.abs(uv).max(initial=0.1))
    axes.set(xlim=(reach, -reach), ylim=(-reach, reach), aspect="equal")
    axes.set(xlabel="u [thousands of wavelengths]", ylabel="v [thousands of wavelengths]")
    axes.set_title(f"coverage at {freq_hz / 1e6:.1f} MHz; orange: conjugates", fontsize=9)
    axes.grid(alpha=0.3)
