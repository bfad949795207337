"""The correlator's visibilities: sky, interference, receivers and antenna gains of a night, file by file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contimg.simulate import band, far_sources, predict, receptors
from contimg.simulate import constants as c
from contimg.simulate.gains import Gains, make_gains
from contimg.simulate.hdf5 import FileHeader
from contimg.simulate.interference import InterferenceEvent, add_events, coupling, plan_events
from contimg.simulate.options import NightOptions
from contimg.simulate.randomness import generator


@dataclass(frozen=True)
class Correlator:
    """What the visibilities of all files of a night share.

    Attributes
    ----------
    options : NightOptions
    header : FileHeader
        Stations and baselines.
    gains : Gains
        Antenna gains of the whole night.
    events : tuple of InterferenceEvent
        Interference of the whole night.
    coupling : ndarray
        Coupling of each antenna and polarisation to the transmitter, complex, (antennas, 2).
    sigma_jy : float
        Noise of the real and of the imaginary part of one visibility, Jy; zero for none.
    far : tuple of tuple of FarSource
        Sources outside the main beam during each tile.
    """

    options: NightOptions
    header: FileHeader
    gains: Gains
    events: tuple[InterferenceEvent, ...]
    coupling: np.ndarray
    sigma_jy: float
    far: tuple[tuple[far_sources.FarSource, ...], ...]

    def visibilities(self, sky: predict.TileSky, tile: int, subband: int) -> np.ndarray:
        """Return the visibilities of one file.

        Parameters
        ----------
        sky : TileSky
            The sources during that tile.
        tile, subband : int

        Returns
        -------
        ndarray
            (integrations, baselines, channels, products), complex64, correlator units.
        """
        options, first, second = self.options, self.header.first, self.header.second
        errors = options.telescope.correlator
        frequencies = band.subband_frequencies(subband, options.channels)
        smearing = self.header.channel_width_hz if options.smearing else None
        intensity = predict.predict(sky, frequencies, first, second, smearing)
        data = np.repeat(intensity[..., None], len(c.POLARIZATIONS), axis=-1)
        here = tuple(event for event in self.events if (event.tile, event.subband) == (tile, subband))
        add_events(data, here, self.coupling, first, second, options.seed)
        self._add_hostile_sky(data, sky, tile, subband)
        if errors.swapped_polarisations:
            swapped = np.isin(self.header.stations, errors.swapped_polarisations)
            receptors.swap_receptors(data, swapped, first, second)
        if options.dead:
            dead = np.isin(self.header.stations, options.dead)
            data[:, dead[first] | dead[second]] = 0
        rng = generator(options.seed, "noise", tile, subband)
        predict.add_receivers(data, np.flatnonzero(first == second), options.sefd_jy, self.sigma_jy, rng)
        self._apply_gains(data, tile, subband)
        if errors.packet_loss:
            losses = receptors.losses_of(errors, self.header.stations)
            receptors.lose_packets(data, losses, first, second, generator(options.seed, "packets", tile, subband))
        noise = self.sigma_jy * c.CORRELATOR_UNITS_PER_JY
        return receptors.arrange_products(data, errors, first, second, noise, (options.seed, tile, subband))

    def _add_hostile_sky(self, data: np.ndarray, sky: predict.TileSky, tile: int, subband: int) -> None:
        """Add the Sun, the brightest sources and satellites, Jy, in place."""
        hostile = self.options.telescope.sky
        baselines = (self.header.first, self.header.second)
        frequencies = band.subband_frequencies(subband, self.options.channels)
        width_hz = self.header.channel_width_hz
        far_sources.add_far_sources(data, self.far[tile], sky.instrument, baselines, frequencies, width_hz)
        for where, kind in hostile.satellites:
            if where == subband:
                shape = (self.options.integrations, self.options.channels)
                burst = far_sources.plan_burst(kind, self.options.seed, (tile, subband), *shape)
                far_sources.add_burst(data, burst, hostile.satellite_jy, sky.instrument, baselines, frequencies)

    def _apply_gains(self, data: np.ndarray, tile: int, subband: int) -> None:
        """Multiply by the gains of both antennas and go from Jy to correlator units, in place."""
        first, second = self.header.first, self.header.second
        gains = self.gains.of(tile, subband).astype(np.complex64)
        data *= np.conj(gains[:, first])
        data *= gains[:, second]
        data *= np.float32(c.CORRELATOR_UNITS_PER_JY)
        data.imag[:, first == second] = 0


def make_correlator(options: NightOptions, header: FileHeader, times_jd: np.ndarray) -> Correlator:
    """Draw gains and interference of a night.

    Parameters
    ----------
    options : NightOptions
    header : FileHeader
    times_jd : ndarray
        (tiles, integrations), true centres, UTC Julian dates.
    """
    frequencies = band.band_frequencies(options.channels)
    events = plan_events(
        options.rfi, options.rfi_jy, options.tiles, options.channels, options.integrations, options.seed
    )
    return Correlator(
        options=options,
        header=header,
        gains=make_gains(options.gains, header.stations, options.dead, frequencies, times_jd, options.seed),
        events=events,
        coupling=coupling(len(header.stations), options.seed),
        sigma_jy=predict.noise_sigma_jy(options.sefd_jy, header.channel_width_hz) if options.noise else 0.0,
        far=tuple(far_sources.far_sources(options.telescope.sky, times) for times in times_jd),
    )
