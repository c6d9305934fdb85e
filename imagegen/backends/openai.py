"""OpenAI's image API, and every server of its shape: one POST that answers with the pictures.

Wire facts: OpenAI's OpenAPI description (github.com/openai/openai-openapi, of 2026-08-21) and the
types of its Python SDK 3.54.0, its pages of errors and deprecations (developers.openai.com), all
read 2026-11-21. Bounds of free sizes: ComfyUI's page of its GPT Image 2.6 node, read 2026-11-21,
because OpenAI's reference names only some. `moderation_details` is in no reference; it is in
refusals that others published. Of compatible servers: vLLM-Omni's pages of its image generation
and image edit APIs and its server's source, and LocalAI's source, read 2026-11-21.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from attrs import evolve, frozen

from imagegen import codec
from imagegen.backends.base import Backend, Draft, Terms, Translation, submit_once
from imagegen.backends.forms import fields
from imagegen.backends.geometry import Bounds, about_a_megapixel, nearest_listed, sizes_of_ratio
from imagegen.backends.pictures import Exchange, inline_image, is_url
from imagegen.backends.reading import member, text
from imagegen.backends.refusals import answered, is_refusal, refused, told, without_words
from imagegen.backends.standing import Standing, clock
from imagegen.errors import (
    Charged,
    ContentPolicyError,
    ImageGenError,
    InsufficientBalanceError,
    MalformedReplyError,
    SubmissionUnknownError,
    UnsupportedFeatureError,
)
from imagegen.flow import Call, Flow, Part, Reply
from imagegen.media import EXTENSIONS
from imagegen.pricing import Price
from imagegen.redaction import brief
from imagegen.request import ImageRequest, ReferenceImage, Size
from imagegen.result import GeneratedImage, Generation, ImageFailure, Job, Notice

HOST = "https://api.openai.com"
MODELS = (
    *("gpt-image-2.6-flare", "gpt-image-2.6-sunburst"),
    *("gpt-image-2.5-flare", "gpt-image-2.5-sunburst", "gpt-image-2"),
    *("gpt-image-1.5", "gpt-image-1-mini", "chatgpt-image-latest"),
)
"""What OpenAI serves on 2026-11-21; the last three until 2026-12-01."""

IMAGES_PER_CALL = 10
MOST_REFERENCES = 16
URL_LIFETIME = timedelta(minutes=60)
LIMIT = 384 * 2**20
"""Bytes of one answer: ten of the largest pictures as base64."""

_BOUNDS = Bounds(step=16, longest=3840, steepest=3, smallest=655_360, largest=8_294_400)
_RESERVED = frozenset(
    {"model", "prompt", "n", "seed", "stream", "partial_images", "image", "image[]", "images"}
)
_NO_MONEY = frozenset(
    {
        *("insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded"),
        *("project_spend_limit_exceeded", "organization_usage_limit_exceeded"),
        *("billing_hard_limit_reached", "billing_not_active"),
    }
)
_BLOCKED = frozenset({"moderation_blocked", "content_policy_violation", "content_filter"})
_FIELDS = {"prompt": "prompt", "n": "n", "size": "size", "image": "references"}
"""`error.param` to the field of the request that it is about."""


@frozen(kw_only=True)
class _Rules:
    """What one family of models takes; without `sizes`, any within `_BOUNDS`."""

    gpt: bool = True
    sizes: tuple[Size, ...] = ()
    images: int = IMAGES_PER_CALL
    references: int = MOST_REFERENCES
    rewrites: bool = False

    def makes(self, size: Size) -> bool:
        """Tell whether a picture of this size can be asked for."""
        return size in self.sizes if self.sizes else _BOUNDS.hold(size)

    def nearest(self, wanted: Size) -> Size:
        """The size that is closest to *wanted*."""
        return nearest_listed(wanted, self.sizes) if self.sizes else _BOUNDS.nearest(wanted)


def _sizes(*texts: str) -> tuple[Size, ...]:
    return tuple(map(Size.parse, texts))


_FAMILIES: Mapping[str, _Rules] = {
    r"gpt-image-2([.-].*)?": _Rules(),
    r"gpt-image-1([.-].*)?|chatgpt-image-latest": _Rules(
        sizes=_sizes("1024x1024", "1536x1024", "1024x1536")
    ),
    "dall-e-3": _Rules(
        gpt=False,
        sizes=_sizes("1024x1024", "1792x1024", "1024x1792"),
        images=1,
        references=0,
        rewrites=True,
    ),
    "dall-e-2": _Rules(gpt=False, sizes=_sizes("1024x1024", "512x512", "256x256"), references=1),
}
"""The end of a model id, after any vendor, to what OpenAI's model of that id takes.

OpenAI has shut gpt-image-1 and DALL·E down; other servers still offer them by these names.
"""


def _rules(model: str) -> _Rules | None:
    name = model.rpartition("/")[2]
    return next((r for family, r in _FAMILIES.items() if re.fullmatch(family, name)), None)


@frozen(kw_only=True)
class OpenAI(Backend):
    """Backend for OpenAI's image API, and for servers that have an API of its shape.

    Args:
        api_key: None takes it from ``OPENAI_API_KEY``. Other hosts than OpenAI's are asked without
            one where there is none.
        base_url: None takes ``OPENAI_BASE_URL``, else https://api.openai.com.
    """

    name: ClassVar[str] = "openai"
    key_variable: ClassVar[str] = "OPENAI_API_KEY"
    host_variable: ClassVar[str] = "OPENAI_BASE_URL"
    default_host: ClassVar[str] = HOST
    prefix: ClassVar[str] = "/v1"
    default_model: ClassVar[str] = MODELS[0]

    @property
    def has_key(self) -> bool:
        """Whether there is a key; servers that are not OpenAI's may ask for none."""
        return self.api_key is not None or not _is_openai(self.host)

    def images_per_call(self, model: str, request: ImageRequest) -> int:  # noqa: ARG002 - whatever it asks
        """Ten; one for DALL·E 3."""
        rules = _rules(model)
        return rules.images if rules else IMAGES_PER_CALL

    def list_price(self, model: str, request: ImageRequest) -> Price | None:  # noqa: ARG002 - none has one
        """Unknown: OpenAI bills tokens, which are counted in the answer; others have their own."""
        return None

    def models(self) -> tuple[str, ...]:
        """Those that OpenAI serves."""
        return MODELS

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        """Say *request* as the body of POST /v1/images/generations, or of …/edits."""
        draft, rules = Draft(self.name, model, terms), _rules(model)
        if rules is None:
            why = f"{model} is no model of OpenAI's; its server may drop what it does not know"
            draft.unverified("model", why)
        draft.check_count(request.n, 1, rules.images if rules else IMAGES_PER_CALL)
        draft.body |= {"model": model, "prompt": request.prompt, "n": request.n}
        _add_shape(draft, request, rules)
        _add_switches(draft, request, rules)
        draft.add_options(request, _RESERVED)
        if draft.body.get("output_format") == "svg":
            why = "imagegen handles pictures made of pixels only"
            raise draft.refusal("provider_options", why, "Use another output_format than svg")
        _add_references(draft, request.references, rules)
        return draft.finished()

    def check(self) -> Flow[Standing]:
        """Ask for the list of models, which every server of this shape has."""
        reply = yield self._call("GET", "models", timeout=30.0, limit=8 * 2**20, paid=False)
        listing = answered(reply, _Listing, self.name)
        if reply.status >= 300:
            raise refused(reply.status, _words(listing), reply, provider=self.name)
        if not isinstance(listing.data, list):
            raise told(MalformedReplyError, "this is no list of models", reply, provider=self.name)
        return Standing(clock=clock(reply), received_at=reply.received_at)

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        """Make the pictures; the job comes back settled."""
        translation = self.translate(request, model, terms)
        body, files = translation.body, translation.files
        call = self._call(
            "POST",
            "images/edits" if files or "images" in body else "images/generations",
            json=None if files else body,
            form=(*fields(body), *files) if files else None,
            paid=True,
            pictures=True,
            limit=LIMIT,
        )
        reply = yield from submit_once(call, provider=self.name, model=model)
        generation = self._read(reply, request, translation)
        return Job(
            provider=self.name,
            model=model,
            id=generation.attempts[0].request_id or "",
            request=request,
            created_at=reply.received_at,
            notices=generation.notices,
            settled=generation,
        )

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:  # noqa: ARG002 - it refuses
        """Refuse: there is no way to ask for an earlier generation."""
        raise UnsupportedFeatureError(
            "this API cannot be asked for an earlier generation",
            advice="Its jobs come settled; keep the Job that submit() returned",
            provider=self.name,
            job=job,
        )

    def _call(self, method: str, path: str, **options: Any) -> Call:
        """One call; without credentials where there are none and none may be needed."""
        bare = self.api_key is None and (self.has_key or not options["paid"])
        account = None if bare else self.name
        return Call(method, f"{self.host}/v1/{path}", account=account, **options)

    def _read(self, reply: Reply, request: ImageRequest, translation: Translation) -> Generation:
        model, request_id = translation.model, reply.headers.get("x-request-id")
        context: dict[str, Any] = {"provider": self.name, "model": model, "request_id": request_id}
        try:
            raw = codec.decode(reply.body, pictures=reply.pictures)
            answer = codec.structure(raw, _Listing)
        except MalformedReplyError as error:
            if reply.status == 400 and reply.body.startswith(b"{"):  # perhaps what `_BLOCKED` says
                context["charged"] = "unknown"
            raise without_words(reply, **context) from error
        items = answer.data if isinstance(answer.data, list) else []
        if not 200 <= reply.status < 300:
            raise _refusal(answer, reply, context)
        exchange = Exchange(
            **context,
            request=request,
            created_at=reply.received_at,
            notices=(*translation.notices, *_rewritten(items, request.prompt)),
        )
        rules = _rules(model)
        dated = rules and not rules.gpt and _is_openai(self.host)
        expires_at = reply.received_at + URL_LIFETIME if dated else None
        images, failures = _delivered(items, exchange, expires_at)
        if not images:
            words = f"a success without any picture; it said {_words(answer)!r}"
            raise SubmissionUnknownError(words, status=reply.status, **context)
        price, billed = self.price(model, request), len(images) + len(failures)
        return exchange.generation(images, failures, price=price, billed=billed, raw=raw)


def _is_openai(host: str) -> bool:
    """Tell OpenAI's own hosts, those of its regions among them."""
    return bool(re.match(r"https://([a-z0-9_.-]+\.)?openai\.com(:|/|$)", host.lower()))


def _add_shape(draft: Draft, request: ImageRequest, rules: _Rules | None) -> None:
    size, ratio = request.size, request.aspect_ratio
    if ratio is not None:
        draft.body["size"] = str(_size_of_ratio(draft, ratio, rules))
    elif size is not None and rules and not rules.makes(size):
        nearest, allowed = rules.nearest(size), ", ".join(map(str, rules.sizes))
        draft.unfit("size", f"{size} is not {f'one of {allowed}' if allowed else _BOUNDS}", nearest)
        draft.body["size"] = str(nearest)
    elif size is not None:
        draft.body["size"] = str(size)


def _size_of_ratio(draft: Draft, ratio: str, rules: _Rules | None) -> Size:
    """Of the sizes of exactly this ratio the one of about a megapixel; else the nearest."""
    exact = sizes_of_ratio(ratio, _BOUNDS.step)
    made = [size for size in exact if rules is None or rules.makes(size)]
    best = about_a_megapixel(made or exact)
    if made or rules is None:
        return best
    nearest = rules.nearest(best)
    draft.unfit("aspect_ratio", f"no size of {draft.model} is {ratio}", nearest)
    return nearest


def _add_switches(draft: Draft, request: ImageRequest, rules: _Rules | None) -> None:
    if request.seed is not None and rules:
        draft.unsupported("seed", "OpenAI's models take none")
    elif request.seed is not None:
        draft.body["seed"] = request.seed
    always = rules is not None and rules.rewrites
    if request.enhance_prompt is not None and request.enhance_prompt is not always:
        why = "always rewrites the prompt" if always else "has no switch for rewriting the prompt"
        draft.unsupported("enhance_prompt", f"{draft.model} {why}")
    if rules and rules.gpt and request.output == "url":
        draft.adjusted("output", f"{draft.model} sends the bytes, never URLs")
    if request.output == "bytes" and not (rules and rules.gpt):
        draft.body["response_format"] = "b64_json"


def _add_references(
    draft: Draft, references: tuple[ReferenceImage, ...], rules: _Rules | None
) -> None:
    """As files of a form; as JSON where there is a URL, which a form cannot hold."""
    most = rules.references if rules else MOST_REFERENCES
    if any(reference.role == "character" for reference in references):
        _accept_any_role(draft)
    if len(references) > most:
        how = f"takes {most}, the first" if most else "takes none"
        draft.unsupported("references", f"{draft.model} {how}")
    sent = references[:most]
    linked = {"mask", "markup"} & draft.body.keys() or any(r.url is not None for r in sent)
    if sent and linked and rules and rules.gpt:
        draft.body["images"] = [{"image_url": reference.wire} for reference in sent]
        return
    files = [reference for reference in sent if reference.url is None]
    if len(files) < len(sent):
        why = f"{draft.model} takes pictures themselves, not their URLs"
        draft.unsupported("references", why, "Give the bytes, or the path of a file")
    draft.files += _files(files)


def _accept_any_role(draft: Draft) -> None:
    why = "this API has pictures to change, without a role, and no characters"
    if draft.terms.unsupported == "error":
        raise draft.refusal("references", why, 'Give them role="source"')
    draft.adjusted("references", f"{why}: sent as pictures to change")


def _files(references: list[ReferenceImage]) -> Iterator[Part]:
    name = "image" if len(references) == 1 else "image[]"
    for index, reference in enumerate(references, 1):
        kind = reference.media_type or "image/png"
        filename = f"image-{index}{EXTENSIONS.get(kind, '')}"
        yield Part(name, reference.content, filename=filename, media_type=kind)


@frozen
class _Listing:
    """Any answer: `data` holds pictures, or models; a refusal has `error`, or `detail`."""

    data: Any = None
    error: Any = None
    detail: Any = None


def _words(answer: _Listing) -> str:
    """OpenAI's words are in `error.message`; FastAPI, on which many servers rest, has `detail`."""
    for words in (member(answer.error, "message"), answer.error, answer.detail):
        if isinstance(words, str) and words.strip():
            return words
    return f"no reason given: {brief(answer.detail)}" if answer.detail else "no reason given"


def _refusal(answer: _Listing, reply: Reply, context: dict[str, Any]) -> ImageGenError:
    told_code, kind = (member(answer.error, name) for name in ("code", "type"))
    names = {name for name in (told_code, kind) if isinstance(name, str)}
    code = told_code if isinstance(told_code, str) or type(told_code) is int else None
    param = member(answer.error, "param")
    context |= {"code": code, "field": _FIELDS.get(param) if isinstance(param, str) else None}
    words, certain = _words(answer), is_refusal(reply.status)
    if names & _BLOCKED:
        stage = member(member(answer.error, "moderation_details"), "moderation_stage")
        # A picture that was made and then withheld may be billed; OpenAI does not say.
        charged: Charged = "no" if certain and stage == "input" else "unknown"
        return told(ContentPolicyError, words, reply, charged=charged, **context)
    if not certain:
        return told(SubmissionUnknownError, words, reply, **context)
    if names & _NO_MONEY:
        return told(InsufficientBalanceError, words, reply, **context)
    return refused(reply.status, words, reply, **context)


def _delivered(
    items: list[Any], exchange: Exchange, expires_at: datetime | None
) -> tuple[list[GeneratedImage], list[ImageFailure]]:
    tried = [_image(item, exchange.blank, expires_at) for item in items]
    images = [image for image in tried if image]
    lost = [exchange.failure(MalformedReplyError, "fewer pictures came than were asked for")]
    failures = lost * (exchange.request.n - len(items))
    placed = not failures
    failures += (
        exchange.failure(MalformedReplyError, "no picture came", index=index if placed else None)
        for index, image in enumerate(tried)
        if image is None
    )
    return images, exchange.missing(failures, len(images))


def _image(
    item: object, blank: GeneratedImage, expires_at: datetime | None
) -> GeneratedImage | None:
    contents = [member(item, name) for name in ("b64_json", "url")]
    images = [inline_image(content, blank) for content in contents]
    images += [evolve(blank, url=url, expires_at=expires_at) for url in contents if is_url(url)]
    return next(filter(None, images), None)


def _rewritten(items: list[Any], prompt: str) -> list[Notice]:
    said = {text(item, "revised_prompt") for item in items} - {"", prompt}
    words = "it was drawn from other words than these; generation.raw has them"
    return [Notice("delivered", "prompt", words)] if said else []
