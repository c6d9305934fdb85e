"""What a backend is, and what all backends share: drafting a body, submitting once, HTTP errors.

A backend translates; it has no clock, socket, file or key. `imagegen.backends` lists them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime
from typing import Any, ClassVar, Literal, get_args

from attrs import field, frozen

from imagegen.backends.carrying import carry, may_be_billed
from imagegen.backends.geometry import Grid, Listed, few, nearest_ratio, shape, shape_of
from imagegen.backends.options import (
    known_limits,
    lacking,
    only_prices,
    optional_host,
    optional_secret,
)
from imagegen.backends.standing import Standing
from imagegen.errors import (
    ConfigurationError,
    DeadlineExceededError,
    ImageGenError,
    InvalidRequestError,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.flow import BEARER, Call, Flow, Part, Reply
from imagegen.limits import Limits, preset
from imagegen.pricing import Price
from imagegen.redaction import Secret, brief
from imagegen.request import ImageRequest, Size
from imagegen.result import Generation, Job, Notice

Fit = Literal["strict", "nearest"]
Unsupported = Literal["error", "adjust"]


@frozen
class Terms:
    """How far a translation may depart from the request.

    `fit`: ``"strict"`` refuses a size the model does not make, ``"nearest"`` takes the nearest.
    `unsupported`: ``"error"`` refuses what the model cannot express, ``"adjust"`` leaves it out.
    Every departure is a Notice.
    """

    fit: Fit = "strict"
    unsupported: Unsupported = "error"

    def __attrs_post_init__(self) -> None:
        _require("fit", self.fit, get_args(Fit))
        _require("unsupported", self.unsupported, get_args(Unsupported))


def _require(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        words = " or ".join(f'"{word}"' for word in allowed)
        raise InvalidRequestError(f"{name} must be {words}, not {brief(value)}", field=name)


@frozen
class Translation:
    """A request in one provider's words: full model id, whole body, changes; with files, a form."""

    model: str
    body: Mapping[str, Any] = field(repr=lambda body: f"<{', '.join(body)}>")
    notices: tuple[Notice, ...] = ()
    files: tuple[Part, ...] = ()


@frozen(kw_only=True)
class Backend(ABC):
    """A provider, as imagegen sees it: its account, and how to talk to it.

    Args:
        api_key: None takes it from the variable that `key_variable` names.
        base_url: None takes the variable that `host_variable` names, else `default_host`.
        limits: what the account allows, as `Limits` or the name of a preset such as
            ``"silver"``; a client keeps to it. None: no limits.
        prices: what the caller pays, where that is not the list price, by the provider's own
            model id or by a family, which stands for its members; the id goes before the family.
    """

    name: ClassVar[str]
    """Short name in model strings, errors and results, such as ``"minimax"``."""
    key_variable: ClassVar[str]
    """Environment variable that holds the key."""
    key_header: ClassVar[str] = BEARER
    """How the key goes along: the header, with ``{key}`` in its place."""
    host_variable: ClassVar[str]
    """Environment variable that overrides the host."""
    default_host: ClassVar[str]
    prefix: ClassVar[str]
    """Path that every call begins with; tolerated at the end of a base URL."""
    default_model: ClassVar[str]
    can_find: ClassVar[bool] = False
    """Whether `find` can look up a job whose submission was not answered."""
    can_price: ClassVar[bool] = False
    """Whether `current_prices` can ask the provider what it takes."""

    api_key: Secret | None = field(default=None, converter=optional_secret)
    base_url: str | None = field(default=None, converter=optional_host)
    limits: Limits | str | None = field(default=None, validator=known_limits)
    prices: Mapping[str, Price] = field(factory=dict[str, Price], validator=only_prices)

    def __attrs_post_init__(self) -> None:
        if names := lacking(type(self)):
            raise ConfigurationError(f"{type(self).__name__} lacks {names}")

    @property
    def host(self) -> str:
        """Scheme, host and port, and any path that goes before `prefix`; no slash at the end."""
        return (self.base_url or self.default_host).removesuffix(self.prefix)

    @property
    def has_key(self) -> bool:
        """Whether there is a key, or, at a server that asks for none, none is needed."""
        return self.api_key is not None

    @property
    def account_limits(self) -> Limits | None:
        """`limits`, looked up if it is the name of a preset."""
        return preset(self.name, self.limits) if isinstance(self.limits, str) else self.limits

    @abstractmethod
    def images_per_call(self, model: str, request: ImageRequest) -> int:
        """How many pictures one submission can ask for."""

    def model_id(self, model: str, request: ImageRequest) -> str:  # noqa: ARG002 - for families
        """The provider's own id of the model that *model* stands for with this request."""
        return model

    def members(self, model: str) -> tuple[str, ...]:
        """The provider's own ids that *model* stands for, whatever the request."""
        return (model,)

    @abstractmethod
    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        """Say *request* in the provider's words, purely.

        Raises:
            UnsupportedFeatureError: *model* cannot express it within *terms*.
            InvalidRequestError: a value is wrong for this provider whatever the model.
        """

    def price(self, model: str, request: ImageRequest) -> Price | None:
        """Price of one image or call: the caller's own, else the list's; None where unknown."""
        own = self.own_price(self.model_id(model, request))
        return own or self.list_price(model, request)

    def own_price(self, model: str) -> Price | None:
        """The caller's own price of the full id *model*, given for it or a name it is meant by."""
        if model in self.prices:
            return self.prices[model]
        families = (name for name in self.prices if model in self.members(name))
        return next((self.prices[name] for name in families), None)

    @abstractmethod
    def list_price(self, model: str, request: ImageRequest) -> Price | None:
        """List price of one image or call; None where unknown."""

    @abstractmethod
    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        """Send *request* once; the job comes back settled if the provider answers at once."""

    @abstractmethod
    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        """Wait for *job*, which was accepted *age* seconds ago as far as is known, to end."""

    def recall(  # noqa: B027 - nothing is to be known of most
        self, model: str, durations: Sequence[tuple[float, float]]
    ) -> None:
        """Take what `learned` gave of *model* earlier, perhaps in another process; it may wait."""

    def learned(self, model: str) -> Sequence[tuple[float, float]]:  # noqa: ARG002 - for overriders
        """How long jobs of *model* took that were settled since this was last asked.

        Each is two ages in seconds: at the first the job went on, at the second it had ended.
        """
        return ()

    def find(
        self,
        request: ImageRequest,  # noqa: ARG002 - for overriders
        model: str,  # noqa: ARG002 - same
        since: datetime,  # noqa: ARG002 - same
        until: datetime,  # noqa: ARG002 - same
    ) -> Flow[tuple[Job, ...]]:
        """Ask the provider for jobs of that time that may have come from *request*.

        Free of charge; *model* is the provider's own id. An empty tuple says that there is
        certainly no such job. Implement it together with `can_find`.

        Raises:
            ImageGenError: the answer is not certain.
        """
        raise UnsupportedFeatureError("there is no list to look into", provider=self.name)

    def models(self) -> tuple[str, ...]:
        """Ids of the models that are known, the default one first; there may be others."""
        return (self.default_model,)

    def check(self) -> Flow[Standing]:
        """Make one or two free calls that tell whether the key is accepted, and what is left.

        Without a key they are made without credentials: an AuthenticationError then says that
        the host answers.

        Raises:
            UnsupportedFeatureError: the provider has no such call.
            ImageGenError: the key is not accepted, or the provider not reached or not understood.
        """
        raise UnsupportedFeatureError("there is no free call to check a key", provider=self.name)

    def current_prices(
        self,
        models: Collection[str],  # noqa: ARG002 - for overriders
    ) -> Flow[Mapping[str, Price | None]]:
        """Ask, free of charge, what this account pays now, by full model id; None is unknown.

        What can be had in one call comes along; *models* are asked for one by one where that
        tells more. Implement it together with `can_price`.

        Raises:
            ImageGenError: the provider refused to tell, or was not reached or not understood.
        """
        raise UnsupportedFeatureError("there is no price list to ask for", provider=self.name)


class Draft:
    """A body in the making, with the departures that it needed."""

    def __init__(self, provider: str, model: str, terms: Terms) -> None:
        self.provider = provider
        self.model = model
        self.terms = terms
        self.body: dict[str, Any] = {}
        self.files: list[Part] = []
        self._notices: list[Notice] = []

    def unsupported(self, name: str, why: str, advice: str = "") -> None:
        """Refuse field *name*, or leave it out with a notice if the terms say so."""
        if self.terms.unsupported == "error":
            otherwise = 'unsupported="adjust" leaves it out'
            raise self.refusal(name, why, f"{advice}; {otherwise}" if advice else otherwise)
        self._note("ignored", name, f"not sent: {why}")

    def unfit(self, name: str, why: str, instead: object) -> None:
        """Refuse the value of *name*, or take *instead* with a notice if the terms say so."""
        if self.terms.fit == "strict":
            raise self.refusal(name, why, f'The nearest is {instead}; fit="nearest" takes it')
        self._note("adjusted", name, f"{why}; {instead} was sent")

    def takes_no(self, request: ImageRequest, *names: str) -> None:
        """Treat the fields *names* as `unsupported` where *request* asks for them."""
        for name in names:
            if getattr(request, name) not in (None, ()):
                self.unsupported(name, "this model takes none")

    def size_among(self, request: ImageRequest, sizes: Sequence[Size]) -> Size | None:
        """The one of *sizes* that *request* asks for, by pixels or by a ratio; None if by neither.

        Where none is just that, the nearest is `unfit`. Of one ratio, the first listed is taken.
        """
        return self._size_of(request, Listed(sizes))

    def size_on_grid(
        self, request: ImageRequest, shortest: int, longest: int, step: int
    ) -> Size | None:
        """The size that *request* asks for, by pixels or by a ratio; None if by neither.

        Sides are free from *shortest* to *longest* pixels, divisible by *step*. Of the sizes of
        exactly that ratio, that nearest to a megapixel is taken. What there is not is `unfit`.
        """
        return self._size_of(request, Grid(shortest, longest, step))

    def _size_of(self, request: ImageRequest, made: Listed | Grid) -> Size | None:
        if request.size is not None:
            nearest = made.nearest(request.size)
            if nearest != request.size:
                self.unfit("size", f"{request.size} is not {made}", nearest)
        elif (ratio := request.aspect_ratio) is not None:
            nearest = made.of_ratio(ratio)
            if shape_of(nearest) != shape(ratio):
                self.unfit("aspect_ratio", f"{ratio} is not the shape of {made}", nearest)
        else:
            return None
        return nearest

    def ratio_among(self, ratio: str, ratios: Iterable[str]) -> str:
        """Return *ratio* as one of *ratios* says it, else the nearest, which is `unfit`."""
        allowed = tuple(ratios)
        if ratio in allowed:
            return ratio
        nearest = nearest_ratio(shape(ratio), allowed)
        if shape(nearest) == shape(ratio):
            return nearest
        self.unfit("aspect_ratio", f"{ratio} is not one of {few(allowed)}", nearest)
        return nearest

    def refusal(self, name: str, why: str, advice: str) -> UnsupportedFeatureError:
        """Make the error for a field that the model cannot express."""
        return UnsupportedFeatureError(
            f"{name}: {why}", advice=advice, provider=self.provider, model=self.model, field=name
        )

    def unverified(self, name: str, why: str) -> None:
        """Note that *name* is sent although the provider may drop it."""
        self._note("unverified", name, why)

    def adjusted(self, name: str, how: str) -> None:
        """Note that *name* is sent in another form."""
        self._note("adjusted", name, how)

    def check_count(self, n: int, low: int, high: int) -> None:
        """Refuse a number of pictures that one submission cannot ask for."""
        if not low <= n <= high:
            advice = "Client.generate splits what is more" if n > high else "Ask for more"
            raise self.refusal("n", f"{n} is not {low}–{high} in one submission", advice)

    def add_options(self, request: ImageRequest, reserved: frozenset[str]) -> None:
        """Merge the caller's own fields for this provider, last."""
        options = request.provider_options.get(self.provider, {})
        for name in sorted(reserved & options.keys()):
            raise InvalidRequestError(
                f"provider_options may not set {name!r}: prices, jobs and results rest on it",
                advice="Use the field of ImageRequest, or the model string",
                provider=self.provider,
                field="provider_options",
            )
        self.body.update(deepcopy(dict(options)))

    def _note(
        self, kind: Literal["adjusted", "ignored", "unverified"], name: str, words: str
    ) -> None:
        self._notices.append(Notice(kind, name, words))

    def finished(self) -> Translation:
        """The translation."""
        return Translation(self.model, self.body, tuple(self._notices), tuple(self.files))


def submit_once(call: Call, **context: Any) -> Flow[Reply]:
    """Make the paid *call*; without a reply, say whether it may have been accepted.

    Raises:
        SubmissionUnknownError: bytes were sent and no reply came.
        TransportError, DeadlineExceededError: nothing was sent.
    """
    try:
        reply: Reply = yield call
    except (TransportError, DeadlineExceededError) as error:
        if error.sent:
            raise SubmissionUnknownError(
                f"the submission was sent, then no reply came: {error.message}", **context
            ) from error
        error.provider, error.model = context["provider"], context["model"]
        raise
    except ImageGenError:
        raise
    except BaseException as interruption:
        may_be_billed(interruption, context["provider"])
        raise
    return reply


@contextmanager
def attached(job: Job) -> Generator[None]:
    """Let every exception that leaves the block carry *job*; even Ctrl-C gets a note of it."""
    try:
        yield
    except BaseException as error:
        carry(job, error)
        raise
