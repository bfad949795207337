"""Faults put into the files of a simulated night, and noted in its truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contimg.simulate import constants as c
from contimg.simulate.data_faults import FAULTS, FaultContext
from contimg.simulate.errors import SimulationError
from contimg.simulate.fault_files import SimulatedNight


@dataclass(frozen=True)
class FaultRequest:
    """A fault that is asked for.

    Attributes
    ----------
    name : str
        Of `data_faults.FAULTS`.
    value : float or None
        Its size; None for that of the library.
    tile : int or None
        The only tile that has it; None for those of the library.
    """

    name: str
    value: float | None = None
    tile: int | None = None

    @classmethod
    def parse(cls, text: str) -> FaultRequest:
        """Read ``NAME[=VALUE][@TILE]``.

        Raises
        ------
        SimulationError
            If it is none of the library, or VALUE or TILE is no number.
        """
        head, at, tile = text.partition("@")
        name, equals, value = head.partition("=")
        if name not in FAULTS:
            raise SimulationError(f"--fault {name} is unknown: use one of {', '.join(FAULTS)}.")
        example = f"write it as NAME[=VALUE][@TILE], for example {name}={FAULTS[name].value:g}@3"
        try:
            number = float(value) if equals else None
            place = int(tile) if at else None
        except ValueError:
            raise SimulationError(f"--fault {text} cannot be read: {example}.") from None
        if number is not None and not math.isfinite(number):
            raise SimulationError(f"--fault {text} has no finite value: {example}.")
        return cls(name, number, place)


def inject(folder: Path, request: FaultRequest, seed: int = 0) -> list[int]:
    """Put a fault into the files of a simulated night; return the tiles that have it.

    Parameters
    ----------
    folder : Path
        Of the night; its ``truth.json`` records the faults.
    request : FaultRequest
    seed : int
        Chooses the tile, the subband and the antenna, and the random numbers.

    Raises
    ------
    SimulationError
        If the night has no such tile, or a file cannot be changed.
    """
    night, fault = SimulatedNight.open(folder), FAULTS[request.name]
    value = fault.value if request.value is None else request.value
    context = FaultContext(night, value, seed)
    tiles = _tiles(night, request, seed)
    for number in tiles:
        present = [subband for subband in range(c.SUBBANDS) if night.path(number, subband).is_file()]
        tile = [night.read(number, subband) for subband in present]
        fault.change(tile, context)
        for one in tile:
            night.write(one)
    entry: dict[str, Any] = {"kind": request.name, "value": value, "tiles": tiles, "seed": seed, "meaning": fault.text}
    night.note(entry)
    return tiles


def _tiles(night: SimulatedNight, request: FaultRequest, seed: int) -> list[int]:
    """Return the tiles that have the fault; where one is enough, one after the calibrator's that the seed chooses."""
    if request.tile is not None:
        if not 0 <= request.tile < night.tiles:
            raise SimulationError(f"--fault {request.name}@{request.tile}: the tiles are 0 to {night.tiles - 1}.")
        return [request.tile]
    everything = list(range(night.tiles))
    transit = -1 if night.transit_tile is None else night.transit_tile
    after = [tile for tile in everything if tile > transit] or everything
    scope = FAULTS[request.name].scope
    if scope == "one":
        return [after[seed % len(after)]]
    if scope == "half":
        return [tile for tile in everything if tile != transit][::2]
    return after if scope == "after" else everything
