"""A PostgreSQL server on loopback that ends with the test."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from video_assets_tests.waiting import free_port

_DEBIAN = Path("/usr/lib/postgresql")


def server_programs() -> Path | None:
    """The folder of initdb and postgres, the newest there is; None where there is none."""
    found = shutil.which("initdb")
    folders = sorted(_DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name)) if _DEBIAN.is_dir() else []
    return Path(found).parent if found else (folders[-1] if folders else None)


def _as_its_user(command: list[str], user: str | None) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return command if user is None else ["runuser", "-u", user, "--", *command]


@contextmanager
def postgres_server(programs: Path) -> Generator[tuple[str, str]]:
    """Starts a server; gives the address of its database, and the password in it."""
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        password, data = secrets.token_hex(8), folder / "data"
        (folder / "password").write_text(password, "utf-8")
        (folder / "password").chmod(0o644)
        make = [str(programs / "initdb"), "-D", str(data), "-U", "dagster", "--auth=scram-sha-256", "-N"]
        make.append(f"--pwfile={folder / 'password'}")
        subprocess.run(_as_its_user(make, user), check=True, capture_output=True, cwd=folder)
        port = free_port()
        options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
        control = _as_its_user([str(programs / "pg_ctl"), "-D", str(data), "-w"], user)
        log = ["-l", str(folder / "log")]
        subprocess.run([*control, "start", "-o", options, *log], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        try:
            yield f"postgresql+psycopg2://dagster:{password}@127.0.0.1:{port}/postgres", password
        finally:
            subprocess.run([*control, "stop", "-m", "immediate"], check=True, capture_output=True, cwd=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
