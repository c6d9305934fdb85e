"""WaveSpeedAI predictions: their state is a function of the clock, so nothing runs meanwhile.

Wire facts: WaveSpeedAI docs, predictions, sync mode and error codes.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

if TYPE_CHECKING:
    from imagegen.sandbox.catalogue import Inputs
    from imagegen.sandbox.faults import Fault, Shape
    from imagegen.sandbox.pictures import Picture

SYNC_TIMEOUT: Final = 5004
# WaveSpeedAI docs, error codes.
_APP_CODES: Final = {
    1200: "Content flagged as potentially sensitive. Please try different prompts or images.",
    1400: "Missing Parameter",
    1401: "Invalid Parameter",
    1402: "Failed to download image from the provided URL.",
    1403: "Task Execution Failed",
    1405: "Task Failed",
    1406: "Retry Exhausted",
    1407: "Insufficient Credits",
    5000: "Internal Error",
    5003: "Service Unavailable",
    5004: "Timeout",
}
_USUAL_CODES: Final = {"failed": 1405, "timeout": 5004}
_QUEUE_LIMIT: Final = 1.0


@define(eq=False)
class Prediction:
    """One accepted task; `created` in epoch seconds, `seconds` until it ends.

    `outputs` pairs each picture with its URL; a moderated one is flagged, a missing one is out.
    """

    id: str
    key: str
    model: str
    inputs: Inputs = field(repr=False)
    created: float
    seconds: float
    outputs: list[tuple[Picture, str]] = field(repr=False)
    root: str
    encoded: bool = False
    fault: Fault | None = None
    code: int = 0
    deleted: bool = False

    @property
    def end(self) -> str:
        """The status it ends with."""
        if self.code:
            return "failed"
        fault = self.fault
        if fault is None:
            return "completed"
        if fault.kind == "moderated" and fault.image is None:
            return "failed"
        return fault.prediction_status if fault.kind == "prediction_status" else "completed"

    def status(self, now: float) -> str:
        """Created, then processing, then its end."""
        if self.deleted:
            return "deleted"
        age = now - self.created
        if age >= self.seconds:
            return self.end
        return "created" if age < min(self.seconds / 10, _QUEUE_LIMIT) else "processing"

    def show(
        self,
        status: str,
        *,
        encode: bool = False,
        shape: Shape | None = None,
        trouble: tuple[int, str] | None = None,
    ) -> dict[str, Any]:
        """The prediction object as it is at `status`."""
        done = status == "completed"
        millis = round(self.seconds * 1000) if status not in {"created", "processing"} else 0
        code, error = trouble or self._trouble(status)
        shown: dict[str, Any] = {
            "id": self.id,
            "model": self.model,
            "outputs": self._outputs(encode=encode, shape=self._shape(shape)) if done else [],
            "urls": {"get": f"{self.root}/api/v3/predictions/{self.id}/result"},
            "has_nsfw_contents": self._flags() if done else [],
            "status": status,
            "created_at": rfc3339(self.created, self._digits()),
            "error": error,
            "executionTime": millis,
            "timings": {"inference": millis},
        }
        # The captured answers have no inner code while all is well.
        return {**shown, "code": code} if code else shown

    def _trouble(self, status: str) -> tuple[int, str]:
        if status not in {"failed", "cancelled", "timeout"}:
            return 0, ""
        fault = self.fault
        code = self.code or _USUAL_CODES.get(status, 0)
        if fault is not None and fault.kind == "moderated":
            code = 1200
        if fault is not None and fault.kind == "prediction_status":
            code = fault.code if fault.code is not None else code
            return code, fault.message or _APP_CODES.get(code, "")
        return code, _APP_CODES.get(code, "")

    def _outputs(self, *, encode: bool, shape: Shape | None) -> object:
        if shape == "null":
            return None
        if shape == "empty":
            return []
        # The docs promise base64 naked: no data: prefix, no media type.
        items = [
            base64.b64encode(picture.jpeg()).decode() if encode else url
            for _, picture, url in self._delivered()
        ]
        return [{"url": item} for item in items] if shape == "objects" else items

    def _shape(self, shape: Shape | None) -> Shape | None:
        own = self.fault.shape if self.fault and self.fault.kind == "outputs" else None
        return shape or own

    def _delivered(self) -> list[tuple[int, Picture, str]]:
        gone = self.fault is not None and self.fault.kind == "missing"
        index = self.fault.image if self.fault is not None else None
        return [
            (i, picture, url)
            for i, (picture, url) in enumerate(self.outputs)
            if not (gone and index in (None, i))
        ]

    def _flags(self) -> list[bool]:
        blocked = self.fault.image if self.fault and self.fault.kind == "moderated" else None
        return [i == blocked for i, _, _ in self._delivered()]

    def _digits(self) -> int:
        # Real answers were seen with 3 and with 9 digits; a client must read any number.
        nine = self.fault is not None and self.fault.kind == "nanoseconds"
        return 9 if nine else 3 + int(self.id[:2], 16) % 7


def rfc3339(epoch: float, digits: int = 3) -> str:
    """`epoch` seconds as UTC with `digits` fractional digits and a Z."""
    stamp = datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    nanos = int(epoch % 1 * 1_000_000_000)
    return f"{stamp}.{nanos:09d}"[: len(stamp) + 1 + digits] + "Z"
