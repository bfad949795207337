"""A simulated night taken from its files to a judged mosaic in this process, stage by stage, as the rules would.

What is there already is not made again, so that a copy of a processed night with a fault in it costs only what the
fault touches.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from contimg import config as configuration
from contimg.bundle import metadata
from contimg.calibration import plots as calibration_plots
from contimg.calibration.apply_calibration import apply_calibration
from contimg.calibration.solve_calibration import solve_calibration
from contimg.config import Config
from contimg.convert.convert_tile import convert_tile
from contimg.crossmatch import plots as comparison_plots
from contimg.crossmatch.crossmatch_mosaic import crossmatch_mosaic
from contimg.errors import ContimgError
from contimg.imaging import tile_products
from contimg.imaging.checks import plot as quality_plot
from contimg.imaging.image_tile import image_tile
from contimg.mosaic import mosaic_group as mosaic_making
from contimg.mosaic.mosaic_group import mosaic_group
from contimg.operations import preflight
from contimg.plan import frozen
from contimg.plan.model import Plan
from contimg.plotting.features import Features
from contimg.plotting.sky_picture import SkyPicture
from contimg.products.judged import options_of, read_judged
from contimg.products.twin import Twin, read_twin
from contimg.simulate import NightOptions, simulate_night

# Products of a tile, in the order in which they are made.
TILE_KINDS = ("ms", "calibrated", "image")


@dataclass
class Outcome:
    """What became of a night.

    Attributes
    ----------
    verdict : str
        Of the mosaic and its comparison with the catalogue: ``passed``, ``warning`` or ``failed``; ``refused`` where a
        rule stopped with a sentence; ``none`` where no mosaic was planned.
    codes : list of str
        Of all reasons, those of tiles and calibrations with ``tile:`` and ``calibration:`` before them.
    messages : list of str
        Of the same reasons.
    left_out : dict of str to str
        Why a tile is not in the mosaic, by its id.
    numbers : dict
        ``qa`` of the mosaic and of the comparison.
    flagged : dict of str to list of str
        Subbands of which the conversion flagged more than 95 %, by tile.
    tiles : dict of str to dict
        ``qa`` of the tiles' images, by tile.
    """

    verdict: str = "none"
    codes: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    flagged: dict[str, list[str]] = field(default_factory=dict)
    tiles: dict[str, dict[str, Any]] = field(default_factory=dict)


class WholeNight:
    """A simulated night and its products, below one folder.

    Parameters
    ----------
    folder : Path
        Made by `simulate_night`, or a copy of one.
    changes : mapping, optional
        Sections of the configuration that replace those of the night's overlay, key by key.
    """

    def __init__(self, folder: Path, changes: dict[str, dict[str, Any]] | None = None) -> None:
        self.folder = folder
        overlay = yaml.safe_load((folder / "config.yaml").read_text())
        for name in ("incoming", "stage", "products", "state"):
            overlay["paths"][name] = str(folder / name)
        overlay["sky"]["catalogue"] = str(folder / "catalogue.csv")
        if (folder / "calibrators.csv").exists():
            overlay["calibration"]["calibrators"] = str(folder / "calibrators.csv")
        for section, keys in (changes or {}).items():
            overlay.setdefault(section, {}).update(keys)
        self.config: Config = configuration.load(overlay)

    @classmethod
    def simulate(cls, folder: Path, **options: Any) -> WholeNight:
        """Simulate a night."""
        simulate_night(folder, NightOptions(**options))
        return cls(folder)

    def copy(self, folder: Path) -> WholeNight:
        """Return a copy in another folder, which is replaced."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return WholeNight(folder)

    @property
    def catalogue(self) -> Path | None:
        """The sky catalogue, if there is one."""
        return None if self.config.sky.catalogue is None else Path(self.config.sky.catalogue)

    def plan(self) -> Plan:
        """Plan, and freeze the plan."""
        plan = preflight.checked_plan(self.config)
        frozen.freeze(plan, self.config)
        return plan

    def process(self, enough: Callable[[Outcome], bool] | None = None) -> Outcome:
        """Make all that is missing; return what became of it.

        Parameters
        ----------
        enough : callable, optional
            Tells from what the tiles, and then the mosaic, say whether the rest need not be made.
        """
        try:
            plan = self.plan()
            with without_pictures():
                for make in (self._make_tiles, self._make_mosaics, self._compare):
                    make(plan)
                    if enough is not None and enough(found := self.outcome(plan)):
                        return found
        except ContimgError as error:
            return Outcome("refused", ["refused"], [str(error)])
        return self.outcome(plan)

    def forget(self, kind: str, name: str) -> None:
        """Remove a product and its twin."""
        layout = self.config.layout
        shutil.rmtree(layout.product(kind, name), ignore_errors=True)
        layout.twin(kind, name).unlink(missing_ok=True)

    def forget_mosaics(self) -> None:
        """Remove the mosaics and their comparisons with the catalogue."""
        for kind in ("mosaics", "crossmatch"):
            shutil.rmtree(self.config.layout.stage / kind, ignore_errors=True)

    def forget_all(self) -> None:
        """Remove everything that was made, and the membership of groups."""
        shutil.rmtree(self.config.layout.stage, ignore_errors=True)

    def outcome(self, plan: Plan) -> Outcome:
        """Return what the twins say, judged by the thresholds of now."""
        found = Outcome()
        for name in plan.calibrations:
            self._add(found, "calibration", name, "calibration:")
        for group in plan.groups.values():
            for tile in group.tiles:
                self._add_flagged(found, tile)
                image = self._add(found, "image", tile, "tile:")
                if image is not None:
                    found.tiles[tile] = image.qa
                    if image.verdict == "failed":
                        found.left_out[tile] = ", ".join(reason.code for reason in image.reasons)
            twins = [self._add(found, kind, group.mosaic_id, "") for kind in ("mosaic", "crossmatch")]
            there = [twin for twin in twins if twin is not None]
            if there:
                found.verdict = metadata.verdict(there)
                found.numbers = {key: value for twin in there for key, value in twin.qa.items()}
                used = there[0].facts.get("tiles_used", [])
                found.left_out |= {
                    tile: next((note for note in there[0].notes if tile in note), "not used")
                    for tile in group.tiles if tile not in used
                }  # fmt: skip
        for item in (*plan.quarantined, *frozen.found_in_data(plan, self.config)):
            found.codes.append(f"quarantined:{item.code}")
            found.messages.append(f"{item.path}: {item.message}")
        if not plan.groups:
            found.messages += [item.message for item in plan.waiting]
        return found

    def _add_flagged(self, found: Outcome, tile: str) -> None:
        path = self.config.layout.twin("ms", tile)
        if path.exists():
            shares = read_twin(path).qa.get("flagged_by_subband", {})
            found.flagged[tile] = [name for name, share in shares.items() if share is not None and share > 0.95]

    def _add(self, found: Outcome, kind: str, name: str, prefix: str) -> Twin | None:
        path = self.config.layout.twin(kind, name)
        if not path.exists():
            return None
        twin = read_judged(path, options_of(self.config))
        found.codes += [f"{prefix}{reason.code}" for reason in twin.reasons]
        found.messages += [f"{prefix}{name}: {reason.message}" for reason in twin.reasons]
        return twin

    def _make_tiles(self, plan: Plan) -> None:
        self._calibrations(plan)
        for group in plan.groups.values():
            for tile in group.tiles:
                self._tile(plan, tile)

    def _calibrations(self, plan: Plan) -> None:
        config, layout = self.config, self.config.layout
        for one in plan.calibrations.values():
            if layout.twin("calibration", one.id).exists():
                continue
            self._convert(plan, one.tile)
            with _quiet():
                solve_calibration(
                    layout.product("ms", one.tile), layout.twin("ms", one.tile),
                    layout.product("calibration", one.id), layout.twin("calibration", one.id),
                    calibrator=one.calibrator, options=config.calibration, beam=config.beam, catalogue=self.catalogue,
                    bandpass=layout.twin("calibration", one.bandpass) if one.bandpass else None,
                )  # fmt: skip

    def _convert(self, plan: Plan, tile: str) -> None:
        config, layout = self.config, self.config.layout
        if not layout.product("ms", tile).exists():
            layout.twin("ms", tile).unlink(missing_ok=True)
            files = [Path(file) for file in plan.tiles[tile].files]
            convert_tile(
                files, layout.product("ms", tile), layout.twin("ms", tile),
                tile_id=tile, ingest=config.ingest, flag=config.flag,
            )  # fmt: skip

    def _tile(self, plan: Plan, tile: str) -> None:
        config, layout = self.config, self.config.layout
        if layout.twin("image", tile).exists():
            return
        self._convert(plan, tile)
        calibrated, twin = layout.product("calibrated", tile), layout.twin("calibrated", tile)
        if not calibrated.exists():
            twin.unlink(missing_ok=True)
            chosen = [layout.twin("calibration", name) for name in plan.choices[tile].calibrations]
            apply_calibration(
                layout.product("ms", tile), layout.twin("ms", tile), calibrated, twin, calibrations=chosen,
                choice=frozen.read_choice(layout.frozen_plan, tile), options=config.calibration,
            )  # fmt: skip
        with _quiet():
            image_tile(
                calibrated, twin, layout.product("image", tile), layout.twin("image", tile), tile_id=tile,
                options=config.image, beam=config.beam, catalogue=self.catalogue, threads=1, qa=config.qa,
            )  # fmt: skip

    def _make_mosaics(self, plan: Plan) -> None:
        config, layout = self.config, self.config.layout
        for group in plan.groups.values():
            if not layout.twin("mosaic", group.mosaic_id).exists():
                mosaic_group(
                    [layout.twin("image", tile) for tile in group.tiles],
                    layout.product("mosaic", group.mosaic_id), layout.twin("mosaic", group.mosaic_id),
                    mosaic_id=group.mosaic_id, options=config.mosaic, pb_limit=config.image.pb_limit, qa=config.qa,
                )  # fmt: skip

    def _compare(self, plan: Plan) -> None:
        config, layout = self.config, self.config.layout
        for name in (group.mosaic_id for group in plan.groups.values()):
            if self.catalogue is not None and not layout.twin("crossmatch", name).exists():
                with _quiet():
                    crossmatch_mosaic(
                        layout.twin("mosaic", name), layout.product("crossmatch", name),
                        layout.twin("crossmatch", name),
                        catalogue=self.catalogue, options=config.crossmatch, qa=config.qa,
                    )  # fmt: skip


def _no_picture(path: Path, *given: Any, **options: Any) -> None:
    path.write_bytes(b"")


def _no_sky_picture(path: Path, shown: SkyPicture, *given: Any, **options: Any) -> Features:
    path.write_bytes(b"")
    return shown.features()


@contextlib.contextmanager
def without_pictures() -> Iterator[None]:
    """Write empty files in place of pictures, which take a third of the time and no part in verdicts."""
    drawing = [(quality_plot, "draw")]
    drawing += [(comparison_plots, name) for name in ("draw_flux", "draw_astrometry")]
    with contextlib.ExitStack() as stack:
        for module in (tile_products, mosaic_making):
            stack.enter_context(mock.patch.object(module, "draw", _no_sky_picture))
        for module, name in drawing:
            stack.enter_context(mock.patch.object(module, name, _no_picture))
        stack.enter_context(mock.patch.object(calibration_plots, "plot_solutions", lambda *given, **options: []))
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what libraries print to the process's standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)
