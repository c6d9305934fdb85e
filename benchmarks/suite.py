"""All parts, in the order in which they are run and shown."""

from __future__ import annotations

from benchmarks.adopted import INLINE, POLLING
from benchmarks.imports import IMPORTS
from benchmarks.in_flight import IN_FLIGHT
from benchmarks.memory import MEMORY
from benchmarks.money_layer import MONEY_LAYER
from benchmarks.overhead import OVERHEAD, SUBMIT_POLL
from benchmarks.status_requests import STATUS_REQUESTS
from benchmarks.throughput import THROUGHPUT

PARTS = (
    OVERHEAD,
    SUBMIT_POLL,
    THROUGHPUT,
    IN_FLIGHT,
    POLLING,
    STATUS_REQUESTS,
    MEMORY,
    INLINE,
    MONEY_LAYER,
    IMPORTS,
)
