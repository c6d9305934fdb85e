"""A provider for an application's tests: no network, no key, and outcomes as a script says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import date
from decimal import Decimal
from math import inf
from threading import Lock
from typing import Any, ClassVar, TypeAlias

from attrs import Attribute, evolve, field, frozen

from imagegen.backends.base import (
    Backend,
    Draft,
    Terms,
    Translation,
    attached,
    submit_once,
)
from imagegen.backends.options import optional_secret
from imagegen.backends.pictures import Exchange
from imagegen.errors import (
    BackendError,
    ConfigurationError,
    ContentPolicyError,
    ImageGenError,
    JobFailedError,
)
from imagegen.flow import Call, Flow, Pause, advance, awaited
from imagegen.media import sniff
from imagegen.pricing import Price
from imagegen.redaction import Secret, brief
from imagegen.request import ImageRequest, Size
from imagegen.result import GeneratedImage, Generation, Job
from imagegen.testing.drawing import png

SIDE = 512
"""Pixels of the longer side where the request names no size."""


def _picture(_: object, __: Attribute[Any], data: bytes | None) -> None:
    if data is not None and (not isinstance(data, bytes) or sniff(data) is None):
        raise ConfigurationError("data must be the bytes of a picture", field="data")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(_: object, __: Attribute[Any], images: object) -> None:
    if images is not None and not (_is_whole(images) and images >= 0):  # type: ignore[operator]
        raise _wrong("images", images, "a whole number from 0, or None")


def _error(_: object, __: Attribute[Any], kind: object) -> None:
    if not (isinstance(kind, type) and issubclass(kind, ImageGenError)):
        raise _wrong("missing", kind, "a class of imagegen's errors")


def _wrong(name: str, value: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"{name} must be {allowed}, not {brief(value)}", field=name)


@frozen(kw_only=True)
class Made:
    """What a scripted submission brings.

    Attributes:
        images: how many pictures come; None for as many as were asked for.
        data: the bytes of each; None draws them.
        missing: the class of error that says why the others do not come.
    """

    images: int | None = field(default=None, validator=_count)
    data: bytes | None = field(default=None, validator=_picture)
    missing: type[ImageGenError] = field(default=ContentPolicyError, validator=_error)


Scripted: TypeAlias = Made | ImageGenError


def _price(given: Price | Decimal | str | None) -> Price | None:
    if given is None or isinstance(given, Price):
        return given
    day, source = date(2026, 1, 1), "FakeBackend"
    try:
        amount = Decimal(given)
    except (ArithmeticError, TypeError, ValueError):
        raise _wrong("price", given, 'a Price, or USD such as "0.01"') from None
    return Price(amount=amount, currency="USD", per="image", as_of=day, source=source)


def _script(
    given: Sequence[Scripted] | Mapping[str, Sequence[Scripted]],
) -> dict[str | None, list[Scripted]]:
    script = dict[str | None, list[Scripted]]()
    lists: Mapping[Any, Any] = given if isinstance(given, Mapping) else {None: given}
    for model, listed in lists.items():
        if not isinstance(listed, (list, tuple)):
            raise _wrong("script", listed, "a list")
        script[model] = list(listed)
    for item in (item for items in script.values() for item in items):
        if not isinstance(item, (Made, ImageGenError)):
            raise ConfigurationError(
                f"a script has Made() and instances of imagegen's errors, not {brief(item)}",
                field="script",
            )
    return script


def _duration(_: object, __: Attribute[Any], seconds: object) -> None:
    fine = isinstance(seconds, float) or _is_whole(seconds)
    if seconds is not None and not (fine and 0 <= seconds < inf):  # type: ignore[operator]
        raise _wrong("seconds", seconds, "a number from 0, or None")


def _most(_: object, __: Attribute[Any], most: object) -> None:
    if not (_is_whole(most) and most >= 1):  # type: ignore[operator]
        raise _wrong("most", most, "a whole number from 1")


@frozen(kw_only=True)
class FakeBackend(Backend):
    """A provider without a network: every model id is known, every field is taken.

    Pictures are small PNGs of the size asked for. Equal prompt, seed and size give equal bytes;
    picture *i* of a request is that of seed + *i*. They carry their bytes whatever `output` asks
    for: only the sandbox has URLs that can be fetched.

    Args:
        script: what comes of the first submissions, in order: `Made`, or an error, which is raised
            as the provider would: a TransportError or DeadlineExceededError that was sent is a
            SubmissionUnknownError. A JobFailedError is raised when its job is waited for. A
            mapping has a script for each model. After its end everything succeeds.
        seconds: how long a job takes; None answers at once.
        most: how many pictures one submission can ask for.
        price: of one picture: a Price, or an amount in USD; None where it is to be unknown.

    Attributes:
        requests: what was submitted, in order.
    """

    name: ClassVar[str] = "fake"
    key_variable: ClassVar[str] = "FAKE_API_KEY"
    host_variable: ClassVar[str] = "FAKE_HOST"
    default_host: ClassVar[str] = "https://fake.invalid"
    prefix: ClassVar[str] = ""
    default_model: ClassVar[str] = "picture"

    api_key: Secret | None = field(default=Secret("not-a-key"), converter=optional_secret)
    script: dict[str | None, list[Scripted]] = field(factory=dict, converter=_script, eq=False)
    seconds: float | None = field(default=None, validator=_duration)
    most: int = field(default=4, validator=_most)
    _price: Price | None = field(default=_price("0.01"), converter=_price)
    requests: list[ImageRequest] = field(factory=list[ImageRequest], init=False, eq=False)
    _promised: dict[str, Scripted] = field(factory=dict[str, Scripted], init=False, eq=False)
    _lock: Any = field(factory=Lock, init=False, eq=False, repr=False)

    def images_per_call(self, model: str, request: ImageRequest) -> int:  # noqa: ARG002 - for all
        """`most`, for every model."""
        return self.most

    def list_price(self, model: str, request: ImageRequest) -> Price | None:  # noqa: ARG002 - same
        """The price given, for every model."""
        return self._price

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        """Say *request* field by field."""
        draft = Draft(self.name, model, terms)
        draft.check_count(request.n, 1, self.most)
        draft.body |= {"prompt": request.prompt, "n": request.n, "output": request.output}
        given = {
            "size": request.size and str(request.size),
            "aspect_ratio": request.aspect_ratio,
            "seed": request.seed,
            "enhance_prompt": request.enhance_prompt,
            "references": [{"role": r.role, "image": r.wire} for r in request.references] or None,
        }
        draft.body |= {name: value for name, value in given.items() if value is not None}
        draft.add_options(request, frozenset({"n", "prompt", "seed"}))
        return draft.finished()

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        """Accept *request*, or what the script says.

        Raises:
            ImageGenError: the script has it.
        """
        translation = self.translate(request, model, terms)
        # A plan begins a submission to look at its call; without one it stops at this step.
        yield from awaited(_nothing())
        scripted, number = self._next(request, model)
        if isinstance(scripted, ImageGenError) and not isinstance(scripted, JobFailedError):
            scripted.provider, scripted.model = self.name, scripted.model or model
            sending = submit_once(Call("POST", self.host), provider=self.name, model=model)
            advance(sending)
            advance(sending, scripted)
        job = Job(
            provider=self.name,
            model=model,
            id=f"fake-{number}",
            request=request,
            notices=translation.notices,
        )
        if self.seconds is None and isinstance(scripted, Made):
            return evolve(job, settled=self._generation(job, scripted))
        self._promised[job.id] = scripted
        return job

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        """Wait until *job* is as old as jobs get; one of another process succeeds too.

        Raises:
            ImageGenError: the script has it.
        """
        scripted = self._promised.get(job.id, Made())
        with attached(job):
            # Cut short by a deadline, it would end with pictures that nobody has waited for.
            yield Pause(max((self.seconds or 0.0) - age, 0.0), firm=True)
            if isinstance(scripted, ImageGenError):
                scripted.job = job
                raise scripted
            return self._generation(job, scripted)

    def _next(self, request: ImageRequest, model: str) -> tuple[Scripted, int]:
        with self._lock:
            self.requests.append(request)
            left = self.script.get(model) or self.script.get(None)
            return (left.pop(0) if left else Made()), len(self.requests)

    def _generation(self, job: Job, made: Made) -> Generation:
        request, comes = job.request, made.images
        count = request.n if comes is None else min(comes, request.n)
        exchange = Exchange(
            provider=self.name,
            model=job.model,
            request=request,
            request_id=job.id,
            notices=job.notices,
            job=job,
        )
        images = [self._image(exchange, made, index) for index in range(count)]
        failures = [
            exchange.failure(made.missing, "it did not come, as the script says", charged="no")
            for _ in range(request.n - count)
        ]
        if not images:
            raise _none(made.missing, exchange)
        price = self.price(job.model, request)
        return exchange.generation(images, failures, price=price, billed=count, raw={})

    def _image(self, exchange: Exchange, made: Made, index: int) -> GeneratedImage:
        request, id_ = exchange.request, exchange.request_id
        words = f"{request.prompt}|{(request.seed or 0) + index}"
        data = made.data or png(words, _size(request))
        url = f"{self.host}/{id_}/{index}.png" if request.output == "url" else None
        return evolve(exchange.blank, url=url).with_data(data) or exchange.blank


def _nothing() -> Future[Sequence[Any]]:
    future = Future[Sequence[Any]]()
    future.set_result(())
    return future


def _size(request: ImageRequest) -> Size:
    """The size asked for, or one of exactly the shape asked for."""
    if request.size is not None:
        return request.size
    across, down = map(int, (request.aspect_ratio or "1:1").split(":"))
    scale = SIDE // max(across, down)
    return Size(across * scale, down * scale)


def _none(missing: type[ImageGenError], exchange: Exchange) -> ImageGenError:
    context: dict[str, Any] = {"provider": exchange.provider, "model": exchange.model}
    kind = missing if issubclass(missing, BackendError) else ContentPolicyError
    return kind("no picture came, as the script says", job=exchange.job, **context)
