"""What one call costs the process that makes it, beside the barest call to the same server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks import competitors
from benchmarks.callers import Caller
from benchmarks.measure import Figure, Part, Row, Spread, Verdict, in_turns, ratios, spread
from benchmarks.server import Server
from benchmarks.workers import staffed

ONE_SHOT: Mapping[str, Callable[[str], Any]] = {
    "httpx, kept connection": competitors.httpx_kept,
    "httpx, fresh connection": competitors.httpx_fresh,
    "imagegen.Client": competitors.imagegen_blocking,
    "imagegen.AsyncClient": competitors.imagegen_async,
    "openai": competitors.openai_images,
    "litellm": competitors.litellm_images,
    "huggingface_hub (3 requests)": competitors.hugging_face,
}
POLLED: Mapping[str, Callable[[str], Any]] = {
    "httpx, kept connection": competitors.httpx_twice,
    "imagegen.Client": competitors.imagegen_polling,
    "wavespeed SDK": competitors.wavespeed_sdk,
    "huggingface_hub (and the picture)": competitors.hugging_face,
}


def compared(makers: Mapping[str, Callable[[str], Any]], *, quick: bool) -> list[Row]:
    """Cost of a call for each of *makers*; the first is what the others are held against."""
    rounds, calls = (3, 30) if quick else (17, 150)
    with Server() as server:
        callers = {name: partial(Caller, make, server.origin) for name, make in makers.items()}
        with staffed(callers) as workers:
            functions = {name: one.do("python_calls") for name, one in workers.items()}
            turns = {name: partial(one.do, "seconds", calls) for name, one in workers.items()}
            taken = in_turns(turns, rounds)
    base = next(iter(taken.values()))
    return [
        {
            "what": name,
            "CPU, µs": spread(cpu * 1e6 for cpu, _ in each),
            "CPU ÷ httpx": ratios([cpu for cpu, _ in each], [cpu for cpu, _ in base]),
            "wall, µs": spread(wall * 1e6 for _, wall in each),
            "wall ÷ httpx": ratios([wall for _, wall in each], [wall for _, wall in base]),
            "Python calls": functions[name],
        }
        for name, each in taken.items()
    ]


def measured(makers: Mapping[str, Callable[[str], Any]], what: str, quick: bool) -> Figure:  # noqa: FBT001 - as `Part.measure`
    """Compare *makers*, and judge our client."""
    rows = compared(makers, quick=quick)
    ratio = {row["what"]: row["CPU ÷ httpx"] for row in rows}
    ours, fresh = ratio["imagegen.Client"], ratio.get("httpx, fresh connection")
    verdicts = [Verdict.of(what, ours, 1.3)]
    if isinstance(ours, Spread) and isinstance(fresh, Spread):
        verdicts.append(Verdict.of(f"{what}, both on fresh ones", ours.median / fresh.median, 1.3))
    return Figure(rows, verdicts)


OVERHEAD = Part(
    "overhead",
    "Overhead of a call",
    """One picture from a provider that answers at once (MiniMax), as a URL. The processor time of
the calling process is what a call costs in a program that does other work too; the time on the
clock includes the server. *Python calls* is how many Python functions a call runs: it does not
depend on the machine. The base is `httpx.Client.post(…).json()` on a kept connection, with the same
body and reply. imagegen sends each paid submission on a fresh connection, so that a connection
which closes just then leaves no doubt whether it was accepted; bare httpx with a fresh connection
shows what that alone costs. OpenAI's and LiteLLM's calls go to a server of OpenAI's shape.
huggingface_hub knows no provider of this shape: its call submits, polls and fetches a picture.""",
    partial(measured, ONE_SHOT, "CPU of `Client.generate` ÷ httpx on kept connections"),
    "overhead.svg",
)
SUBMIT_POLL = Part(
    "submit_poll",
    "Submission and poll",
    """A submission to WaveSpeedAI and the one poll that finds it done. Nobody waits before that
poll. The base is the same two requests with httpx on a kept connection; imagegen's submission is on
a fresh one, and WaveSpeedAI's own SDK makes both on fresh ones. huggingface_hub also fetches the
picture.""",
    partial(measured, POLLED, "CPU of submission and poll ÷ httpx"),
)
