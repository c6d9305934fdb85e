"""How many operations the ledger makes durable a second, and how long one waits for that.

Each waiter intends, waits until that is on disk, and intends again: alone, then 200 at a time, in
threads, when one commit serves many. The folder decides what is measured: name one on the disk in
question.
"""

import argparse
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from imagegen import Cost, ImageRequest
from imagegen.ledger import Budget, Entry, Ledger

BUDGET = Budget(amount=1_000_000)
PRICE = Cost(amount=Decimal("0.0035"), currency="USD", basis="list-price")
REQUEST = ImageRequest("a red fox in the snow", size="1280x720")


def entry() -> Entry:
    """An intent of now."""
    now = datetime.now(UTC)
    return Entry(
        provider="minimax",
        model="image-01",
        n=1,
        request=REQUEST,
        reserved=PRICE,
        started_at=now,
        until=now + timedelta(minutes=5),
    )


def wait_often(ledger: Ledger, times: int, taken: list[float]) -> None:
    """Intend so often, one after the other, and note the seconds that each took."""
    for _ in range(times):
        started = time.perf_counter()
        ledger.intend(entry(), BUDGET).result()
        taken.append(time.perf_counter() - started)


def measure(path: Path, waiters: int, times: int) -> None:
    """Print what so many waiters get."""
    taken: list[float] = []
    with Ledger(path) as ledger:
        work = (ledger, times, taken)
        threads = [threading.Thread(target=wait_often, args=work) for _ in range(waiters)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - started
        commits = ledger._writer.commits  # noqa: SLF001 - a count that only this is after
    median, worst = statistics.median(taken) * 1e3, statistics.quantiles(taken, n=100)[98] * 1e3
    print(
        f"{waiters:4} waiting: {len(taken) / seconds:7,.0f} operations/s, "
        f"{commits / seconds:6,.0f} commits/s, {median:6.2f} ms median, {worst:6.2f} ms 99th"
    )


def main() -> None:
    """Print both."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folder", type=Path, default=None)
    options.add_argument("--operations", type=int, default=4000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        measure(Path(folder) / "alone.db", 1, given.operations)
        measure(Path(folder) / "together.db", 200, max(given.operations // 200, 1))


if __name__ == "__main__":
    main()
