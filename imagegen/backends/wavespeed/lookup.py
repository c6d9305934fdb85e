"""Looking a submission up whose answer was lost, in WaveSpeedAI's list of predictions.

The caller concludes from absence: what is not listed was never accepted. So a list that is
refused, unreadable or not whole is an error, and whatever leaves a doubt counts as found.

Wire facts: WaveSpeedAI's API documentation of predictions and its official clients (read
2026-11-20). Whether `include_inputs` makes the list echo them is not confirmed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from attrs import frozen

from imagegen import codec
from imagegen.backends.wavespeed.predictions import (
    Envelope,
    Prediction,
    refusal,
)
from imagegen.backends.wavespeed.translation import full_model_id
from imagegen.errors import (
    DeadlineExceededError,
    ImageGenError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    TransportError,
)
from imagegen.flow import Call, Flow, Pause, Reply
from imagegen.request import ImageRequest
from imagegen.result import Job, Notice

LIST_TIMEOUT = 30.0
PAGE_SIZE = 100
MOST_PAGES = 50
KEPT = timedelta(days=7)
PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each further try of a page."""

UNTOLD = Notice("unverified", "prompt", "the list does not tell that it was made from this prompt")

_PASSING = (ProviderUnavailableError, RateLimitError, TransportError)
_ADVICE = (
    "Whether the submission was accepted is still unknown; look again later, or yourself at "
    "https://wavespeed.ai/predictions"
)


@frozen
class _Item(Prediction):
    """A listed prediction, perhaps with what was submitted."""

    input: Any = None
    inputs: Any = None

    def in_time(self, since: datetime, until: datetime) -> bool:
        """Tell whether it was made in that time, as far as it says when."""
        return self.created is None or since <= self.created <= until

    def is_another(self, model: str, prompts: set[str]) -> bool:
        """Tell whether it is certainly of another model or prompt.

        A model may be named by its family; a prompt may be told with other spaces, or cut short.
        """
        made = self.model if isinstance(self.model, str) else ""
        if made and made != model and not model.startswith(f"{made}/"):
            return True
        told = self._prompts
        return bool(told) and not any(_alike(one, other) for one in told for other in prompts)

    def is_told(self, prompts: set[str]) -> bool:
        """Tell whether it says that it was made from one of *prompts*."""
        digests = {f"sha256:{sha256(text.encode()).hexdigest()}" for text in self._prompts}
        plain = {_plain(text) for text in prompts}
        return bool(digests & prompts or {_plain(text) for text in self._prompts} & plain)

    @property
    def _prompts(self) -> set[str]:
        """The prompt that was submitted; empty where it is not told."""
        objects = [echo for echo in (self.input, self.inputs) if isinstance(echo, dict)]
        return {text for echo in objects if isinstance(text := echo.get("prompt"), str) and text}


def _plain(text: str) -> str:
    return " ".join(text.split())


def _alike(told: str, prompt: str) -> bool:
    """Tell whether *told* may be *prompt*, which may be known by its digest only."""
    if prompt.startswith("sha256:"):
        return prompt == f"sha256:{sha256(told.encode()).hexdigest()}"
    one, other = _plain(told), _plain(prompt)
    return one.startswith(other) or other.startswith(one.rstrip("…."))


@frozen
class _Page:
    items: list[_Item]
    total: int | None = None


def found(  # noqa: PLR0917 - a backend passes on its own `find`, in that order
    host: str, account: str, model: str, request: ImageRequest, since: datetime, until: datetime
) -> Flow[tuple[Job, ...]]:
    """Predictions of *model* created in that time that may come from *request*, oldest first.

    An empty answer is certain: the list, which goes back 7 days, was read whole. A job of which
    the list does not tell that it was made from *request* has the notice `UNTOLD`. A request that
    was stored without its prompt may have ``sha256:`` and the hexadecimal digest of it instead.

    Args:
        host: scheme, host, port and path prefix of the API.
        account: the backend's name, whose key goes along.
        model: the model id, as submitted.
        request: what was asked for.
        since: aware; the earliest moment of acceptance, by WaveSpeedAI's clock.
        until: aware; the latest.

    Raises:
        MalformedReplyError: the list cannot be read, is not whole, too short or too long.
        ImageGenError: WaveSpeedAI refused to list, or could not be reached.
    """
    model = full_model_id(model, request)  # nothing is listed under the id of a family
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    calls = _calls(host, account, model, since, until)
    with _about(account, model):
        items = yield from _items(calls, since)
    prompts = _prompts(request, account)
    jobs = {
        item.id: Job(
            provider=account,
            model=model,
            id=item.id,
            request=request,
            created_at=item.created,
            notices=() if item.is_told(prompts) else (UNTOLD,),
        )
        for item in reversed(items)
        if item.in_time(since, until) and not item.is_another(model, prompts)
    }
    return tuple(sorted(jobs.values(), key=lambda job: job.created_at or since))


def _calls(host: str, account: str, model: str, since: datetime, until: datetime) -> Iterator[Call]:
    """One call for each page that may be asked for."""
    query = {
        "page_size": PAGE_SIZE,
        "model": model,
        "created_after": rfc3339(since),
        "created_before": rfc3339(until),
        "include_inputs": True,
    }
    url = f"{host}/api/v3/predictions"
    for page in range(1, MOST_PAGES + 1):
        asked = {"page": page, **query}
        yield Call("POST", url, json=asked, account=account, timeout=LIST_TIMEOUT)


def rfc3339(moment: datetime) -> str:
    """Write *moment*, which is in UTC, as the list wants it."""
    return moment.isoformat().replace("+00:00", "Z")


@contextmanager
def _about(account: str, model: str) -> Generator[None]:
    """Let every error say what it is about: not the list, which is free, but the submission."""
    try:
        yield
    except ImageGenError as error:
        error.provider, error.model, error.charged = account, model, "unknown"
        raise


def _prompts(request: ImageRequest, account: str) -> set[str]:
    """What may have been submitted as the prompt: the caller's own input goes before it."""
    own = request.provider_options.get(account, {}).get("prompt")
    return {text for text in (request.prompt, own) if isinstance(text, str)}


def _items(calls: Iterable[Call], since: datetime) -> Flow[list[_Item]]:
    """Read every page of the list, newest first."""
    items, known, total = list[_Item](), set[str](), 0
    for call in calls:
        page = yield from _page(call, since)
        items += page.items
        known |= {item.id for item in page.items}
        # The largest: a total that shrinks means that unread items moved to pages read before.
        total = max(total, page.total or 0)
        if len(page.items) < PAGE_SIZE or len(known) == total:
            break
    else:
        raise _unclear(f"has more than {MOST_PAGES} pages of that time: too long to tell")
    if len(known) < total:
        raise _unclear(f"ended after {len(known)} of {total}")
    return items


def _page(call: Call, since: datetime) -> Flow[_Page]:
    """Ask for one page, patiently: the call is free."""
    for pause in PAUSES:
        try:
            return _read((yield call), since)
        except _PASSING as error:
            failure = error
        try:
            yield Pause(max(pause, failure.retry_after or 0.0), firm=True)
        except DeadlineExceededError:
            raise failure from None
    return _read((yield call), since)


def _read(reply: Reply, since: datetime) -> _Page:
    data = listed(reply)
    if since < reply.received_at - KEPT:
        raise _unclear(f"begins {KEPT.days} days ago, not at {rfc3339(since)}")
    try:
        return codec.structure(data, _Page)
    except MalformedReplyError as error:
        raise _unclear(f"cannot be read: {error.message}") from None


def listed(reply: Reply) -> Any:
    """Take what the list tells from its envelope.

    Raises:
        MalformedReplyError: it came without success.
        ImageGenError: WaveSpeedAI refused to list.
    """
    try:
        envelope = codec.structure(codec.decode(reply.body), Envelope)
    except MalformedReplyError as error:
        envelope = Envelope(error=error.message)
    number = envelope.refusal_number(reply)
    if number is not None:
        raise refusal(number, envelope, reply, {})
    if reply.status != 200 or envelope.code != 200:
        words = envelope.words or "no reason given"
        raise _unclear(f"came with HTTP {reply.status} and no success: {words}")
    return envelope.data


def _unclear(what: str) -> MalformedReplyError:
    return MalformedReplyError(f"the list of predictions {what}", advice=_ADVICE)
