"""`contimg calibrators`: which calibrators cross the beam on a date, and whether they can calibrate."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from contimg.cli.common import DATE, Context, Number, echo, json_option, print_json, print_table
from contimg.errors import InputError
from contimg.times import mjd_from_datetime

if TYPE_CHECKING:
    from contimg.config import Config
    from contimg.correlator.probe import Probe

# Location of the array in the correlator's headers; used while no header is in the inbox.
SITE_LONGITUDE_LATITUDE_DEG = (-118.2834, 37.2334051)


@click.command()
@click.option("--date", type=DATE, metavar="DATE", help="UTC date, 2026-02-11.  [default: today]")
@click.option("--dec", type=Number(-90, 90), metavar="DEG", help="Apparent declination that the dishes "
              "point at.  [default: that of the newest tile in the inbox]")  # fmt: skip
@json_option
@click.pass_obj
def calibrators(context: Context, date: str | None, dec: float | None, as_json: bool) -> None:
    """List the calibrators that transit through the beam on a date, with response and apparent flux.

    One that cannot calibrate is listed with the reason. Times are UTC; beam and flux are those at 1.405 GHz.
    """
    from contimg import naming
    from contimg.sky import calibrator_lists, strip_calibrators, transits

    config = context.settings
    day = _midnight(date)
    newest = newest_header(config)
    if dec is None:
        if newest is None:
            named = "" if context.configfiles else ", or name your configuration, contimg -c FILE calibrators"
            none = f"{config.paths.incoming} holds no subband file to take the declination from"
            raise InputError(f"{none}: give --dec{named}")
        dec = newest.dec_app_deg
    longitude, latitude = (newest.longitude_deg, newest.latitude_deg) if newest else SITE_LONGITUDE_LATITUDE_DEG
    start = mjd_from_datetime(day)
    known = calibrator_lists.load(config.calibration.calibrators)
    scan = transits.DriftScan(math.radians(dec), start, start + 1, math.radians(longitude), math.radians(latitude))
    found = transits.passages(known, scan, config.beam, config.calibration)
    records = [
        {"utc": naming.id_from_mjd(one.time_mjd)}
        | asdict(one)
        | {key: getattr(calibrator_lists.find(known, one.name), key) for key in ("anchor", "notes")}
        for one in found
    ]
    if as_json:
        print_json({"date": f"{day:%Y-%m-%d}", "dec_app_deg": dec, "transits": records})
        return
    columns = ("transit [UTC]", "calibrator", "offset [deg]", "beam", "flux [Jy]", "apparent [Jy]", "usable")
    rows = [
        (r["utc"], r["name"], f"{r['offset_deg']:+.2f}", f"{r['beam_response']:.3f}", _jy(r["flux_jy"]),
         _jy(r["apparent_flux_jy"]), "yes" + _blazar(r["notes"]) if r["reason"] is None else f"no: {r['reason']}")
        for r in records
    ]  # fmt: skip
    print_table(f"Calibrators in the beam at declination {dec:.2f} deg on {day:%Y-%m-%d}", columns, rows)
    if (advice := strip_calibrators.strip_advice(known, scan, config.beam, config.calibration)) is not None:
        echo(f"\n{advice}")
    usable = sum(r["reason"] is None for r in records)
    listed = "the built-in list" if config.calibration.calibrators == "builtin" else config.calibration.calibrators
    echo(f"\n{usable} of {len(records)} can calibrate; {len(known)} sources in {listed}")


def newest_header(config: Config) -> Probe | None:
    """Return the header of the newest readable subband file of the inbox; None if there is none."""
    from pathlib import Path

    from contimg.correlator import inbox, probe

    if not config.paths.incoming.is_dir():
        return None
    listing = inbox.arrange(inbox.list_files(config.paths.incoming), config.ingest)
    for cluster in reversed(listing.clusters):
        for file in cluster.files:
            try:
                return probe.look(Path(file.path))
            except probe.FileFault:
                continue
    return None


def _midnight(date: str | None) -> datetime:
    if date is None:
        return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return datetime.fromisoformat(date).replace(tzinfo=UTC)


def _blazar(notes: str) -> str:
    """Return the note on a variable source, which follows its usability."""
    return f" ({notes.partition(', position')[0]})" if notes.startswith("blazar") else ""


def _jy(flux: float | None) -> str | None:
    return None if flux is None else f"{flux:.2f}"
