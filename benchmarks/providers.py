"""What the server answers: MiniMax's and WaveSpeedAI's replies, and OpenAI's.

A prediction's state is a function of the clock, so nothing runs meanwhile. Its id holds the moment
at which it is complete: whoever has the id can tell how late it learnt of that.
"""

from __future__ import annotations

import base64
import json
import math
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any, Final

from attrs import define

JSON: Final = b"application/json"
PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
JPEG_HEAD: Final = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000"  # JFIF
    "ffc00011080800080003012200021101031101"  # a frame of 2048x2048
)
TRACE: Final = b"0" * 32
MINIMAX: Final = {
    "id": TRACE.decode(),
    "metadata": {"failed_count": "0", "success_count": "1"},
    "base_resp": {"status_code": 0, "status_msg": "success"},
}


def completed_at(prediction: str) -> float:
    """The moment, in seconds of this machine's monotonic clock, at which it was complete."""
    return int(prediction[8:], 16) / 1e6


@define(slots=True, eq=False)
class Prediction:
    """One accepted submission."""

    id: str
    model: str
    created: datetime
    ready: float
    told: bool = False


class Providers:
    """All providers at one origin.

    Attributes:
        origin: where they are, for the URLs in replies.
        think: seconds that every reply is kept back.
        mean, sigma, seed: how long predictions take: lognormally distributed, repeatably.
        pictures: number and bytes of the pictures that a reply brings as base64.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._begin()

    def _begin(
        self,
        *,
        think: float = 0.0,
        mean: float = 0.0,
        sigma: float = 0.0,
        seed: int = 1,
        pictures: tuple[int, int] = (0, 0),
    ) -> None:
        self.think, self.mean, self.sigma = think, mean, sigma
        self._chance = random.Random(seed)  # noqa: S311 - no secret, and must repeat
        self._counts: Counter[str] = Counter()
        self._predictions: dict[str, Prediction] = {}
        self._open = 0
        encoded = _encoded(*pictures)
        inline = {**MINIMAX, "data": {"image_base64": encoded}}
        linked = {**MINIMAX, "data": {"image_urls": [f"{self.origin}/picture.png"]}}
        self._minimax = json.dumps(inline if encoded else linked).encode().split(TRACE, 1)
        openai = {"created": 1_700_000_000, "data": [{"url": f"{self.origin}/picture.png"}]}
        self._openai = json.dumps(openai).encode()

    def answer(self, method: bytes, path: bytes, body: bytes) -> tuple[bytes, bytes]:
        """The media type and body of the reply."""
        if path == b"/v1/image_generation":
            return JSON, self._counted("minimax", self._one_shot())
        if path == b"/v1/images/generations":
            return JSON, self._counted("openai", self._openai)
        if path == b"/control":
            if method == b"post":
                self._begin(**json.loads(body))
            return JSON, json.dumps(self._counts).encode()
        if path.startswith(b"/api/v3/"):
            return JSON, self._wavespeed(path.removeprefix(b"/api/v3/").decode(), body)
        return b"image/png", self._counted("picture", PNG)

    def _wavespeed(self, path: str, body: bytes) -> bytes:
        if path == "predictions":
            return self._counted("list", _dumped(self._list(json.loads(body))))
        if path.startswith("predictions/"):
            made = self._predictions[path.split("/")[1]]
            return self._counted("result", _dumped(self._shown(made)))
        return self._counted("submit", _dumped(self._view(self._submit(path), "created")))

    def _one_shot(self) -> bytes:
        """MiniMax's reply, each with an id of its own."""
        before, after = self._minimax
        return b"%s%032x%s" % (before, self._counts["minimax"], after)

    def _counted(self, kind: str, reply: bytes) -> bytes:
        self._counts[kind] += 1
        return reply

    def _submit(self, model: str) -> Prediction:
        ready = time.monotonic() + self._seconds()
        name = f"{len(self._predictions):08x}{int(ready * 1e6):016x}"
        made = self._predictions[name] = Prediction(name, model, datetime.now(UTC), ready)
        self._open += 1
        self._counts["most open"] = max(self._counts["most open"], self._open)
        return made

    def _seconds(self) -> float:
        if not self.mean:
            return 0.0
        centre = math.log(self.mean) - self.sigma**2 / 2
        return self._chance.lognormvariate(centre, self.sigma)

    def _shown(self, prediction: Prediction) -> dict[str, Any]:
        """The prediction as it is now; even one that is complete at once is `created` at first."""
        if time.monotonic() < prediction.ready:
            return self._view(prediction, "processing")
        self._open -= not prediction.told
        prediction.told = True
        return self._view(prediction, "completed")

    def _view(self, prediction: Prediction, status: str) -> dict[str, Any]:
        done = status == "completed"
        return {
            "id": prediction.id,
            "model": prediction.model,
            "outputs": [f"{self.origin}/picture.png"] if done else [],
            "urls": {"get": f"{self.origin}/api/v3/predictions/{prediction.id}/result"},
            "has_nsfw_contents": [False] if done else [],
            "status": status,
            "created_at": prediction.created.isoformat().replace("+00:00", "Z"),
            "error": "",
            "executionTime": 1000 if done else 0,
            "timings": {"inference": 1000 if done else 0},
        }

    def _list(self, query: dict[str, Any]) -> dict[str, Any]:
        page, size = query.get("page", 1), query.get("page_size", 100)
        found = list(self._found(query))
        items = islice(found, (page - 1) * size, page * size)
        return {"page": page, "total": len(found), "items": [self._shown(one) for one in items]}

    def _found(self, query: dict[str, Any]) -> Iterator[Prediction]:
        """What *query* asks for, newest first."""
        now = time.monotonic()
        after, before = (_moment(query.get(f"created_{side}")) for side in ("after", "before"))
        newest = reversed(self._predictions.values())
        for one in takewhile(lambda one: after is None or one.created >= after, newest):
            status = "completed" if now >= one.ready else "processing"
            late = before is not None and one.created > before
            other = query.get("model") not in (None, "", one.model)
            if not late and not other and query.get("status") in (None, "", status):
                yield one


def _dumped(data: dict[str, Any]) -> bytes:
    return json.dumps({"code": 200, "message": "success", "data": data}).encode()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _encoded(number: int, size: int) -> list[str]:
    """So many incompressible pictures of so many bytes each, as base64."""
    chance = random.Random(1)  # noqa: S311 - no secret, and must repeat
    return [
        base64.b64encode(JPEG_HEAD + chance.randbytes(size - len(JPEG_HEAD))).decode()
        for _ in range(number)
    ]
