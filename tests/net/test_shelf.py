"""The shelf on which idle connections lie."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from imagegen.net.shelf import KEPT, KEPT_FOR, Shelf


class Parser:
    """Stands in for h11's."""

    trailing_data = (b"", False)


class Connection:
    """Stands in for one of httpcore's."""

    def __init__(self) -> None:
        self.gone = False
        self.idle = True
        self._h11_state = Parser()

    def has_expired(self) -> bool:
        return self.gone

    def is_idle(self) -> bool:
        return self.idle


class Outer(Connection):
    """One that has another within, as httpcore's have."""

    def __init__(self, within: Any) -> None:
        super().__init__()
        del self._h11_state
        self._connection = within


class Now:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    now = Now()
    monkeypatch.setattr("imagegen.net.shelf.time.monotonic", now.monotonic)
    return now


@pytest.fixture
def kept() -> Shelf[Connection]:
    return Shelf()


def test_the_last_one_put_is_the_first_one_taken(kept: Shelf[Connection]) -> None:
    first, second = Connection(), Connection()
    assert kept.put("a", first) == kept.put("a", second) == []
    assert kept.taken("a") == (second, [])
    assert kept.taken("a") == (first, [])
    assert kept.taken("a") == (None, [])


def test_a_connection_is_taken_for_its_own_place_only(kept: Shelf[Connection]) -> None:
    kept.put("a", Connection())
    assert kept.taken("b") == (None, [])


def test_one_that_the_other_end_closed_is_handed_back(kept: Shelf[Connection]) -> None:
    alive, gone = Connection(), Connection()
    kept.put("a", alive)
    kept.put("a", gone)
    gone.gone = True
    assert kept.taken("a") == (alive, [gone])


def test_one_that_lay_too_long_is_handed_back(kept: Shelf[Connection], now: Now) -> None:
    old = [Connection(), Connection()]
    for one in old:
        kept.put("a", one)
    now.seconds += KEPT_FOR - 0.001
    assert kept.taken("a") == (old[1], [])
    kept.put("a", old[1])
    now.seconds += 0.001
    assert kept.taken("a") == (old[1], [])
    now.seconds += KEPT_FOR
    assert kept.taken("a") == (None, [old[0]])


def test_what_nobody_asks_for_is_handed_back_in_time(kept: Shelf[Connection], now: Now) -> None:
    """A picture's server may never be asked again."""
    lonely = [Connection() for _ in range(50)]
    for number, one in enumerate(lonely):
        kept.put(number, one)
    now.seconds += KEPT_FOR
    assert kept.put("a", Connection()) == lonely
    assert len(kept._idle) == 1


def test_no_more_than_so_many_are_kept(kept: Shelf[Connection]) -> None:
    every = [Connection() for _ in range(KEPT + 3)]
    back = [one for connection in every for one in kept.put("a", connection)]
    assert back == every[:3]
    assert kept.cleared() == every[3:]


def test_one_in_use_is_not_kept(kept: Shelf[Connection]) -> None:
    busy = Connection()
    busy.idle = False
    assert kept.put("a", busy) == [busy]
    assert kept.taken("a") == (None, [])


@pytest.mark.parametrize("trailing", [(b"HTTP/1.1 200 OK", False), (b"\r\n", False), (b"", True)])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_one_that_something_is_left_on_is_not_kept(
    kept: Shelf[Connection], depth: int, trailing: tuple[bytes, bool]
) -> None:
    inner = one = Connection()
    for _ in range(depth):
        one = Outer(one)
    assert kept.put("a", one) == []
    inner._h11_state.trailing_data = trailing
    assert kept.put("a", one) == [one]


def test_one_of_which_nobody_knows_what_is_left_is_not_kept(kept: Shelf[Connection]) -> None:
    one = Outer(None)
    assert kept.put("a", one) == [one]


def test_a_cleared_shelf_keeps_nothing_any_more(kept: Shelf[Connection]) -> None:
    """A connection may come back after the client was closed."""
    first, second = Connection(), Connection()
    kept.put("a", first)
    assert kept.cleared() == [first]
    assert kept.put("a", second) == [second]
    assert kept.cleared() == []


def test_threads_neither_share_nor_lose_a_connection() -> None:
    kept, closed, made = Shelf[Connection](), list[Connection](), list[Connection]()
    faults = list[BaseException]()
    users = dict[Connection, int]()

    def work(number: int) -> None:
        try:
            for turn in range(300):
                place = (number + turn) % 3
                one, dead = kept.taken(place)
                closed.extend(dead)
                if one is None:
                    one = Connection()
                    made.append(one)
                assert users.setdefault(one, number) == number
                del users[one]
                one.gone = turn % 7 == 0
                closed.extend(kept.put(place, one))
        except BaseException as error:  # noqa: BLE001 - told below
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    closed.extend(kept.cleared())
    assert not faults
    assert len(closed) == len(made)
    assert set(closed) == set(made)
