"""The network under both drivers: HTTP messages over connections that are pinned and timed.

`messages` is what goes to and fro. `blocking` and `asynchronous` carry it over the connections of
httpcore, httpx's engine, or of its successor in httpx2 (`engine` says which), over streams of our
own; `routes` tells how to get there, `resolver` judges names, `proxies` knows the environment's,
`shelf` keeps connections for reuse. `given` lets an httpx transport stand for the network.
`forms` writes multipart/form-data.
"""

from imagegen.net.asynchronous import AsyncTransport as AsyncTransport
from imagegen.net.blocking import Transport as Transport
from imagegen.net.blocking_stream import within as within
from imagegen.net.engine import Engine as Engine, engine as engine
from imagegen.net.forms import multipart as multipart
from imagegen.net.given import AsyncGiven as AsyncGiven, Given as Given
from imagegen.net.messages import Request as Request, Response as Response, Url as Url

__all__ = [
    "AsyncGiven",
    "AsyncTransport",
    "Engine",
    "Given",
    "Request",
    "Response",
    "Transport",
    "Url",
    "engine",
    "multipart",
    "within",
]
