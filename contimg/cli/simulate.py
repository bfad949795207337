"""`contimg simulate`: a simulated night in the correlator's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from contimg.cli.common import Number
from contimg.cli.simulate_telescope import telescope_errors, telescope_options
from contimg.config import schema_file
from contimg.simulate import GainErrors, NightOptions, SimulationError, simulate_night
from contimg.simulate.data_faults import FAULTS
from contimg.simulate.inject import FaultRequest, inject
from contimg.simulate.options import CORRUPT_KINDS, RFI_KINDS

_D = NightOptions()
_G = GainErrors()


class _Place(click.ParamType[tuple[Any, ...]]):
    """Read TILE:SB, or TILE:SB:KIND where ``kinds`` are given."""

    def __init__(self, kinds: tuple[str, ...] = ()) -> None:
        self.kinds = kinds
        self.name = "tile:sb:kind" if kinds else "tile:sb"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if not isinstance(value, str):
            return value
        parts = value.split(":")
        wanted = 3 if self.kinds else 2
        if len(parts) != wanted or not all(part.isdecimal() for part in parts[:2]):
            self.fail(f"{value!r} is not {self.name.upper()}, for example {'3:7:nan' if self.kinds else '3:7'}.")
        if self.kinds and parts[2] not in self.kinds:
            self.fail(f"kind {parts[2]!r} is unknown: use one of {', '.join(self.kinds)}.")
        return (int(parts[0]), int(parts[1]), *parts[2:])


class _Rfi(click.ParamType[tuple[tuple[int, str], ...]]):
    """Read SB or SB:KIND; SB alone means all kinds."""

    name = "sb[:kind]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[int, str], ...]:
        if not isinstance(value, str):
            return value
        subband, _, kind = value.partition(":")
        if not subband.isdecimal() or (kind and kind not in RFI_KINDS):
            self.fail(f"{value!r} is not SB or SB:KIND with a kind of {', '.join(RFI_KINDS)}.")
        return tuple((int(subband), each) for each in ([kind] if kind else RFI_KINDS))


class _Gap(click.ParamType[tuple[int, float]]):
    """Read TILE:SECONDS."""

    name = "tile:seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, float]:
        if not isinstance(value, str):
            return value
        tile, _, seconds = value.partition(":")
        try:
            return int(tile), float(seconds)
        except ValueError:
            self.fail(f"{value!r} is not TILE:SECONDS, for example 5:400.")


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Return the integers of ``1,2,3``."""
    if not value:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 1,2,3.") from None


@click.command(name="simulate", context_settings={"show_default": True})
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--demo", is_flag=True, help="The demo night: ten tiles around 3C286 with faults and RFI; other options change it."
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier simulated night in OUT.")
@click.option("--tiles", type=int, help=f"Tiles of 309 s.  [default: {_D.tiles}]")
@click.option("--antennas", type=int, help=f"Antennas, a subset of the real 96.  [default: {_D.antennas}]")
@click.option("--channels", type=int, help=f"Channels per subband; 48 at the telescope.  [default: {_D.channels}]")
@click.option("--integrations", type=int, help=f"Integrations per tile.  [default: {_D.integrations}]")
@click.option(
    "--max-baseline", "max_baseline_m", type=Number(), help="Choose antennas with baselines up to this length, m."
)
@click.option("--stations", callback=_numbers, metavar="N,N,...", help="Use exactly these stations (1-116).")
@click.option("--calibrator", help="Perley & Butler 2017 source, 'synthetic' or 'none'.  [default: 3C286]")
@click.option(
    "--declination",
    "declination_deg",
    type=Number(),
    help="Apparent pointing declination, deg; implies a synthetic calibrator.",
)
@click.option(
    "--declination-offset",
    "declination_offset_deg",
    type=Number(),
    help="Pointing minus calibrator declination, deg.  [default: 0]",
)
@click.option("--transit-tile", type=int, help="Tile of the calibrator's transit.  [default: the middle one]")
@click.option(
    "--transit-offset",
    "transit_offset_s",
    type=Number(),
    help="Transit after the middle of that tile, s.  [default: 0]",
)
@click.option(
    "--calibrator-flux",
    "calibrator_flux_jy",
    type=Number(),
    help=f"Synthetic calibrator at 1.4 GHz, Jy.  [default: {_D.calibrator_flux_jy:g}]",
)
@click.option("--date", help=f"UTC date, YYYY-MM-DD.  [default: {_D.date}]")
@click.option("--start", help="UTC start of the data, YYYY-MM-DDTHH:MM:SS.")
@click.option(
    "--cross-midnight", is_flag=True, default=None, help="Let the run cross UTC midnight (may move the date)."
)
@click.option("--cross-ra0", is_flag=True, default=None, help="Let the strip cross right ascension 0h.")
@click.option(
    "--restart", "restarts", type=int, multiple=True, help="Tile that is the first after a correlator restart."
)
@click.option("--gap", "gaps", type=_Gap(), multiple=True, help="No data for SECONDS before TILE.")
@click.option("--sources", type=int, help=f"Random sources.  [default: {_D.sources}]")
@click.option(
    "--flux-min",
    "flux_min_jy",
    type=Number(),
    help=f"Lowest flux density of random sources, Jy.  [default: {_D.flux_min_jy}]",
)
@click.option(
    "--flux-max",
    "flux_max_jy",
    type=Number(),
    help=f"Highest flux density of random sources, Jy.  [default: {_D.flux_max_jy:g}]",
)
@click.option(
    "--sky", "sky_file", type=click.Path(path_type=Path), help="CSV of sources to use instead of random ones."
)
@click.option(
    "--seed", type=int, help=f"Seed of the random numbers; equal seeds give equal files.  [default: {_D.seed}]"
)
@click.option("--noise/--no-noise", default=None, help="Receiver noise.  [default: noise]", show_default=False)
@click.option(
    "--sefd", "sefd_jy", type=Number(), help=f"System equivalent flux density, Jy.  [default: {_D.sefd_jy:g}]"
)
@click.option("--no-gain-errors", is_flag=True, help="Unit gains, apart from the --gain and --drift options given.")
@click.option(
    "--gain-amplitude", type=Number(), help=f"Scatter of the gain amplitudes, fraction.  [default: {_G.amplitude}]"
)
@click.option(
    "--gain-phase/--no-gain-phase", default=None, help="Random gain phases.  [default: gain-phase]", show_default=False
)
@click.option("--gain-delay", type=Number(), help=f"Scatter of the residual delays, ns.  [default: {_G.delay_ns:g}]")
@click.option(
    "--gain-bandpass", type=Number(), help=f"Bandpass ripples, rms fraction and rad.  [default: {_G.bandpass}]"
)
@click.option("--drift-phase", type=Number(), help=f"Slow phase drift, rms, deg.  [default: {_G.drift_phase_deg:g}]")
@click.option(
    "--drift-amplitude", type=Number(), help=f"Slow amplitude drift, rms fraction.  [default: {_G.drift_amplitude}]"
)
@click.option("--smearing", is_flag=True, default=None, help="Apply bandwidth and time smearing (slower).")
@click.option("--dead", callback=_numbers, metavar="N,N,...", help="Stations whose antenna receives no sky signal.")
@click.option("--rfi", type=_Rfi(), multiple=True, help="Interference in a subband: line, burst, broad or all.")
@click.option(
    "--rfi-strength", "rfi_jy", type=Number(), help=f"Strength of the interference, Jy.  [default: {_D.rfi_jy:g}]"
)
@click.option("--missing", type=_Place(), multiple=True, help="Subband file never written.")
@click.option("--late", type=_Place(), multiple=True, help="Subband file written to OUT/late.")
@click.option("--corrupt", type=_Place(CORRUPT_KINDS), multiple=True, help=f"Damaged file: {', '.join(CORRUPT_KINDS)}.")
@click.option(
    "--fault",
    "data_faults",
    multiple=True,
    metavar="NAME[=VALUE][@TILE]",
    help=f"Fault of the data, one of {', '.join(FAULTS)}. VALUE is its size, TILE the only tile that has it.",
)
@telescope_options
def simulate(out: Path, demo: bool, overwrite: bool, data_faults: tuple[str, ...], **given: Any) -> None:
    """Write a simulated part of a night into OUT in the correlator's HDF5 layout, with the true sky and gains.

    Tiles, subbands and integrations count from 0, stations from 1. OUT/config.yaml is an overlay for
    snakemake --configfile. Everything written says that it is simulated.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    options = _options(demo, given)
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        requests = [FaultRequest.parse(text) for text in data_faults]
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("simulate", total=None)
            record = simulate_night(
                out,
                options,
                overwrite=overwrite,
                progress=lambda done, total, what: bar.update(task, completed=done, total=total, description=what),
            )
        _name_schema(record.config)
        injected = [(request.name, inject(out, request, options.seed)) for request in requests]
    except SimulationError as error:
        raise click.ClickException(str(error)) from error
    faults = [file for file in record.files if file.fault is not None]
    written = sum(file.path is not None for file in record.files)
    console.print(f"Simulated night in {record.out}", soft_wrap=True, highlight=False)
    first, last = record.tile_ids[0], record.tile_ids[-1]
    console.print(f"  {written} subband files of {len(record.tiles)} tiles, {first} to {last}")
    transit = f"transit in tile {record.transit_tile}; {len(faults)} deliberate faults"
    console.print(f"  calibrator {record.calibrator}, {transit}")
    for name, tiles in injected:
        console.print(f"  fault {name} in tile {', '.join(str(tile) for tile in tiles)}")
    console.print(f"  overlay: {record.config}", soft_wrap=True, highlight=False)


def _options(demo: bool, given: dict[str, Any]) -> NightOptions:
    """Return the options given, the others as in the demo night or by default."""
    perfect = given.pop("no_gain_errors")
    telescope = telescope_errors(given)
    names = {
        "gain_amplitude": "amplitude",
        "gain_phase": "random_phase",
        "gain_delay": "delay_ns",
        "gain_bandpass": "bandpass",
        "drift_phase": "drift_phase_deg",
        "drift_amplitude": "drift_amplitude",
    }
    errors = {field: given.pop(option) for option, field in names.items()}
    base = GainErrors.none() if perfect else GainErrors()
    values = {field: getattr(base, field) for field in names.values()}
    values |= {field: value for field, value in errors.items() if value is not None}
    changes = {name: value for name, value in given.items() if value is not None and value != ()}
    if "rfi" in changes:
        changes["rfi"] = tuple(event for group in changes["rfi"] for event in group)
    changes["gains"] = GainErrors(**values)
    changes["telescope"] = telescope
    return NightOptions.demo(**changes) if demo else NightOptions(**changes)


def _name_schema(overlay: Path) -> None:
    """Name the schema of the configuration in an overlay's first line, for editors."""
    overlay.write_text(f"# yaml-language-server: $schema={schema_file()}\n{overlay.read_text()}")
