"""Every fault at every step, for both providers and clients: what was bought, lost, mistold.

Everything runs in this process: a sandbox of both providers, whose log says what was really
accepted, a client whose clock jumps, and between them a wire that breaks as sockets do. What the
client says, and its ledger, is held against the log. tests/money runs a part of the matrix.

Run it with `python -m benchmarks.fault_matrix`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from typing import Any, Literal, Self

from attrs import evolve, frozen

from benchmarks.faults import ENDED, MODELS, STATUSES, AsyncWire, Step, Trouble, Wire, troubles
from imagegen import (
    AsyncClient,
    Client,
    Generation,
    ImageGenError,
    ImageRequest,
    Job,
    MiniMax,
    Route,
    WaveSpeed,
)
from imagegen.ledger import Entry, Ledger
from imagegen.sandbox import Fault, Sandbox, Submission
from imagegen.sandbox.exchange import Request
from imagegen.testing import FakeClock

Mode = Literal["single", "route", "reconcile", "spend"]

REQUEST = ImageRequest("a red fox", size="512x512", seed=7)
KEY = {"authorization": "Bearer sandbox"}


@frozen
class Case:
    """One trouble in one place: it passes `after` requests, then hits `most`."""

    trouble: Trouble
    provider: Any
    step: Any
    after: int
    most: int
    flavour: Literal["sync", "async"]
    mode: Mode
    ledger: bool

    def __str__(self) -> str:
        book = "ledger" if self.ledger else "no ledger"
        where = f"{self.provider} {self.step} {self.after + 1}"
        return f"{self.flavour}, {self.mode}, {book}: {where}, {self.most}x {self.trouble.name}"

    @property
    def model(self) -> str | Route:
        """The model that is struck, alone or before the other one."""
        models = sorted(MODELS.values(), key=lambda model: not model.startswith(self.provider))
        if self.mode == "single":
            return models[0]
        return Route(models=models, on_unknown="raise" if self.mode == "route" else self.mode)


ALWAYS = 10**6
HITS: Mapping[Step, tuple[tuple[int, int], ...]] = {
    "submit": ((0, 1), (0, ALWAYS)),
    "poll": ((0, 1), (1, 1), (3, 1), (0, ALWAYS)),  # a prediction of ten seconds is polled 4 times
    "download": ((0, 1), (0, ALWAYS)),
    "look-up": ((0, 1), (0, ALWAYS)),
}
SETTINGS: tuple[tuple[Mode, bool], ...] = (
    ("single", False),
    ("route", True),
    ("reconcile", True),
    ("spend", False),
    ("single", True),
    ("route", False),
    ("spend", True),
)


def cases(numbers: Iterable[int] = STATUSES) -> Iterator[Case]:
    """The whole matrix, *numbers* being the HTTP statuses."""
    for trouble in troubles(numbers):
        for provider, step in itertools.product(trouble.providers, trouble.steps):
            if provider == "minimax" and step in ("poll", "look-up"):
                continue
            flavours: tuple[Literal["sync", "async"], ...] = ("sync", "async")
            for hit, flavour, setting in itertools.product(HITS[step], flavours, SETTINGS):
                if step != "look-up" or setting[0] == "reconcile":
                    yield Case(trouble, provider, step, *hit, flavour, *setting)


@frozen
class Seen:
    """What came of a case: what the client gave, what was accepted, what the ledger has.

    `ended` holds the ids of those accepted that bring no picture, as the provider told.
    """

    case: Case
    result: Generation | None
    error: BaseException | None
    accepted: tuple[Submission, ...]
    ended: frozenset[str]
    came: bytes
    rows: tuple[Entry, ...] = ()
    held: Decimal = Decimal(0)

    @property
    def billed(self) -> list[Submission]:
        """The acceptances that bring a picture, so that the client must answer for them."""
        return [one for one in self.accepted if one.id not in self.ended]


class Stage:
    """A sandbox, and a client of it, for one case."""

    def __init__(self, case: Case, runner: asyncio.Runner) -> None:
        self._case = case
        self._runner = runner
        self._clock = clock = FakeClock()
        self.sandbox = Sandbox(latency=10.0, clock=clock.epoch)
        self.wire = Wire(self.sandbox, clock)
        self.ledger = Ledger(now=clock.now) if case.ledger else None
        origin, sync_mode = self.sandbox.origin, case.trouble.sync_mode
        backends = (
            MiniMax(api_key="sandbox", base_url=origin),
            WaveSpeed(api_key="sandbox", base_url=origin, sync_mode=sync_mode),
        )
        maker: Any = Client if case.flavour == "sync" else AsyncClient
        transport = self.wire if case.flavour == "sync" else AsyncWire(self.wire)
        self.client = maker(backends, transport=transport, clock=clock, ledger=self.ledger)
        self._arm(case)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._awaited(self.client.close())
        if self.ledger:
            self.ledger.close()

    def _awaited(self, value: Any) -> Any:
        return self._runner.run(value) if self._case.flavour == "async" else value

    def _arm(self, case: Case) -> None:
        what, place = case.trouble.what, (case.provider, case.step)
        if not isinstance(what, Fault):
            self.wire.arm(what, place, case.after, case.most)
            if case.step == "look-up":  # that is where one looks for what was lost
                self.sandbox.inject(Fault("drop", provider="wavespeed", accepted=True))
            return
        hits: dict[str, Any] = {"after": case.after, "times": case.most}
        self.sandbox.inject(evolve(what, provider=case.provider, step=case.step, **hits))

    def mend(self) -> None:
        """Let nothing go wrong any more, and time pass."""
        self.sandbox.handle(Request("DELETE", "/sandbox/faults"))
        self.wire.mend()
        self._clock.sleep(60.0)

    def bought(self, folder: str) -> Generation:
        """What the client gives, with its bytes if the trouble is about these."""
        generation: Generation = self._awaited(
            self.client.generate(REQUEST, model=self._case.model)
        )
        if self._case.step != "download":
            return generation
        if self._case.most == 1:
            fetched: Generation = self._awaited(self.client.fetch(generation))
            return fetched
        self._awaited(self.client.save(generation, folder))
        return generation

    def seen(self, folder: str) -> Seen:
        """Do it, and look."""
        result, error = None, None
        try:
            result = self.bought(folder)
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is judged
            error = raised
        rows = tuple(self.ledger.entries().result()) if self.ledger else ()
        lines = self.ledger.spend().result() if self.ledger else []
        accepted, came = tuple(self.sandbox.submissions), b"".join(self.wire.came)
        self.mend()
        return Seen(
            case=self._case,
            result=result,
            error=error,
            accepted=accepted,
            ended=frozenset(one.id for one in accepted if self._has_ended(one)),
            came=came,
            rows=rows,
            held=sum((line.spent + line.open for line in lines), Decimal(0)),
        )

    def _has_ended(self, one: Submission) -> bool:
        if one.provider == "minimax":
            return one.images == 0
        told = self._case.trouble.ends and one.provider == self._case.provider
        return told or self._status(one) in ENDED

    def _status(self, one: Submission) -> str:
        """What WaveSpeedAI says of a prediction now."""
        path = f"/api/v3/predictions/{one.id}/result"
        shown = self.sandbox.handle(Request("GET", path, headers=KEY)).json()
        return str(shown["data"]["status"])

    def reconciled(self, ledger: Ledger) -> list[str]:
        """What is wrong once the client has reconciled its ledger."""
        before = list(self.sandbox.submissions)
        try:
            report = self._awaited(self.client.reconcile())
        except ImageGenError as error:
            return [f"unreconciled: {error!r}"]
        if self.sandbox.submissions != before:
            return ["duplicate: reconciling bought"]
        rows = ledger.entries().result()
        told = {row.job.id for row in rows if row.job and row.collected}
        told |= {name for error in report.errors for name in named(error)}
        predictions = [one for one in before if one.provider == "wavespeed"]
        made = [one.id for one in predictions if not self._has_ended(one)]
        wrong = [f"unreconciled: nothing is said of {one}" for one in made if one not in told]
        if any(row.provider == "wavespeed" for row in report.unknown):
            wrong.append("unreconciled: WaveSpeedAI could tell more")
        return wrong


def run(case: Case, runner: asyncio.Runner, folder: str) -> list[str]:
    """What is wrong with how *case* went: nothing, it is hoped."""
    with Stage(case, runner) as stage:
        seen = stage.seen(folder)
        wrong = [words for judge in JUDGES for words in judge(seen)]
        if stage.ledger and any(is_open(row) for row in seen.rows):
            wrong += stage.reconciled(stage.ledger)
    return wrong


def untyped(seen: Seen) -> Iterator[str]:
    """Judge what was raised."""
    if not isinstance(seen.error, ImageGenError | None):
        yield f"untyped: {seen.error!r}"


def duplicates(seen: Seen) -> Iterator[str]:
    """Judge how often the picture was bought."""
    allowed = 1
    if seen.case.mode == "spend":
        allowed, most = 2, Counter(one.provider for one in seen.billed).most_common(1)
        if most and most[0][1] > 1:
            yield f"duplicate: {most} although one each was allowed"
    if len(seen.billed) > allowed:
        yield f"duplicate: {[(one.provider, one.id) for one in seen.billed]}"


def lost(seen: Seen) -> Iterator[str]:
    """Judge whether every id that the client read is in what it gave."""
    names = {*named(seen.result), *named(seen.error), *(row.job.id for row in seen.rows if row.job)}
    for one in seen.accepted:
        if one.provider == "wavespeed" and one.id.encode() in seen.came and one.id not in names:
            yield f"lost: {one.id} was told, and is not in {seen.error or seen.result!r}"
    if seen.result and not seen.result.images:
        yield "lost: a generation without a picture"


def named(outcome: object) -> Iterator[str]:
    """The ids of jobs that *outcome* names."""
    match outcome:
        case Generation():
            yield from (attempt.request_id or "" for attempt in outcome.attempts)
            yield from named(outcome.job)
        case Job():
            yield outcome.id
            yield from (part.id for part in outcome.parts)
        case ImageGenError():
            yield from named(outcome.job)
            yield from (attempt.request_id or "" for attempt in outcome.attempts)
            for inner in getattr(outcome, "exceptions", ()):
                yield from named(inner)


def mistold(seen: Seen) -> Iterator[str]:
    """Judge what is said of the money."""
    outcome = seen.result or seen.error
    attempts = getattr(outcome, "attempts", ())
    owned = Counter(one.provider for one in attempts if one.charged != "no")
    bought = Counter(one.provider for one in seen.billed)
    for provider, times in bought.items():
        if owned[provider] < times and (attempts or seen.result):
            yield f"mistold: {times} accepted by {provider}, of which {attempts} tell"
    if seen.billed and isinstance(seen.error, ImageGenError) and seen.error.charged == "no":
        yield f"mistold: not charged, says {seen.error!r}, and {seen.billed} were"
    price = sum((one.price for one in seen.billed), Decimal(0))
    if seen.result and seen.result.cost.amount is not None and seen.result.cost.amount < price:
        yield f"mistold: a cost of {seen.result.cost}, and {price} were billed"


def unwritten(seen: Seen) -> Iterator[str]:
    """Judge the ledger."""
    if not seen.case.ledger:
        return
    ids = {row.job.id for row in seen.rows if row.job} | {row.request_id for row in seen.rows}
    nameless = Counter(one.provider for one in seen.billed if one.id not in ids)
    open_ = Counter(row.provider for row in seen.rows if covers(row))
    for provider, times in nameless.items():
        if open_[provider] < times:
            yield f"unwritten: {times} accepted by {provider}, and rows {seen.rows}"
    price = sum((one.price for one in seen.billed), Decimal(0))
    if seen.held < price:
        yield f"unwritten: {seen.held} spent or held, and {price} were billed"
    sums = sum((spent_or_held(row) for row in seen.rows), Decimal(0))
    if seen.held != sums:
        yield f"unwritten: the account says {seen.held}, the rows {sums}"
    for row in seen.rows:
        billed = row.job and row.job.id in {one.id for one in seen.billed}
        if row.state == "refused" and billed:
            yield f"unwritten: {row} was accepted"


def is_open(row: Entry) -> bool:
    """Tell whether reconciling has something to do with *row*."""
    return row.state != "refused" and not row.collected


def covers(row: Entry) -> bool:
    """Tell whether *row* stands for an acceptance whose id nobody told."""
    at_unknown_cost = row.state == "settled" and row.cost.amount is None
    return row.state in ("intent", "unknown") or at_unknown_cost


def spent_or_held(row: Entry) -> Decimal:
    """What *row* adds to the account."""
    known = row.cost.amount if row.state == "settled" else None
    held = row.reserved.amount or Decimal(0)
    return Decimal(0) if row.state == "refused" else held if known is None else known


JUDGES = (untyped, duplicates, lost, mistold, unwritten)
KINDS = ("duplicate", "untyped", "lost", "mistold", "unwritten", "unreconciled")


def failures(some: Iterable[Case]) -> Iterator[tuple[Case, str]]:
    """Run cases; give what is wrong, each with its case."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        for case in some:
            yield from ((case, words) for words in run(case, runner, folder))


def _share(numbers: Sequence[int], start: int, stride: int) -> list[tuple[str, str]]:
    some = itertools.islice(cases(numbers), start, None, stride)
    return [(str(case), words) for case, words in failures(some)]


def main() -> None:
    """Run the matrix; print how large it was and what was wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--every", action="store_true", help="every status from 400 to 599")
    options.add_argument("--stride", type=int, default=1, help="run one case in so many")
    options.add_argument("--show", type=int, default=10, help="failures to print")
    given = options.parse_args()
    numbers = range(400, 600) if given.every else STATUSES
    started, workers = time.monotonic(), os.cpu_count() or 1
    starts, stride = range(0, given.stride * workers, given.stride), given.stride * workers
    with ProcessPoolExecutor(workers) as pool:
        shares = [pool.submit(_share, numbers, start, stride) for start in starts]
        wrong = [pair for share in shares for pair in share.result()]
    _print_sizes(list(itertools.islice(cases(numbers), 0, None, given.stride)))
    print(f"{time.monotonic() - started:.0f} seconds")
    for kind in KINDS:
        print(
            f"{kind:12} {len({case for case, words in wrong if words.startswith(kind)}):8,} cases"
        )
    for case, words in wrong[: given.show]:
        print(f"{case}\n    {words[:300]}")
    sys.exit(bool(wrong))


def _print_sizes(some: Sequence[Case]) -> None:
    print(f"{len(some):,} cases of {len({case.trouble.name for case in some}):,} troubles")
    for dimension in ("step", "provider", "flavour", "mode", "ledger"):
        counts = Counter(getattr(case, dimension) for case in some)
        print(f"{dimension:10}", ", ".join(f"{name}: {n:,}" for name, n in counts.items()))


if __name__ == "__main__":
    main()
