"""A PostgreSQL server of the tests' own, which may crash: its data in a folder, reached by a socket there."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

HOW = "no PostgreSQL programs: apt-get install postgresql"


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest where there are several; None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    where = found[-1] if found else shutil.which("initdb")
    return None if where is None else Path(where).resolve().parent


class OwnServer:
    """A server whose data stand below a folder, which the caller removes.

    PostgreSQL refuses to work as root: root lets the user of the Debian package run it.

    Attributes
    ----------
    url : str
        Of its database, as `registry.url` holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._programs, self._data = programs(), folder / "data"
        assert self._programs is not None, HOW
        folder.mkdir(parents=True)
        self._as = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._run("initdb", "--auth=trust", "--username=contimg", "--no-sync", "--no-locale", "--encoding=UTF8")
        settings = f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nport = 5432\n"
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(settings)
        self._log = folder / "log"
        self.url = f"postgresql+psycopg://contimg@/postgres?host={folder}&port=5432"
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self._data), *arguments]
        done = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **self._as)
        assert done.returncode == 0, done.stdout

    def start(self) -> None:
        """Start it, and wait until it answers; after a crash it repeats its log first."""
        # The server keeps what it inherits open: a pipe would never end.
        command = [str(self._programs / "pg_ctl"), "-D", str(self._data), "-l", str(self._log), "-w", "start"]
        subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, **self._as)

    def crash(self) -> None:
        """End all its processes at once, as when it is killed: what waited for no disk may be lost."""
        self._run("pg_ctl", "-m", "immediate", "-w", "stop")

    def stop(self) -> None:
        """End it in order, whoever is connected."""
        self._run("pg_ctl", "-m", "fast", "-w", "stop")
