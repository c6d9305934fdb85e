"""What can be found out on this machine: versions, configuration, prices, the ledger."""

from __future__ import annotations

import platform
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from imagegen.backends.base import Backend
from imagegen.capabilities import capabilities
from imagegen.cli.doctor.findings import Finding, Status, of_error
from imagegen.cli.prices import Origin, known_prices
from imagegen.client.models import Models
from imagegen.config.loading import Examination
from imagegen.config.places import usual_ledger
from imagegen.distribution import DISTRIBUTION
from imagegen.errors import ImageGenError
from imagegen.ledger import Budget
from imagegen.ledger.book import Book
from imagegen.ledger.place import opened_to_read, unusable, version_of
from imagegen.ledger.privacy import Privacy
from imagegen.ledger.values import utc_now
from imagegen.pricing import OLD_AFTER
from imagegen.wording import counted

if TYPE_CHECKING:
    from imagegen.config.settings import Settings

CORE = ("httpx", "attrs", "cattrs")
LEAST_DISK = 100 * 2**20
"""Bytes; a ledger takes a kilobyte or two for each purchase, a picture some hundred."""

_REFRESH = "imagegen prices --refresh asks for today's"
_OLD: tuple[tuple[Origin, Status, str, str], ...] = (
    ("own", "warn", "your own,", "State today's in imagegen.toml"),
    ("refreshed", "warn", "refreshed, but", _REFRESH),
    ("list", "ok", "known from the package's list,", _REFRESH),
)
"""Whose prices are old, how grave that is, how it is said, and what to do."""
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_EXTRA = re.compile(r"""^([A-Za-z0-9._-]+).*;\s*extra\s*==\s*['"]([A-Za-z0-9_-]+)['"]""")


def versions() -> Iterator[Finding]:
    """Python, imagegen, the libraries under it, and which extras are complete."""
    known = [f"Python {platform.python_version()}"]
    known += [f"imagegen {version(DISTRIBUTION)}"]
    known += [f"{name} {version(name)}" for name in CORE]
    yield Finding("ok", "versions", ", ".join(known))
    extras = _extras()
    there = [name for name, missing in extras.items() if not missing]
    words = f"installed: {', '.join(there) or 'none'}"
    absent = [name for name, missing in extras.items() if missing]
    if absent:
        words += f"; not, or not whole: {', '.join(absent)}"
    yield Finding("ok", "extras", words)


def _extras() -> dict[str, list[str]]:
    """The extras that the package declares, with what is missing of each."""
    extras = dict[str, list[str]]()
    for requirement in requires(DISTRIBUTION) or ():
        match = _EXTRA.match(requirement)
        if match and match[1] != DISTRIBUTION:
            missing = extras.setdefault(match[2], [])
            missing += [] if _is_installed(match[1]) else [match[1]]
    return extras


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def configuration(found: Examination) -> Iterator[Finding]:
    """Which files were read, what is wrong with them, and what they warn of."""
    files = ", ".join(map(str, found.settings.files))
    if not found.faults:
        yield Finding("ok", "configuration", files or "no file; the environment alone")
    for fault in found.faults:
        words = f"{fault.where}: {fault.problem}"
        yield Finding("fail", "configuration", words, fault.fix, configuration=True)
    for doubt in found.settings.warnings:
        yield Finding("warn", "configuration", f"{doubt.where}: {doubt.problem}", doubt.fix)


def model(settings: Settings) -> Iterator[Finding]:
    """Whether the default model, or every model of the default route, is one."""
    default = settings.defaults.model
    if default is None:
        yield Finding("skip", "default model", "none is set; --model names one")
        return
    lookup = Models(settings.backends, settings.routes, default)
    try:
        names = lookup.listed(None)
        unknown = [name for name in names if not capabilities(*lookup.found(name)).known]
    except ImageGenError as error:
        yield of_error("fail", "default model", error, configuration=True)
        return
    if unknown:
        words = f"in no listing that came with the package: {', '.join(unknown)}"
        yield Finding("warn", "default model", words, "imagegen models --all shows what is known")
    else:
        yield Finding("ok", "default model", ", then ".join(names))


def prices(settings: Settings) -> Iterator[Finding]:
    """Whether the prices of the models that are meant are known, and of late.

    One of the package's list that is old is no warning: nobody chose to keep it. An unknown one of
    a provider that has no key here matters to nobody.
    """
    try:
        known = known_prices(settings)
    except ImageGenError as error:
        yield of_error("fail", "prices", error, configuration=True)
        return
    today = datetime.now(UTC).date()
    usable = {n for n, b in settings.backends.items() if isinstance(b, Backend) and b.has_key}
    unknown = [
        each.model
        for each in known
        if each.price is None and each.model.partition(":")[0] in usable
    ]
    if unknown:
        fix = "State yours as [[prices]] in imagegen.toml; budgets refuse the unknown"
        yield Finding("warn", "prices", f"unknown: {', '.join(unknown)}", fix)
    old = [each for each in known if each.is_old(today)]
    for origin, status, whose, fix in _OLD:
        names = [each.model for each in old if each.origin == origin]
        if names:
            words = f"{whose} older than {OLD_AFTER.days} days: {', '.join(names)}"
            yield Finding(status, "prices", words, fix)
    if not old and not unknown:
        yield Finding("ok", "prices", f"known for {counted(len(known), 'model')}")


def ledger(settings: Settings) -> Iterator[Finding]:
    """Whether the ledger is whole, what is open on it, and what its budget leaves."""
    if settings.ledger == "off":
        yield Finding("skip", "ledger", "switched off")
        return
    place = settings.ledger or usual_ledger()
    try:
        yield from _disk(place)
        if _size(place):
            yield from _kept(place, settings.budget)
        else:
            yield _none_yet(place)
    except ImageGenError as error:
        yield of_error("fail", "ledger", error)
    except OSError as error:
        words = f"{place}: {error.strerror}"
        yield Finding("fail", "ledger", words, "Name another with --ledger or IMAGEGEN_LEDGER")


def _size(place: Path) -> int:
    try:
        return place.stat().st_size
    except FileNotFoundError:
        return 0


def _none_yet(place: Path) -> Finding:
    return Finding("skip", "ledger", f"none yet; the first purchase makes {place}")


def _kept(place: Path, budget: Budget | None) -> Iterator[Finding]:
    """What is on the ledger, which is opened to be read only."""
    try:
        with closing(opened_to_read(place)) as connection:
            yield from _read(connection, place, budget)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
            raise unusable(repr(str(place)), error) from error
        yield _damaged(place, str(error))


def _read(connection: sqlite3.Connection, place: Path, budget: Budget | None) -> Iterator[Finding]:
    (first,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if first != "ok":
        yield _damaged(place, str(first))
        return
    if version_of(connection, place) == 0:
        yield _none_yet(place)
        return
    book = Book(connection, Privacy(prompts=True), utc_now)
    yield Finding("ok", "ledger", f"{place} is whole")
    yield _entries(book)
    if budget:
        yield _budget(book, budget)


def _disk(place: Path) -> Iterator[Finding]:
    whole = place.absolute()
    folder = next(each for each in (whole, *whole.parents) if each.is_dir())
    free = shutil.disk_usage(folder).free
    words = f"{free / 2**20:,.0f} MiB free in {folder}"
    if free < LEAST_DISK:
        yield Finding("warn", "disk", words, "Make room: what is paid for must be written down")
    else:
        yield Finding("ok", "disk", words)


def _damaged(place: Path, damage: str) -> Finding:
    fix = "Move it away with its -wal and -shm files: what was paid for is then to be looked up "
    return Finding("fail", "ledger", f"{place}: {damage}", f"{fix}at the providers by hand")


def _entries(book: Book) -> Finding:
    entries = book.entries(("intent", "submitted", "unknown"))
    unknown = sum(entry.state == "unknown" for entry in entries)
    if unknown:
        words = f"{counted(unknown, 'submission')} of which nobody knows whether it was accepted"
        fix = "imagegen jobs list shows, jobs reconcile looks up"
        return Finding("warn", "open", words, fix)
    if entries:
        words = f"{counted(len(entries), 'submission')} under way"
        return Finding("warn", "open", words, "imagegen jobs list shows, jobs resume collects")
    return Finding("ok", "open", "nothing")


def _budget(book: Book, budget: Budget) -> Finding:
    today = datetime.now(UTC).date()
    account = book.spend(today if budget.per == "day" else None)
    ours = [line for line in account if line.currency == budget.currency]
    held = sum((line.spent + line.open for line in ours), Decimal(0))
    words = f"{budget.amount - held:f} {budget.currency} left of {budget}"
    if held < budget.amount:
        return Finding("ok", "budget", words)
    return Finding("warn", "budget", words, "Raise it in the configuration, or wait for its period")
