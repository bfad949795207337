"""Least-squares fits of Gaussians to the pixels of a source, with the correlation of the noise in weights and errors.

The noise of an image that was convolved with a Gaussian of covariance B is correlated as ``exp(-d^T B^-1 d / 4)``. A
fit that treats pixels as independent averages over correlated noise: the peak of a point source gets an error of 1.4
rms, more than that of its brightest pixel, and the error that such a fit states is wrong by the number of pixels a
beam. Here pixels are weighted by the inverse of C + `REGULAR` rms^2, C the full covariance of the noise (generalised
least squares). The second part stands for what C does not know: weights from C alone would hang on small differences
between neighbouring pixels. Errors are propagated from C: to first order they are right for any set of pixels, at an
image's edge and where the rms changes too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PLACE = 3
"""Parameters of a component with the beam's shape: amplitude, x and y."""
SHAPE = 6
"""Of a component with a shape of its own: its covariance xx, xy and yy too (pixels^2)."""
_ITERATIONS = 40
_CONVERGED = 1e-4
_MOST_DAMPING = 1e8
_SINGULAR = 1e14
REGULAR = 0.3
"""Uncorrelated noise added to the weights, as a fraction of the variance."""


@dataclass(frozen=True)
class Pixels:
    """The pixels that are fitted; arrays (n,).

    Attributes
    ----------
    x, y : float64
        Column and row.
    value, rms : float64
        Jy/beam.
    beam : (2, 2) float64
        Covariance of the beam in (x, y), pixels^2.
    noise : (2, 2) float64
        N of the noise's correlation ``exp(-d^T N^-1 d / 2)``, pixels^2: twice the beam's covariance for white noise
        that was convolved with the beam.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    value: NDArray[np.float64]
    rms: NDArray[np.float64]
    beam: NDArray[np.float64]
    noise: NDArray[np.float64]

    def correlation(self) -> NDArray[np.float64]:
        """Return the (n, n) correlation of the pixels' noise."""
        inverse = np.linalg.inv(self.noise) / 2
        dx, dy = self.x[:, None] - self.x, self.y[:, None] - self.y
        return np.exp(-(inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2))


@dataclass(frozen=True)
class Fit:
    """Fitted components.

    Attributes
    ----------
    parameters : (k, 3) or (k, 6) float64
        Amplitude (Jy/beam), x, y and, with free shapes, the covariance xx, xy, yy (pixels^2) of each component.
    covariance : (3 k, 3 k) or (6 k, 6 k) float64
        Of the parameters.
    residual : (n,) float64
        Pixels minus model, in units of the rms.
    """

    parameters: NDArray[np.float64]
    covariance: NDArray[np.float64]
    residual: NDArray[np.float64]

    def errors(self, component: int) -> NDArray[np.float64]:
        """Return the covariance of one component's parameters."""
        n = self.parameters.shape[1]
        part = slice(component * n, (component + 1) * n)
        return self.covariance[part, part]


def fit(pixels: Pixels, start: NDArray[np.float64]) -> Fit | None:
    """Fit components by generalised least squares (Levenberg-Marquardt algorithm).

    Parameters
    ----------
    pixels : Pixels
    start : (k, 3) or (k, 6) float64
        Parameters to start from, as in `Fit`.

    Returns
    -------
    Fit or None
        None where there are too few pixels, or the fit does not converge.
    """
    if len(pixels.x) <= start.size:
        return None
    correlation = pixels.correlation()
    lower = np.linalg.cholesky(correlation + REGULAR * np.eye(len(correlation)))
    whiten = np.linalg.inv(lower) / pixels.rms
    found = _minimise(pixels, whiten, start.astype(np.float64))
    if found is None:
        return None
    model, derivatives = _model(pixels, found)
    jacobian = whiten @ derivatives
    normal = jacobian.T @ jacobian
    if not np.isfinite(normal).all() or np.linalg.cond(normal) > _SINGULAR:
        return None
    estimator = np.linalg.solve(normal, jacobian.T) @ whiten * pixels.rms
    return Fit(found, estimator @ correlation @ estimator.T, (pixels.value - model) / pixels.rms)


def _minimise(
    pixels: Pixels, whiten: NDArray[np.float64], parameters: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return the parameters that minimise the whitened residual; None where no step improves them."""
    damping = 1e-3
    model, derivatives = _model(pixels, parameters)
    residual = whiten @ (pixels.value - model)
    for _ in range(_ITERATIONS):
        jacobian = whiten @ derivatives
        normal = jacobian.T @ jacobian
        damped = normal + damping * np.diag(np.diag(normal))
        step = np.linalg.lstsq(damped, jacobian.T @ residual, rcond=None)[0]
        trial = parameters + step.reshape(parameters.shape)
        if _is_possible(trial):
            model, new_derivatives = _model(pixels, trial)
            new = whiten @ (pixels.value - model)
            if new @ new <= residual @ residual * (1 + 1e-12):
                parameters, residual, derivatives, damping = trial, new, new_derivatives, max(damping / 10, 1e-9)
                if step @ normal @ step < _CONVERGED**2:  # in units of the errors
                    return parameters
                continue
        damping *= 10
        if damping > _MOST_DAMPING:
            return None
    return parameters


def _is_possible(parameters: NDArray[np.float64]) -> bool:
    """Return whether all shapes are ellipses."""
    if not np.isfinite(parameters).all():
        return False
    if parameters.shape[1] == PLACE:
        return True
    xx, xy, yy = parameters[:, 3:].T
    return bool((xx > 0).all() and (xx * yy - xy**2 > 1e-3 * xx * yy).all() and (yy > 0).all())


def _model(pixels: Pixels, parameters: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of the components at the pixels, and its derivatives (n, parameters)."""
    model, columns = np.zeros(len(pixels.x)), []
    for component in parameters:
        if len(component) == PLACE:
            inverse = np.linalg.inv(pixels.beam)
        else:
            xx, xy, yy = component[3:]
            inverse = np.array([[yy, -xy], [-xy, xx]]) / (xx * yy - xy**2)
        dx, dy = pixels.x - component[1], pixels.y - component[2]
        u = inverse[0, 0] * dx + inverse[0, 1] * dy
        v = inverse[1, 0] * dx + inverse[1, 1] * dy
        shape = np.exp(-0.5 * (u * dx + v * dy))
        value = component[0] * shape
        model += value
        columns += [shape, value * u, value * v]
        if len(component) == SHAPE:
            columns += [0.5 * value * u**2, value * u * v, 0.5 * value * v**2]
    return model, np.column_stack(columns)


def total_flux(
    parameters: NDArray[np.float64], covariance: NDArray[np.float64], beam: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the integrated flux of a component with a shape of its own, its error, and that of its excess over the
    peak.

    Parameters
    ----------
    parameters : (6,) float64
    covariance : (6, 6) float64
    beam : (2, 2) float64
        Covariance of the beam (pixels^2): flux (Jy) is peak (Jy/beam) times the ratio of the areas.
    """
    amplitude, (xx, xy, yy) = parameters[0], parameters[3:]
    determinant = xx * yy - xy**2
    area = float(np.sqrt(determinant / np.linalg.det(beam)))
    flux = amplitude * area
    slope = np.array([area, 0, 0, *(0.5 * flux / determinant * np.array([yy, -2 * xy, xx]))])
    excess = slope - np.array([1.0, 0, 0, 0, 0, 0])
    return float(flux), float(np.sqrt(slope @ covariance @ slope)), float(np.sqrt(excess @ covariance @ excess))
