"""A server of OpenAI's shape that remembers what it is sent."""

from __future__ import annotations

import base64
import json
import threading
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from attrs import frozen

KEY = "made-up-key-of-the-recorder"
FLARE = "gpt-image-2.6-flare"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x08\x08\x00\x00\x00\x00"


@frozen
class Sent:
    """One request as the recorder got it."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def is_form(self) -> bool:
        return self.headers.get_content_type() == "multipart/form-data"

    @property
    def json(self) -> Any:
        assert self.headers.get_content_type() == "application/json"
        return json.loads(self.body)

    @property
    def parts(self) -> list[tuple[str, str | None, bytes]]:
        """Name, a file's type and content of every part, sorted; what files are called is free."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = cast(
            "list[Message]", BytesParser(policy=HTTP).parsebytes(head + self.body).get_payload()
        )
        return sorted(
            (
                str(part.get_param("name", header="content-disposition")),
                part.get_content_type() if part.get_filename() else None,
                cast("bytes", part.get_payload(decode=True)),
            )
            for part in parts
        )

    @property
    def count(self) -> int:
        if self.is_form:
            return int(next(content for name, _, content in self.parts if name == "n"))
        return int(self.json["n"])


class Recorder(ThreadingHTTPServer):
    """A server of OpenAI's shape that remembers what it is sent; with a key it wants that."""

    daemon_threads = True

    def __init__(self, picture: bytes = PNG, key: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.picture = picture
        self.key = key
        self.sent: list[Sent] = []
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, sent: Sent) -> tuple[int, Any]:
        if self.key and sent.headers["authorization"] != f"Bearer {self.key}":
            return 401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}
        if sent.method == "GET":
            return 200, {"object": "list", "data": [{"id": FLARE, "object": "model"}]}
        content = base64.b64encode(self.picture).decode()
        return 200, {"created": 1, "data": [{"b64_json": content}] * sent.count}

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        sent = Sent(self.command, self.path, self.headers, body)
        self.server.sent.append(sent)
        status, answer = self.server.answer(sent)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-request-id", f"req_{len(self.server.sent)}")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815 - its own name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        pass
