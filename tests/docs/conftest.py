"""Acme Pictures, the made-up provider of docs/adding-a-backend.md, on a port of this machine."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

KEY = "acme-key-of-the-tests"


def png(width: int, height: int) -> bytes:
    """A whole picture: black, one byte a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Acme(ThreadingHTTPServer):
    """What a prompt says decides how its order goes; `placed` are the bodies that were accepted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Counter)
        self.origin = f"http://127.0.0.1:{self.server_port}"
        self.placed: list[Any] = []
        self.polls: list[int] = []
        self.refused = 0

    def place(self, body: Any) -> tuple[int, Any]:
        words = body["text"]
        if "in debt" in words:
            return 402, error("credit", "the account is empty")
        if "forbidden" in words:
            return 422, error("content", "not a picture that we make")
        if "rush" in words and not self.refused:
            self.refused += 1
            return 429, error("busy", "too many at a time")
        self.placed.append(body)
        self.polls.append(0)
        if "crash" in words:
            return 502, error("internal", "something is broken")
        return 202, {"id": f"order-{len(self.placed) - 1}", "state": "queued"}

    def told(self, number: int) -> tuple[int, Any]:
        if number >= len(self.placed):
            return 404, error("order", "there is no such order")
        self.polls[number] += 1
        if self.polls[number] == 1:
            return 200, {"state": "running"}
        body = self.placed[number]
        if "doomed" in body["text"]:
            return 200, {"state": "failed", **error("internal", "the brush broke")}
        size = body.get("size", "1024x1024")
        made: list[Any] = [
            {"url": f"{self.origin}/files/{number}-{k}-{size}.png"} for k in range(body["count"])
        ]
        if "partly" in body["text"]:
            made[-1] = {"error": "withheld for its content"}
        return 200, {"state": "done", "pictures": made, "seconds": 1.5}

    def at_once(self, body: Any) -> tuple[int, Any]:
        """Refusals are inside HTTP 200, unless something is broken; each picture is 0.03."""
        status, answer = self.place(body)
        if status == 502:
            return status, answer
        if status != 202:
            return 200, {"ok": False, "error": {**answer["error"], "wait": 7}}
        self.polls[-1] = 1
        _, made = self.told(len(self.placed) - 1)
        came = sum("url" in picture for picture in made["pictures"])
        return 200, {"ok": True, "id": answer["id"], "spent": f"{came * 0.03:.2f}", **made}


def error(kind: str, text: str) -> Any:
    return {"error": {"kind": kind, "text": text}}


STRANGER = 401, error("key", "who are you?")


class Counter(BaseHTTPRequestHandler):
    """Acme's counter, where orders are taken and pictures handed out."""

    server: Acme

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        take = {"/v1/pictures": self.server.place, "/v1/pictures/now": self.server.at_once}
        self.answer(*(take[self.path](body) if self.is_known() else STRANGER))

    def do_GET(self) -> None:
        if self.path.startswith("/files/"):
            width, height = self.path.removesuffix(".png").split("-")[-1].split("x")
            self.send(200, "image/png", png(int(width), int(height)))
        else:
            number = int(self.path.removeprefix("/v1/pictures/order-"))
            self.answer(*(self.server.told(number) if self.is_known() else STRANGER))

    def is_known(self) -> bool:
        return self.headers["Authorization"] == f"Bearer {KEY}"

    def answer(self, status: int, value: Any) -> None:
        self.send(status, "application/json", json.dumps(value).encode())

    def send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Request-Id", f"ticket-{len(self.server.placed)}")
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def acme() -> Iterator[Acme]:
    with Acme() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
