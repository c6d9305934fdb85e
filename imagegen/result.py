"""What came of a request: Generation, its pictures, its cost, and the Job to ask for later."""

from __future__ import annotations

from datetime import datetime
from decimal import Context, Decimal
from functools import reduce
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal, get_args

from attrs import evolve, field, frozen

from imagegen.distribution import install
from imagegen.errors import (
    Charged,
    ConfigurationError,
    ImageGenError,
    InvalidRequestError,
    MalformedReplyError,
)
from imagegen.media import sniff
from imagegen.redaction import brief, without_query
from imagegen.request import ImageRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from PIL.Image import Image as PillowImage

Basis = Literal["billed", "list-price", "unknown"]
_BASES = get_args(Basis)
EXACT = Context(prec=60)
"""Money is counted with all its digits, whatever the caller's own decimal context."""

PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")
"""What `imagegen.media.sniff` knows; Pillow's other decoders are not for untrusted bytes."""


def _shown_url(url: str | None) -> str:
    return repr(without_query(url)) if url else "None"


def _shown_size(data: bytes | None) -> str:
    return f"<{len(data):,} bytes>" if data is not None else "None"


@frozen(kw_only=True)
class GeneratedImage:
    """One picture.

    Attributes:
        url: where the provider keeps it until `expires_at`; None if it sent the bytes.
        data: the bytes; None until they are fetched.
        media_type: such as ``"image/jpeg"``, read from the bytes; None without them.
        width: pixels, read from the bytes; None without them.
        height: pixels, read from the bytes; None without them.
        seed: the seed of the call that made it; None where the provider chose.
        nsfw: the provider's own flag; None where it gives none.
        expires_at: aware datetime after which `url` is dead; None if unknown.
        request_id: the provider's id of the exchange or prediction that made it.
    """

    url: str | None = field(default=None, repr=_shown_url)
    data: bytes | None = field(default=None, repr=_shown_size)
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    nsfw: bool | None = None
    expires_at: datetime | None = None
    request_id: str | None = None

    def with_data(self, data: bytes) -> GeneratedImage | None:
        """Return this picture holding *data*, measured by its own header; None if it is none."""
        media = sniff(data)
        if media is None:
            return None
        return evolve(
            self, data=data, media_type=media.type, width=media.width, height=media.height
        )

    def to_pil(self) -> PillowImage:
        """Return the picture as Pillow decodes it, or its first frame; Exif does not turn it.

        Raises:
            InvalidRequestError: its bytes are not fetched.
            ConfigurationError: Pillow is not installed.
            MalformedReplyError: the bytes cannot be decoded, or it has more pixels than Pillow
                takes (`PIL.Image.MAX_IMAGE_PIXELS`, twice).
        """
        if self.data is None:
            raise InvalidRequestError(
                "this picture has no bytes yet", advice="Fetch them: client.fetch(generation)"
            )
        try:
            from PIL import Image  # noqa: PLC0415 - Pillow is an extra
        except ImportError as error:
            raise ConfigurationError(
                "Pillow, which decodes pictures, is not installed",
                advice=install("pillow"),
            ) from error
        try:
            picture = Image.open(BytesIO(self.data), formats=PILLOW_FORMATS)
            picture.load()
        except Exception as error:
            raise MalformedReplyError(
                f"Pillow cannot decode this picture: {type(error).__name__}",
                request_id=self.request_id,
                charged="yes",
            ) from error
        return picture

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Show the picture in a notebook."""
        from imagegen.pictures import notebook  # noqa: PLC0415 - loaded only where there is one

        return notebook.bundle(self, include, exclude)


def _known_basis(_: object, __: object, value: object) -> None:
    if value not in _BASES:
        allowed = ", ".join(f'"{basis}"' for basis in _BASES)
        words = f"a cost's basis must be one of {allowed}, not {brief(value)}"
        raise ConfigurationError(words, field="basis")


@frozen(kw_only=True)
class Cost:
    """Money: `amount` in `currency` (ISO 4217), None where unknown, and what that rests on.

    `basis` is ``"billed"`` (the provider told what it takes), ``"list-price"`` (counted by a price
    that was read earlier) or ``"unknown"``.

    `source` says where the price comes from and of which day it is; None where that is not known,
    or where a sum has several. It does not count when costs are compared.

    Raises:
        ConfigurationError: the basis is none of these.
    """

    amount: Decimal | None = None
    currency: str | None = None
    basis: Basis = field(default="unknown", validator=_known_basis)
    source: str | None = field(default=None, eq=False, repr=False)

    def __add__(self, other: Cost) -> Cost:
        """Add up; an unknown part, or a second currency, makes the sum unknown."""
        if self.amount == 0 or other.amount == 0:
            return other if self.amount == 0 else self
        known = self.amount is not None and other.amount is not None
        if not known or self.currency != other.currency:
            return Cost()
        basis: Basis = "billed" if {self.basis, other.basis} == {"billed"} else "list-price"
        return Cost(
            amount=EXACT.add(self.amount, other.amount),  # type: ignore[arg-type]
            currency=self.currency,
            basis=basis,
            source=self.source if self.source == other.source else None,
        )

    @staticmethod
    def total(costs: Iterable[Cost]) -> Cost:
        """Sum of *costs*; unknown for none."""
        several = tuple(costs)
        return reduce(lambda a, b: a + b, several) if several else Cost()


UNKNOWN = Cost()


@frozen
class Notice:
    """Something the caller should know about how the request was carried out.

    `kind` is ``"adjusted"`` (sent differently), ``"ignored"`` (not sent), ``"unverified"`` (sent,
    but the provider may drop it) or ``"delivered"`` (what came is not what was asked for);
    `field` names the request's field.
    """

    kind: Literal["adjusted", "ignored", "unverified", "delivered"]
    field: str
    message: str


def was_sent(name: str, notices: Iterable[Notice]) -> bool:
    """Tell whether the request's field *name* went out: not if a notice says it was left out."""
    return not any(notice.kind == "ignored" and notice.field == name for notice in notices)


@frozen(kw_only=True)
class ImageFailure:
    """A picture that was asked for and did not come.

    Attributes:
        error: the name of the class in `imagegen.errors` that says why.
        message: what happened.
        index: the picture's place in the request, from 0; None where the provider hides it.
        charged: ``"no"``, ``"yes"`` or ``"unknown"``.
        code: the provider's own error code.
        request_id: the provider's id of the exchange.
        job: the accepted job that may still bring it.
    """

    error: str
    message: str
    index: int | None = None
    charged: Charged = "unknown"
    code: int | str | None = None
    request_id: str | None = None
    job: Job | None = None


@frozen(kw_only=True)
class Attempt:
    """One submission, whatever came of it.

    `seconds` is wall time as seen here, `execution_seconds` what the provider reports;
    `error` names a class in `imagegen.errors`, None on success.
    """

    provider: str
    model: str
    n: int
    images: int = 0
    seconds: float | None = None
    execution_seconds: float | None = None
    created_at: datetime | None = None
    cost: Cost = Cost()
    error: str | None = None
    message: str | None = None
    charged: Charged = "unknown"
    request_id: str | None = None

    @classmethod
    def failed(
        cls, error: ImageGenError, *, provider: str, model: str, n: int, price: Cost, seconds: float
    ) -> Attempt:
        """Say of a submission that *error* ended it; *price* is what it costs if it is billed."""
        costs = {"no": Cost(amount=Decimal(0), basis="list-price"), "yes": price}
        return cls(
            provider=provider,
            model=error.model or model,
            n=n,
            seconds=seconds,
            cost=costs.get(error.charged, Cost()),
            error=type(error).__name__,
            message=error.message,
            charged=error.charged,
            request_id=error.request_id or (error.job.id if error.job else None),
        )


@frozen(kw_only=True)
class Generation:
    """The outcome of a request: pictures, what is missing, what it cost, how it went.

    `raw` holds the providers' own replies, without inline pictures; JSON leaves it and the
    pictures' bytes out.
    """

    images: tuple[GeneratedImage, ...] = ()
    failures: tuple[ImageFailure, ...] = ()
    cost: Cost = Cost()
    provider: str
    model: str
    request: ImageRequest
    attempts: tuple[Attempt, ...] = ()
    notices: tuple[Notice, ...] = ()
    job: Job | None = None
    raw: tuple[Any, ...] = field(default=(), repr=False, eq=False)

    def _repr_html_(self) -> str:
        """Show the pictures in a notebook."""
        from imagegen.pictures import notebook  # noqa: PLC0415 - loaded only where there is one

        return notebook.page(self)

    def to_json(self) -> str:
        """Write everything but the pictures' bytes and `raw` as JSON."""
        from imagegen import codec  # noqa: PLC0415 - cattrs is loaded only when JSON is written

        bare = (evolve(image, data=None) for image in self.images)
        return codec.dumps(evolve(self, images=tuple(bare)))

    @classmethod
    def from_json(cls, text: str) -> Generation:
        """Read what `to_json` wrote.

        Raises:
            InvalidRequestError: *text* is not that.
        """
        from imagegen import codec  # noqa: PLC0415 - cattrs is loaded only when JSON is read

        return codec.loads(text, cls)


@frozen(kw_only=True)
class Job:
    """An accepted submission: store it, and ask for its pictures later, in any process.

    Attributes:
        provider: the backend's name.
        model: the provider's model id, as submitted.
        id: the provider's id.
        request: what was asked for.
        created_at: when the provider accepted it; None where it does not say.
        notices: what the submission adjusted.
        settled: the outcome, where the provider gave it at once.
        parts: the jobs that a split request became, in order; empty for a single one.
    """

    provider: str
    model: str
    id: str
    request: ImageRequest
    created_at: datetime | None = None
    notices: tuple[Notice, ...] = ()
    settled: Generation | None = None
    parts: tuple[Job, ...] = ()

    def to_json(self) -> str:
        """Write the job as JSON, with the bytes of pictures that the provider sent at once."""
        from imagegen import codec  # noqa: PLC0415 - cattrs is loaded only when JSON is written

        return codec.dumps(self)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what `to_json` wrote.

        Raises:
            InvalidRequestError: *text* is not that.
        """
        from imagegen import codec  # noqa: PLC0415 - cattrs is loaded only when JSON is read

        return codec.loads(text, cls)
