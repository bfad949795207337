"""From a tile to a calibration: K, B and G tables, plots, a verdict and its reasons."""

from __future__ import annotations

from pathlib import Path

from contimg import naming
from contimg.calibration import plots
from contimg.calibration.caltables import FILES
from contimg.calibration.on_calibrator import solve_on_calibrator
from contimg.calibration.on_field import solve_on_field
from contimg.calibration.outcome import judge_against
from contimg.config import BeamOptions, CalibrationOptions
from contimg.products.draft import TwinDraft
from contimg.products.twin import Twin
from contimg.sky.catalogue import read_catalogue
from contimg.storage.atomic import remove

COPIED_FACTS = (
    "dec_app_deg",
    "mid_mjd",
    "start_mjd",
    "end_mjd",
    "applied_delays_sha256",
    "antenna_order_sha256",
    "fs_table",
    "telescope",
    "band_hz",
    "n_channels",
    "missing_subbands",
)


def solve_calibration(
    ms: Path,
    ms_twin: Path,
    output: Path,
    twin: Path,
    *,
    calibrator: str | None,
    bandpass: Path | None,
    options: CalibrationOptions,
    beam: BeamOptions,
    catalogue: Path | None,
    previous: Path | None = None,
) -> Twin:
    """Solve a calibration on a tile and write it with its twin.

    Parameters
    ----------
    ms, ms_twin : Path
        The tile; only read.
    output, twin : Path
        The product directory (``K.cal``, ``B.cal``, ``G.cal`` as applicable, plots) and its twin.
    calibrator : str or None
        The calibrator that transits in the tile: K, B and G are solved against it. None: gains only,
        against the catalogue's sky.
    bandpass : Path or None
        Gains only: the twin of the calibration whose K and B apply; its product stands beside it.
    options : CalibrationOptions
    beam : BeamOptions
    catalogue : Path or None
        The known sky.
    previous : Path or None
        The twin of the certified bandpass before, which a bandpass is compared with; not an input.

    Returns
    -------
    Twin
        Kind ``calibration``. A calibration that could not be solved from its data is 'failed' and its
        directory empty.

    Raises
    ------
    UnknownIdError
        If the calibrator is not in the list.
    InputError
        If an input is missing or unreadable, or gains are asked for without a bandpass.
    """
    work = TwinDraft("calibration")
    source = work.use(ms_twin)
    known = read_catalogue(catalogue) if catalogue is not None else None
    work.id = calibration_id = naming.calibration_id(source.id)
    work.facts |= {"type": "gains" if calibrator is None else "bandpass", "tile": source.id}
    work.facts |= {key: source.facts[key] for key in COPIED_FACTS if key in source.facts}
    work.use_file("catalogue", catalogue)
    with work.product(output) as part:
        part.mkdir()
        if source.verdict == "failed":
            work.fail("tile_failed", f"tile {source.id} is failed: {source.reasons[0].message}")
        elif calibrator is None:
            solve_on_field(Path(ms), part, work, bandpass, options, beam, known)
        else:
            solve_on_calibrator(Path(ms), part, work, calibrator, options, beam, known)
        if work.failed and not any((part / name).exists() for name in FILES.values()):
            remove(part)
            part.mkdir()
        else:
            judge_against(part, work, previous, options)
            plots.plot_solutions(
                part, calibration_id, synthetic=source.synthetic, lost_antennas=work.qa.get("lost_antennas", ())
            )
    return work.write(
        twin,
        parameters={"calibrator": calibrator, "calibration": options.model_dump(), "beam": beam.model_dump()},
        libraries=("casatasks", "casatools", "casadata", "python-casacore", "numpy", "scipy"),
    )
