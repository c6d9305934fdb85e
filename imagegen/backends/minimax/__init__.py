"""MiniMax's native image API: one POST that answers with the pictures.

Wire facts: MiniMax image generation reference (OpenAPI, read 2026-11-20), its error code page,
and replies of the live service as published by others, where they differ from the reference:
every refusal comes as HTTP 200 with `base_resp.status_code` set, counts come as strings, and
`data` may be null, {} or [].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from attrs import evolve, frozen

from imagegen import codec
from imagegen.backends.base import (
    Backend,
    Draft,
    Terms,
    Translation,
    submit_once,
)
from imagegen.backends.geometry import nearest_ratio, shape_of
from imagegen.backends.image_01 import (
    IMAGES_PER_CALL,
    LONGEST,
    RATIOS,
    SHORTEST,
    STEP,
    fitting_size,
)
from imagegen.backends.minimax.account import checked
from imagegen.backends.minimax.replies import CODES, ImageReply
from imagegen.backends.pictures import Exchange, inline_image, is_url
from imagegen.backends.reading import integer, member
from imagegen.backends.refusals import told, without_words
from imagegen.backends.standing import Standing
from imagegen.errors import (
    ContentPolicyError,
    ImageGenError,
    InvalidRequestError,
    MalformedReplyError,
    SubmissionUnknownError,
    UnsupportedFeatureError,
)
from imagegen.flow import Call, Flow, Reply
from imagegen.pricing import Price, list_price
from imagegen.request import ImageRequest, ReferenceImage, Size
from imagegen.result import GeneratedImage, Generation, ImageFailure, Job

__all__ = ["CHINA_HOST", "CODES", "GLOBAL_HOST", "MODELS", "MiniMax"]

GLOBAL_HOST = "https://api.minimax.io"
CHINA_HOST = "https://api.minimax.cn"
"""The documented host in China since September 2026; api.minimaxi.com is the older one."""

MODELS = ("image-01", "image-01-live")
URL_LIFETIME = timedelta(hours=24)
_RESERVED = frozenset({"model", "n", "prompt", "seed"})


@frozen(kw_only=True)
class MiniMax(Backend):
    """Backend for MiniMax's own image API.

    Args:
        api_key: None takes it from ``MINIMAX_API_KEY``.
        base_url: None takes ``MINIMAX_API_HOST``, else https://api.minimax.io. A key works only
            on the host of its region.
    """

    name: ClassVar[str] = "minimax"
    key_variable: ClassVar[str] = "MINIMAX_API_KEY"
    host_variable: ClassVar[str] = "MINIMAX_API_HOST"
    default_host: ClassVar[str] = GLOBAL_HOST
    prefix: ClassVar[str] = "/v1"
    default_model: ClassVar[str] = "image-01"

    def images_per_call(self, model: str, request: ImageRequest) -> int:  # noqa: ARG002 - the same for both
        """Nine, for both models."""
        return IMAGES_PER_CALL

    def list_price(self, model: str, request: ImageRequest) -> Price | None:  # noqa: ARG002 - not by request
        """Per delivered image, in the currency of the host's region."""
        return list_price(self.name, model, _region(self.host))

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        """Say *request* as the body of POST /v1/image_generation."""
        draft = Draft(self.name, model, terms)
        if model not in MODELS:
            raise draft.refusal("model", "there is no such model", f"Use {' or '.join(MODELS)}")
        draft.check_count(request.n, 1, IMAGES_PER_CALL)
        draft.body |= {"model": model, "prompt": request.prompt, "n": request.n}
        _add_shape(draft, request)
        _add_references(draft, request.references)
        if request.output == "bytes":
            draft.body["response_format"] = "base64"
        if request.seed is not None:
            draft.body["seed"] = request.seed
        if request.enhance_prompt is not None:
            draft.body["prompt_optimizer"] = request.enhance_prompt
        _make_way(draft, request.provider_options.get(self.name, {}))
        draft.add_options(request, _RESERVED)
        _check_shape(draft)
        return draft.finished()

    def models(self) -> tuple[str, ...]:
        """Both."""
        return MODELS

    def check(self) -> Flow[Standing]:
        """Ask for the balance of a pay-as-you-go key, else for the quota of a plan's."""
        return (yield from checked(self.host, self.name, self.name if self.api_key else None))

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        """Make the pictures; the job comes back settled."""
        translation = self.translate(request, model, terms)
        call = Call(
            "POST",
            f"{self.host}/v1/image_generation",
            json=translation.body,
            account=self.name,
            paid=True,
            pictures=True,
        )
        reply = yield from submit_once(call, provider=self.name, model=model)
        generation = self._read(reply, request, translation)
        return Job(
            provider=self.name,
            model=model,
            id=generation.attempts[0].request_id or "",
            request=request,
            created_at=reply.received_at,
            notices=translation.notices,
            settled=generation,
        )

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:  # noqa: ARG002 - it refuses
        """Refuse: MiniMax has no way to ask for an earlier generation."""
        raise UnsupportedFeatureError(
            "MiniMax cannot be asked for an earlier generation",
            advice="Its jobs come settled; keep the Job that submit() returned",
            provider=self.name,
            job=job,
        )

    def _read(self, reply: Reply, request: ImageRequest, translation: Translation) -> Generation:
        model, trace_id = translation.model, reply.headers.get("trace-id")
        try:
            raw = codec.decode(reply.body, pictures=reply.pictures)
            answer = codec.structure(raw, ImageReply)
        except MalformedReplyError as error:
            raise without_words(
                reply, provider=self.name, model=model, request_id=trace_id
            ) from error
        exchange = Exchange(
            provider=self.name,
            model=model,
            request=request,
            request_id=answer.id if isinstance(answer.id, str) and answer.id else trace_id,
            created_at=reply.received_at,
            notices=translation.notices,
        )
        items = answer.pictures(inline=request.output == "bytes")
        if answer.code is None and not items:
            raise without_words(reply, provider=self.name, model=model, request_id=trace_id)
        if answer.code not in (None, 0) and not items:
            raise _refusal(answer, reply, exchange)
        images, failures = _delivered(answer, items, exchange, reply.received_at)
        if not images:
            raise _nothing(failures, answer, exchange)
        # What did not arrive whole may be billed all the same.
        unclear = [f for f in failures if f.error != ContentPolicyError.__name__]
        price, billed = self.price(model, request), len(images) + len(unclear)
        return exchange.generation(images, failures, price=price, billed=billed, raw=raw)


def _region(host: str) -> str:
    china = re.search(r"//api\.(minimax\.cn|minimaxi\.com|minimaxi?\.chat)(:|/|$)", host.lower())
    return "china" if china else "global"


def _add_shape(draft: Draft, request: ImageRequest) -> None:
    if request.aspect_ratio is not None:
        ratios = [r for r in RATIOS if r != "21:9" or draft.model == "image-01"]
        draft.body["aspect_ratio"] = draft.ratio_among(request.aspect_ratio, ratios)
    elif request.size is not None and draft.model == "image-01":
        size = fitting_size(draft, request.size)
        draft.body |= {"width": size.width, "height": size.height}
    elif request.size is not None:
        draft.body["aspect_ratio"] = _ratio_of_live(draft, request.size)


def _ratio_of_live(draft: Draft, size: Size) -> str:
    """image-01-live takes no pixels, so only the sizes that its ratios stand for can be asked."""
    ratios = {ratio: made for ratio, made in RATIOS.items() if ratio != "21:9"}
    for ratio, made in ratios.items():
        if made == size:
            return ratio
    nearest = nearest_ratio(shape_of(size), ratios)
    draft.unfit("size", f"{size} is no size of a ratio of image-01-live", ratios[nearest])
    return nearest


def _add_references(draft: Draft, references: tuple[ReferenceImage, ...]) -> None:
    characters = [r for r in references if r.role == "character"]
    if len(characters) < len(references):
        draft.unsupported(
            "references",
            "MiniMax has no source images, only a character",
            'Give it role="character", or use wavespeed:minimax/image-01',
        )
    if len(characters) > 1:
        draft.unsupported("references", "MiniMax takes one character, the first")
    if characters:
        draft.body["subject_reference"] = [{"type": "character", "image_file": characters[0].wire}]


def _make_way(draft: Draft, options: Mapping[str, Any]) -> None:
    """Let the caller's own shape for MiniMax replace the neutral one."""
    if options.keys() & {"aspect_ratio", "width", "height"}:
        for name in ("aspect_ratio", "width", "height"):
            draft.body.pop(name, None)


def _check_shape(draft: Draft) -> None:
    """Hold MiniMax's rules for the final body; aspect_ratio would win over a size silently."""
    sides = [draft.body[name] for name in ("width", "height") if name in draft.body]
    if not sides:
        return
    fine = all(type(s) is int and SHORTEST <= s <= LONGEST and s % STEP == 0 for s in sides)
    alone = "aspect_ratio" not in draft.body and draft.model == "image-01"
    if not (fine and alone and len(sides) == 2):
        raise InvalidRequestError(
            "width and height go together, without aspect_ratio, for image-01 only, each "
            f"{SHORTEST}–{LONGEST} pixels and divisible by {STEP}",
            provider=draft.provider,
            model=draft.model,
            field="provider_options",
        )


def _refusal(answer: ImageReply, reply: Reply, exchange: Exchange) -> ImageGenError:
    kind, charged = CODES.get(answer.code or 0, (SubmissionUnknownError, "unknown"))
    if "disallowed image url" in answer.words:
        kind, charged = InvalidRequestError, "no"
    return told(
        kind,
        answer.words,
        reply,
        provider=exchange.provider,
        model=exchange.model,
        code=answer.code,
        charged=charged,
        request_id=exchange.request_id,
    )


def _delivered(
    answer: ImageReply, items: list[Any], exchange: Exchange, now: datetime
) -> tuple[list[GeneratedImage], list[ImageFailure]]:
    images, failures = [], _missing(answer.metadata, exchange, len(items))
    for index, item in enumerate(items):
        image = _image(item, exchange.blank, now)
        if image:
            images.append(image)
            continue
        place = None if failures else index
        failures.append(exchange.failure(MalformedReplyError, "no picture came", index=place))
    return images, failures


def _image(item: object, blank: GeneratedImage, now: datetime) -> GeneratedImage | None:
    if is_url(item):
        return evolve(blank, url=item, expires_at=_expiry(item, now))
    return inline_image(item, blank)


def _expiry(url: str, now: datetime) -> datetime:
    """24 hours from now, or sooner if the signed URL itself says so."""
    latest = now + URL_LIFETIME
    stated = re.search(r"[?&]Expires=([0-9]{9,10})(?:&|$)", url)
    return min(latest, datetime.fromtimestamp(int(stated[1]), UTC)) if stated else latest


def _missing(metadata: object, exchange: Exchange, arrived: int) -> list[ImageFailure]:
    missing = exchange.request.n - arrived
    if missing <= 0:
        return []
    blocked = min(max(integer(member(metadata, "failed_count")) or 0, 0), missing)
    refused = exchange.failure(ContentPolicyError, "blocked by MiniMax for its content")
    lost = exchange.failure(MalformedReplyError, "MiniMax counted it neither made nor blocked")
    return [refused] * blocked + [lost] * (missing - blocked)


def _nothing(failures: list[ImageFailure], answer: ImageReply, exchange: Exchange) -> ImageGenError:
    blocked = sum(f.error == ContentPolicyError.__name__ for f in failures)
    kind = ContentPolicyError if blocked else SubmissionUnknownError
    words = f"{blocked} of {exchange.request.n} pictures were blocked and none came"
    return kind(
        f"{words if blocked else 'a success without any picture'}; it said {answer.words!r}",
        provider=exchange.provider,
        model=exchange.model,
        charged="unknown",
        request_id=exchange.request_id,
    )
