"""Library of faults of correlator data: the change that each makes to the subband files of a tile.

A fault changes the files of a simulated night as the correlator, or the analogue system before it, would have written
them. `contimg.simulate.inject` chooses the tiles and writes the files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from contimg.simulate import constants as c
from contimg.simulate import more_faults as more
from contimg.simulate.array import load_stations
from contimg.simulate.fault_files import SimulatedNight, SubbandData

Tile = list[SubbandData]
Scope = Literal["one", "half", "after", "all"]


@dataclass(frozen=True)
class FaultContext:
    """Inputs of a fault besides the data.

    Attributes
    ----------
    night : SimulatedNight
    value : float
        Size of the fault, in the unit that its description names.
    seed : int
        Of this fault, for `random`.
    """

    night: SimulatedNight
    value: float
    seed: int

    def random(self, *purpose: int) -> np.random.Generator:
        """Return a generator of random numbers that is the same for each tile unless the tile is named."""
        return np.random.default_rng([self.seed, 13, *purpose])

    def subband(self) -> int:
        """Return the subband that is chosen for the fault: not one at an edge of the band."""
        return int(self.random(1).integers(2, c.SUBBANDS - 2))

    def antenna(self) -> int:
        """Return the station that is chosen for the fault."""
        return int(self.random(2).choice(self.night.stations))


@dataclass(frozen=True)
class DataFault:
    """A kind of fault.

    Attributes
    ----------
    text : str
        What it does, with the meaning of ``value``.
    value : float
        Size by default.
    scope : ``one``, ``half``, ``after`` or ``all``
        Tiles that have it by default: one after the calibrator's, every second one but the calibrator's, all after the
        calibrator's, or all.
    change : callable
        Changes the subbands of a tile in place.
    """

    text: str
    value: float
    scope: Scope
    change: Callable[[Tile, FaultContext], None]


def _each(change: Callable[[SubbandData, FaultContext], None]) -> Callable[[Tile, FaultContext], None]:
    """Return a change of a tile from that of a subband."""

    def of_tile(tile: Tile, context: FaultContext) -> None:
        for subband in tile:
            change(subband, context)

    return of_tile


def _in_one_subband(change: Callable[[SubbandData, FaultContext], None]) -> Callable[[Tile, FaultContext], None]:
    def of_tile(tile: Tile, context: FaultContext) -> None:
        for subband in tile:
            if subband.subband == context.subband():
                change(subband, context)

    return of_tile


def _scale(one: SubbandData, context: FaultContext) -> None:
    one.data *= np.float32(context.value)


def _scale_second_polarisation(one: SubbandData, context: FaultContext) -> None:
    one.data[..., 1] *= np.float32(context.value)


def _nsamples(one: SubbandData, context: FaultContext) -> None:
    one.nsamples *= np.float32(context.value)


def _nsamples_of_alternate_integrations(one: SubbandData, context: FaultContext) -> None:
    one.nsamples[::2] *= np.float32(context.value)


def _block(one: SubbandData, context: FaultContext) -> slice:
    """Return the block of integrations that a fraction of the tile makes, in its middle."""
    count = len(one.data)
    length = max(1, round(context.value * count))
    return slice((count - length) // 2, (count - length) // 2 + length)


def _nan_block(one: SubbandData, context: FaultContext) -> None:
    one.data[_block(one, context)] = np.nan


def _gap(one: SubbandData, context: FaultContext) -> None:
    one.data[_block(one, context)] = 0
    one.nsamples[_block(one, context)] = 0


def _clock(one: SubbandData, context: FaultContext) -> None:
    one.times_jd = one.times_jd + context.value / c.SECONDS_PER_DAY


def _duplicate(one: SubbandData, context: FaultContext) -> None:
    before = one.tile - 1 if one.tile else one.tile + 1
    one.data[:] = context.night.read(before, one.subband).data


def _add_noise(one: SubbandData, context: FaultContext) -> None:
    _noise(one, context, context.night.noise * np.sqrt(context.value**2 - 1))


def _noise(one: SubbandData, context: FaultContext, sigma: float) -> None:
    rng = context.random(3, one.tile, one.subband)
    parts = rng.standard_normal((*one.data[:, one.cross].shape, 2), dtype=np.float32) * np.float32(sigma)
    one.data[:, one.cross] += parts.view(np.complex64)[..., 0]


def _dead(one: SubbandData, context: FaultContext) -> None:
    one.data[:, one.cross] = 0
    _noise(one, context, context.night.noise)


def _bandpass_tilt(one: SubbandData, context: FaultContext) -> None:
    middle = (c.F0_MHZ - (c.FIRST_RAW_CHANNEL + c.SUBBANDS * c.RAW_CHANNELS_PER_SUBBAND / 2) * c.RAW_CHANNEL_MHZ) * 1e6
    half_band = c.SUBBANDS * c.SUBBAND_WIDTH_MHZ * 1e6 / 2
    tilt = 1 + context.value * (one.frequencies_hz - middle) / half_band
    one.data *= tilt[:, None].astype(np.float32)


def _antenna_gain(one: SubbandData, context: FaultContext) -> None:
    one.scale_antennas([context.antenna()], context.value)


def _antenna_phase(one: SubbandData, context: FaultContext) -> None:
    jump = np.where(np.arange(len(one.data)) >= len(one.data) // 2, context.value, 0.0)
    one.scale_antennas([context.antenna()], np.exp(1j * np.radians(jump))[:, None, None, None])


def _antenna_phases(one: SubbandData, context: FaultContext) -> None:
    phases = context.random(4).normal(0.0, np.radians(context.value), len(context.night.stations))
    for station, phase in zip(context.night.stations, phases, strict=True):
        one.scale_antennas([station], complex(np.exp(1j * phase)))


def _arm_delay(one: SubbandData, context: FaultContext) -> None:
    arm = [station.number for station in load_stations() if station.arm == "north-south"]
    phase = 2 * np.pi * context.value * 1e-9 * (one.frequencies_hz - c.F0_MHZ * 1e6)
    one.scale_antennas(arm, np.exp(1j * phase)[:, None])


def _swap_antennas(one: SubbandData, context: FaultContext) -> None:
    more.swap_stations(one, *context.random(5).choice(context.night.stations, 2, replace=False).tolist())


def _swap_polarisations(one: SubbandData, context: FaultContext) -> None:
    one.data[:] = one.data[..., ::-1].copy()


def _constant(one: SubbandData, context: FaultContext) -> None:
    one.data[:] = np.complex64(context.value * np.abs(one.data).mean())


def _zero(one: SubbandData, context: FaultContext) -> None:
    one.data[:] = 0


def _stuck(one: SubbandData, context: FaultContext) -> None:
    one.data[:] = one.data[:1]


def _offset(one: SubbandData, context: FaultContext) -> None:
    rng = context.random(6, one.subband)
    phase = np.exp(2j * np.pi * rng.uniform(size=(len(one.stations), 1, one.data.shape[-1])))
    one.data[:, one.cross] += (context.value * context.night.noise * phase[one.cross]).astype(np.complex64)


def _alias(one: SubbandData, context: FaultContext) -> None:
    one.data += np.float32(context.value) * np.conj(one.data[:, :, ::-1])


def _reverse_time(one: SubbandData, context: FaultContext) -> None:
    one.data[:] = one.data[::-1].copy()


def _reverse_channels(one: SubbandData, context: FaultContext) -> None:
    one.data[:] = one.data[:, :, ::-1].copy()


def _autos(one: SubbandData, context: FaultContext) -> None:
    one.data[:, ~one.cross] *= np.float32(context.value)


def _ramp(one: SubbandData, context: FaultContext) -> None:
    one.data *= np.linspace(1.0, context.value, len(one.data), dtype=np.float32)[:, None, None, None]


def _bright_integration(one: SubbandData, context: FaultContext) -> None:
    one.data[len(one.data) // 2] *= np.float32(context.value)


def _bad_baseline(one: SubbandData, context: FaultContext) -> None:
    row = int(context.random(8).choice(np.flatnonzero(one.cross)))
    one.data[:, row] += np.complex64(context.value * context.night.noise)


def _declination(one: SubbandData, context: FaultContext) -> None:
    wrong = np.radians(context.night.truth["pointing_declination_apparent_deg"] + context.value)
    one.header |= {"phase_center_app_dec": wrong, "extra_keywords/phase_center_dec": wrong}


def _exchange_subbands(tile: Tile, context: FaultContext) -> None:
    by_number = {one.subband: one for one in tile}
    first = context.subband()
    second = (first + round(context.value)) % c.SUBBANDS
    if first in by_number and second in by_number:
        one, other = by_number[first], by_number[second]
        one.data, other.data = other.data, one.data


def _repeat_subband(tile: Tile, context: FaultContext) -> None:
    by_number = {one.subband: one for one in tile}
    first, second = (by_number.get(context.subband() - round(step)) for step in (context.value, 0))
    if first is not None and second is not None:
        second.data[:] = first.data


def _exchange_tiles(one: SubbandData, context: FaultContext) -> None:
    other = one.tile - 2 if one.tile >= 2 else one.tile + 2
    one.data[:] = context.night.read(other, one.subband).data


FAULTS: dict[str, DataFault] = {
    "tile_scale": DataFault("all visibilities times VALUE", 0.7, "one", _each(_scale)),
    "target_scale": DataFault("all visibilities times VALUE after the calibrator", 1.15, "after", _each(_scale)),
    "subband_gain": DataFault("visibilities of one subband times VALUE", 1.3, "one", _in_one_subband(_scale)),
    "yy_gain": DataFault("YY times VALUE", 0.5, "one", _each(_scale_second_polarisation)),
    "subbands_exchanged": DataFault(
        "data of a subband and the VALUE-th after it exchanged", 7, "one", _exchange_subbands
    ),
    "subbands_exchanged_everywhere": DataFault("the same, in all tiles", 7, "all", _exchange_subbands),
    "nsamples": DataFault("numbers of samples times VALUE", 4, "one", _each(_nsamples)),
    "nsamples_uneven": DataFault(
        "numbers of samples of every second integration times VALUE", 0.25, "one",
        _each(_nsamples_of_alternate_integrations),
    ),
    "nsamples_zero": DataFault("numbers of samples times VALUE", 0, "one", _each(_nsamples)),
    "nan_block": DataFault("a fraction VALUE of the integrations is NaN", 0.25, "one", _each(_nan_block)),
    "gap": DataFault("a fraction VALUE of the integrations holds nothing", 0.3, "one", _each(_gap)),
    "clock": DataFault("times VALUE s late after the calibrator", 10, "after", _each(_clock)),
    "clock_of_tile": DataFault("times VALUE s late", 10, "one", _each(_clock)),
    "conjugated": DataFault("complex conjugate visibilities", 1, "one",
                            _each(lambda one, _context: more.conjugate(one))),
    "duplicated": DataFault("data of the tile before", 1, "one", _each(_duplicate)),
    "exchanged_tiles": DataFault("data of the tile before the one before", 1, "one", _each(_exchange_tiles)),
    "noise": DataFault("noise times VALUE", 3, "one", _each(_add_noise)),
    "dead_tiles": DataFault("noise without sky", 1, "half", _each(_dead)),
    "dead_subband": DataFault("one subband is noise without sky", 1, "one", _in_one_subband(_dead)),
    "bandpass_tilt": DataFault("visibilities 1 +- VALUE at the edges of the band", 0.3, "after", _each(_bandpass_tilt)),
    "antenna_gain": DataFault("voltages of one antenna times VALUE", 3, "one", _each(_antenna_gain)),
    "antenna_phase": DataFault("phase of one antenna jumps by VALUE deg", 120, "one", _each(_antenna_phase)),
    "antenna_phases": DataFault("phases of the antennas off by VALUE deg rms", 60, "one", _each(_antenna_phases)),
    "arm_delay": DataFault("north-south arm VALUE ns late after the calibrator", 10, "after", _each(_arm_delay)),
    "antennas_swapped": DataFault("signals of two antennas exchanged after the calibrator", 1, "after",
                                  _each(_swap_antennas)),
    "polarisations_swapped": DataFault("XX and YY exchanged after the calibrator", 1, "after",
                                       _each(_swap_polarisations)),
    "polarisations_swapped_once": DataFault("XX and YY exchanged in one tile", 1, "one", _each(_swap_polarisations)),
    "constant": DataFault("all visibilities the same, VALUE times their mean", 1, "one", _each(_constant)),
    "zero": DataFault("all visibilities zero", 1, "one", _each(_zero)),
    "stuck": DataFault("the first integration repeated", 1, "one", _each(_stuck)),
    "offset": DataFault("a constant of VALUE times the noise on each baseline and subband", 1, "one", _each(_offset)),
    "aliased": DataFault("VALUE times the mirrored band added", 0.5, "one", _each(_alias)),
    "integrations_dropped": DataFault("VALUE integrations lost, later ones one place early", 2, "one",
                                      _each(lambda one, context: more.drop_integrations(one, round(context.value)))),
    "time_reversed": DataFault("integrations in reverse order", 1, "one", _each(_reverse_time)),
    "channels_reversed": DataFault("channels of every subband in reverse order", 1, "one", _each(_reverse_channels)),
    "bit_flips": DataFault(
        "a bit flipped in a fraction VALUE of the numbers", 0.02, "one",
        _each(lambda one, context: more.flip_bits(
            one, context.value, context.random(7, one.tile, one.subband))),
    ),
    "autos": DataFault("autocorrelations times VALUE", 4, "one", _each(_autos)),
    "gain_ramp": DataFault("visibilities from 1 to VALUE times over the tile", 1.8, "one", _each(_ramp)),
    "bright_integration": DataFault("one integration times VALUE", 30, "one", _each(_bright_integration)),
    "bad_baseline": DataFault("VALUE times the noise added to one baseline", 300, "one", _each(_bad_baseline)),
    "crosstalk": DataFault("VALUE of YY in XX and of XX in YY", 0.2, "after",
                           _each(lambda one, context: more.mix_polarisations(one, context.value))),
    "baselines_scaled": DataFault(
        "baselines within half of the antennas times VALUE", 0.5, "one",
        _each(lambda one, context: more.scale_baseline_group(one, context.night.stations, context.value)),
    ),
    "times_frozen": DataFault("all integrations at the time of the first", 1, "one",
                              _each(lambda one, context: more.freeze_times(one))),
    "subband_late": DataFault("data of one subband VALUE integrations late", 4, "one",
                              _in_one_subband(lambda one, context: more.delay_integrations(one, round(context.value)))),
    "correlator_offset": DataFault(
        "VALUE times the noise added to every baseline", 0.5, "one",
        _each(lambda one, context: more.add_to_every_baseline(one, context.value * context.night.noise)),
    ),
    "satellite_trail": DataFault(
        "a moving point of VALUE times the noise in six integrations", 30, "one",
        _each(lambda one, context: more.add_satellite_trail(
            one, context.value * context.night.noise, context.random(9, one.tile))),
    ),
    "drift": DataFault("visibilities up by VALUE a tile after the calibrator", 0.06, "after",
                       _each(lambda one, context: more.drift(one, context.value, context.night.transit_tile or 0))),
    "subband_repeated": DataFault("one subband with the data of the VALUE-th before it", 1, "one", _repeat_subband),
    "integrations_elsewhere": DataFault(
        "VALUE integrations of the tile before", 1, "one",
        _each(lambda one, context: more.take_integrations(one, context.night.read(
            one.tile - 1 if one.tile else one.tile + 1, one.subband), round(context.value))),
    ),
    "frequencies_off": DataFault("frequencies VALUE subbands too high", 0.5, "one",
                                 _each(lambda one, context: more.shift_frequencies(one, context.value))),
    "subband_frequencies_off": DataFault(
        "those of one subband", 0.5, "one",
        _in_one_subband(lambda one, context: more.shift_frequencies(one, context.value)),
    ),
    "declination": DataFault("declination of the headers VALUE deg off", 0.25, "all", _each(_declination)),
}  # fmt: skip
