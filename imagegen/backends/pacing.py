"""When to ask next after a job, from how long the last jobs of its model took. There is no clock.

Where a job that still goes on at age t ends at the rate h(t), polls whose density is in proportion
to sqrt(h(t)) find its end soonest for their number. The rate is read from a histogram of the recent
ends over the logarithm of the age, smoothed, with a broad shape beside it for what was never seen.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise

from attrs import define, field, frozen

ENOUGH_TO_LEARN = 3
"""Jobs; with fewer, waits grow as configured."""
REMEMBERED = 40
"""Jobs of a model."""
MODELS = 256
LONGEST = 20.0
"""Seconds that no learned wait exceeds, unless the configured ones do."""

# What follows was chosen with benchmarks/polling.py.
_FADE = 0.93
"""What a job counts for, against the job after it."""
_PLANNED_ANEW = 10
"""One in so many of the jobs that are remembered must be new, or the plan stays as it is."""
_BROAD, _BROAD_SCALE = 0.04, 0.35
_SHARE = 1 / 80
"""The lag worth asking for, as a share of the usual duration."""
_BUDGET = 0.85
"""The part of the polls that are allowed until the usual end which is spent by plan."""
_FEWEST = 3.0
_SMOOTHING, _NARROWEST = 0.8, 0.04
_LEAD = 0.8
"""Where between two full counts of the density a poll is put."""

_STEP = 0.04
_BELOW, _BINS = math.log(30), 147
"""The histogram's range: from a 30th to about 12 times of the usual duration."""
_MOST = 120
"""Polls that are planned; the waits after them grow with the age."""
_TAIL = 20
_EARLIEST, _LATEST = 0.001, 7 * 86_400.0
_ROUNDING = 1e-6
_NEWS = 8


@frozen(kw_only=True)
class Growing:
    """Waits that grow with the age of a job, in seconds, whatever its model."""

    first: float = 2.0
    growth: float = 1.25
    slowest: float = 5.0

    def wait(self, age: float, asked: int) -> float:
        """Seconds until the next poll of a job of this *age* after *asked* polls of it."""
        if not asked:
            return max(self.first - age, 0.0)
        return min(self.first + (self.growth - 1) * age, self.slowest)


@frozen(kw_only=True)
class Bounds:
    """What holds for learned waits, in seconds.

    Attributes:
        shortest: that no wait falls below.
        longest: that no wait exceeds, unless `average` demands it.
        average: over the life of a job there are no more polls than one in so many seconds.
    """

    shortest: float = 0.5
    longest: float = LONGEST
    average: float = 1.0


@define
class Pace:
    """When to ask next after a job of one model, from how long its recent jobs took.

    Threads may share it: each change replaces the whole of what was seen. Of two jobs that end in
    the same instant one may be forgotten, which costs nothing but a little knowledge.
    """

    cold: Growing = field(factory=Growing)
    bounds: Bounds = field(factory=Bounds)
    _seen: array[float] = field(factory=lambda: array("d"), init=False, repr=False)
    _news: deque[tuple[float, float]] = field(
        factory=lambda: deque(maxlen=_NEWS), init=False, repr=False, eq=False
    )
    _times: array[float] | None = field(default=None, init=False, repr=False, eq=False)
    _unplanned: int = field(default=0, init=False, repr=False, eq=False)

    def ended(self, low: float, high: float) -> None:
        """Learn that a job ended between these ages: it went on at *low*, and no more at *high*.

        What no job can take is not learned.
        """
        if 0.0 <= low < high and _EARLIEST <= high <= _LATEST:
            self._seen = (self._seen + array("d", (low, high)))[-2 * REMEMBERED :]
            self._unplanned += 1
            self._news.append((low, high))

    def news(self) -> list[tuple[float, float]]:
        """What was learned since this was last asked, for `recall` elsewhere; the last of it."""
        found = list[tuple[float, float]]()
        with suppress(IndexError):
            while True:
                found.append(self._news.popleft())
        return found

    def recall(self, durations: Sequence[tuple[float, float]]) -> None:
        """Learn what another pace has learned, unless this one has learned something itself."""
        if not self._seen:
            earlier = Pace()
            for low, high in durations:
                earlier.ended(low, high)
            self._seen = earlier._seen

    def wait(self, age: float, asked: int) -> float:
        """Seconds until the next poll of a job of this *age* after *asked* polls of it.

        A job that nobody has asked for and that may well have ended is asked for at once.
        """
        seen = self._seen
        if len(seen) < 2 * ENOUGH_TO_LEARN:
            return self.cold.wait(age, asked)
        times = self._times
        if times is None or self._unplanned * _PLANNED_ANEW >= len(seen) / 2:
            times = self._times = _planned(seen, self.bounds)
            self._unplanned = 0
        wait = self._after(age, times) if asked else times[0] - age
        wait = min(wait, self.bounds.longest)
        return max(wait, self.bounds.average * (asked + 1) - age, 0.0)

    def _after(self, age: float, times: array[float]) -> float:
        shortest = self.bounds.shortest
        place = bisect_left(times, age + shortest - _ROUNDING)
        wait = times[place] - age if place < len(times) else max(age, times[-1]) / _TAIL
        return max(wait, shortest)


class Paces:
    """The pace of each model, made when it is first asked for; threads may share it.

    The models that were asked for first are forgotten when there are more than *most*.
    """

    def __init__(self, make: Callable[[], Pace] = Pace, most: int = MODELS) -> None:
        self._make, self._most = make, most
        self._paces: dict[str, Pace] = {}

    def of(self, key: str) -> Pace:
        """The pace of this model. Each step is one that the interpreter does not divide."""
        pace = self._paces.get(key) or self._paces.setdefault(key, self._make())
        for oldest in list(self._paces)[: -self._most]:
            self._paces.pop(oldest, None)
        return pace


class Asking:
    """When to ask for one job: how long to wait, and what its end teaches.

    Args:
        pace: of its model.
        age: seconds since the job was accepted; 0.0 for one that was accepted just now.
        learn: whether its end is to be learned.
    """

    def __init__(self, pace: Pace, age: float, *, learn: bool = True) -> None:
        self._pace, self._learn = pace, learn
        self._age, self._asked = age, 0
        self._moment: float | None = None
        self._pause = 0.0
        self._going: float | None = None if age else 0.0
        self._failing: float | None = None
        self._retry_after = 0.0

    def wait(self) -> float:
        """Seconds until the next poll. While polls fail, waits grow as for an unknown model."""
        wait = self._pace.wait(self._age, self._asked)
        if self._failing is not None:
            wait = max(wait, self._pace.cold.wait(self._age - self._failing, 1), self._retry_after)
        self._pause = wait
        return wait

    def waited(self, moment: float | None) -> None:
        """Note that the wait is over, at this *moment* of the driver's clock, and ask.

        None, from a driver that tells no moments, is taken for a wait as long as was asked for.
        """
        if moment is None:
            moment = (self._moment or 0.0) + self._pause
        before = moment - self._pause if self._moment is None else self._moment
        self._age += max(moment - before, 0.0)
        self._moment = moment
        self._asked += 1

    def failed(self, retry_after: float | None) -> None:
        """Note that there was no answer: from then on nobody knows when the job went on last."""
        self._failing = self._age if self._failing is None else self._failing
        self._retry_after = retry_after or 0.0
        self._going = None

    def goes_on(self, old: float = 0.0) -> None:
        """Note that the job went on *old* seconds ago."""
        self._going, self._failing = max(self._age - old, self._going or 0.0), None

    def ended(self, old: float = 0.0) -> None:
        """Note that it had ended *old* seconds ago, well or not: a failure is to be told soon."""
        if self._learn and self._going is not None:
            self._pace.ended(self._going, self._age - old)


def _planned(seen: Sequence[float], bounds: Bounds) -> array[float]:
    """Ages at which to ask, from the earlier and the later age of each end that was seen."""
    ends = list(zip(seen[::2], seen[1::2], strict=True))
    middles = sorted((low + high) / 2 for low, high in ends)
    start = math.log(middles[len(middles) // 2]) - _BELOW
    edges = [math.exp(start + _STEP * bin_) for bin_ in range(_BINS + 1)]
    mass = _smoothed(_histogram(ends, edges, start))
    return _spent(mass, edges, bounds)


def _histogram(
    ends: Sequence[tuple[float, float]], edges: list[float], start: float
) -> list[float]:
    """Where the recent jobs ended; each is spread evenly over the seconds between its ages."""
    partly, change = [0.0] * _BINS, [0.0] * _BINS  # the latter of the mass in a second
    weight, total = 1.0, 0.0
    for low, high in reversed(ends):
        first, last = _bin(low, start), _bin(high, start)
        share = weight / max(high - low, _ROUNDING * high)  # a larger one would drown the others
        if first == last:
            partly[first] += weight
        else:
            partly[first] += share * max(edges[first + 1] - low, 0.0)
            partly[last] += share * max(high - edges[last], 0.0)
            change[first + 1] += share
            change[last] -= share
        total += weight
        weight *= _FADE
    widths = (after - before for before, after in pairwise(edges))
    wholly = (each * width for each, width in zip(accumulate(change), widths, strict=True))
    sums = (part + whole for part, whole in zip(partly, wholly, strict=True))
    return [max(each, 0.0) / total for each in sums]


def _bin(age: float, start: float) -> int:
    if age <= 0.0:
        return 0
    return min(max(int((math.log(age) - start) / _STEP), 0), _BINS - 1)


def _smoothed(mass: list[float]) -> list[float]:
    """*mass* blurred according to its spread, with the broad shape beside it."""
    sums = list(accumulate(mass))
    low, middle, high = (bisect_left(sums, part * sums[-1]) for part in (0.16, 0.5, 0.84))
    jobs = (1 + _FADE) / (1 - _FADE)
    width = max(_SMOOTHING * (high - low) / 2 * _STEP * jobs**-0.2, _NARROWEST)
    # Three boxes of this radius are about as wide as the normal curve.
    radius = max(round((math.sqrt(4 * (width / _STEP) ** 2 + 1) - 1) / 2), 1)
    for _ in range(3):
        mass = _blurred(mass, radius)
    return [
        (1 - _BROAD) * part + _BROAD * _broad((bin_ - middle) * _STEP)
        for bin_, part in enumerate(mass)
    ]


def _blurred(mass: list[float], radius: int) -> list[float]:
    sums = [0.0, *accumulate(mass)]
    width = 2 * radius + 1
    return [
        (sums[min(bin_ + radius + 1, _BINS)] - sums[max(bin_ - radius, 0)]) / width
        for bin_ in range(_BINS)
    ]


def _broad(distance: float) -> float:
    """The part of a log-logistic distribution that is in the bin at this distance."""
    fall = math.exp(-abs(distance) / _BROAD_SCALE)
    return _STEP / _BROAD_SCALE * fall / (1 + fall) ** 2


def _spent(mass: list[float], edges: list[float], bounds: Bounds) -> array[float]:
    """The ages at which polls are worth most, so many as are allowed or enough."""
    widths = [after - before for before, after in pairwise(edges)]
    going_on = list(accumulate(reversed(mass), initial=_ROUNDING))[:0:-1]
    roots = [
        math.sqrt(part / width / (still - part / 2))
        for part, width, still in zip(mass, widths, going_on, strict=True)
    ]
    each = zip(roots, going_on, mass, widths, strict=True)
    difficulty = sum(root * (still - part / 2) * width for root, still, part, width in each)
    usual = sum(part * edge for part, edge in zip(mass, edges, strict=False))
    lag = max(_SHARE * usual, bounds.shortest / 2)
    polls = min(_BUDGET * usual / bounds.average, difficulty**2 / (2 * lag))
    density = max(polls, _FEWEST) / difficulty
    return _placed([density * root for root in roots], edges, bounds)


def _placed(density: list[float], edges: list[float], bounds: Bounds) -> array[float]:
    """Ages one full count of *density* apart, no more than the longest wait between them."""
    times, last, missing = array("d"), 0.0, _LEAD
    for rate, start, end in zip(density, edges, edges[1:], strict=False):
        at = start
        while len(times) < _MOST:
            due = at + missing / rate
            if min(due, last + bounds.longest) > end:
                break
            if due <= last + bounds.longest:
                at, missing = due, 1.0
                last = max(due, last + bounds.shortest)
            else:
                last += bounds.longest
            times.append(last)
        missing -= (end - at) * rate
    return times or array("d", (edges[-1],))
