"""Fetching pictures from the URLs that a provider names, as flows; never with a key.

The URL is untrusted: https is required (an http URL is upgraded), and a private address is
refused, unless it is the very origin that was configured for a backend on this machine.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urljoin

from attrs import evolve

from imagegen.addresses import is_public_host
from imagegen.errors import (
    BackendError,
    DeadlineExceededError,
    ImageGenError,
    MalformedReplyError,
    ProviderUnavailableError,
    TransportError,
)
from imagegen.flow import Call, Flow, Pause, Reply
from imagegen.redaction import without_query
from imagegen.result import GeneratedImage, Generation, Notice

LARGEST = 64 * 2**20
"""Bytes of one picture; a 2048x2048 JPEG has about one million."""
TIMEOUT = 60.0
REDIRECTS = 3
_KEPT = "its url is kept"
PAUSES = (0.5, 2.0)
"""Seconds before another try: a GET costs nothing, so a passing fault is tried again."""


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
    words = f"image {index} could not be fetched ({error.message}); {_KEPT}"
    return Notice("adjusted", "output", words)


def is_about_fetching(notice: Notice) -> bool:
    """Tell whether `not_fetched` said it, so that fetching again answers it."""
    return notice.field == "output" and notice.message.endswith(_KEPT)


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
    try:
        reply = yield from _fetched(image.url, trusted)
    except (TransportError, DeadlineExceededError) as error:
        error.charged = "yes"  # the picture is paid for
        raise
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
            reply = yield from _followed(url, trusted)
        except TransportError:
            yield Pause(pause)
            continue
        if reply.status == 200:
            return reply
        if reply.status < 500 and reply.status not in (408, 425, 429):
            raise _refused(url, reply)
        yield Pause(pause)
    reply = yield from _followed(url, trusted)
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


def _followed(url: str, trusted: Collection[str]) -> Flow[Reply]:
    for _ in range(REDIRECTS + 1):
        call = Call("GET", allowed_url(url, trusted), timeout=TIMEOUT, limit=LARGEST)
        reply: Reply = yield call
        target = reply.headers.get("location")
        if not (300 <= reply.status < 400 and target):
            return reply
        url = _resolved(call.url, target)
    raise MalformedReplyError(f"{without_query(url)} redirects for ever", charged="yes")


def _resolved(base: str, target: str) -> str:
    try:
        return urljoin(base, target)
    except ValueError:
        return target


def allowed_url(url: str, trusted: Collection[str]) -> str:
    """Return *url*, upgraded to https where it is http.

    The address is judged as written here; what a name resolves to, when the driver connects.

    Raises:
        MalformedReplyError: it is not to be followed.
    """
    match = _WEB_URL.fullmatch(url)
    if match and match["origin"] in trusted:
        return url
    usual = match is not None and match["port"] in (None, "80", "443")
    if match is None or not usual or not is_public_host(match["host"]):
        raise MalformedReplyError(
            f"{without_query(url[:500])} is not a public web address to fetch a picture from",
            advice="On this machine, pictures are fetched only from the host that is configured",
            charged="yes",
        )
    return f"https://{match['host']}{match['rest'] or ''}"


_WEB_URL = re.compile(
    r"(?P<origin>https?://(?P<host>[A-Za-z0-9_.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?)"
    r"(?P<rest>[/?][!-~]{0,8000})?"
)
