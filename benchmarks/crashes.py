"""What is lost, or bought twice, when the process is killed: nothing.

A sandbox on a port keeps the truth, in its log of what it accepted. Child processes buy from it,
by the command and by the library, and are killed with SIGKILL at every named point from the
intent to the last file, then at random moments. After each, `imagegen jobs resume` must leave
every accepted submission either saved, once, or listed as unknown; in the end
`imagegen jobs reconcile` must find all that WaveSpeedAI accepted. tests/money/test_crashes.py
runs a few.
"""

import argparse
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from PIL import Image

from imagegen import Client, ImageRequest, MiniMax, WaveSpeed, events, net
from imagegen.cli import main as command
from imagegen.client.watch import Watch
from imagegen.ledger import Ledger
from imagegen.pictures import files
from imagegen.purchase import recovery
from imagegen.sandbox import Fault, Sandbox

MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"
SIDE_BY_SIDE = 3
PICTURES = 2
"""In each submission."""
FILE = re.compile(r"(?:minimax|wavespeed)-([0-9A-Za-z-]+)-[0-9]+\.jpg")
PATIENCE = 60.0
AT_ONCE = "at once"
"""Not a point: reconcile without waiting for the provider's list to settle."""


# In the child: traps


@define
class Trap:
    """Ends this process, without a word, when *point* is reached for the *nth* time."""

    point: str
    nth: int
    _reached: Iterator[int] = field(factory=lambda: count(1))

    def reached(self, point: str) -> None:
        """Note that the process is at *point*."""
        if point == self.point and next(self._reached) == self.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, owner: Any, name: str, point: str) -> None:
        """Let *owner*'s function of that *name* come to *point* first."""
        original = getattr(owner, name)

        def trapped(*given: Any, **named: Any) -> Any:
            self.reached(point)
            return original(*given, **named)

        setattr(owner, name, trapped)

    def after(self, owner: Any, name: str, arrive: Callable[..., None]) -> None:
        """Call *arrive* with what *owner*'s function of that *name* was given, and then gave."""
        original = getattr(owner, name)

        def trapped(*given: Any, **named: Any) -> Any:
            outcome = original(*given, **named)
            arrive(*given, outcome)
            return outcome

        setattr(owner, name, trapped)


EVENTS = {
    events.Submitting: "before the intent",
    events.Submitted: "job written",
    events.Polled: "polled",
    events.Settled: "outcome written",
}


def set_trap(trap: Trap) -> None:
    """Put every named point into the library of this process."""

    def intended(_ledger: Ledger, _entry: object, _budget: object, future: Any) -> None:
        future.result()
        trap.reached("intent written")

    def answered(_transport: object, request: net.Request, _response: object) -> None:
        if request.fresh:  # so is every paid call
            trap.reached("answered, not read")

    def told(_watch: object, event: events.Event, _: None) -> None:
        trap.reached(EVENTS.get(type(event), ""))

    trap.after(Ledger, "intend", intended)
    trap.after(net.Transport, "send", answered)
    trap.after(Watch, "tell", told)
    trap.before(Ledger, "submitted", "job not written")
    trap.before(Ledger, "settled", "outcome not written")
    trap.before(files, "write_whole", "nothing saved")
    trap.before(Ledger, "collected", "saved, not collected")
    if trap.point == "half a file":
        whole = files.write_whole

        def half(path: Path, *pieces: bytes | memoryview) -> Path:
            data = b"".join(pieces)
            return whole(path, data[: len(data) // 2])

        trap.before(Path, "replace", trap.point)
        files.write_whole = half


NAMED = (
    "before the intent",
    "intent written",
    "answered, not read",
    "job not written",
    "job written",
    "polled",
    "outcome not written",
    "outcome written",
    "nothing saved",
    "half a file",
    "saved, not collected",
)
RESUMING = ("outcome not written", "half a file", "saved, not collected")
UNANSWERED = "accepted, not answered"
RANDOM = "at random"


def library(ledger: str, out: str, label: str, *models: str) -> None:
    """Buy and save side by side: each once or, to be killed at random, for ever."""
    backends = [MiniMax(), WaveSpeed(first_poll=0.05, slowest_poll=0.1)]

    def buy(worker: int) -> None:
        for nth in count() if label.startswith(RANDOM) else (0,):
            request = ImageRequest(f"{label}.{worker}.{nth}", n=PICTURES, size="512x512")
            model = models[(worker + nth) % len(models)]
            client.save(client.generate(request, model=model), out)

    with Ledger(ledger, collect="saved") as book, Client(backends, ledger=book) as client:
        print("ready", flush=True)
        threads = [threading.Thread(target=buy, args=(k,)) for k in range(SIDE_BY_SIDE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def child(point: str, nth: str, *arguments: str) -> None:
    """Be the process that is killed."""
    set_trap(Trap(point, int(nth)))
    if point == AT_ONCE:
        vars(recovery)["SETTLING"] = 0.0
    if arguments[0] == "library":
        library(*arguments[1:])
    else:
        sys.argv = ["imagegen", *arguments]
        command()


# In the parent: the truth


@frozen
class Scene:
    """A sandbox that is running, and one folder with the ledger and the pictures."""

    sandbox: Sandbox
    folder: Path

    @property
    def place(self) -> tuple[str, str]:
        """The ledger's file and the folder for pictures."""
        return f"{self.folder}/ledger.db", f"{self.folder}/out"

    def start(self, point: str, nth: int, *arguments: str) -> "subprocess.Popen[str]":
        """Start a process here, with a trap at *point*; without one, it is the plain command."""
        environment = os.environ | {
            "MINIMAX_API_HOST": self.sandbox.origin,
            "MINIMAX_API_KEY": "sandbox",
            "WAVESPEED_BASE_URL": self.sandbox.origin,
            "WAVESPEED_API_KEY": "sandbox",
        }
        trapped = (__file__, "child", point, str(nth))
        script = trapped if point else ("-m", "imagegen.cli")
        return subprocess.Popen(
            [sys.executable, *script, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def buy(self, form: str, point: str, nth: int, label: str, *models: str) -> Any:
        """Start a purchase by the *form* ``"command"`` or ``"library"``."""
        ledger, out = self.place
        if form == "library":
            return self.start(point or RANDOM, nth, "library", ledger, out, label, *models)
        options = ("--size", "512x512", "-n", str(PICTURES), "--ledger", ledger, "--out", out)
        routed = [word for model in models[:1] for word in ("--model", model)]
        return self.start(point, nth, "generate", label, *routed, *options)

    def jobs(self, verb: str, point: str = "") -> Any:
        """Run `imagegen jobs` and return what it printed as JSON."""
        with self.start(point, 0, *self.finishing(verb)) as process:
            printed, _ = process.communicate(timeout=PATIENCE)
        if process.returncode not in (0, 10):
            raise AssertionError(f"jobs {verb} ended with {process.returncode}: {printed}")
        return json.loads(printed)

    def finishing(self, verb: str) -> tuple[str, ...]:
        """The arguments of `imagegen jobs`."""
        ledger, out = self.place
        saving = () if verb == "list" else ("--out", out)
        return ("jobs", verb, "--json", "--ledger", ledger, *saving)

    # Killing

    def kill_at(self, point: str, form: str, nth: int, label: str, *models: str) -> None:
        """Let a child kill itself at a named point."""
        await_kill(self.buy(form, point, nth, label, *models))

    def kill_resuming(self, point: str, label: str, *models: str) -> None:
        """Kill a purchase, then, at a named point, the process that is to finish it."""
        self.kill_at("job written", "command", 1, label, *models)
        await_kill(self.start(point, 1, *self.finishing("resume")))

    def kill_unanswered(self, form: str, label: str, *models: str) -> None:
        """Kill a child when all its submissions are accepted and none is answered."""
        submissions = SIDE_BY_SIDE if form == "library" else 1
        expected = len(self.sandbox.submissions) + submissions
        late = Fault("late", step="submit", seconds=10, times=submissions)
        self.sandbox.inject(late)
        patience = time.monotonic() + PATIENCE
        with self.buy(form, "", 0, label, *models) as process:
            while len(self.sandbox.submissions) < expected and time.monotonic() < patience:
                time.sleep(0.01)
            process.kill()

    def kill_at_random(self, label: str, seconds: float, *models: str) -> None:
        """Kill a child that buys all the time, so many seconds after its start."""
        with self.buy("library", "", 0, label, *models) as process:
            process.stdout.readline()
            time.sleep(seconds)
            process.kill()

    # Judging

    def saved(self) -> Counter[str]:
        """How many pictures there are of each id; all must be whole."""
        whole: Counter[str] = Counter()
        for path in self.folder.glob("out/[!.]*"):
            match = FILE.fullmatch(path.name)
            if match is None or not decodes(path):
                raise AssertionError(f"{path.name} is no picture")
            whole[match[1]] += 1
        return whole

    def unknown(self) -> dict[str, str]:
        """The prompts of what is listed as unknown, and of which provider it was asked."""
        entries = self.jobs("list")["entries"]
        listed = {entry["id"] for entry in entries if entry["state"] == "unknown"}
        with Ledger(self.place[0]) as ledger:
            rows = ledger.entries().result()
        return {row.request.prompt: row.provider for row in rows if row.id in listed}

    def integrity(self) -> str:
        """What SQLite says of its file."""
        with closing(sqlite3.connect(self.place[0])) as connection:
            return str(connection.execute("PRAGMA integrity_check").fetchone()[0])

    def figures(self) -> "defaultdict[str, Figures]":
        """What became of everything, by point."""
        by_point = defaultdict[str, Figures](Figures)
        saved, unknown = self.saved(), self.unknown()
        bought: Counter[str] = Counter()
        for accepted in list(self.sandbox.submissions):
            prompt = str(accepted.body["prompt"])
            bought[prompt] += 1
            figures = by_point[point_of(prompt)]
            whole = saved[accepted.id] == accepted.images
            figures.accepted += 1
            figures.saved += whole
            figures.lost += not whole and prompt not in unknown
            figures.double += bought[prompt] > 1 or saved[accepted.id] > accepted.images
        for prompt, provider in unknown.items():
            by_point[point_of(prompt)].unknown += 1
            by_point[point_of(prompt)].findable += provider == "wavespeed"
        return by_point


@define
class Figures:
    """What became of the submissions of one point.

    Of the `unknown`, those at WaveSpeedAI are `findable`. `lost` were accepted, and are neither
    saved nor listed as unknown; `double` were accepted, or saved, twice.
    """

    accepted: int = 0
    saved: int = 0
    unknown: int = 0
    findable: int = 0
    lost: int = 0
    double: int = 0


def await_kill(killed: "subprocess.Popen[str]") -> None:
    """Wait until a process has killed itself."""
    with killed as process:
        process.communicate(timeout=PATIENCE)
    if process.returncode != -signal.SIGKILL:
        raise AssertionError(f"a child was not killed but ended with {process.returncode}")


def point_of(prompt: str) -> str:
    """The point that a prompt was made for."""
    return prompt.partition(" #")[0]


@cache
def decodes(path: Path) -> bool:
    """Tell whether this is a whole picture."""
    try:
        with Image.open(path) as image:
            image.load()
            return image.size == (512, 512)
    except OSError:
        return False


def models_for(point: str, turn: int) -> tuple[str, ...]:
    """Which models to buy from: only WaveSpeedAI is polled."""
    if point == "polled":
        return (WAVESPEED,)
    return (MINIMAX, WAVESPEED) if turn % 2 else (WAVESPEED, MINIMAX)


def kills(scene: Scene, named: int, at_random: int, chance: random.Random) -> Iterator[str]:
    """Kill, and yield at which point that was: so often at each named one, then at random."""
    for turn in range(named):
        form = ("command", "library")[turn % 4 // 2]
        for point in NAMED:
            nth = chance.randint(1, SIDE_BY_SIDE) if form == "library" else 1
            scene.kill_at(point, form, nth, f"{point} #{turn}", *models_for(point, turn))
            yield point
        for point in RESUMING:
            scene.kill_resuming(point, f"resuming: {point} #{turn}", WAVESPEED)
            yield f"resuming: {point}"
        scene.kill_unanswered(form, f"{UNANSWERED} #{turn}", *models_for(UNANSWERED, turn))
        yield UNANSWERED
    for turn in range(at_random):
        scene.kill_at_random(f"{RANDOM} #{turn}", chance.uniform(0, 1.5), MINIMAX, WAVESPEED)
        yield RANDOM


def table(
    before: defaultdict[str, Figures], after: defaultdict[str, Figures], killed: Counter[str]
) -> str:
    """The figures, as lines; *before* and *after* the reconciliation."""
    rows: dict[str, tuple[object, ...]] = {
        "": ("kills", "accepted", "saved", "unknown", "found", "left", "lost", "double")
    }
    sums = [0] * 8
    for point in killed:
        was, now = before[point], after[point]
        first = (killed[point], was.accepted, was.saved, was.unknown)
        then = (now.saved - was.saved, now.unknown, now.lost + was.lost, now.double + was.double)
        rows[point] = (*first, *then)
        sums = [total + number for total, number in zip(sums, (*first, *then), strict=True)]
    rows["all"] = tuple(sums)
    return "\n".join(f"{p:30}" + "".join(f"{n:>9}" for n in row) for p, row in rows.items())


def run(named: int, at_random: int, seed: int) -> bool:
    """Kill, recover and judge; print the table, and tell whether all is well."""
    killed: Counter[str] = Counter()
    before = defaultdict[str, Figures](Figures)
    sandbox, chance = Sandbox(latency=0.1), random.Random(seed)  # noqa: S311 - not a secret
    with tempfile.TemporaryDirectory() as folder, sandbox.running():
        scene = Scene(sandbox, Path(folder))
        for point in kills(scene, named, at_random, chance):
            killed[point] += 1
            scene.saved()  # raises if a picture is there that is not whole
            scene.jobs("resume")
            before = scene.figures()
            if scene.integrity() != "ok" or not well(before):
                print(f"after {killed.total()} kills, the last one {point}:")
                break
        scene.jobs("reconcile")
        after = scene.figures()
        print(table(before, after, killed))
    findable = sum(each.findable for each in after.values())
    print(f"{killed.total()} kills; left unknown at WaveSpeedAI, which has a list: {findable}")
    return well(before) and well(after) and not findable


def well(figures: defaultdict[str, Figures]) -> bool:
    """Tell whether nothing is lost or double."""
    return not any(each.lost or each.double for each in figures.values())


def main() -> None:
    """Print the table; the exit status says whether all is well."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--named", type=int, default=4, help="kills at each named point")
    options.add_argument("--random", type=int, default=100, help="kills at random moments")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    sys.exit(not run(given.named, given.random, given.seed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    else:
        main()
