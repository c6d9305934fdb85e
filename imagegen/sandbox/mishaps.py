"""The faults that any HTTP service has: broken connections, gateway pages, garbled bodies."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from attrs import evolve

from imagegen.sandbox.exchange import Answer, Content, Provider, json_answer, text_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagegen.sandbox.faults import Fault

_GARBLED: Final[dict[Provider, object]] = {
    "minimax": {"id": 7, "data": "none", "metadata": [], "base_resp": "success"},
    "wavespeed": {"code": "ok", "message": None, "data": ["created"]},
}


def spoil(provider: Provider, fault: Fault | None, serve: Callable[[], Answer]) -> Answer:
    """What `serve` answers, after `fault` had its way with it."""
    if fault is None:
        return serve()
    match fault.kind:
        case "drop":
            answer = _dropped(fault, serve)
        case "http":
            answer = _stand_in(provider, fault, serve)
        case "garbage":
            answer = _garbled(provider, fault, serve())
        case _:
            answer = serve()
    return answer if _grows(fault) else evolve(answer, delay=answer.delay + fault.seconds)


def _grows(fault: Fault) -> bool:
    # A slow generation is the provider's doing: it knows what else waits for it.
    return fault.kind == "slow" and fault.step == "submit"


def _dropped(fault: Fault, serve: Callable[[], Answer]) -> Answer:
    return evolve(serve(), drop="after") if fault.accepted else Answer(drop="before")


def _stand_in(provider: Provider, fault: Fault, serve: Callable[[], Answer]) -> Answer:
    """An HTTP error from in front of the provider, or, `accepted`, from behind it."""
    served = serve() if fault.accepted else Answer()
    status = fault.status or 500
    answer = _page(provider, fault, status)
    return evolve(answer, headers={**answer.headers, **fault.headers}, delay=served.delay)


def _page(provider: Provider, fault: Fault, status: int) -> Answer:
    words = fault.message or _phrase(status)
    if fault.shape == "empty":
        return Answer(status)
    if fault.shape == "html":
        return text_answer(_html(f"{status} {words}"), status=status, kind="text/html")
    code = fault.code or status
    if provider == "wavespeed":
        return json_answer({"code": code, "message": words}, status=status)
    refusal = {"status_code": fault.code or 1000, "status_msg": words}
    return json_answer({"base_resp": refusal}, status=status)


def _garbled(provider: Provider, fault: Fault, genuine: Answer) -> Answer:
    kind = genuine.headers.get("Content-Type", "application/json")
    match fault.shape:
        case "text":
            body: Content = b"upstream said nothing useful"
        case "html":
            body, kind = _html("Just a moment...").encode(), "text/html; charset=utf-8"
        case "truncated":
            body = lambda: _half(genuine.body)  # noqa: E731  (drawn when sent, like the whole)
        case "types":
            body = json_answer(_GARBLED[provider]).body
        case _:
            body = b""
    return Answer(200, {"Content-Type": kind}, body, genuine.delay)


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _html(words: str) -> str:
    return (
        f"<html>\n<head><title>{words}</title></head>\n"
        f"<body>\n<center><h1>{words}</h1></center>\n<hr><center>nginx</center>\n</body>\n</html>\n"
    )
