"""WaveSpeedAI's prediction API, below `/api/v3`.

Wire facts: WaveSpeedAI docs (predictions, sync mode, base64 output, error codes, uploads) and
the bodies in the tests of its public clients.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import field, frozen

from imagegen.sandbox import catalogue
from imagegen.sandbox.catalogue import InvalidInput, Model
from imagegen.sandbox.exchange import Answer, Request, Step, json_answer
from imagegen.sandbox.faults import Fault
from imagegen.sandbox.files import UPLOAD_LIMIT
from imagegen.sandbox.pictures import Picture
from imagegen.sandbox.predictions import SYNC_TIMEOUT, Prediction, rfc3339

if TYPE_CHECKING:
    from imagegen.sandbox.app import Sandbox

ROOT: Final = "/api/v3/"
_WEEK: Final = 7 * 86_400.0
_PAGE_SIZES: Final = range(1, 101)
_NO_CREDIT: Final = "Insufficient credits. Please top up your account to continue."
_BUSY: Final = "You have reached your concurrency limit"
_NO_BASE64: Final = (
    "webhook callback does not support base64 output, "
    "please use the normal API to use base64 output"
)


@frozen
class _Refused(Exception):  # noqa: N818  (an answer on its way out, not an error of ours)
    status: int
    message: str
    headers: Mapping[str, str] = field(factory=dict[str, str])
    code: int | None = None

    def answer(self) -> Answer:
        code = self.status if self.code is None else self.code
        body = {"code": code, "message": self.message}
        return json_answer(body, status=self.status, headers=self.headers)


Endpoint = Callable[[Request, Fault | None], Answer]


class WaveSpeed:
    """The endpoints an image client uses; predictions are kept for as long as the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._predictions: dict[str, Prediction] = {}
        self._fixed: dict[tuple[str, str], Endpoint] = {
            ("GET", "balance"): self._balance,
            ("GET", "models"): self._models,
            ("POST", "model/price"): self._price,
            ("POST", "predictions"): self._list,
            ("POST", "predictions/delete"): self._delete,
            ("POST", "media/uploads"): self._ticket,
            ("POST", "media/upload/binary"): self._upload,
        }

    def step(self, request: Request) -> Step | None:
        """Whether the request submits or polls; None for neither."""
        method, tail = request.method, request.path.removeprefix(ROOT)
        if tail == request.path or (method, tail) in self._fixed:
            return None
        if method == "GET" and tail.startswith("predictions/"):
            return "poll"
        return "submit" if method == "POST" else None

    def answer(self, request: Request, fault: Fault | None) -> Answer:
        """What WaveSpeed answers."""
        try:
            self._check_key(request)
            return self._serve(request, fault)
        except InvalidInput as invalid:
            return _Refused(400, str(invalid)).answer()
        except _Refused as refused:
            return refused.answer()

    def _serve(self, request: Request, fault: Fault | None) -> Answer:
        step = self.step(request)
        if step is not None:
            _refuse_by(fault)
            return self._poll(request, fault) if step == "poll" else self._submit(request, fault)
        endpoint = self._fixed.get((request.method, request.path.removeprefix(ROOT)))
        if endpoint is None:
            raise _Refused(404, "Not Found")
        return endpoint(request, fault)

    def _check_key(self, request: Request) -> None:
        keys = self._sandbox.keys
        if not request.bearer or (keys is not None and request.bearer not in keys):
            raise _Refused(401, "invalid API key")

    def _submit(self, request: Request, fault: Fault | None) -> Answer:
        model = catalogue.models().get(request.path.removeprefix(ROOT))
        if model is None:
            raise _Refused(400, "model not found")
        body = _object(request)
        inputs = model.read(body)
        webhook = request.params.get("webhook")
        if webhook and model.takes("enable_base64_output", inputs):
            return json_answer({"error": _NO_BASE64}, status=400)
        if self._sandbox.balance < model.cost(inputs):
            raise _Refused(400, _NO_CREDIT)
        prediction = self._begin(request.bearer, model, inputs, fault)
        self._sandbox.accept(
            "wavespeed",
            model=model.id,
            identity=prediction.id,
            images=model.count(inputs),
            price=model.cost(inputs),
            body=body,
            webhook=webhook,
        )
        if model.takes("enable_sync_mode", inputs):
            return self._wait(prediction, fault)
        return _ok(prediction.show("created"))

    def _begin(
        self, key: str, model: Model, inputs: catalogue.Inputs, fault: Fault | None
    ) -> Prediction:
        sandbox = self._sandbox
        slower = fault.seconds if fault is not None and fault.kind == "slow" else 0.0
        now, seconds = sandbox.clock(), sandbox.latency + slower
        prediction = Prediction(
            id=secrets.token_hex(16),
            key=key,
            model=model.id,
            inputs=inputs,
            created=now,
            seconds=seconds,
            outputs=[
                (picture, self._publish(picture, now + seconds))
                for picture in _pictures(model, inputs)
            ],
            root=sandbox.origin,
            encoded=model.takes("enable_base64_output", inputs),
            fault=fault,
            code=1402 if any(map(sandbox.files.lost, _references(inputs))) else 0,
        )
        self._predictions[prediction.id] = prediction
        return prediction

    def _publish(self, picture: Picture, made: float) -> str:
        return self._sandbox.files.publish("wavespeed", picture, made, self._sandbox.url_lifetime)

    def _wait(self, prediction: Prediction, fault: Fault | None) -> Answer:
        limit = self._sandbox.sync_limit
        scripted = fault is not None and fault.kind == "sync_timeout"
        if prediction.seconds <= limit and not scripted:
            return _shown(prediction, prediction.end, delay=prediction.seconds)
        error = (
            f"Sync mode timed out after {limit:g} seconds. "
            "The prediction is still processing asynchronously."
        )
        late = prediction.show("processing", trouble=(SYNC_TIMEOUT, error))
        return _ok(late, delay=0.0 if scripted else limit)

    def _poll(self, request: Request, fault: Fault | None) -> Answer:
        tail = request.path.removeprefix(f"{ROOT}predictions/")
        prediction = self._own(request, tail.removesuffix("/result"))
        if prediction is None:
            raise _Refused(404, "Prediction not found")
        status = prediction.status(self._sandbox.clock())
        if fault is not None and fault.kind == "prediction_status":
            return _ok(
                prediction.show(
                    fault.prediction_status, trouble=(fault.code or 0, fault.message or "")
                )
            )
        return _shown(prediction, status, fault=fault)

    def _own(self, request: Request, identity: str) -> Prediction | None:
        found = self._predictions.get(identity)
        return found if found is not None and found.key == request.bearer else None

    def _list(self, request: Request, _fault: Fault | None) -> Answer:
        body = _object(request)
        page, size = _number(body, "page", 1), _number(body, "page_size", 100)
        if page < 1:
            raise InvalidInput('field "page" must be at least 1')
        if size not in _PAGE_SIZES:
            raise InvalidInput('field "page_size" must be between 1 and 100')
        found = self._search(request.bearer, body)
        shown = found[(page - 1) * size : page * size]
        now = self._sandbox.clock()
        items = [_listed(prediction, now, body) for prediction in shown]
        return _ok({"page": page, "total": len(found), "items": items})

    def _search(self, key: str, body: Mapping[str, Any]) -> list[Prediction]:
        now = self._sandbox.clock()
        since = max(_time(body, "created_after", 0.0), now - _WEEK)
        until = min(_time(body, "created_before", now), now - self._sandbox.listing_lag)
        return [
            prediction
            for prediction in reversed(self._predictions.values())
            if prediction.key == key
            and not prediction.deleted
            and since <= prediction.created <= until
            and body.get("model") in (None, "", prediction.model)
            and body.get("status") in (None, "", prediction.status(now))
        ]

    def _delete(self, request: Request, _fault: Fault | None) -> Answer:
        ids = _object(request).get("ids")
        if not isinstance(ids, list):
            raise InvalidInput('field "ids" must be of type array')
        own = [self._own(request, str(identity)) for identity in cast("list[object]", ids)]
        doomed = {p.id: p for p in own if p is not None and not p.deleted}
        for prediction in doomed.values():
            prediction.deleted = True
        return _ok({"deleted_count": len(doomed)})

    def _balance(self, _request: Request, _fault: Fault | None) -> Answer:
        return _ok({"balance": float(self._sandbox.balance)})

    def _models(self, _request: Request, _fault: Fault | None) -> Answer:
        return _ok(catalogue.listing())

    def _price(self, request: Request, _fault: Fault | None) -> Answer:
        body = _object(request)
        model = catalogue.models().get(str(body.get("model_id")))
        if model is None:
            raise _Refused(400, "model not found")
        given = body.get("inputs")
        inputs = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        price = float(model.cost(model.partial(inputs)))
        return _ok(
            {
                "model_id": model.id,
                "price": price,
                "discounted_price": price,
                "discount_rate": 0,
                "currency": "USD",
            }
        )

    def _ticket(self, request: Request, _fault: Fault | None) -> Answer:
        body = _object(request)
        filename, size = body.get("filename"), body.get("size")
        if not isinstance(filename, str) or not filename:
            raise InvalidInput('field "filename" is required')
        if isinstance(size, bool) or not isinstance(size, int) or not 0 < size <= UPLOAD_LIMIT:
            raise InvalidInput(f'field "size" must be between 1 and {UPLOAD_LIMIT}')
        kind = str(body.get("content_type") or "application/octet-stream")
        files = self._sandbox.files
        url = files.url(files.reserve(filename, size, kind))
        upload = {
            "method": "PUT",
            "url": url,
            "headers": {"Content-Type": kind, "If-None-Match": "*"},
            "expires_at": rfc3339(self._sandbox.clock() + 3600),
        }
        return _ok({**_file(kind, url, filename, size), "upload": upload})

    def _upload(self, request: Request, _fault: Fault | None) -> Answer:
        found = _form_file(request)
        if found is None:
            raise InvalidInput('field "file" is required')
        filename, kind, content = found
        files = self._sandbox.files
        path = files.reserve(filename, None, kind)
        files.store(path, content)
        return _ok(_file(kind, files.url(path), filename, len(content)))


def _ok(data: object, *, delay: float = 0.0) -> Answer:
    return json_answer({"code": 200, "message": "success", "data": data}, delay=delay)


def _shown(
    prediction: Prediction, status: str, *, fault: Fault | None = None, delay: float = 0.0
) -> Answer:
    shape = fault.shape if fault is not None and fault.kind == "outputs" else None
    encode = prediction.encoded and status == "completed"

    def payload() -> object:
        data = prediction.show(status, encode=encode, shape=shape)
        return {"code": 200, "message": "success", "data": data}

    return json_answer(payload if encode else payload(), delay=delay)


def _refuse_by(fault: Fault | None) -> None:
    if fault is None:
        return
    match fault.kind:
        case "rate_limit":
            raise _Refused(fault.status or 429, fault.message or _BUSY, fault.headers, fault.code)
        case "insufficient_balance":
            raise _Refused(fault.status or 400, fault.message or _NO_CREDIT, code=fault.code)
        case "code":
            code = 500 if fault.code is None else fault.code
            raise _Refused(fault.status or 200, fault.message or "Error", fault.headers, code)
        case _:
            return


def _pictures(model: Model, inputs: catalogue.Inputs) -> list[Picture]:
    seed = inputs.get("seed", -1)
    prompt, (width, height) = str(inputs.get("prompt", model.id)), model.pixels(inputs)
    return [
        Picture(prompt, secrets.randbelow(2**31) if seed < 0 else seed + i, width, height)
        for i in range(model.count(inputs))
    ]


def _references(inputs: catalogue.Inputs) -> list[str]:
    listed: object = inputs.get("images", [])
    many = cast("list[object]", listed) if isinstance(listed, list) else []
    return [url for url in [inputs.get("image"), *many] if isinstance(url, str)]


def _object(request: Request) -> dict[str, Any]:
    body = request.json_object()
    if body is None:
        raise _Refused(400, "invalid JSON body")
    return body


def _number(body: Mapping[str, Any], name: str, usual: int) -> int:
    value = body.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f'field "{name}" must be of type integer')
    return value


def _time(body: Mapping[str, Any], name: str, usual: float) -> float:
    value = body.get(name)
    if not value:
        return usual
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput(f'field "{name}" must be an RFC 3339 time') from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _listed(prediction: Prediction, now: float, body: Mapping[str, Any]) -> dict[str, Any]:
    shown = prediction.show(prediction.status(now))
    return {**shown, "input": prediction.inputs} if body.get("include_inputs") else shown


def _file(kind: str, url: str, filename: str, size: int) -> dict[str, Any]:
    family = kind.partition("/")[0]
    return {"type": family, "download_url": url, "filename": filename, "size": size}


def _form_file(request: Request) -> tuple[str, str, bytes] | None:
    """Name, media type and content of the part `file` of a multipart form."""
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    form = message_from_bytes(head + request.body, EmailMessage, policy=default)
    for part in form.iter_parts() if form.is_multipart() else ():
        content = part.get_payload(decode=True)
        if part.get_param("name", header="content-disposition") == "file":
            kept = content if isinstance(content, bytes) else b""
            return part.get_filename() or "upload", part.get_content_type(), kept
    return None
