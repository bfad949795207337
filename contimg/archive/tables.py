"""ObsCore table (VOTable, FITS) and sky coverage (MOC) of published mosaics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contimg.sky.constants import C_M_S

if TYPE_CHECKING:
    from astropy.table import Table

# The mandatory columns of ObsCore 1.1 (REC-ObsCore-v1.1, table 1), in its order: name -> type, unit, UCD;
# then ours.
_OBSCORE: dict[str, tuple[type, str | None, str]] = {
    "dataproduct_type": (str, None, "meta.id"),
    "calib_level": (int, None, "meta.code;obs.calib"),
    "obs_collection": (str, None, "meta.id"),
    "obs_id": (str, None, "meta.id"),
    "obs_publisher_did": (str, None, "meta.ref.ivoid"),
    "access_url": (str, None, "meta.ref.url"),
    "access_format": (str, None, "meta.code.mime"),
    "access_estsize": (int, "kbyte", "phys.size;meta.file"),
    "target_name": (str, None, "meta.id;src"),
    "s_ra": (float, "deg", "pos.eq.ra"),
    "s_dec": (float, "deg", "pos.eq.dec"),
    "s_fov": (float, "deg", "phys.angSize;instr.fov"),
    "s_region": (str, None, "pos.outline;obs.field"),
    "s_xel1": (int, None, "meta.number"),
    "s_xel2": (int, None, "meta.number"),
    "s_resolution": (float, "arcsec", "pos.angResolution"),
    "t_min": (float, "d", "time.start;obs.exposure"),
    "t_max": (float, "d", "time.end;obs.exposure"),
    "t_exptime": (float, "s", "time.duration;obs.exposure"),
    "t_resolution": (float, "s", "time.resolution"),
    "t_xel": (int, None, "meta.number"),
    "em_min": (float, "m", "em.wl;stat.min"),
    "em_max": (float, "m", "em.wl;stat.max"),
    "em_res_power": (float, None, "spect.resolution"),
    "em_xel": (int, None, "meta.number"),
    "o_ucd": (str, None, "meta.ucd"),
    "pol_states": (str, None, "meta.code;phys.polarization"),
    "pol_xel": (int, None, "meta.number"),
    "facility_name": (str, None, "meta.id;instr.tel"),
    "instrument_name": (str, None, "meta.id;instr"),
    "version": (int, None, "meta.version"),
    "verdict": (str, None, "meta.code.qual"),
    "rms_mjy": (float, "mJy/beam", "stat.stdev;phot.flux.density"),
    "simulated": (bool, None, "meta.code"),
}

_EMPTY: dict[type, Any] = {str: "", int: 0, float: 0.0, bool: False}
_DTYPE = {str: "str", int: "int64", float: "float64", bool: "bool"}
_NO_INT = -1  # stands for an integer that is not known
_FITS_BLOCK = 2880


def obscore_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as a row of the ObsCore table; None where the bundle does not state a value."""
    ra_deg, dec_deg = entry["centre_deg"] or (None, None)
    width, height = entry["shape_px"] or (None, None)
    freq, band = entry["freq_hz"], entry["bandwidth_hz"]
    known = freq is not None and band is not None
    corners = entry["corners_deg"]
    path = Path(entry["path"])
    return {
        "dataproduct_type": "image",
        "calib_level": 3,
        "obs_collection": "DSA-110 continuum",
        "obs_id": entry["data_id"],
        "obs_publisher_did": f"urn:contimg:{entry['name']}",
        "access_url": (path / entry["image"]).as_uri(),
        "access_format": "image/fits",
        "access_estsize": entry["kilobytes"],
        "target_name": entry["data_id"],
        "s_ra": ra_deg,
        "s_dec": dec_deg,
        "s_fov": entry["field_deg"],
        "s_region": "POLYGON ICRS " + " ".join(f"{x:.6f} {y:.6f}" for x, y in corners) if corners else None,
        "s_xel1": width,
        "s_xel2": height,
        "s_resolution": entry["bmaj_arcsec"],
        "t_min": entry["start_mjd"],
        "t_max": entry["end_mjd"],
        "t_exptime": entry["exposure_s"],
        "t_resolution": entry["tile_s"],
        "t_xel": 1,
        "em_min": C_M_S / (freq + band / 2) if known else None,
        "em_max": C_M_S / (freq - band / 2) if known else None,
        "em_res_power": freq / band if known else None,
        "em_xel": 1,
        "o_ucd": "phot.flux.density;em.radio",
        "pol_states": "/I/",
        "pol_xel": 1,
        "facility_name": "OVRO",
        "instrument_name": "DSA-110",
        "version": entry["version"],
        "verdict": entry["verdict"],
        "rms_mjy": entry["rms_mjy"],
        "simulated": entry["synthetic"],
    }


def obscore(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Return the ObsCore table of entries; what is not known is masked."""
    from astropy.table import MaskedColumn, Table

    rows = [obscore_row(entry) for entry in entries]
    table = Table()
    for name, (kind, unit, _) in _OBSCORE.items():
        values = [row[name] for row in rows]
        column = MaskedColumn(
            [_EMPTY[kind] if value is None else value for value in values],
            mask=[value is None for value in values],
            name=name,
            unit=unit,
            dtype=None if kind is str and rows else _DTYPE[kind],
        )
        if kind is int:
            column.fill_value = _NO_INT
        table.add_column(column)
    return table


def write_votable(path: Path, entries: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write the ObsCore table as VOTable; its columns are the same for any entries, as `join_votables` needs."""
    from astropy.io.votable import from_table, writeto

    votable = from_table(obscore(entries))
    (first,) = votable.iter_tables()
    for field in first.fields:
        kind, _, field.ucd = _OBSCORE[field.name]
        # The same in every month, so that the rows of one are those of another.
        if kind is str:
            field.arraysize = "*"
        elif kind is int:
            field.values.null = _NO_INT
    first.name = "obscore"
    first.description = "Published continuum mosaics of the DSA-110 (IVOA ObsCore 1.1)"
    writeto(votable, str(path))


def join_votables(path: Path, parts: Sequence[Path]) -> None:
    """Write one VOTable with the rows of all parts, without parsing them."""
    begin, end = b"<TABLEDATA>", b"</TABLEDATA>"
    if not parts:
        write_votable(path, [], path.parent)
        return
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            content = part.read_bytes()
            first, last = content.index(begin) + len(begin), content.rindex(end)
            file.write(content[:last] if number == 0 else content[first:last].lstrip(b"\n"))
        file.write(content[last:])


def write_fits(path: Path, entries: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write the ObsCore table as FITS."""
    from astropy.io import fits

    hdu = fits.table_to_hdu(obscore(entries))
    hdu.name = "OBSCORE"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def join_fits(path: Path, parts: Sequence[Path]) -> None:
    """Write one FITS table with the rows of all parts; text columns get the width of the widest part."""
    import numpy as np
    from astropy.io import fits

    if not parts:
        write_fits(path, [], path.parent)
        return
    tables = []
    for part in parts:
        with fits.open(part, memmap=False) as opened:
            tables.append(opened[1].data.view(opened[1].data.dtype, np.ndarray))
            header = opened[1].header
    kinds = [max((table.dtype[name] for table in tables), key=lambda kind: kind.itemsize) for name in _OBSCORE]
    rows = np.zeros(sum(map(len, tables)), dtype=list(zip(_OBSCORE, kinds, strict=True)))
    first = 0
    for table in tables:
        rows[first : first + len(table)] = table
        first += len(table)
    header["NAXIS1"], header["NAXIS2"] = rows.dtype.itemsize, len(rows)
    for number, kind in enumerate(kinds, start=1):
        if kind.kind == "S":
            header[f"TFORM{number}"] = f"{kind.itemsize}A"
    with path.open("wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode())
        file.write(header.tostring().encode())
        rows.tofile(file)
        file.write(bytes(-rows.nbytes % _FITS_BLOCK))


def write_coverage(path: Path, entries: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write the union of the MOCs of some mosaics, which stand in `folder`."""
    join_coverage(path, [folder / entry["moc"] for entry in entries if entry.get("moc")])


def join_coverage(path: Path, parts: Sequence[Path]) -> None:
    """Write the union of some MOCs; an empty MOC when there is none."""
    from mocpy import MOC

    from contimg.archive.entries import MOC_ORDER

    mocs = [MOC.from_fits(str(part)) for part in parts]
    union = MOC.new_empty(MOC_ORDER)
    if mocs:
        union = mocs[0].union(*mocs[1:]) if len(mocs) > 1 else mocs[0]
    union.save(str(path), format="fits")
