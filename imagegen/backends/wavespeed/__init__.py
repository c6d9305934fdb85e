"""WaveSpeedAI: submit a prediction, then poll it until it settles.

Wire facts: WaveSpeedAI's model pages of minimax/image-01 (read 2026-11-20), its documentation of
predictions, sync mode, base64 output and error codes, its model listing (2026-03-13), and what
its official clients do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import ClassVar

from attrs import evolve, field, frozen

from imagegen.backends.base import (
    Terms,
    Translation,
    attached,
    submit_once,
)
from imagegen.backends.polling import Polling, Polls, yes_or_no
from imagegen.backends.reading import segment
from imagegen.backends.standing import Standing
from imagegen.backends.wavespeed.account import checked
from imagegen.backends.wavespeed.catalogue import (
    FAMILY,
    advice_on_model,
    image_models,
    listed,
    members,
)
from imagegen.backends.wavespeed.lookup import found
from imagegen.backends.wavespeed.predictions import Prediction, outcome, submitted
from imagegen.backends.wavespeed.prices import current
from imagegen.backends.wavespeed.sweeps import APART, Sweeps
from imagegen.backends.wavespeed.translation import full_model_id, translate
from imagegen.errors import InvalidRequestError
from imagegen.flow import Call, Flow
from imagegen.pricing import Price, list_price
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job

HOST = "https://api.wavespeed.ai"
POLL_TIMEOUT = 30.0


@frozen(kw_only=True)
class WaveSpeed(Polling):
    """Backend for WaveSpeedAI.

    Args:
        api_key: None takes it from ``WAVESPEED_API_KEY``.
        base_url: None takes ``WAVESPEED_BASE_URL``, else https://api.wavespeed.ai.
        sync_mode: ask the submission to wait for the pictures where the model can; when that
            takes too long for WaveSpeedAI, the same prediction is polled.
        first_poll: and the other options of `Polling`; WaveSpeedAI asks for 2 seconds or more.
        poll_together: ask for many predictions with one request where many are waited for.
    """

    name: ClassVar[str] = "wavespeed"
    key_variable: ClassVar[str] = "WAVESPEED_API_KEY"
    host_variable: ClassVar[str] = "WAVESPEED_BASE_URL"
    default_host: ClassVar[str] = HOST
    prefix: ClassVar[str] = "/api/v3"
    default_model: ClassVar[str] = FAMILY
    can_find: ClassVar[bool] = True
    can_price: ClassVar[bool] = True

    sync_mode: bool = False
    poll_together: bool = field(default=True, validator=yes_or_no)
    _sweeps: Sweeps = field(factory=Sweeps, init=False, eq=False, repr=False)

    def images_per_call(self, model: str, request: ImageRequest) -> int:
        """As the model's `num_images` says; one for models that lack it or are not listed."""
        entry = listed(full_model_id(model, request))
        return entry.images_per_call if entry else 1

    def list_price(self, model: str, request: ImageRequest) -> Price | None:
        """In USD, from the price book or the model listing; None where it varies."""
        full = full_model_id(model, request)
        entry = listed(full)
        return list_price(self.name, full) or (entry.price if entry else None)

    def model_id(self, model: str, request: ImageRequest) -> str:
        """For a family, its member for this request."""
        return full_model_id(model, request)

    def members(self, model: str) -> tuple[str, ...]:
        """For the family, both of its members."""
        return members(model)

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        """Say *request* as the body of POST /api/v3/{model}."""
        return translate(request, full_model_id(model, request), terms, sync_mode=self.sync_mode)

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        """Create the prediction; in sync mode the job may come back settled."""
        translation = self.translate(request, model, terms)
        context = {"provider": self.name, "model": translation.model}
        call = Call(
            "POST",
            f"{self.host}/api/v3/{translation.model}",
            json=translation.body,
            account=self.name,
            paid=True,
            pictures=True,
        )
        reply = yield from submit_once(call, **context)
        try:
            prediction, raw = submitted(reply, context)
        except InvalidRequestError as error:
            error.advice = error.advice or advice_on_model(translation.model)
            raise
        job = Job(
            provider=self.name,
            model=translation.model,
            id=prediction.id,
            request=request,
            created_at=prediction.created,
            notices=translation.notices,
        )
        with attached(job):
            done = self._outcome(prediction, raw, job) if prediction.is_over else None
            return evolve(job, settled=done)

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        """Poll *job*, accepted *age* seconds ago, until it ends.

        Raises:
            ContentPolicyError, InvalidRequestError, JobFailedError, ProviderUnavailableError: how
                WaveSpeedAI ended it.
            MalformedReplyError, RateLimitError, TransportError: too many polls failed in a row.
        """
        url = f"{self.host}/api/v3/predictions/{segment(job)}/result"
        call = Call("GET", url, account=self.name, timeout=POLL_TIMEOUT, pictures=True)
        # A crowd, too, is asked for as fast as the settings want.
        apart = min(APART, APART * self.average_poll, self.first_poll, self.slowest_poll)
        sharing = self._sweeps.seat(job, self.host, shared=self.poll_together, apart=apart)
        with attached(job), sharing as seat:
            polls = Polls(job, call, self.asking(job, age), seat, self.poll_failures)
            prediction, raw = yield from polls.until_over()
            return self._outcome(prediction, raw, job)

    def find(
        self, request: ImageRequest, model: str, since: datetime, until: datetime
    ) -> Flow[tuple[Job, ...]]:
        """Look into the list of predictions of the last seven days."""
        return (yield from found(self.host, self.name, model, request, since, until))

    def models(self) -> tuple[str, ...]:
        """The family minimax/image-01, then every listed image model."""
        return (FAMILY, *image_models())

    def check(self) -> Flow[Standing]:
        """Ask for the balance."""
        return (yield from checked(self.host, self.name, self.name if self.api_key else None))

    def current_prices(self, models: Collection[str]) -> Flow[Mapping[str, Price | None]]:
        """Read the model listing, then ask for each of *models*: the answer wins."""
        return (yield from current(self.host, self.name, models))

    def _outcome(self, prediction: Prediction, raw: object, job: Job) -> Generation:
        return outcome(prediction, job, self.price(job.model, job.request), raw)
