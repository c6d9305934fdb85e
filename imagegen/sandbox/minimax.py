"""MiniMax's image API: what it checks, in which words it refuses, what it delivers.

Wire facts: MiniMax image generation reference; MiniMax error code reference. Everything is HTTP
200 with a `base_resp`, the counts in `metadata` are strings.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import field, frozen

from imagegen.sandbox.exchange import Answer, Request, json_answer, text_answer
from imagegen.sandbox.pictures import RATIOS, Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from imagegen.sandbox.app import Sandbox
    from imagegen.sandbox.faults import Fault

PATH: Final = "/v1/image_generation"
PRICE: Final = Decimal("0.0035")
_MODELS: Final = ("image-01", "image-01-live")
_STYLES: Final = ("漫画", "元气", "中世纪", "水彩")
_UPLOAD_LIMIT: Final = 10_000_000
_FORMATS: Final = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n"}
_DAILY: Final = 100
_INVALID: Final = 2013

# MiniMax error code reference; 1004 and 2049 in the words of real answers.
MESSAGES: Final = {
    1000: "unknown error",
    1001: "request timeout",
    1002: "rate limit",
    1004: "login fail: Please carry the API secret key in the 'Authorization' field "
    "of the request header",
    1008: "insufficient balance",
    1024: "internal error",
    1026: "input new_sensitive",
    1027: "output new_sensitive",
    1033: "system error",
    1039: "token limit",
    1041: "conn limit",
    1042: "invisible character ratio limit",
    2013: "invalid params",
    2045: "rate growth limit",
    2049: "invalid api key",
    2056: "usage limit exceeded",
    2061: "your current token plan not support model",
}


@frozen
class _Refused(Exception):  # noqa: N818  (an answer on its way out, not an error of ours)
    code: int
    message: str
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict[str, str])

    def answer(self, trace: str) -> Answer:
        payload = {
            "id": "" if self.code == _INVALID else trace,
            "data": {},
            "base_resp": {"status_code": self.code, "status_msg": self.message},
        }
        headers = {"Trace-Id": trace, **self.headers}
        return json_answer(payload, status=self.status, headers=headers)


@frozen
class _Order:
    """A valid request: the pictures to make and how to hand them over."""

    model: str
    pictures: tuple[Picture, ...]
    encoded: bool


class MiniMax:
    """The endpoints an image client uses: generation, quota and balance."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def submits(self, request: Request) -> bool:
        """Whether the request is a submission."""
        return (request.method, request.path) == ("POST", PATH)

    def answer(self, request: Request, fault: Fault | None) -> Answer:
        """What MiniMax answers; every answer has a `Trace-Id`."""
        trace = secrets.token_hex(16)
        serve = self._endpoint(request, trace, fault)
        if serve is None:
            return text_answer("404 page not found", status=404)
        try:
            self._check_key(request)
            return serve()
        except _Refused as refused:
            return refused.answer(trace)

    def _endpoint(
        self, request: Request, trace: str, fault: Fault | None
    ) -> Callable[[], Answer] | None:
        match request.method, request.path:
            case "POST", "/v1/image_generation":
                return lambda: self._generate(request, trace, fault)
            case "GET", "/v1/token_plan/remains":
                return lambda: self._remains(request, trace)
            case "GET", "/account/query_balance":
                return lambda: self._balance(request, trace)
            case _:
                return None

    def _check_key(self, request: Request) -> None:
        key, keys = request.bearer, self._sandbox.keys
        if not key:
            raise _Refused(1004, MESSAGES[1004])
        if keys is not None and key not in keys:
            raise _Refused(2049, MESSAGES[2049])

    def _generate(self, request: Request, trace: str, fault: Fault | None) -> Answer:
        _refuse_by(fault)
        body = request.json_object()
        if body is None:
            raise _invalid("the body must be a JSON object")
        order = _read(body)
        if self._sandbox.balance < PRICE * len(order.pictures):
            raise _Refused(1008, MESSAGES[1008])
        made = _made(order.pictures, fault)
        # Whether a blocked picture costs anything is undocumented; here it does not.
        billed = len(order.pictures) if fault and fault.kind == "missing" else len(made)
        self._sandbox.accept(
            "minimax",
            model=order.model,
            identity=trace,
            images=billed,
            price=PRICE * billed,
            body=body,
        )
        blocked = len(order.pictures) - billed
        return self._delivery(order, made, blocked, trace, fault)

    def _delivery(
        self,
        order: _Order,
        made: tuple[Picture, ...],
        blocked: int,
        trace: str,
        fault: Fault | None,
    ) -> Answer:
        lasts = self._sandbox.latency
        if fault is not None and fault.kind == "slow":
            lasts += fault.seconds
        shape = fault.shape if fault is not None and fault.kind == "outputs" else None
        urls = [] if order.encoded else self._publish(made, lasts)

        def payload() -> object:
            return {
                "id": trace,
                "data": _data(order, made, urls, shape),
                "metadata": {"failed_count": str(blocked), "success_count": str(len(made))},
                "base_resp": {"status_code": 0, "status_msg": "success"},
            }

        lazily = payload if order.encoded else payload()
        return json_answer(lazily, headers={"Trace-Id": trace}, delay=lasts)

    def _publish(self, made: tuple[Picture, ...], lasts: float) -> list[str]:
        sandbox = self._sandbox
        ready = sandbox.clock() + lasts
        return [
            sandbox.files.publish("minimax", picture, ready, sandbox.url_lifetime)
            for picture in made
        ]

    def _remains(self, request: Request, trace: str) -> Answer:
        _refuse_kind(request, "sk-api-")
        now = datetime.fromtimestamp(self._sandbox.clock(), UTC)
        start = now.replace(hour=0, minute=0, second=0, microsecond=0)
        end = start + timedelta(days=1)
        used = sum(
            submission.images
            for submission in self._sandbox.submissions
            if submission.provider == "minimax" and submission.at >= start.timestamp()
        )
        quota = {
            "model_name": "image-01",
            "start_time": int(start.timestamp() * 1000),
            "end_time": int(end.timestamp() * 1000),
            "remains_time": int((end - now).total_seconds() * 1000),
            "current_interval_total_count": _DAILY,
            "current_interval_usage_count": used,
        }
        return _success({"model_remains": [quota]}, trace)

    def _balance(self, request: Request, trace: str) -> Answer:
        _refuse_kind(request, "sk-cp-")
        available = str(self._sandbox.balance)
        amounts = {
            "available_amount": available,
            "cash_balance": available,
            "voucher_balance": "0",
            "credit_balance": "0",
            "owed_amount": "0",
            "balance_alert_switch": False,
            "balance_alert_threshold": "0",
        }
        return _success(amounts, trace)


def _refuse_kind(request: Request, prefix: str) -> None:
    """Keys of plans have no balance, and pay-as-you-go keys no quota; the code is a guess."""
    if request.bearer.startswith(prefix):
        raise _Refused(1004, MESSAGES[1004])


def _success(payload: dict[str, Any], trace: str) -> Answer:
    whole = {**payload, "base_resp": {"status_code": 0, "status_msg": "success"}}
    return json_answer(whole, headers={"Trace-Id": trace})


def _refuse_by(fault: Fault | None) -> None:
    if fault is None:
        return
    match fault.kind:
        case "rate_limit":
            code = fault.code or 1002
        case "insufficient_balance":
            code = fault.code or 1008
        case "code":
            code = 1000 if fault.code is None else fault.code
        case _:
            return
    words = fault.message or MESSAGES.get(code, "unknown error")
    raise _Refused(code, words, fault.status or 200, fault.headers)


def _made(pictures: tuple[Picture, ...], fault: Fault | None) -> tuple[Picture, ...]:
    """The pictures that exist in the end."""
    if fault is None or fault.kind not in {"moderated", "missing"}:
        return pictures
    if fault.image is None:
        return ()
    return tuple(picture for i, picture in enumerate(pictures) if i != fault.image)


def _data(order: _Order, made: tuple[Picture, ...], urls: list[str], shape: str | None) -> object:
    if shape == "null":
        return None
    if shape == "empty" or not made:
        return {}
    if order.encoded:
        name, items = "image_base64", [base64.b64encode(p.jpeg()).decode() for p in made]
    else:
        name, items = "image_urls", urls
    return {name: [{"url": item} for item in items] if shape == "objects" else items}


def _invalid(message: str) -> _Refused:
    return _Refused(_INVALID, f"invalid params, {message}")


def _read(body: dict[str, Any]) -> _Order:
    """The order in a request body; raises `_Refused` with code 2013."""
    model = _model(body)
    prompt = _prompt(body)
    width, height = _size(body, model)
    _check_references(body)
    _check_style(body, model)
    for name in ("prompt_optimizer", "aigc_watermark"):
        if not isinstance(body.get(name, False), bool):
            raise _invalid(f"{name} must be a boolean")
    wanted = body.get("response_format", "url")
    if wanted not in ("url", "base64"):
        raise _invalid("response_format must be url or base64")
    pictures = tuple(Picture(prompt, seed, width, height) for seed in _seeds(body))
    return _Order(model, pictures, wanted == "base64")


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or model not in _MODELS:
        raise _invalid(f"unsupported model: {model or ''}")
    return model


def _prompt(body: dict[str, Any]) -> str:
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise _invalid("prompt is required")
    # The wording says less than 1500, the document says at most 1500: the document wins.
    if len(prompt) > 1500:
        raise _invalid("prompt length must be less than 1500")
    return prompt


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seeds(body: dict[str, Any]) -> list[int]:
    n = _whole(body.get("n", 1))
    if n is None or not 1 <= n <= 9:
        raise _invalid("n must be between 1 and 9")
    if body.get("seed") is None:
        return [secrets.randbelow(2**31) for _ in range(n)]
    seed = _whole(body["seed"])
    if seed is None or not -(2**63) <= seed < 2**63:
        raise _invalid("seed must be an integer")
    return [seed + i for i in range(n)]


def _size(body: dict[str, Any], model: str) -> tuple[int, int]:
    ratio = body.get("aspect_ratio")
    if ratio is not None:
        if not isinstance(ratio, str) or ratio not in RATIOS:
            raise _invalid("aspect_ratio must be one of the documented ratios")
        if ratio == "21:9" and model != "image-01":
            raise _invalid("aspect_ratio 21:9 is only supported by image-01")
        return RATIOS[ratio]
    width, height = body.get("width"), body.get("height")
    if model != "image-01" or (width is None and height is None):
        return RATIOS["1:1"]
    if width is None or height is None:
        raise _invalid("width and height must be set together")
    return _side("width", width), _side("height", height)


def _side(name: str, value: object) -> int:
    pixels = _whole(value)
    if pixels is None or not 512 <= pixels <= 2048 or pixels % 8:
        raise _invalid(f"{name} must be between 512 and 2048 and divisible by 8")
    return pixels


def _check_style(body: dict[str, Any], model: str) -> None:
    # MiniMax image generation reference, Chinese edition.
    style = body.get("style")
    if style is None:
        return
    if model != "image-01-live":
        raise _invalid("style is only supported by image-01-live")
    if not isinstance(style, dict):
        raise _invalid("style must be an object")
    given = cast("dict[str, Any]", style)
    if given.get("style_type") not in _STYLES:
        raise _invalid("style_type must be one of the documented styles")
    weight = given.get("style_weight", 0.8)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
        raise _invalid("style_weight must be in (0, 1]")


def _check_references(body: dict[str, Any]) -> None:
    references = body.get("subject_reference")
    if references is None:
        return
    if not isinstance(references, list) or len(cast("list[object]", references)) > 1:
        raise _invalid("subject_reference must be an array of one reference")
    for reference in cast("list[object]", references):
        if not isinstance(reference, dict):
            raise _invalid("subject_reference must hold objects")
        _check_reference(cast("dict[str, Any]", reference))


def _check_reference(reference: dict[str, Any]) -> None:
    if reference.get("type") != "character":
        raise _invalid("subject_reference must be character")
    source = reference.get("image_file")
    if not isinstance(source, str) or not source:
        raise _invalid("image_file is required")
    if source.startswith("data:"):
        _check_data_url(source)
    elif not source.startswith(("http://", "https://")):
        raise _invalid("image_file must be a URL or a Data URL")


def _check_data_url(source: str) -> None:
    head, _, encoded = source.removeprefix("data:").partition(",")
    media, _, coding = head.partition(";")
    try:
        picture = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise _invalid("image_file is not valid base64") from None
    magic = _FORMATS.get(media.replace("image/jpg", "image/jpeg"))
    if coding != "base64" or magic is None or not picture.startswith(magic):
        raise _invalid("image_file must be JPG, JPEG or PNG")
    if len(picture) >= _UPLOAD_LIMIT:
        raise _invalid("image_file must be smaller than 10MB")
