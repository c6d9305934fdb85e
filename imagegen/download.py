"""Fetching pictures from the URLs that a provider names, as flows; never with a key.

The URL is untrusted: https is required (an http URL is upgraded), and a private address is
refused, unless it is the very origin that was configured for a backend on this machine.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from attrs import evolve

from imagegen.backends.base import is_loopback
from imagegen.errors import (
    BackendError,
    ImageGenError,
    MalformedReplyError,
    ProviderUnavailableError,
    TransportError,
)
from imagegen.flow import Call, Flow, Reply
from imagegen.redaction import without_query
from imagegen.result import GeneratedImage, Generation, Notice

LARGEST = 64 * 2**20
"""Bytes of one picture; a 2048x2048 JPEG has about one million."""
TIMEOUT = 60.0
REDIRECTS = 3
PAUSES = (0.0, 0.5)
LAST_PAUSE = 2.0
"""Seconds before each try: a GET costs nothing, so a passing fault is tried again."""


def with_bytes(generation: Generation, trusted: Collection[str]) -> Flow[Generation]:
    """Fetch every picture that is still a URL; one that fails keeps its URL, with a notice."""
    images, notices = [], list(generation.notices)
    for index, image in enumerate(generation.images):
        try:
            fetched = yield from fetched_image(image, trusted)
        except BackendError as error:
            fetched = image
            notices.append(not_fetched(index, error))
        images.append(fetched)
    return evolve(generation, images=tuple(images), notices=tuple(notices))


def not_fetched(index: int, error: ImageGenError) -> Notice:
    """Say that a picture keeps its URL."""
    words = f"image {index} could not be fetched ({error.message}); its url is kept"
    return Notice("adjusted", "output", words)


def fetched_image(image: GeneratedImage, trusted: Collection[str]) -> Flow[GeneratedImage]:
    """Return *image* with its bytes; *trusted* are origins allowed although they are local.

    Raises:
        MalformedReplyError: what came is no picture, or the URL is not one to follow.
        ProviderUnavailableError: the host refuses, for instance because the URL has expired.
        TransportError, DeadlineExceededError: nothing came.
    """
    if image.data is not None:
        return image
    if image.url is None:
        raise MalformedReplyError("this image has neither bytes nor a url", charged="yes")
    reply = yield from _fetched(image.url, trusted)
    filled = image.with_data(reply.body)
    if filled is None:
        raise MalformedReplyError(
            f"{without_query(image.url)} holds no JPEG, PNG or WebP picture",
            status=reply.status,
            charged="yes",
        )
    return filled


def _fetched(url: str, trusted: Collection[str]) -> Flow[Reply]:
    """GET *url*, trying again after a passing fault."""
    for pause in PAUSES:
        try:
            reply = yield from _followed(url, trusted, pause)
        except TransportError:
            continue
        if reply.status == 200:
            return reply
        if reply.status < 500 and reply.status not in (408, 425, 429):
            raise _refused(url, reply)
    reply = yield from _followed(url, trusted, LAST_PAUSE)
    if reply.status != 200:
        raise _refused(url, reply)
    return reply


def _refused(url: str, reply: Reply) -> ProviderUnavailableError:
    return ProviderUnavailableError(
        f"{without_query(url)} answers HTTP {reply.status}",
        advice="A picture's URL expires; fetch it in time, or ask for its job again",
        status=reply.status,
        charged="yes",
    )


def _followed(url: str, trusted: Collection[str], pause: float) -> Flow[Reply]:
    for _ in range(REDIRECTS + 1):
        call = Call("GET", allowed_url(url, trusted), after=pause, timeout=TIMEOUT, limit=LARGEST)
        reply = yield call
        target = reply.headers.get("location")
        if not (300 <= reply.status < 400 and target):
            return reply
        url, pause = urljoin(call.url, target), 0.0
    raise MalformedReplyError(f"{without_query(url)} redirects for ever", charged="yes")


def allowed_url(url: str, trusted: Collection[str]) -> str:
    """Return *url*, upgraded to https where it is http.

    Raises:
        MalformedReplyError: it is not to be followed.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if f"{parts.scheme}://{parts.netloc}" in trusted:
        return url
    fine = parts.scheme in ("http", "https") and host and parts.username is None
    if not fine or port not in (None, 80, 443) or is_loopback(host) or _is_local_address(host):
        raise MalformedReplyError(
            f"{without_query(url)} is not a public web address to fetch a picture from",
            charged="yes",
        )
    if parts.scheme == "https":
        return url
    netloc = f"[{host}]" if ":" in host else host
    return parts._replace(scheme="https", netloc=netloc).geturl()


def _is_local_address(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False
