"""Faults of products: images of tiles and mosaics changed after they were made, or as if they had been made so.

*Edited*: the files are changed and nothing else, as by a person or a bad disk. *Made*: the product's twin describes the
changed files (manifest, extremes of the pixels, noise), as if the rule that made them were at fault after its checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits

from contimg.statistics import robust_sigma
from tests.support.faulty_product import Product, file_of


def _scale(product: Product) -> None:
    for plane in product.planes("image", "residual", "model", "pbcor"):
        product.change(plane, lambda data, header: data * product.value)


def _rolled(data: np.ndarray, header: fits.Header, arcsec: float) -> np.ndarray:
    return np.roll(data, round(arcsec / 3600 / header["CDELT2"]), axis=0)


def _shift(product: Product) -> None:
    for plane in product.planes("image", "pbcor"):
        product.change(plane, lambda data, header: _interpolated(data, product.value / 3600 / header["CDELT2"]))


def _interpolated(data: np.ndarray, pixels: float) -> np.ndarray:
    """Return the image moved north by a number of pixels, by the theorem of Fourier shifts; blank pixels stay."""
    blank = ~np.isfinite(data)
    phase = np.exp(-2j * np.pi * np.fft.fftfreq(len(data)) * pixels)[:, None]
    moved = np.fft.ifft2(np.fft.fft2(np.where(blank, 0, data)) * phase).real
    return np.where(blank, np.nan, moved)


def _of_previous(product: Product) -> None:
    for plane in product.planes("image", "pbcor", "residual", "model"):
        other = np.squeeze(fits.getdata(file_of(product.before, plane)))
        product.change(plane, lambda data, header, other=other: other)


def _pb_scaled(product: Product) -> None:
    product.change("pb", lambda data, header: data * product.value)


def _pb_elsewhere(product: Product) -> None:
    product.change("pb", lambda data, header: _rolled(data, header, product.value))


def _unit(product: Product) -> None:
    def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
        header["BUNIT"] = "mJy/beam"
        return data

    product.change("image", change)


def _without_bmaj(plane: str) -> Callable[[Product], None]:
    def fault(product: Product) -> None:
        def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
            del header["BMAJ"]
            return data

        product.change(plane, change)

    return fault


def _truncated(plane: str) -> Callable[[Product], None]:
    def fault(product: Product) -> None:
        path = product.file(plane)
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[: int(len(content) * product.value)])

    return fault


def _missing(plane: str) -> Callable[[Product], None]:
    return lambda product: product.file(plane).unlink()


def _all_nan(plane: str) -> Callable[[Product], None]:
    return lambda product: product.change(plane, lambda data, header: np.full_like(data, np.nan))


def _centre_off(product: Product) -> None:
    def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
        header["CRVAL2"] += product.value / 60
        return data

    for plane in product.planes("image", "pb", "pbcor"):
        product.change(plane, change)


def _invented(plane: str, count: int = 20) -> Callable[[Product], None]:
    """Return a fault that adds sources of VALUE times the noise in the middle half of an image."""

    def fault(product: Product) -> None:
        def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
            width = np.sqrt(header["BMAJ"] * header["BMIN"]) / header["CDELT2"] / 2.3548
            noise = 1.4826 * np.nanmedian(np.abs(data))
            y, x = np.indices(data.shape)
            for _ in range(count):
                row, column = (product.rng.uniform(0.3, 0.7) * size for size in data.shape)
                spot = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * width**2))
                data += (product.value * noise * spot).astype(np.float32)
            return data

        product.change(plane, change)

    return fault


def _noise(product: Product) -> None:
    """Add noise of the PSF's size, so that the image has VALUE times its own."""
    from scipy.ndimage import gaussian_filter

    def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
        width = np.sqrt(header["BMAJ"] * header["BMIN"]) / header["CDELT2"] / 2.3548
        added = gaussian_filter(product.rng.standard_normal(data.shape), width / np.sqrt(2))
        sigma = robust_sigma(data) * np.sqrt(product.value**2 - 1)
        return data + (added * sigma / added.std()).astype(np.float32)

    product.change("image", change)


def _mosaic_scaled(plane: str) -> Callable[[Product], None]:
    return lambda product: product.change(plane, lambda data, header: data * product.value)


def _mosaic_shifted(product: Product) -> None:
    product.change("mosaic", lambda data, header: _rolled(data, header, product.value))


def _mosaic_replaced(product: Product) -> None:
    def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
        half = int(product.value * len(data) / 2)
        middle = len(data) // 2
        data[middle - half : middle + half] = robust_sigma(data) * product.rng.standard_normal(
            data[middle - half : middle + half].shape
        )
        return data

    product.change("mosaic", change)


_PIXELS = {"image": ("image", "pbcor", "residual", "model"), "mosaic": ("mosaic",)}


def _of_pixels(
    kind: str, change: Callable[[Product, np.ndarray, fits.Header], np.ndarray]
) -> Callable[[Product], None]:
    """Return a fault that changes the pixels of all planes of brightness in one way."""

    def fault(product: Product) -> None:
        for plane in product.planes(*_PIXELS[kind]):
            product.change(plane, lambda data, header: change(product, data, header))

    return fault


def _turned(product: Product, data: np.ndarray, header: fits.Header) -> np.ndarray:
    """Return the image turned by VALUE deg about its middle."""
    from scipy.ndimage import rotate

    blank = ~np.isfinite(data)
    turned = rotate(np.where(blank, 0, data), product.value, reshape=False, order=3)
    return np.where(blank, np.nan, turned)


def _mirrored(product: Product, data: np.ndarray, header: fits.Header) -> np.ndarray:
    return data[:, ::-1].copy()


def _negated(product: Product, data: np.ndarray, header: fits.Header) -> np.ndarray:
    return -data


def _times(product: Product, data: np.ndarray, header: fits.Header) -> np.ndarray:
    return data * product.value


def _stripe_of_nan(product: Product, data: np.ndarray, header: fits.Header) -> np.ndarray:
    half = max(1, round(product.value * len(data) / 2))
    data[len(data) // 2 - half : len(data) // 2 + half] = np.nan
    return data


def _with_ghost(product: Product, data: np.ndarray, header: fits.Header) -> np.ndarray:
    """Return the image with VALUE times itself added 10 arcmin north-east."""
    step = round(1 / 6 / header["CDELT2"])
    return data + np.float32(product.value) * np.roll(np.nan_to_num(data), (step, step), (0, 1))


def _wider(product: Product, data: np.ndarray, header: fits.Header) -> np.ndarray:
    """Return the image with sources VALUE times as wide as its beam, and the same peaks."""
    from scipy.ndimage import gaussian_filter

    blank = ~np.isfinite(data)
    sigma = np.sqrt(header["BMAJ"] * header["BMIN"] * (product.value**2 - 1)) / header["CDELT2"] / 2.3548
    smooth = gaussian_filter(np.where(blank, 0, data), sigma) * product.value**2
    return np.where(blank, np.nan, smooth)


def _residual(product: Product) -> np.ndarray:
    """Return the residual of a tile; of one without, noise as in its image."""
    if product.file("residual").exists():
        return np.squeeze(fits.getdata(product.file("residual")))
    image = np.squeeze(fits.getdata(product.file("image")))
    return robust_sigma(image) * product.rng.standard_normal(image.shape)


def _residual_only(product: Product) -> None:
    residual = _residual(product)
    product.change("image", lambda data, header: residual)


def _sources_doubled(product: Product) -> None:
    """Add the restored sources, the image less its residual, VALUE - 1 times more."""
    residual = _residual(product)
    product.change("image", lambda data, header: data + np.float32(product.value - 1) * (data - residual))


def _pb_power(product: Product) -> None:
    product.change("pb", lambda data, header: np.sign(data) * np.abs(data) ** product.value)


def _header_times(kind: str, *keys: str) -> Callable[[Product], None]:
    """Return a fault that multiplies keywords of the headers by VALUE."""

    def fault(product: Product) -> None:
        def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
            for key in keys:
                header[key] *= product.value
            return data

        for plane in product.planes(*_PIXELS[kind], "pb", "weights", "rms"):
            product.change(plane, change)

    return fault


def _centre_b1950(product: Product) -> None:
    """Let the coordinates of the reference pixel be of equinox B1950, as if they were ICRS."""
    from astropy.coordinates import FK4, SkyCoord

    def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
        old = SkyCoord(header["CRVAL1"], header["CRVAL2"], unit="deg").transform_to(FK4(equinox="B1950"))
        header["CRVAL1"], header["CRVAL2"] = float(old.ra.deg), float(old.dec.deg)
        return data

    for plane in product.planes("image", "pb", "pbcor", "mosaic", "weights", "rms"):
        product.change(plane, change)


def _quarter_turn(product: Product, data: np.ndarray, header: fits.Header) -> np.ndarray:
    return np.rot90(data).copy()


def _beam_angle(product: Product) -> None:
    def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
        header["BPA"] = (header["BPA"] + product.value) % 180
        return data

    product.change("image", change)


def _pb_stretched(product: Product) -> None:
    """Stretch the beam map along right ascension about its middle, as of a sky that drifts faster."""
    from scipy.ndimage import affine_transform

    def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
        middle = data.shape[1] // 2
        return affine_transform(data, [1.0, 1 / product.value], [0.0, middle * (1 - 1 / product.value)], order=1)

    product.change("pb", change)


def _images_exchanged(product: Product) -> None:
    """Exchange the brightness of a tile and of the one before it."""
    other = replace(product, twin=product.before)
    for plane in product.planes("image", "pbcor", "residual", "model"):
        own, theirs = fits.getdata(product.file(plane)), fits.getdata(other.file(plane))
        product.change(plane, lambda data, header, new=theirs: new)
        other.change(plane, lambda data, header, new=own: new)
    if product.made:
        other.describe()


def _mosaic_centre_off(product: Product) -> None:
    def change(data: np.ndarray, header: fits.Header) -> np.ndarray:
        header["CRVAL1"] += product.value / 60
        return data

    product.change("mosaic", change)


@dataclass(frozen=True)
class ProductFault:
    """A kind of fault of a product: of which kind of product, what it does, its size, and whether it can be *made*."""

    kind: str
    text: str
    value: float
    change: Callable[[Product], None]
    made: bool = True


FAULTS: dict[str, ProductFault] = {
    "tile_image_scaled": ProductFault("image", "image times VALUE", 1.3, _scale),
    "tile_image_shifted": ProductFault("image", "image VALUE arcsec north", 30, _shift),
    "tile_image_of_previous": ProductFault("image", "image of the tile before", 1, _of_previous),
    "tile_pb_scaled": ProductFault("image", "beam map times VALUE", 0.8, _pb_scaled),
    "tile_pb_elsewhere": ProductFault("image", "beam map VALUE arcsec north", 1080, _pb_elsewhere),
    "tile_unit": ProductFault("image", "unit mJy/beam instead of Jy/beam", 1, _unit),
    "tile_without_bmaj": ProductFault("image", "no BMAJ", 1, _without_bmaj("image")),
    "tile_truncated": ProductFault("image", "a fraction VALUE of the image's bytes", 0.6, _truncated("image")),
    "tile_pb_truncated": ProductFault("image", "a fraction VALUE of the beam map's bytes", 0.6, _truncated("pb")),
    "tile_missing": ProductFault("image", "no image", 1, _missing("image"), made=False),
    "tile_all_nan": ProductFault("image", "all pixels NaN", 1, _all_nan("image")),
    "tile_centre_off": ProductFault("image", "centre of the coordinates VALUE arcmin north", 5, _centre_off),
    "tile_invented": ProductFault("image", "20 sources of VALUE times the noise added", 60, _invented("image")),
    "tile_noise": ProductFault("image", "noise times VALUE", 3, _noise),
    "tile_rotated": ProductFault("image", "image turned by VALUE deg", 1, _of_pixels("image", _turned)),
    "tile_mirrored": ProductFault("image", "image with east and west exchanged", 1, _of_pixels("image", _mirrored)),
    "tile_negated": ProductFault("image", "image times -1", 1, _of_pixels("image", _negated)),
    "tile_unit_factor": ProductFault("image", "pixels times VALUE", 1000, _of_pixels("image", _times)),
    "tile_nan_stripe": ProductFault(
        "image", "a fraction VALUE of the rows NaN", 0.1, _of_pixels("image", _stripe_of_nan)
    ),
    "tile_ghost": ProductFault(
        "image", "VALUE times itself added 10 arcmin off", 0.3, _of_pixels("image", _with_ghost)
    ),
    "tile_double_beam": ProductFault("image", "sources VALUE times as wide", 2, _of_pixels("image", _wider)),
    "tile_residual_only": ProductFault("image", "without the restored sources", 1, _residual_only),
    "tile_sources_twice": ProductFault("image", "restored sources times VALUE", 2, _sources_doubled),
    "tile_pb_squared": ProductFault("image", "beam map to the power of VALUE", 2, _pb_power),
    "tile_beam_header": ProductFault("image", "BMAJ and BMIN times VALUE", 1.3, _header_times("image", "BMAJ", "BMIN")),
    "tile_b1950": ProductFault("image", "coordinates of B1950", 1, _centre_b1950),
    "tile_quarter_turn": ProductFault("image", "image turned by 90 deg", 1, _of_pixels("image", _quarter_turn)),
    "tile_beam_angle": ProductFault("image", "BPA VALUE deg off", 90, _beam_angle),
    "tile_pb_stretched": ProductFault(
        "image", "beam map VALUE times as wide along right ascension", 1.1, _pb_stretched
    ),
    "tile_images_exchanged": ProductFault("image", "image and that of the tile before exchanged", 1, _images_exchanged),
    "mosaic_centre_off": ProductFault("mosaic", "centre of the coordinates VALUE arcmin east", 5, _mosaic_centre_off),
    "mosaic_weights_zero": ProductFault("mosaic", "weights times VALUE", 0, _mosaic_scaled("weights"), made=False),
    "mosaic_rotated": ProductFault("mosaic", "pixels turned by VALUE deg", 1, _of_pixels("mosaic", _turned)),
    "mosaic_mirrored": ProductFault("mosaic", "east and west exchanged", 1, _of_pixels("mosaic", _mirrored)),
    "mosaic_negated": ProductFault("mosaic", "pixels times -1", 1, _of_pixels("mosaic", _negated)),
    "mosaic_nan_stripe": ProductFault(
        "mosaic", "a fraction VALUE of the rows NaN", 0.1, _of_pixels("mosaic", _stripe_of_nan)
    ),
    "mosaic_double_beam": ProductFault("mosaic", "sources VALUE times as wide", 2, _of_pixels("mosaic", _wider)),
    "mosaic_beam_header": ProductFault(
        "mosaic", "BMAJ and BMIN times VALUE", 1.3, _header_times("mosaic", "BMAJ", "BMIN")
    ),
    "mosaic_frequency": ProductFault("mosaic", "frequency times VALUE", 0.8, _header_times("mosaic", "FREQ")),
    "mosaic_b1950": ProductFault("mosaic", "coordinates of B1950", 1, _centre_b1950),
    "mosaic_scaled": ProductFault("mosaic", "pixels times VALUE", 2, _mosaic_scaled("mosaic")),
    "mosaic_weights": ProductFault("mosaic", "weights times VALUE", 4, _mosaic_scaled("weights"), made=False),
    "mosaic_shifted": ProductFault("mosaic", "pixels VALUE arcsec north", 30, _mosaic_shifted),
    "mosaic_replaced": ProductFault("mosaic", "a fraction VALUE of the rows is noise", 0.5, _mosaic_replaced),
    "mosaic_invented": ProductFault("mosaic", "20 sources of VALUE times the noise added", 60, _invented("mosaic")),
    "mosaic_without_bmaj": ProductFault("mosaic", "no BMAJ", 1, _without_bmaj("mosaic"), made=False),
    "mosaic_truncated": ProductFault("mosaic", "a fraction VALUE of the bytes", 0.6, _truncated("mosaic"), made=False),
    "mosaic_all_nan": ProductFault("mosaic", "all pixels NaN", 1, _all_nan("mosaic"), made=False),
}


def apply(name: str, twin: Path, before: Path, *, made: bool, value: float | None = None, seed: int = 0) -> None:
    """Put a fault into a product.

    Parameters
    ----------
    name : str
        Of `FAULTS`.
    twin, before : Path
        Twins of the product, and of the one before it, whose image it gets for some faults.
    made : bool
        As if it had been made so; otherwise as an edit.
    value : float, optional
    seed : int
    """
    fault = FAULTS[name]
    product = Product(twin, before, made, fault.value if value is None else value, np.random.default_rng([seed, 29]))
    fault.change(product)
    if made:
        product.describe()
