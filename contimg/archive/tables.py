"""ObsCore table (VOTable, FITS) and sky coverage (MOC) of published mosaics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contimg.sky.constants import C_M_S

if TYPE_CHECKING:
    from astropy.table import Table

# The mandatory columns of ObsCore 1.1 (REC-ObsCore-v1.1, table 1), in its order: name -> type, unit, UCD, utype
# (table 5 there); then ours, without utypes.
_OBSCORE: dict[str, tuple[type, str | None, str, str | None]] = {
    "dataproduct_type": (str, None, "meta.id", "ObsDataset.dataProductType"),
    "calib_level": (int, None, "meta.code;obs.calib", "ObsDataset.calibLevel"),
    "obs_collection": (str, None, "meta.id", "DataID.collection"),
    "obs_id": (str, None, "meta.id", "DataID.observationID"),
    "obs_publisher_did": (str, None, "meta.ref.ivoid", "Curation.publisherDID"),
    "access_url": (str, None, "meta.ref.url", "Access.reference"),
    "access_format": (str, None, "meta.code.mime", "Access.format"),
    "access_estsize": (int, "kbyte", "phys.size;meta.file", "Access.size"),
    "target_name": (str, None, "meta.id;src", "Target.name"),
    "s_ra": (float, "deg", "pos.eq.ra", "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C1"),
    "s_dec": (float, "deg", "pos.eq.dec", "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C2"),
    "s_fov": (float, "deg", "phys.angSize;instr.fov", "Char.SpatialAxis.Coverage.Bounds.Extent.diameter"),
    "s_region": (str, None, "pos.outline;obs.field", "Char.SpatialAxis.Coverage.Support.Area"),
    "s_xel1": (int, None, "meta.number", "Char.SpatialAxis.numBins1"),
    "s_xel2": (int, None, "meta.number", "Char.SpatialAxis.numBins2"),
    "s_resolution": (float, "arcsec", "pos.angResolution", "Char.SpatialAxis.Resolution.Refval.value"),
    "t_min": (float, "d", "time.start;obs.exposure", "Char.TimeAxis.Coverage.Bounds.Limits.StartTime"),
    "t_max": (float, "d", "time.end;obs.exposure", "Char.TimeAxis.Coverage.Bounds.Limits.StopTime"),
    "t_exptime": (float, "s", "time.duration;obs.exposure", "Char.TimeAxis.Coverage.Support.Extent"),
    "t_resolution": (float, "s", "time.resolution", "Char.TimeAxis.Resolution.Refval.value"),
    "t_xel": (int, None, "meta.number", "Char.TimeAxis.numBins"),
    "em_min": (float, "m", "em.wl;stat.min", "Char.SpectralAxis.Coverage.Bounds.Limits.LoLimit"),
    "em_max": (float, "m", "em.wl;stat.max", "Char.SpectralAxis.Coverage.Bounds.Limits.HiLimit"),
    "em_res_power": (float, None, "spect.resolution", "Char.SpectralAxis.Resolution.ResolPower.refVal"),
    "em_xel": (int, None, "meta.number", "Char.SpectralAxis.numBins"),
    "o_ucd": (str, None, "meta.ucd", "Char.ObservableAxis.ucd"),
    "pol_states": (str, None, "meta.code;phys.polarization", "Char.PolarizationAxis.stateList"),
    "pol_xel": (int, None, "meta.number", "Char.PolarizationAxis.numBins"),
    "facility_name": (str, None, "meta.id;instr.tel", "Provenance.ObsConfig.Facility.name"),
    "instrument_name": (str, None, "meta.id;instr", "Provenance.ObsConfig.Instrument.name"),
    "datalink_url": (str, None, "meta.ref.url", None),
    "version": (int, None, "meta.version", None),
    "verdict": (str, None, "meta.code.qual", None),
    "rms_mjy": (float, "mJy/beam", "stat.stdev;phot.flux.density;em.radio.750-1500MHz", None),
    "simulated": (bool, None, "meta.code", None),
}

_WORDS = {
    "t_exptime": "median over the covered pixels: tiles that saw a pixel, times the length of a tile",
    "em_min": "vacuum wavelength of the upper edge of the band that the data come from",
    "em_max": "vacuum wavelength of the lower edge of the band that the data come from",
    "version": "version of the mosaic, 1 for the first",
    "verdict": "passed, or warning or failed and published by the decision of a person",
    "rms_mjy": "median noise where the weight is at least half of its 95th percentile; higher towards the edges",
    "simulated": "true: simulated data, not the sky",
}
"""What some columns hold, where name and standard leave it open."""

_EMPTY: dict[type, Any] = {str: "", int: 0, float: 0.0, bool: False}
_DTYPE = {str: "str", int: "int64", float: "float64", bool: "bool"}
_NO_INT = -1  # stands for an integer that is not known
_FITS_BLOCK = 2880


def obscore_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as a row of the ObsCore table; None where the bundle does not state a value."""
    ra_deg, dec_deg = entry["centre_deg"] or (None, None)
    width, height = entry["shape_px"] or (None, None)
    corners = entry["corners_deg"]
    return {
        "dataproduct_type": "image",
        "calib_level": 3,
        "obs_collection": "DSA-110 continuum",
        "obs_id": entry["data_id"],
        "obs_publisher_did": entry["publisher_did"],
        "access_url": entry["access_url"],
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
        **_spectral(entry["band_hz"]),
        "em_xel": 1,
        "o_ucd": "phot.flux.density;em.radio",
        "pol_states": "/I/",
        "pol_xel": 1,
        "facility_name": "OVRO",
        "instrument_name": "DSA-110",
        "datalink_url": entry["datalink_url"],
        "version": entry["version"],
        "verdict": entry["verdict"],
        "rms_mjy": entry["rms_mjy"],
        "simulated": entry["synthetic"],
    }


def _spectral(band_hz: Sequence[float] | None) -> dict[str, float | None]:
    """Return the limits of a band as vacuum wavelengths [m], and its middle over its width."""
    if band_hz is None:
        return dict.fromkeys(("em_min", "em_max", "em_res_power"))
    low, high = band_hz
    return {"em_min": C_M_S / high, "em_max": C_M_S / low, "em_res_power": (low + high) / 2 / (high - low)}


def obscore(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Return the ObsCore table of entries; what is not known is masked."""
    from astropy.table import MaskedColumn, Table

    rows = [obscore_row(entry) for entry in entries]
    table = Table()
    for name, (kind, unit, *_) in _OBSCORE.items():
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
    from astropy.io.votable.tree import Info

    votable = from_table(obscore(entries))
    votable.resources[0].type = "results"
    votable.resources[0].infos.append(Info(name="QUERY_STATUS", value="OK"))
    (first,) = votable.iter_tables()
    for field in first.fields:
        kind, _, field.ucd, utype = _OBSCORE[field.name]
        field.utype = None if utype is None else f"obscore:{utype}"
        field.description = _WORDS.get(field.name)
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
    # As TOPCAT writes and reads them. One utype is too long for a card: its value goes on in the next.
    hdu.header["LONGSTRN"] = "OGIP 1.0"
    for number, (name, (_, _, ucd, utype)) in enumerate(_OBSCORE.items(), start=1):
        hdu.header[f"TUCD{number}"] = ucd
        if name in _WORDS:
            hdu.header[f"TCOMM{number}"] = _WORDS[name]
        if utype is not None:
            hdu.header[f"TUTYP{number}"] = f"obscore:{utype}"
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
