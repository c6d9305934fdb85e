"""What has a URL: pictures until they expire, and uploaded references."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from attrs import define, field, frozen

from imagegen.sandbox.exchange import Answer, Provider, Request
from imagegen.sandbox.pictures import Picture

if TYPE_CHECKING:
    from imagegen.sandbox.app import Sandbox

ROOT: Final = "/files/"
UPLOAD_LIMIT: Final = 200 * 1024 * 1024
_CHINA: Final = timezone(timedelta(hours=8))


@frozen
class _Published:
    provider: Provider
    picture: Picture
    expires: float
    query: str


@define
class _Upload:
    size: int | None
    content_type: str
    body: bytes | None = field(default=None, repr=False)


class Files:
    """Both providers' storage under one root; the pictures in it are drawn when fetched."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._pictures: dict[str, _Published] = {}
        self._uploads: dict[str, _Upload] = {}

    def publish(self, provider: Provider, picture: Picture, made: float, lifetime: float) -> str:
        """A URL for `picture`, good for `lifetime` seconds from the epoch second `made`.

        MiniMax's are signed: escaped slashes in the path, `Expires`, `OSSAccessKeyId` and
        `Signature` in the query. WaveSpeed's are bare.
        """
        expires = int(made + lifetime)
        if provider == "minimax":
            day = datetime.fromtimestamp(made, _CHINA).date()
            path = f"image_inference_output/sandbox/img/{day}/{_token()}_aigc.jpeg"
            query = urlencode(
                {
                    "Expires": expires,
                    "OSSAccessKeyId": "SANDBOX",
                    "Signature": base64.b64encode(secrets.token_bytes(20)).decode(),
                }
            )
        else:
            path, query = f"output/{expires}/{_token()}.jpg", ""
        self._pictures[path] = _Published(provider, picture, made + lifetime, query)
        escaped = quote(path, safe="" if provider == "minimax" else "/")
        return f"{self._sandbox.origin}{ROOT}{escaped}{'?' if query else ''}{query}"

    def reserve(self, filename: str, size: int | None, content_type: str) -> str:
        """The path below the root where an upload of `size` bytes (None: any) is expected."""
        path = f"upload/{_token()}/{filename.replace('/', '_')}"
        self._uploads[path] = _Upload(size, content_type)
        return path

    def store(self, path: str, body: bytes) -> None:
        """Keep `body` at a reserved path."""
        self._uploads[path].body = body

    def url(self, path: str) -> str:
        """The URL of a reserved path."""
        return f"{self._sandbox.origin}{ROOT}{quote(path)}"

    def lost(self, url: str) -> bool:
        """Whether `url` is one of ours, for an upload that never arrived."""
        root = self._sandbox.origin + ROOT
        if not url.startswith(f"{root}upload/"):
            return False
        upload = self._uploads.get(unquote(url.removeprefix(root)))
        return upload is None or upload.body is None

    def provider(self, request: Request) -> Provider | None:
        """Whose picture the request is for; None for uploads and the unknown."""
        found = self._pictures.get(request.path.removeprefix(ROOT))
        return found.provider if found and request.method in {"GET", "HEAD"} else None

    def answer(self, request: Request, *, expired: bool = False) -> Answer:
        """Serve a picture or an upload, or take an upload in; no key is asked for."""
        path = request.path.removeprefix(ROOT)
        if request.method == "PUT":
            return self._receive(path, request)
        if request.method not in {"GET", "HEAD"}:
            return _refused(405, "MethodNotAllowed", "The method is not allowed.")
        upload = self._uploads.get(path)
        if upload is not None and upload.body is not None:
            return Answer(200, {"Content-Type": upload.content_type}, upload.body)
        found = self._pictures.get(path)
        if found is None:
            return _refused(404, "NoSuchKey", "The specified key does not exist.")
        return self._picture(found, request, expired=expired)

    def _picture(self, found: _Published, request: Request, *, expired: bool) -> Answer:
        if found.query and dict(parse_qsl(found.query)) != request.params:
            return _refused(403, "SignatureDoesNotMatch", "The signature does not match.")
        if expired or self._sandbox.clock() >= found.expires:
            until = datetime.fromtimestamp(found.expires, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            more = f"<Expires>{until}</Expires>" if found.provider == "minimax" else ""
            return _refused(403, "AccessDenied", "Request has expired.", more)
        return Answer(200, {"Content-Type": "image/jpeg"}, found.picture.jpeg)

    def _receive(self, path: str, request: Request) -> Answer:
        upload = self._uploads.get(path)
        if upload is None:
            return _refused(403, "AccessDenied", "Access Denied")
        if "authorization" in request.headers:
            # A presigned URL is its own permission; object stores refuse a second one.
            return _refused(400, "InvalidArgument", "Only one auth mechanism allowed")
        if upload.body is not None:
            return _refused(412, "PreconditionFailed", "The file is already there.")
        if upload.size not in (None, len(request.body)):
            return _refused(400, "IncompleteBody", f"{upload.size} bytes were announced.")
        upload.body = request.body
        return Answer(200, {"ETag": f'"{_token()}"'})


def _token() -> str:
    return secrets.token_hex(16)


def _refused(status: int, code: str, message: str, more: str = "") -> Answer:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())
