"""How many polls, and how late an answer: schedules of polling against simulated latencies.

Nothing is sent and nothing is waited for. A job of each trace takes as long as its shape and seed
say; each policy asks for it until it has ended, and learns from that before the next. The lag is
the time from the end to the poll that finds it; the network takes none. The constants of
`imagegen.backends.pacing` were chosen on the training seeds; the table is of others.

For jobs that are alike, polls and mean lag obey polls * lag >= (integral of sqrt(f * S))^2 / 2,
with the density f and the survival S of their duration, whatever the schedule; that is the bound.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from attrs import frozen

from imagegen.backends.pacing import Asking, Bounds, Growing, Pace

MEAN = 33.0
"""Seconds that WaveSpeedAI names for a picture of image-01."""
TRAINING, HELD_OUT = (1, 2, 3), (101, 102, 103, 104)
DRAWS, WIDTH = 100_000, 0.5

Shape = Callable[[Random, float], float]
"""The seconds that a job takes, which comes at this part (0–1) of its trace."""


def _lognormal(random: Random, sigma: float, mean: float = MEAN) -> float:
    return mean * math.exp(random.gauss(0, sigma) - sigma**2 / 2)


def _warm_or_cold(random: Random, _: float) -> float:
    """One in five waits for a machine to start."""
    return _lognormal(random, 0.12, 65 if random.random() < 0.2 else 25)


STEADY: dict[str, Shape] = {
    "narrow": lambda random, _: _lognormal(random, 0.15),
    "usual": lambda random, _: _lognormal(random, 0.3),
    "wide": lambda random, _: _lognormal(random, 0.6),
    "gamma": lambda random, _: random.gammavariate(6, MEAN / 6),
    "warm or cold": _warm_or_cold,
    "memoryless": lambda random, _: random.expovariate(1 / MEAN),
}
SHIFTING: dict[str, Shape] = {
    "step to 60": lambda random, at: _lognormal(random, 0.2, MEAN if at < 0.5 else 60),
    "step to 15": lambda random, at: _lognormal(random, 0.2, MEAN if at < 0.5 else 15),
    "slow drift": lambda random, at: _lognormal(random, 0.2, MEAN * (1 + math.sin(9 * at) / 2)),
    "outage": lambda random, at: _lognormal(random, 0.2, MEAN * (4 if 0.5 <= at < 0.54 else 1)),
}
SHAPES = STEADY | SHIFTING
REALISTIC = ("narrow", "usual", "gamma", "warm or cold")


def _every(seconds: float) -> Pace:
    return Pace(Growing(first=seconds, growth=1.0, slowest=seconds))


@frozen
class Policy:
    """A schedule: its pace, and whether it learns."""

    pace: Callable[[], Pace]
    learn: bool = False


POLICIES = {
    "fixed 0.5 s": Policy(lambda: _every(0.5)),
    "fixed 1 s": Policy(lambda: _every(1.0)),
    "fixed 2 s": Policy(lambda: _every(2.0)),
    "growing": Policy(Pace),
    "learned": Policy(Pace, learn=True),
    "learned, 2 s": Policy(lambda: Pace(bounds=Bounds(average=2.0)), learn=True),
    "learned, apart": Policy(lambda: Pace(bounds=Bounds(shortest=2.0)), learn=True),
}
"""huggingface_hub's interval, the official SDK's, the documented one; ours, unlearned and learned,
as it is, with `average_poll=2` and with `shortest_poll=2`."""


def job(pace: Pace, seconds: float, *, learn: bool) -> tuple[int, float]:
    """Ask for a job that takes so many seconds until it has ended; give the polls and the lag."""
    asking, age, polls = Asking(pace, 0.0, learn=learn), 0.0, 0
    while True:
        age, polls = age + asking.wait(), polls + 1
        asking.waited(age)
        if age >= seconds:
            asking.ended()
            return polls, age - seconds
        asking.goes_on()


def trace(shape: Shape, policy: Policy, seed: int, jobs: int) -> list[tuple[int, float]]:
    """Ask for one job after the other; give the polls and the lag of each."""
    random, pace = Random(seed), policy.pace()  # noqa: S311 - a simulation
    durations = [shape(random, index / jobs) for index in range(jobs)]
    return [job(pace, seconds, learn=policy.learn) for seconds in durations]


def bound(shape: Shape) -> float:
    """The least product of polls and mean lag, whatever the schedule, from many draws."""
    random, counts = Random(0), dict[int, int]()  # noqa: S311 - a simulation
    for _ in range(DRAWS):
        place = int(shape(random, 0.0) / WIDTH)
        counts[place] = counts.get(place, 0) + 1
    surviving, total = 1.0, 0.0
    for _, count in sorted(counts.items()):
        part = count / DRAWS
        total += math.sqrt(part / WIDTH * (surviving - part / 2)) * WIDTH
        surviving -= part
    return total**2 / 2


def rows(jobs: int = 400, seeds: Sequence[int] = HELD_OUT) -> list[dict[str, str | float | None]]:
    """One row for each shape and policy: polls a job, and its lag in seconds."""
    found: list[dict[str, str | float | None]] = []
    for name, shape in SHAPES.items():
        least = bound(shape) if name in STEADY else None
        for policy, how in POLICIES.items():
            each = [one for seed in seeds for one in trace(shape, how, seed, jobs)]
            lags = sorted(lag for _, lag in each)
            figures = {
                "polls": statistics.fmean(polls for polls, _ in each),
                "lag": statistics.fmean(lags),
                "p95": lags[int(0.95 * len(lags))],
                "max": lags[-1],
            }
            found.append({"shape": name, "policy": policy, **figures, "bound": least})
    return found


def show(found: Sequence[dict[str, str | float | None]]) -> None:
    """Print the rows, then the target: polls against fixed 1 s, at its lag."""
    print(f"{'shape':14}{'policy':15}{'polls':>7}{'lag':>7}{'p95':>7}{'max':>7}{'p*lag':>7}  bound")
    for row in found:
        polls, lag, p95, most = (float(row[key] or 0) for key in ("polls", "lag", "p95", "max"))
        least = f"{row['bound']:7.1f}" if row["bound"] else "      -"
        start = f"{row['shape']:14}{row['policy']:15}"
        print(f"{start}{polls:7.1f}{lag:7.2f}{p95:7.2f}{most:7.1f}{polls * lag:7.1f}{least}")
    for policy in POLICIES:
        for title, shapes in (("realistic", REALISTIC), ("all", tuple(SHAPES))):
            polls, lag = _mean(found, policy, shapes)
            usual, usual_lag = _mean(found, "fixed 1 s", shapes)
            print(
                f"{title:10} {policy:15} {polls / usual:5.2f} x the polls of fixed 1 s, "
                f"mean lag {lag:.2f} s against {usual_lag:.2f} s"
            )


def _mean(
    found: Sequence[dict[str, str | float | None]], policy: str, shapes: Sequence[str]
) -> tuple[float, float]:
    chosen = [row for row in found if row["policy"] == policy and row["shape"] in shapes]
    polls, lag = ([float(row[key] or 0) for row in chosen] for key in ("polls", "lag"))
    return statistics.fmean(polls), statistics.fmean(lag)


def main() -> None:
    """Print a table, of the held-out seeds unless it is asked otherwise."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=400)
    options.add_argument("--training", action="store_true")
    options.add_argument("--json", type=Path, default=None)
    given = options.parse_args()
    found = rows(given.jobs, TRAINING if given.training else HELD_OUT)
    show(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
