"""What to do when a database refuses, in words for the end of a message."""

from __future__ import annotations

from sqlalchemy.engine import URL

_ROOM, _URL = "make room there", "correct registry.url"
_BACKUP = (
    "its tables were changed or damaged: undo that, or move it away and restore it from a backup "
    "('contimg registry restore FILE'),"
)
_DAMAGED = (
    "the file is damaged: move it and what is beside it (-wal, -shm) away, type 'contimg registry restore FILE' "
    "with its last backup where there is one, then 'contimg reconcile',"
)
_POLICIES = "let this user see all rows (ALTER ROLE ... BYPASSRLS, or drop the policies)"
_WAIT = "wait until the other command has ended"
# What SQLite (READONLY, CANTOPEN, FULL, BUSY) or PostgreSQL says; the first that fits counts.
_REMEDIES = {
    ("readonly database", "unable to open database file"): "give yourself write access to the file and its folder",
    ("read-only transaction",): (
        "let this user write to the database, or name the server in registry.url whose standby this is,"
    ),
    ("permission denied to create", "no schema has been selected"): (
        "correct the search_path, of registry.url or of the role, which names no schema for tables,"
    ),
    ("permission denied for function",): "let this user execute that function (GRANT EXECUTE ON FUNCTION ... TO ...)",
    ("row-level security",): _POLICIES,
    ("permission denied for",): "let this user write to the database",
    ("must be owner of",): "let the owner of its tables type 'contimg status', which upgrades them,",
    ("password authentication failed",): (
        "correct the password in registry.url, ~/.pgpass or the file that PGPASSFILE names,"
    ),
    ("pg_hba.conf",): "let user and host in by the server's pg_hba.conf, or correct registry.url,",
    ("connection slots", "too many clients", "too many connections"): (
        "end other clients of the server, or raise its limit of connections,"
    ),
    ("starting up", "shutting down", "recovery mode", "administrator command"): "wait until the server is there again",
    ("disk is full", "No space left"): _ROOM,
    ("malformed", "not a database", "file is encrypted", "unsupported file format"): _DAMAGED,
    ("disk I/O error",): "look at the disk's room, quota and health",
    ("database is locked", "due to lock timeout", "deadlock detected"): _WAIT,
    ("due to statement timeout",): "look at the server's load, or raise the statement_timeout of registry.url or role,",
    ("UNIQUE constraint", "duplicate key value"): (
        "another row has the same, as after a change with SQL: correct that row, or restore a backup,"
    ),
    ('FATAL: role "', 'FATAL: database "', "resolve host", "connection option", "bad value for", "SSL was"): _URL,
    ("startup parameter", "pooling mode", "prepared statement"): (
        "name the server itself in registry.url, not a connection pooler,"
    ),
    ("no equivalent in encoding",): "name a database of the encoding UTF8 in registry.url",
    (
        "no such table",
        "no such column",
        "has no column",
        "does not exist LINE",
        "not-null constraint",
        "NOT NULL constraint",
    ): _BACKUP,
    ("did not answer within",): (
        "start the server, or the standby that it waits for (synchronous_standby_names), or correct registry.url,"
    ),
    ("connection",): "start the server or correct registry.url",
}


def remedy(message: str) -> str:
    """Return the remedy for an error message of SQLite or of a database server."""
    fitting = (text for signs, text in _REMEDIES.items() if any(sign in message for sign in signs))
    return next(fitting, "repair that")


def needs_backup(message: str) -> bool:
    """Return whether an error message says that tables are changed or damaged, which does not pass by itself."""
    return remedy(message) in (_BACKUP, _DAMAGED)


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
