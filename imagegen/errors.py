"""Everything imagegen raises. A class exists only where a caller would act differently.

ImageGenError
├── ConfigurationError             a key, host or model is missing or wrong here
├── InvalidRequestError            the request itself is wrong, whoever said so
├── UnsupportedFeatureError        this model cannot express the request
├── BudgetExceededError            it would cost more than the caller allows
├── BackendError                   something went wrong at, or on the way to, the provider
│   ├── AuthenticationError        the key is not accepted
│   ├── InsufficientBalanceError   the account has no money or quota left
│   ├── RateLimitError             too many requests; nothing was accepted
│   ├── ContentPolicyError         the provider refuses the content
│   ├── JobFailedError             the provider accepted the job, then failed it
│   ├── ProviderUnavailableError   the provider says that it cannot serve now
│   ├── TransportError             no readable HTTP exchange; `sent` tells if a byte went out
│   ├── SubmissionUnknownError     a paid submission may or may not have been accepted
│   ├── DeadlineExceededError      the caller's time is up
│   └── MalformedReplyError        the provider's reply makes no sense
└── AllRoutesFailedError           every model of a route failed (also an ExceptionGroup)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from imagegen.redaction import prompts_hidden, shown, without_prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagegen.result import Attempt, Generation, Job

Charged = Literal["no", "yes", "unknown"]


class ImageGenError(Exception):
    """Base of everything imagegen raises.

    Attributes:
        advice: what to do next.
        provider: the backend's name, such as ``"minimax"``; None where none is involved.
        model: the provider's model id.
        job: the accepted job that can still be asked for, by ``client.result(error.job)``.
        charged: whether money was spent: ``"no"``, ``"yes"`` or ``"unknown"``.
        request_id: the provider's own id of the exchange, for its support.
        status: HTTP status of the reply.
        code: the provider's own error code.
        field: the request field that is at fault.
        attempts: the submissions that were made or skipped on the way to this error, in order.
        ongoing: whether `job` goes on at the provider, as far as is known.
    """

    default_advice: ClassVar[str] = ""
    default_charged: ClassVar[Charged] = "no"

    def __init__(
        self,
        message: str = "",
        *,
        advice: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        job: Job | None = None,
        charged: Charged | None = None,
        request_id: str | None = None,
        status: int | None = None,
        code: int | str | None = None,
        field: str | None = None,
    ) -> None:
        self._message = shown(message, 1000)
        super().__init__(self._message)
        self.advice = self.default_advice if advice is None else advice
        self.provider = provider
        self.model = shown(model, 128) if model else None
        self.job = job
        self.charged: Charged = self.default_charged if charged is None else charged
        self.request_id = shown(request_id, 128) if request_id else None
        self.status = status
        self.code = shown(code, 80) if isinstance(code, str) else code
        self.field = field
        self.attempts: tuple[Attempt, ...] = ()
        self.ongoing = False

    @property
    def message(self) -> str:
        """What happened, in one line."""
        return self._message

    def hide_prompt(self, prompt: str) -> None:
        """Say ``<prompt>`` where this error, its notes or its causes quote *prompt*.

        Their tracebacks so far are dropped: the locals of what read the reply quote it too.
        Unless `imagegen.redaction.hide_prompts` is on, nothing changes.
        """
        if not prompts_hidden():
            return
        self.__traceback__ = None
        self._message = without_prompt(self._message, prompt)
        self.args = (self._message, *self.args[1:])
        notes: list[str] = getattr(self, "__notes__", [])
        notes[:] = [without_prompt(note, prompt) for note in notes]
        if self.__suppress_context__:
            self.__context__ = None
        for cause in (self.__cause__, self.__context__):
            if isinstance(cause, ImageGenError):
                cause.hide_prompt(prompt)

    def __str__(self) -> str:
        who = f"{self.provider}: " if self.provider else ""
        sentence = f"{who}{self.message}{self._details()}"
        return f"{sentence.rstrip('.')}. {self.advice}" if self.advice else sentence

    def _details(self) -> str:
        named = {
            "model": self.model,
            "code": self.code,
            "HTTP": self.status,
            "request id": self.request_id,
            "job": shown(self.job.id, 200) if self.job else None,
        }
        known = [f"{name} {value}" for name, value in named.items() if value not in (None, "")]
        return f" ({', '.join(known)})" if known else ""


class ConfigurationError(ImageGenError):
    """A key, host, model name or installation is missing or wrong on the caller's side."""


class InvalidRequestError(ImageGenError, ValueError):
    """The request itself is wrong; `field` names what, the message says what is allowed."""


class UnsupportedFeatureError(ImageGenError):
    """The model cannot express something that the request asks for; nothing was sent."""


class BudgetExceededError(ImageGenError):
    """The request would, or might, cost more than the caller allows; nothing was sent."""


class BackendError(ImageGenError):
    """Something went wrong at the provider or on the way to it.

    `retry_after` is the wait in seconds that the provider asks for, None where it names none.
    """

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.retry_after = retry_after


class AuthenticationError(BackendError):
    """The provider does not accept the key."""

    default_advice = "Check the API key, and that it belongs to the configured host"


class InsufficientBalanceError(BackendError):
    """The account has no money or quota left."""

    default_advice = "Top up the account or wait for its quota to be renewed"


class RateLimitError(BackendError):
    """The provider refuses this request for now because there are too many."""

    default_advice = "Wait and try again, or send fewer requests at a time"


class ContentPolicyError(BackendError):
    """The provider refuses the prompt, a reference or the pictures it made."""

    default_advice = "Change the prompt or the reference"


class JobFailedError(BackendError):
    """The provider accepted the job and then failed, cancelled or deleted it."""

    default_advice = "Try again as a new request, or another model"


class ProviderUnavailableError(BackendError):
    """The provider itself says that it cannot serve the request now."""

    default_advice = "Try again later, or another provider"


class TransportError(BackendError):
    """No readable HTTP exchange took place.

    `sent` is False only if it is certain that no byte of the request was written.
    """

    default_advice = "Check the network and the configured host"

    def __init__(self, message: str = "", *, sent: bool = True, **context: Any) -> None:
        super().__init__(message, **context)
        self.sent = sent


class SubmissionUnknownError(BackendError):
    """A paid submission was sent and nobody knows whether the provider accepted it."""

    default_advice = (
        "It may be billed, so it was not repeated; before you send it again, look at the "
        "provider's own list of recent generations, or let client.reconcile() do it"
    )
    default_charged = "unknown"


class DeadlineExceededError(BackendError):
    """The caller's time is up; `job`, if there is one, goes on at the provider."""

    default_advice = "Allow more time"

    def __init__(self, message: str = "", *, sent: bool = True, **context: Any) -> None:
        super().__init__(message, **context)
        self.sent = sent


class MalformedReplyError(BackendError):
    """The provider's reply is not what its documentation promises."""

    default_advice = "Report it with the request id"


class AllRoutesFailedError(ImageGenError, ExceptionGroup[ImageGenError]):
    """Every model of a route failed; `exceptions` holds one error for each, in order.

    It is charged as the gravest of them is. `rejected` holds the generations that came and were
    paid for, but that the route's `fallback_on` did not want.
    """

    def __new__(cls, message: str, errors: Sequence[ImageGenError], **_: Any) -> Self:
        """Build the group; the context belongs to `__init__`."""
        return super().__new__(cls, shown(message, 1000), errors)

    def __init__(self, message: str, errors: Sequence[ImageGenError], **context: Any) -> None:
        charges = {error.charged for error in errors}
        context.setdefault("charged", next((c for c in _GRAVEST_FIRST if c in charges), "no"))
        super().__init__(message, **context)
        self.args = (self.message, list(errors))
        self.rejected: tuple[Generation, ...] = ()

    def derive(self, errors: Sequence[ImageGenError], /) -> AllRoutesFailedError:  # type: ignore[override]
        """Keep the type and the context when the group is split (`except*`)."""
        part = AllRoutesFailedError(self.message, errors)
        vars(part).update(vars(self) | {"charged": part.charged})
        return part


_GRAVEST_FIRST: tuple[Charged, ...] = ("unknown", "yes")
