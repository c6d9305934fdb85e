"""Opening the ledger's file: in a safe place, private, ours, durable."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from importlib import resources
from pathlib import Path, PurePosixPath

from imagegen.errors import ConfigurationError
from imagegen.ledger.mounts import network_type

BUSY_SECONDS = 10.0
"""How long another process may hold the file before that is an error."""
APPLICATION = int.from_bytes(b"imgl", "big")
VERSION = 2

_MOUNTS = Path("/proc/self/mountinfo")
_MOVE = "Name a path that this process may write to"
_RESTORE = "Restore it from a copy, or name another file"
_ADVICE = {
    sqlite3.SQLITE_BUSY: "Another process holds it; try again",
    sqlite3.SQLITE_CANTOPEN: _MOVE,
    sqlite3.SQLITE_CORRUPT: _RESTORE,
    sqlite3.SQLITE_FULL: "Free some space on its disk",
    sqlite3.SQLITE_NOTADB: _RESTORE,
    sqlite3.SQLITE_PERM: _MOVE,
    sqlite3.SQLITE_READONLY: _MOVE,
}
_creating = threading.Lock()


def unusable(place: str, error: BaseException) -> ConfigurationError:
    """Say of the ledger at *place* what happened and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    advice = _ADVICE.get(code, _MOVE if isinstance(error, OSError) else "Check it, or name another")
    return ConfigurationError(f"the ledger {place} cannot be used: {error}", advice=advice)


def opened(path: str | Path | None) -> sqlite3.Connection:
    """Open the ledger at *path*, which is made if it is missing; None: in memory.

    Raises:
        ConfigurationError: it cannot be, or must not be, opened there.
    """
    if path is None:
        connection = _connected(":memory:")
        connection.executescript(_schema())
        return connection
    try:
        place = Path(path).resolve()
        _require_local(place)
        _create(place)
        return _patiently_opened(place)
    except (OSError, RuntimeError, TypeError, ValueError, sqlite3.Error) as error:
        raise unusable(repr(str(path)), error) from error


def opened_to_read(path: str | Path) -> sqlite3.Connection:
    """Open the ledger at *path*, and write neither to it nor to its folder.

    Raises:
        OSError, sqlite3.Error: it cannot be read.
    """
    place = Path(path).resolve()
    # Beside a log that is in use SQLite needs a file of its own; without one, it would make both.
    how = "mode=ro" if Path(f"{place}-wal").exists() else "mode=ro&immutable=1"
    return _connected(f"{place.as_uri()}?{how}")


def _patiently_opened(place: Path) -> sqlite3.Connection:
    """SQLite does not wait by itself when two processes switch a new file to WAL at once."""
    patience = time.monotonic() + BUSY_SECONDS
    while True:
        connection = _connected(str(place))
        try:
            _prepare(connection, place)
        except BaseException as error:
            connection.close()
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > patience:
                raise
            time.sleep(0.02)
        else:
            return connection


def _connected(name: str) -> sqlite3.Connection:
    """The writer thread will use it, and begin and end transactions itself."""
    connection = sqlite3.connect(
        name,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=name.startswith("file:"),
    )
    connection.row_factory = sqlite3.Row
    return connection


def _prepare(connection: sqlite3.Connection, place: Path) -> None:
    """Nothing is changed before it is known to be ours."""
    behind = version_of(connection, place) < VERSION
    _make_private(place)
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise ConfigurationError(
            f"the ledger {str(place)!r} cannot use a write-ahead log there",
            advice="Name a path on a local disk",
        )
    connection.execute("PRAGMA synchronous = FULL")
    if behind:
        connection.executescript(_schema())


def version_of(connection: sqlite3.Connection, place: Path) -> int:
    """Return the version of the ledger at *place*, 0 for a new file; the schema only adds to one.

    Raises:
        ConfigurationError: it is another application's, or of a later version.
    """
    connection.execute("BEGIN")  # so that the three answers are of one moment
    application, version, tables = (
        connection.execute(question).fetchone()[0]
        for question in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    connection.execute("COMMIT")
    if (application, version, tables) == (0, 0, 0):
        return 0
    if application != APPLICATION:
        raise ConfigurationError(
            f"{str(place)!r} is another application's database, not a ledger",
            advice="Name another file",
        )
    if version > VERSION:
        raise ConfigurationError(
            f"the ledger {str(place)!r} was written by a later version of imagegen",
            advice="Upgrade imagegen, or name another file",
        )
    return int(version)


def _schema() -> str:
    return resources.files("imagegen.ledger").joinpath("schema.sql").read_text(encoding="utf-8")


def _require_local(place: Path) -> None:
    try:
        mountinfo = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    kind = network_type(mountinfo, PurePosixPath(place))
    if kind:
        raise ConfigurationError(
            f"the ledger {str(place)!r} would be on {kind}, a network file system; its write-ahead "
            "log needs memory that is shared, which only processes of one machine have",
            advice="Name a path on a local disk",
        )


def _create(place: Path) -> None:
    """Make the file private from its first moment; SQLite gives its companions the same mode.

    An existing file is not opened: closing it would drop the locks that SQLite holds on it for
    another ledger of this process.
    """
    missing = [folder for folder in place.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    if place.is_dir():
        raise ConfigurationError(
            f"the ledger {str(place)!r} is a folder", advice="Name a file in it"
        )
    with _creating, contextlib.suppress(FileExistsError):
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _make_private(place: Path) -> None:
    if os.name != "posix":
        return
    for name in (place, Path(f"{place}-wal"), Path(f"{place}-shm")):
        with contextlib.suppress(FileNotFoundError):
            if name.stat().st_mode & 0o077:
                name.chmod(0o600)
