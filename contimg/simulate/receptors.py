"""Effects between receptors and file: exchanged receptors, lost packets, conjugation, order of the products."""

from __future__ import annotations

import numpy as np

from contimg.simulate.randomness import generator
from contimg.simulate.telescope import CorrelatorErrors


def swap_receptors(visibilities: np.ndarray, swapped: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
    """Exchange X and Y of antennas in the visibilities of an unpolarised sky, in place.

    Between two such antennas XX is YY; between one and an ordinary antenna X meets Y, whose product has no signal.

    Parameters
    ----------
    visibilities : ndarray
        (integrations, baselines, channels, 2), Jy, before receiver noise.
    swapped : ndarray of bool
        (antennas,).
    first, second : ndarray
        Antennas of each baseline.
    """
    both, one = swapped[first] & swapped[second], swapped[first] ^ swapped[second]
    visibilities[:, both] = visibilities[:, both][..., ::-1]
    visibilities[:, one] = 0


def lose_packets(
    visibilities: np.ndarray, losses: np.ndarray, first: np.ndarray, second: np.ndarray, rng: np.random.Generator
) -> None:
    """Replace samples of antennas by zeros, in place: the counts of samples in the file do not show it.

    An autocorrelation keeps 1 - l of its power, a product of two antennas (1 - l1) (1 - l2) where their losses are
    independent.

    Parameters
    ----------
    visibilities : ndarray
        (integrations, baselines, channels, 2).
    losses : ndarray
        (antennas,), mean lost fraction.
    first, second : ndarray
        Antennas of each baseline.
    rng : numpy.random.Generator
    """
    lost = np.minimum(losses * rng.uniform(0, 2, (len(visibilities), len(losses))), 1.0)
    kept = (1 - lost).astype(np.float32)
    factor = np.where(first == second, kept[:, first], kept[:, first] * kept[:, second])
    visibilities *= factor[:, :, None, None]


def arrange_products(
    visibilities: np.ndarray,
    errors: CorrelatorErrors,
    first: np.ndarray,
    second: np.ndarray,
    noise: float,
    key: tuple[int, int, int],
) -> np.ndarray:
    """Return the products in the order of the file; XY and YX hold noise only.

    Parameters
    ----------
    visibilities : ndarray
        (integrations, baselines, channels, 2), XX and YY, correlator units.
    errors : CorrelatorErrors
    first, second : ndarray
        Antennas of each baseline.
    noise : float
        Of the real and imaginary part of one visibility, correlator units.
    key : tuple of int
        Seed, tile and subband.
    """
    if errors.conjugated:
        visibilities = np.conj(visibilities)
    if errors.products == ("XX", "YY"):
        return visibilities
    planes = []
    for name in errors.products:
        if name in ("XX", "YY"):
            planes.append(visibilities[..., 0 if name == "XX" else 1])
            continue
        rng = generator(key[0], f"noise-{name}", *key[1:])
        shape = visibilities.shape[:3]
        plane = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        planes.append(plane * np.float32(noise))
    return np.stack(planes, axis=-1)


def losses_of(errors: CorrelatorErrors, stations: tuple[int, ...]) -> np.ndarray:
    """Return the mean lost fraction of every antenna, (antennas,)."""
    losses = np.zeros(len(stations))
    for station, fraction in errors.packet_loss:
        losses[stations.index(station)] = fraction
    return losses
