from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.exchange import Answer, Request

Ask = Callable[..., Answer]
Poll = Callable[[str], dict[str, Any]]


def fetch(sandbox: Sandbox, url: str, method: str = "GET", **headers: str) -> Answer:
    parts = urlsplit(url)
    path = parts.path.replace("%2F", "/").replace("%20", " ")
    return sandbox.handle(Request(method, path, parts.query, headers))


@pytest.fixture
def signed(generate: Ask) -> str:
    url: str = generate().json()["data"]["image_urls"][0]
    return url


@pytest.fixture
def bare(predict: Ask, poll: Poll, sandbox: Sandbox) -> str:
    sandbox.latency = 0
    url: str = poll(predict().json()["data"]["id"])["outputs"][0]
    return url


def test_minimax_urls_have_escaped_slashes_and_expire_a_lifetime_after_generation(
    signed: str,
) -> None:
    parts = urlsplit(signed)
    assert re.fullmatch(
        r"/files/image_inference_output%2F.*%2F2025-11-25%2F\w{32}_aigc.jpeg", parts.path
    )
    query = parse_qs(parts.query, strict_parsing=True)
    assert query["Expires"] == [str(1_764_000_000 + 20 + 86_400)]
    assert set(query) == {"Expires", "OSSAccessKeyId", "Signature"}


def test_pictures_are_served_without_a_key(sandbox: Sandbox, signed: str, bare: str) -> None:
    for url in (signed, bare):
        answer = fetch(sandbox, url)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
        assert answer.body.startswith(b"\xff\xd8\xff")


def test_a_changed_signature_is_refused(sandbox: Sandbox, signed: str) -> None:
    for broken in (signed.replace("Expires=", "Expires=9"), signed.partition("?")[0]):
        answer = fetch(sandbox, broken)
        assert answer.status == 403
        assert b"SignatureDoesNotMatch" in answer.body


def test_urls_die_at_their_expiry_and_not_before(
    sandbox: Sandbox, signed: str, bare: str, clock: Any
) -> None:
    clock.sleep(86_399)
    assert fetch(sandbox, signed).status == fetch(sandbox, bare).status == 200
    clock.sleep(21)
    oss, other = fetch(sandbox, signed), fetch(sandbox, bare)
    assert oss.status == other.status == 403
    assert oss.headers["Content-Type"] == "application/xml"
    assert b"<Code>AccessDenied</Code>" in oss.body
    assert b"<Expires>2025-11-25T16:00:20.000Z</Expires>" in oss.body


def test_the_expired_fault_refuses_once(sandbox: Sandbox, bare: str) -> None:
    sandbox.inject(Fault("expired"))
    assert [fetch(sandbox, bare).status for _ in range(2)] == [403, 200]


@pytest.mark.parametrize(("method", "status"), [("GET", 404), ("POST", 405), ("PUT", 403)])
def test_unknown_files_are_refused(sandbox: Sandbox, method: str, status: int) -> None:
    answer = fetch(sandbox, f"{sandbox.origin}/files/output/1/nothing.jpg", method)
    assert answer.status == status
    assert answer.body.startswith(b"<?xml")


def ticket(ask: Ask, **fields: Any) -> dict[str, Any]:
    body = {"filename": "me and you.png", "size": 3, "content_type": "image/png"} | fields
    data: dict[str, Any] = ask("POST", "/api/v3/media/uploads", body).json()["data"]
    return data


def put(sandbox: Sandbox, url: str, content: bytes, **headers: str) -> Answer:
    path = urlsplit(url).path.replace("%20", " ")
    return sandbox.handle(Request("PUT", path, "", headers, content))


def test_an_upload_goes_to_its_ticket_and_is_served_back(sandbox: Sandbox, ask: Ask) -> None:
    made = ticket(ask)
    assert made["type"] == "image"
    assert made["upload"]["method"] == "PUT"
    assert made["upload"]["headers"] == {"Content-Type": "image/png", "If-None-Match": "*"}
    assert fetch(sandbox, made["download_url"]).status == 404
    assert put(sandbox, made["upload"]["url"], b"abc").status == 200
    served = fetch(sandbox, made["download_url"])
    assert (served.body, served.headers["Content-Type"]) == (b"abc", "image/png")


def test_an_upload_is_taken_once_complete_and_without_a_key(sandbox: Sandbox, ask: Ask) -> None:
    url = ticket(ask)["upload"]["url"]
    assert put(sandbox, url, b"abc", Authorization="Bearer key").status == 400
    assert put(sandbox, url, b"abcd").status == 400
    assert put(sandbox, url, b"abc").status == 200
    assert put(sandbox, url, b"abc").status == 412


def test_names_with_slashes_stay_one_segment(ask: Ask) -> None:
    url = ticket(ask, filename="../../etc/passwd")["download_url"]
    assert urlsplit(url).path.count("/") == 4


@pytest.mark.parametrize(
    "fields",
    [{"filename": ""}, {"filename": 3}, {"size": 0}, {"size": 200 * 2**20 + 1}, {"size": True}],
)
def test_impossible_tickets_are_refused(ask: Ask, fields: dict[str, Any]) -> None:
    body = {"filename": "a.png", "size": 3} | fields
    assert ask("POST", "/api/v3/media/uploads", body).status == 400


def test_a_form_upload_answers_with_its_url(sandbox: Sandbox, ask: Ask) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\x00\xff\r\n--b--\r\n"
    )
    kind = "multipart/form-data; boundary=b"
    answer = ask("POST", "/api/v3/media/upload/binary", form, content_type=kind)
    data = answer.json()["data"]
    assert (data["type"], data["filename"], data["size"]) == ("image", "a.png", 10)
    assert fetch(sandbox, data["download_url"]).body == b"\x89PNG\r\n\x1a\n\x00\xff"


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain"])
def test_a_form_without_a_file_is_refused(ask: Ask, kind: str) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--x--\r\n'
    answer = ask("POST", "/api/v3/media/upload/binary", form, content_type=kind)
    assert answer.json() == {"code": 400, "message": 'field "file" is required'}
