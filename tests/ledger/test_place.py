"""Where the file may be, who may read it, and what it may not be."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from imagegen import ConfigurationError
from imagegen.ledger import Ledger, place
from imagegen.ledger.mounts import network_type

if TYPE_CHECKING:
    from tests.ledger.conftest import Maker, Nobody

posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:20 / /proc rw - proc proc rw
30 22 0:40 / /home rw,relatime shared:2 master:1 - nfs4 server:/home rw
31 30 8:2 / /home/me/local rw - ext4 /dev/sdb1 rw
32 22 0:41 / /mnt/my\040share rw - cifs //server/share rw
33 22 0:42 / /over rw - nfs server:/over rw
34 33 8:3 / /over rw - xfs /dev/sdc1 rw
35 22 0:43 / /s3 rw - fuse.s3fs s3fs rw
broken
"""


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(*paths: Path) -> list[int]:
    return [stat.S_IMODE(path.stat().st_mode) for path in paths]


@posix
def test_the_files_and_folders_are_private_whatever_the_umask(tmp_path: Path, make: Maker) -> None:
    path = tmp_path / "new" / "folder" / "ledger.db"
    with umask(0), Ledger(path) as ledger:
        ledger.intend(make.entry()).result()
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == ["ledger.db", "ledger.db-shm", "ledger.db-wal"]
        assert modes(*files) == [0o600] * 3
        assert modes(path.parent, path.parent.parent) == [0o700] * 2


@posix
def test_the_file_is_private_before_sqlite_opens_it(path: Path) -> None:
    with umask(0):
        place._create(path)
    assert modes(path) == [0o600]


@posix
def test_a_file_that_others_can_read_is_tightened(
    path: Path, open_ledger: Callable[..., Ledger], make: Maker
) -> None:
    first = open_ledger()
    first.intend(make.entry()).result()
    companions = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
    for file in companions:
        file.chmod(0o664)
    open_ledger().intend(make.entry()).result()
    assert modes(*companions) == [0o600] * 3
    assert len(first.entries().result()) == 2


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.touch()
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (place.APPLICATION,)
        assert connection.execute("PRAGMA user_version").fetchone() == (place.VERSION,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_opening_waits_for_another_process_that_makes_the_file(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.1, other.execute, ["COMMIT"]).start()
        Ledger(path).close()


def test_a_file_that_is_never_free_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "Another process holds it; try again" in refusal(path)


def test_every_commit_reaches_the_disk(ledger: Ledger) -> None:
    connection = ledger._book._connection
    ask = ledger._writer.put(lambda: connection.execute("PRAGMA synchronous").fetchone()[0])
    assert ask.result() == 2


def refusal(path: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Ledger(path)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"the ledger {str(tmp_path)!r} is a folder. Name a file in it"
    assert "is a folder" in refusal("")


def test_another_application_s_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    path.chmod(0o644)
    before = path.read_bytes()
    assert "another application's database" in refusal(path)
    assert path.read_bytes() == before
    assert modes(path) == [0o644]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE theirs")
        connection.execute("PRAGMA application_id = 7")
    assert "another application's database" in refusal(path)


def test_a_later_version_s_ledger_is_left_alone(path: Path) -> None:
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {place.VERSION + 1}")
    assert "Upgrade imagegen" in refusal(path)


def test_a_file_of_something_else_is_no_ledger(path: Path) -> None:
    path.write_bytes(b"not a database, and more than a hundred bytes of it. " * 40)
    said = refusal(path)
    assert str(path) in said
    assert "Restore it from a copy, or name another file" in said


def test_a_damaged_page_is_an_error_of_ours(path: Path, make: Maker) -> None:
    with Ledger(path) as ledger:
        for _ in range(50):
            ledger.intend(make.entry()).result()
    with closing(sqlite3.connect(path)) as connection:
        find = "SELECT rootpage FROM sqlite_master WHERE name = 'attempts'"
        (page,) = connection.execute(find).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with Ledger(path) as ledger, pytest.raises(ConfigurationError, match="Restore it"):
        ledger.entries().result()


def test_a_row_of_another_version_is_named(ledger: Ledger, make: Maker) -> None:
    ledger.intend(make.entry(id="odd")).result()
    connection = ledger._book._connection
    change = "UPDATE attempts SET request = '[]'"
    ledger._writer.put(lambda: connection.execute(change).rowcount).result()
    with pytest.raises(ConfigurationError, match="row 'odd' of the ledger cannot be read"):
        ledger.entries().result()


@posix
def test_a_place_that_cannot_be_written_is_an_error_of_ours(
    tmp_path: Path, path: Path, nobody: Nobody
) -> None:
    Ledger(path).close()
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    mine = closed / "mine.db"
    with nobody():
        assert str(path) in refusal(path)
        assert "Name a path that this process may write to" in refusal(mine)


@posix
def test_a_read_only_file_is_an_error_of_ours(path: Path, nobody: Nobody) -> None:
    Ledger(path).close()
    path.chmod(0o400)
    with nobody():
        assert "cannot be used" in refusal(path)


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """A folder that everybody can read, to be filled and then closed."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@posix
def test_a_ledger_is_read_where_nothing_can_be_written(
    unwritable: Path, make: Maker, nobody: Nobody
) -> None:
    path = unwritable / "ledger.db"
    with Ledger(path) as ledger:
        ledger.intend(make.entry()).result()
    path.chmod(0o444)
    unwritable.chmod(0o555)
    with nobody(), closing(place.opened_to_read(path)) as connection:
        assert place.version_of(connection, path) == place.VERSION
        assert connection.execute("SELECT count(*) FROM attempts").fetchone()[0] == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM attempts")
    assert list(unwritable.iterdir()) == [path]


def test_what_is_not_yet_in_the_file_itself_is_read_too(
    ledger: Ledger, path: Path, make: Maker
) -> None:
    ledger.intend(make.entry()).result()
    with closing(place.opened_to_read(path)) as connection:
        assert connection.execute("SELECT count(*) FROM attempts").fetchone()[0] == 1


def test_reading_makes_no_file(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        place.opened_to_read(path)
    assert not path.exists()


@pytest.mark.parametrize("odd", ["a\0b", "x" * 5000, 7, "file.txt/below.db"])
def test_a_path_that_is_none_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: object
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.txt").touch()
    assert "the ledger" in refusal(odd)


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=ro", "a b?c#d%20.db"])
def test_every_name_is_a_file_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Maker, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with Ledger(name) as ledger:
        ledger.intend(make.entry()).result()
    assert [file.name for file in tmp_path.iterdir()] == [name]


@posix
def test_a_link_leads_to_the_file(tmp_path: Path, path: Path, make: Maker) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with Ledger(link) as ledger, Ledger(path) as other:
        ledger.intend(make.entry()).result()
        assert len(other.entries().result()) == 1
    assert path.exists()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/ledger.db", None),
        ("/home/me/ledger.db", "nfs4"),
        ("/homeless/ledger.db", None),
        ("/home/me/local/ledger.db", None),
        ("/mnt/my share/ledger.db", "cifs"),
        ("/over/ledger.db", None),
        ("/s3/a/b/ledger.db", "fuse.s3fs"),
    ],
)
def test_network_file_systems_are_told_by_the_deepest_mount(path: str, kind: str | None) -> None:
    assert network_type(MOUNTS, PurePosixPath(path)) == kind


def test_a_ledger_on_a_network_is_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.replace("/home ", f"{tmp_path} "), encoding="utf-8")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    said = refusal(path)
    assert "on nfs4, a network file system; its write-ahead log needs memory that is" in said
    assert not path.exists()
    monkeypatch.setattr(place, "_MOUNTS", tmp_path / "none")
    Ledger(path).close()
