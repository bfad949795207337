"""What to do when a database refuses, in words for the end of a message."""

from __future__ import annotations

from sqlalchemy.engine import URL


def remedy(message: str) -> str:
    """Return the remedy for an error message of SQLite (READONLY, CANTOPEN, FULL, BUSY) or of a database server."""
    if "readonly database" in message or "unable to open database file" in message:
        return "give yourself write access to the file and its folder"
    if "read-only transaction" in message or "permission denied for" in message:
        return "let this user write to the database"
    if "password authentication failed" in message:
        return "correct the password in registry.url, ~/.pgpass or the file that PGPASSFILE names,"
    if "no schema has been selected" in message:
        return "correct the search_path in registry.url, which names no schema,"
    if "disk is full" in message or "No space left" in message:
        return "make room there"
    if "disk I/O error" in message:
        return "look at the disk's room, quota and health"
    if "database is locked" in message:
        return "wait until the other command has ended"
    if "UNIQUE constraint" in message or "duplicate key value" in message:
        return "another row has the same, as after a change with SQL: correct that row, or restore a backup,"
    if "connection" in message:
        return "start the server or correct registry.url"
    return "repair that"


def driver_missing(url: URL, error: ModuleNotFoundError) -> str:
    """Return what to do when the Python package of a database's driver is not installed."""
    if url.get_driver_name() == "psycopg":
        return (
            f"config key 'registry.url' needs the package '{error.name}', which is missing from this environment: "
            "python -m pip install 'psycopg[binary]'"
        )
    return (
        f"config key 'registry.url' names the driver '{url.get_driver_name()}', which needs the package "
        f"'{error.name}': write postgresql+psycopg://user@host/database, whose driver comes with contimg"
    )
