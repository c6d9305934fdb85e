"""The suite for backends catches what it says: a sound backend passes, and broken ones do not."""

from __future__ import annotations

import base64
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve, field, frozen
from hypothesis import Phase, settings

from imagegen import codec
from imagegen.backends.base import Backend, Draft, Terms, Translation, attached, submit_once
from imagegen.backends.pictures import Exchange, is_url
from imagegen.backends.reading import segment
from imagegen.backends.refusals import refused, without_words
from imagegen.errors import (
    AuthenticationError,
    BackendError,
    ContentPolicyError,
    DeadlineExceededError,
    ImageGenError,
    InvalidRequestError,
    JobFailedError,
    MalformedReplyError,
    ProviderUnavailableError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
    UnsupportedFeatureError,
)
from imagegen.flow import Call, Flow, Pause, Reply
from imagegen.pricing import Price
from imagegen.request import ImageRequest, ReferenceImage, Size
from imagegen.result import Generation, Job
from imagegen.testing import EPOCH, Conformance, reply
from imagegen.testing.conformance.subject import Subject, require_none

SIZES = (Size(512, 512), Size(1280, 720))
MOST_POLLS = 3
NO_ZONE = EPOCH.replace(tzinfo=None)
PRICE = Price(
    amount=Decimal("0.02"), currency="USD", per="image", as_of=date(2026, 11, 1), source="a page"
)


@frozen
class Answer:
    """Whatever Acme answers; its fields are read by hand."""

    id: Any = None
    state: Any = None
    urls: Any = None
    code: Any = None


@frozen(kw_only=True)
class Acme(Backend):
    """A provider with jobs; what the broken ones below break is a method each."""

    name: ClassVar[str] = "acme"
    key_variable: ClassVar[str] = "ACME_API_KEY"
    host_variable: ClassVar[str] = "ACME_BASE_URL"
    default_host: ClassVar[str] = "https://api.acme.example"
    prefix: ClassVar[str] = "/v1"
    default_model: ClassVar[str] = "one"

    def models(self) -> tuple[str, ...]:
        return ("one", "two")

    def images_per_call(self, model: str, request: ImageRequest) -> int:
        return 3

    def list_price(self, model: str, request: ImageRequest) -> Price | None:
        return PRICE if model == "one" else None

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        draft = Draft(self.name, model, terms)
        self.counted(draft, request)
        draft.body |= {"model": model, "prompt": request.prompt, "n": request.n}
        self.shape(draft, request)
        self.extras(draft, request)
        draft.add_options(request, self.reserved())
        return draft.finished()

    def counted(self, draft: Draft, request: ImageRequest) -> None:
        draft.check_count(request.n, 1, 3)

    def reserved(self) -> frozenset[str]:
        return frozenset({"model", "prompt", "n", "seed"})

    def shape(self, draft: Draft, request: ImageRequest) -> None:
        if request.size is not None:
            if request.size not in SIZES:
                draft.unfit("size", f"{request.size} is not made", SIZES[0])
            size = request.size if request.size in SIZES else SIZES[0]
            draft.body["size"] = [size.width, size.height]
        if request.aspect_ratio is not None:
            draft.body["ratio"] = request.aspect_ratio

    def extras(self, draft: Draft, request: ImageRequest) -> None:
        if request.seed is not None:
            draft.body["seed"] = request.seed
        if request.enhance_prompt is not None:
            draft.unsupported("enhance_prompt", "Acme rewrites nothing")
        if request.references:
            draft.body["pictures"] = [[r.role, r.wire] for r in request.references]

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        translation = self.translate(request, model, terms)
        reply = yield from self.post(translation)
        answer = self.accepted(reply, model)
        return Job(
            provider=self.name,
            model=model,
            id=answer.id,
            request=request,
            created_at=reply.received_at,
            notices=translation.notices,
        )

    def post(self, translation: Translation) -> Flow[Reply]:
        url = f"{self.host}/v1/images"
        call = Call("POST", url, json=translation.body, account=self.name, paid=True)
        return (yield from submit_once(call, provider=self.name, model=translation.model))

    def accepted(self, reply: Reply, model: str) -> Answer:
        try:
            answer = codec.structure(codec.decode(reply.body), Answer)
        except MalformedReplyError:
            raise without_words(reply, provider=self.name, model=model) from None
        if isinstance(answer.id, str) and 0 < len(answer.id) < 100:
            return answer
        if reply.status == 400 and answer.code == "policy":
            raise ContentPolicyError("refused", provider=self.name, model=model, status=400)
        raise without_words(reply, provider=self.name, model=model)

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        with attached(job):
            return (yield from self.polled(job))

    def polled(self, job: Job) -> Flow[Generation]:
        failed = 0
        while True:
            yield Pause(2.0)
            call = Call("GET", self.address(job), account=self.name, timeout=30)
            try:
                reply = yield call
                answer = self.told(reply)
            except (TransportError, MalformedReplyError, ProviderUnavailableError):
                failed += 1
                if failed > MOST_POLLS:
                    raise
                continue
            if answer.state == "done":
                return self.made(job, answer)
            if answer.state == "failed":
                raise JobFailedError("Acme failed it", job=job)

    def address(self, job: Job) -> str:
        return f"{self.host}/v1/jobs/{segment(job)}"

    def told(self, reply: Reply) -> Answer:
        if reply.status >= 300:
            raise refused(reply.status, "a poll was refused", reply)
        return codec.structure(codec.decode(reply.body), Answer)

    def made(self, job: Job, answer: Answer) -> Generation:
        exchange = Exchange(
            provider=self.name,
            model=job.model,
            request=job.request,
            request_id=job.id,
            notices=job.notices,
            job=job,
        )
        urls = [u for u in answer.urls if is_url(u)] if isinstance(answer.urls, list) else []
        if not urls:
            raise JobFailedError("no picture came", job=job, charged="unknown")
        missing = job.request.n - len(urls)
        return exchange.generation(
            [evolve(exchange.blank, url=url) for url in urls],
            [exchange.failure(ContentPolicyError, "blocked") for _ in range(missing)],
            price=self.price(job.model, job.request),
            billed=len(urls),
            raw={},
        )


URL = "https://pictures.example/1.png"
JOB, DONE = reply({"id": "j1"}), reply({"state": "done", "urls": [URL]})
SUCCESS = [JOB, reply({"state": "working"}), DONE]


class Sound(Conformance):
    backend = Acme(api_key="not-a-key")
    success = SUCCESS
    partial = (JOB, DONE)
    refusals = (
        (reply({"code": "policy"}, status=400), ContentPolicyError),
        ((JOB, reply({"state": "failed"})), JobFailedError),
    )
    examples = 100

    @property
    def _many(self) -> settings:
        return settings(super()._many, phases=[Phase.generate])


RULES = sorted(name for name in dir(Conformance) if name.startswith("test_"))
BY_CHANCE = [name for name in RULES if name.startswith("test_any_")]
"""What hypothesis asks; it finds what other rules find too, or does not."""


def asked(suite: Subject, name: str) -> str:
    """What became of one rule: "kept", "skipped: …" or "broken: …"."""
    try:
        getattr(suite, name)()
    except pytest.skip.Exception as skipped:
        return f"skipped: {skipped}"
    except AssertionError as broken:
        return f"broken: {broken}"
    return "kept"


def broken_rules(suite: Subject, rules: Iterable[str]) -> list[str]:
    return [name for name in rules if asked(suite, name).startswith("broken")]


def test_a_sound_backend_keeps_every_rule_and_skips_only_what_needs_an_installation() -> None:
    told = {name: asked(Sound(), name) for name in RULES}
    assert {name: words for name, words in told.items() if words != "kept"} == {
        "test_it_is_registered_under_its_name": "skipped: add the entry point: "
        f'[project.entry-points."imagegen.backends"] acme = "{__name__}:Acme", '
        "and install the package"
    }
    assert len(told) > 50


BROKEN: list[tuple[type[Acme], tuple[str, ...]]] = []


def breaks(*rules: str) -> Callable[[type[Acme]], type[Acme]]:
    """Register a backend that breaks exactly *rules*, named without ``test_``."""

    def register(cls: type[Acme]) -> type[Acme]:
        BROKEN.append((cls, tuple(f"test_{rule}" for rule in rules)))
        return cls

    return register


@breaks("it_is_named")
class WithAColonInItsVariable(Acme):
    key_variable = "acme:key"


@breaks("its_host_is_https")
class OnPlainHttp(Acme):
    default_host = "http://api.acme.example"


@breaks("its_models_begin_with_the_default_one")
class WithAnotherDefault(Acme):
    def models(self) -> tuple[str, ...]:
        return ("two", "one")


@breaks("it_can_do_what_it_claims")
class ClaimsToFind(Acme):
    can_find = True


@breaks("a_family_has_its_members")
class SendsElsewhere(Acme):
    def members(self, model: str) -> tuple[str, ...]:
        return (f"{model}-large",)


@breaks("prices_are_dated_or_unknown")
class WithAPriceOfNowhere(Acme):
    def list_price(self, model: str, request: ImageRequest) -> Price | None:
        return evolve(PRICE, source=" ")


@breaks("the_flow_does_no_io_and_reads_no_clock")
class ReadsTheClock(Acme):
    def told(self, reply: Reply) -> Answer:
        assert datetime.now().astimezone().year
        return super().told(reply)


@breaks("the_flow_does_no_io_and_reads_no_clock")
class ReadsAFile(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        with open(__file__, "rb") as file:  # noqa: PTH123 - as careless code does
            assert file.read(1)
        return super().accepted(reply, model)


@breaks("the_flow_does_no_io_and_reads_no_clock")
class Sleeps(Acme):
    def told(self, reply: Reply) -> Answer:
        __import__("time").sleep(0)
        return super().told(reply)


@breaks("the_flow_does_no_io_and_reads_no_clock")
class ReadsTheEnvironment(Acme):
    def told(self, reply: Reply) -> Answer:
        assert __import__("os").environ.get("PATH")
        return super().told(reply)


@breaks("translations_and_prices_do_no_io")
class DrawsLots(Acme):
    def images_per_call(self, model: str, request: ImageRequest) -> int:
        assert __import__("random").random() < 2
        return super().images_per_call(model, request)


@breaks("the_prompt_is_never_dropped")
class CutsThePrompt(Acme):
    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        return super().translate(evolve(request, prompt=request.prompt[:1000]), model, terms)


@breaks("n_is_never_dropped", "what_prices_and_results_rest_on_cannot_be_replaced")
class AsksForOne(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        super().extras(draft, request)
        draft.body["n"] = 1

    def reserved(self) -> frozenset[str]:
        return frozenset({"model", "prompt"})


@breaks("the_seed_is_never_dropped")
class DropsTheSeedZero(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        super().extras(draft, request)
        if not request.seed:
            draft.body.pop("seed", None)


@breaks("the_seed_is_never_dropped")
class CutsTheSeed(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        super().extras(draft, request)
        if request.seed is not None:
            draft.body["seed"] = request.seed % 2**32


@breaks("the_seed_is_never_dropped")
class SendsTheSeedThatItIgnores(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        super().extras(draft, request)
        if request.seed is not None:
            draft.unsupported("seed", "Acme takes none")


@breaks("the_size_is_never_dropped")
class RoundsTheSize(Acme):
    def shape(self, draft: Draft, request: ImageRequest) -> None:
        super().shape(draft, evolve(request, size=None))
        if request.size is not None:
            draft.body["size"] = [
                side // 8 * 8 for side in (request.size.width, request.size.height)
            ]


@breaks("the_size_is_never_dropped")
class DropsTheSize(Acme):
    def shape(self, draft: Draft, request: ImageRequest) -> None:
        super().shape(draft, evolve(request, size=None))


@breaks("the_size_is_never_dropped")
class RefusesTheSizeByAnotherName(Acme):
    def shape(self, draft: Draft, request: ImageRequest) -> None:
        if request.size not in (None, *SIZES) and draft.terms.fit == "strict":
            raise InvalidRequestError("too large", field="width")
        super().shape(draft, request)


@breaks("the_aspect_ratio_is_never_dropped")
class DropsTheRatio(Acme):
    def shape(self, draft: Draft, request: ImageRequest) -> None:
        super().shape(draft, evolve(request, aspect_ratio=None))


@breaks("enhance_prompt_is_never_dropped", "notices_reach_the_result")
class DropsTheEnhancement(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        super().extras(draft, evolve(request, enhance_prompt=None))

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        return evolve((yield from super().submit(request, model, terms)), notices=())


@breaks("references_are_never_dropped")
class TakesTheFirstReference(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        super().extras(draft, evolve(request, references=request.references[:1]))


@breaks("provider_options_are_never_dropped", "the_callers_own_fields_come_last")
class DropsTheOptions(Acme):
    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        options = request.provider_options.get(self.name, {})
        kept = {name: value for name, value in options.items() if name in self.reserved()}
        return super().translate(evolve(request, provider_options={self.name: kept}), model, terms)


@breaks("every_model_can_be_asked_for_something")
class MakesPairs(Acme):
    def counted(self, draft: Draft, request: ImageRequest) -> None:
        draft.check_count(request.n, 2 if draft.model == "two" else 1, 3)


@breaks("a_translation_is_pure")
class SharesItsOptions(Acme):
    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        said = super().translate(request, model, terms)
        return evolve(said, body={**said.body, **request.provider_options.get(self.name, {})})


@breaks("what_is_sent_is_json")
class SendsTuples(Acme):
    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        said = super().translate(request, model, terms)
        return evolve(said, body={"tags": ("a", "b"), **said.body})


@breaks("more_pictures_than_one_call_makes_are_refused")
class TakesAnyNumber(Acme):
    def counted(self, draft: Draft, request: ImageRequest) -> None:
        pass


@breaks("adjusting_refuses_nothing_that_can_be_left_out")
class RefusesStubbornly(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        if request.enhance_prompt is not None:
            raise draft.refusal("enhance_prompt", "Acme rewrites nothing", "Leave it out")
        super().extras(draft, request)


@breaks("strict_terms_leave_nothing_out")
class AdjustsUnasked(Acme):
    def shape(self, draft: Draft, request: ImageRequest) -> None:
        draft.terms, asked = Terms(fit="nearest"), draft.terms
        super().shape(draft, request)
        draft.terms = asked


@breaks("bytes_can_be_asked_for_wherever_urls_can")
class RefusesBytes(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        super().extras(draft, request)
        if request.output == "bytes":
            raise draft.refusal("output", "Acme has URLs only", "Ask for URLs")


@breaks("the_callers_own_fields_come_last")
class HasTheLastWord(Acme):
    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        said = super().translate(evolve(request, provider_options={}), model, terms)
        options = request.provider_options.get(self.name, {})
        for name in self.reserved() & options.keys():
            raise InvalidRequestError(f"not {name}", field="provider_options")
        return evolve(said, body={**codec_copy(options), **said.body})


def codec_copy(options: Mapping[str, Any]) -> Any:
    return codec.decode(__import__("json").dumps(options).encode())


@breaks("what_prices_and_results_rest_on_cannot_be_replaced")
class LetsThePromptBeReplaced(Acme):
    def reserved(self) -> frozenset[str]:
        return frozenset({"model", "n", "seed"})


@breaks(
    "a_submission_is_one_paid_post",
    "jobs_survive_storage",
    "no_place_of_a_reply_is_trusted",
)
class PaysForItsPolls(Acme):
    def polled(self, job: Job) -> Flow[Generation]:
        flow, answer = super().polled(job), None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration as stop:
                made: Generation = stop.value
                return made
            answer = yield evolve(step, paid=True) if isinstance(step, Call) else step


@breaks("calls_go_to_its_host_for_its_account")
class SendsToAnotherHost(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        url = "https://uploads.acme.example/v1/images"
        call = Call("POST", url, json=translation.body, account=self.name, paid=True)
        return (yield from submit_once(call, provider=self.name, model=translation.model))


@breaks("calls_go_to_its_host_for_its_account")
class KnowsItsOwnHostOnly(Acme):
    def address(self, job: Job) -> str:
        return super().address(job).replace(self.host, self.default_host)


@breaks("calls_go_to_its_host_for_its_account")
class ForgetsItsPrefix(Acme):
    def address(self, job: Job) -> str:
        return super().address(job).replace("/v1", "")


@breaks("calls_go_to_its_host_for_its_account")
class AsksForNobody(Acme):
    def polled(self, job: Job) -> Flow[Generation]:
        flow, answer = super().polled(job), None
        while True:
            try:
                step = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
            except StopIteration as stop:
                made: Generation = stop.value
                return made
            try:
                answer = yield evolve(step, account=None) if isinstance(step, Call) else step
            except Exception as error:  # noqa: BLE001 - passed on
                answer = error


@breaks("no_outcome_makes_it_pay_twice")
class TriesAgainWhenBusy(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        reply = yield from super().post(translation)
        if reply.status == 429:
            reply = yield from super().post(translation)
        return reply


@breaks("a_lost_reply_is_unknown")
class TakesALostReplyForTransport(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        try:
            return (yield from super().post(translation))
        except SubmissionUnknownError as error:
            raise TransportError("lost", provider=self.name) from error


@breaks("what_was_never_sent_stays_so")
class TakesEverythingForSent(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        try:
            return (yield from super().post(translation))
        except BackendError as error:
            raise SubmissionUnknownError("lost", provider=self.name) from error


@breaks("an_unreadable_answer_is_unknown")
class TakesAGatewayForTheProvider(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        if reply.status == 503:
            raise ProviderUnavailableError("busy", provider=self.name, status=503)
        return super().accepted(reply, model)


@breaks("an_answer_that_breaks_off_is_never_free")
class TakesABrokenAnswerForNone(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        if reply.broken:
            raise TransportError("broken", sent=False, provider=self.name)
        return super().accepted(reply, model)


@breaks("an_interruption_is_passed_on")
class SwallowsInterruptions(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        try:
            return (yield from super().post(translation))
        except (ImageGenError, GeneratorExit):
            raise
        except BaseException as error:
            raise SubmissionUnknownError("stopped", provider=self.name) from error


@breaks("a_status_that_refuses_has_its_class")
class TakesEachRefusalForARequest(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        if reply.status in (401, 403, 404):
            raise InvalidRequestError("refused", provider=self.name, status=reply.status)
        return super().accepted(reply, model)


@breaks("retry_after_is_kept")
class ForgetsRetryAfter(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        if reply.status == 429:
            raise RateLimitError("slow down", provider=self.name, status=429)
        return super().accepted(reply, model)


@breaks("refusals_have_their_classes")
class TakesAPolicyForARequest(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        if reply.status == 400:
            raise InvalidRequestError("refused", provider=self.name, status=400)
        return super().accepted(reply, model)


@breaks("the_key_is_in_nothing")
class PutsTheKeyIntoTheUrl(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        url = f"{self.host}/v1/images?key={self.api_key.reveal() if self.api_key else ''}"
        call = Call("POST", url, json=translation.body, account=self.name, paid=True)
        return (yield from submit_once(call, provider=self.name, model=translation.model))


@breaks("the_key_is_in_nothing")
class QuotesTheKey(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        if reply.status == 401:
            words = f"{self.api_key.reveal() if self.api_key else ''} is not accepted"
            raise AuthenticationError(words, provider=self.name, status=401)
        return super().accepted(reply, model)


@breaks("free_questions_are_free")
class ChecksWithAPurchase(Acme):
    def check(self) -> Flow[Any]:
        yield Call("POST", f"{self.host}/v1/images", account=self.name, paid=True)


@breaks("a_success_is_a_whole_generation")
class ForgetsTheAttempt(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        return evolve(super().made(job, answer), attempts=())


@breaks("notices_reach_the_result")
class ForgetsTheNotices(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        return evolve(super().made(job, answer), notices=())


@breaks("the_cost_is_that_of_the_price")
class CostsTwice(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        made, cost = super().made(job, answer), PRICE.cost(2)
        return evolve(made, cost=cost, attempts=(evolve(made.attempts[0], cost=cost),))


@breaks("the_cost_is_that_of_the_price", "partial_results_are_kept")
class HasAnAttemptThatCostsMore(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        made = super().made(job, answer)
        return evolve(made, attempts=(evolve(made.attempts[0], cost=PRICE.cost(5)),))


@breaks("the_cost_is_that_of_the_price")
class SettlesByTheListPrice(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        made = super().made(job, answer)
        price = self.list_price(job.model, job.request)
        if price is None:
            return made
        cost = price.cost(len(made.images))
        return evolve(made, cost=cost, attempts=(evolve(made.attempts[0], cost=cost),))


@breaks("partial_results_are_kept")
class HasNoWordsForWhatIsMissing(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        made = super().made(job, answer)
        return evolve(made, failures=tuple(evolve(each, message=" ") for each in made.failures))


@breaks("partial_results_are_kept")
class CountsWhatIsMissingFromTwo(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        made = super().made(job, answer)
        return evolve(made, failures=tuple(evolve(each, index=2) for each in made.failures))


@breaks("partial_results_are_kept")
class LosesWhatIsMissing(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        return evolve(super().made(job, answer), failures=())


@breaks("partial_results_are_kept")
class ThrowsAwayWhatCame(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        generation = super().made(job, answer)
        return generation if not generation.failures else evolve(generation, images=())


@breaks("errors_after_acceptance_carry_the_job")
class LosesTheJobOfAnAuthenticationError(Acme):
    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        try:
            return (yield from super().settle(job, age))
        except AuthenticationError as error:
            error.job = None
            raise


@breaks("a_deadline_ends_the_wait")
class TakesADeadlineForAFailure(Acme):
    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        try:
            return (yield from super().settle(job, age))
        except DeadlineExceededError as error:
            raise JobFailedError("no", job=job, charged="unknown") from error


@breaks("an_interrupted_wait_is_passed_on")
class SwallowsAnInterruptedWait(Acme):
    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        try:
            return (yield from super().settle(job, age))
        except (ImageGenError, GeneratorExit):
            raise
        except BaseException as error:
            raise TransportError("stopped", job=job, charged="yes") from error


@breaks("jobs_survive_storage")
class KnowsItsJobsByHeart(Acme):
    known: ClassVar[list[Job]] = []

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        if not any(job is each for each in self.known):
            raise UnsupportedFeatureError("never seen", job=job)
        return (yield from super().settle(job, age))

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        job = yield from super().submit(request, model, terms)
        self.known.append(job)
        return job


@breaks("jobs_survive_storage")
class KeepsItsJobsByTheirIds(Acme):
    known: ClassVar[dict[str, Job]] = {}

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        if job.id not in self.known:
            raise UnsupportedFeatureError("never seen", job=job)
        return (yield from super().settle(job, age))

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        job = yield from super().submit(request, model, terms)
        self.known[job.id] = job
        return job


@breaks("jobs_survive_storage")
class ListsTheIdsOfItsJobs(Acme):
    known: ClassVar[list[str]] = []

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        if job.id not in self.known:
            raise UnsupportedFeatureError("never seen", job=job)
        return (yield from super().settle(job, age))

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        job = yield from super().submit(request, model, terms)
        self.known.append(job.id)
        return job


@breaks("jobs_survive_storage")
@frozen(kw_only=True)
class KeepsItsJobsInAField(Acme):
    known: dict[str, Job] = field(factory=dict)

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        if job.id not in self.known:
            raise UnsupportedFeatureError("never seen", job=job)
        return (yield from super().settle(job, age))

    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        job = yield from super().submit(request, model, terms)
        self.known[job.id] = job
        return job


@breaks("jobs_survive_storage")
class IsMadeInNoTimeZone(Acme):
    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        return evolve((yield from super().submit(request, model, terms)), created_at=NO_ZONE)


@breaks("no_field_is_dropped_beside_another")
class DropsTheSeedBesideReferences(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        super().extras(draft, evolve(request, seed=None) if request.references else request)


@breaks("no_field_is_dropped_beside_another")
class DropsTheRatioOfSeveral(Acme):
    def shape(self, draft: Draft, request: ImageRequest) -> None:
        super().shape(draft, evolve(request, aspect_ratio=None) if request.n > 1 else request)


@breaks("no_outcome_makes_it_pay_twice")
class TriesAgainAsIfItWereFree(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        reply = yield from super().post(translation)
        if reply.status == 429:
            url = f"{self.host}/v1/images"
            reply = yield Call("POST", url, json=translation.body, account=self.name)
        return reply


@breaks("an_unreadable_answer_is_unknown")
class TakesAnEmptyObjectForARefusal(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        if reply.status >= 500 and reply.body == b"{}":
            raise refused(reply.status, "no", reply, provider=self.name, model=model)
        return super().accepted(reply, model)


@breaks("the_key_is_in_nothing")
class EncodesTheKeyBesideAName(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        pair = f"me:{self.api_key.reveal() if self.api_key else ''}:1".encode()
        body = {**translation.body, "auth": base64.b64encode(pair).decode()}
        return (yield from super().post(evolve(translation, body=body)))


@breaks("the_key_is_in_nothing")
class LogsTheKey(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        logging.getLogger("acme").debug("with %s", self.api_key and self.api_key.reveal())
        return (yield from super().post(translation))


@breaks("the_prompt_is_in_no_log")
class LogsThePrompt(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        logging.getLogger("acme").debug("sending %s", translation.body)
        return (yield from super().post(translation))


@breaks("the_flow_does_no_io_and_reads_no_clock")
class Prints(Acme):
    def post(self, translation: Translation) -> Flow[Reply]:
        print("sending")  # noqa: T201 - as careless code does
        return (yield from super().post(translation))


@breaks("the_cost_is_that_of_the_price")
class KnowsTheListPriceOnly(Acme):
    def price(self, model: str, request: ImageRequest) -> Price | None:
        return self.list_price(model, request)


@breaks("the_cost_is_that_of_the_price")
class CostsWhatTheFirstModelCosts(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        return super().made(evolve(job, model="one"), answer)

    def list_price(self, model: str, request: ImageRequest) -> Price | None:
        return PRICE if model == "one" else evolve(PRICE, amount=Decimal(1))


@breaks("partial_results_are_kept")
class CostsWhatIsFree(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        made = super().made(job, answer)
        free = tuple(evolve(failure, charged="no") for failure in made.failures)
        cost = PRICE.cost(job.request.n) if free else made.cost
        return evolve(made, failures=free, cost=cost)


@breaks("a_success_is_a_whole_generation")
class ExpiresNowhere(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        made = super().made(job, answer)
        return evolve(made, images=tuple(evolve(i, expires_at=NO_ZONE) for i in made.images))


@breaks("a_success_is_a_whole_generation")
class HasHalfAnAddress(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        made = super().made(job, answer)
        return evolve(made, images=tuple(evolve(image, url="/1.png") for image in made.images))


@breaks("a_success_is_a_whole_generation")
class ForgetsItsJob(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        return evolve(super().made(job, answer), job=None)


@breaks("an_id_leads_nowhere_else")
class TrustsItsIds(Acme):
    def address(self, job: Job) -> str:
        return f"{self.host}/v1/jobs/{job.id}"


@breaks("polls_are_apart")
class AsksWithoutAPause(Acme):
    def polled(self, job: Job) -> Flow[Generation]:
        flow, answer = super().polled(job), None
        while True:
            try:
                step = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
            except StopIteration as stop:
                made: Generation = stop.value
                return made
            try:
                answer = None if isinstance(step, Pause) else (yield step)
            except Exception as error:  # noqa: BLE001 - passed on
                answer = error


@breaks("any_request_is_translated_or_refused")
class StumblesOverOptions(Acme):
    def extras(self, draft: Draft, request: ImageRequest) -> None:
        super().extras(draft, request)
        for value in request.provider_options.get(self.name, {}).values():
            if value is None or isinstance(value, (bool, list)):
                raise KeyError("style")


@breaks("any_answer_to_a_submission_is_typed")
class TrustsItsAnswers(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        if b'"urls"' in reply.body:
            raise KeyError("urls")
        return super().accepted(reply, model)


@breaks("any_answer_to_a_poll_is_typed", "no_place_of_a_reply_is_trusted")
class TrustsItsPolls(Acme):
    def made(self, job: Job, answer: Answer) -> Generation:
        if answer.urls != [URL]:
            raise KeyError("urls")
        return super().made(job, answer)


@breaks("no_place_of_a_reply_is_trusted")
class LooksUpWhateverCodeThereIs(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        try:
            return super().accepted(reply, model)
        except ImageGenError:
            if reply.status == 400:
                hash(codec.structure(codec.decode(reply.body), Answer).code)
            raise


@breaks("any_answer_to_a_poll_is_typed")
class FollowsWhereverItIsSent(Acme):
    def polled(self, job: Job) -> Flow[Generation]:
        while True:
            yield Pause(2.0)
            reply = yield Call("GET", self.address(job), account=self.name, timeout=30)
            if b"https://" in reply.body and reply.body != DONE.body:
                yield Call("GET", URL, account=self.name)
            answer = self.told(reply)
            if answer.state == "done":
                return self.made(job, answer)
            if answer.state == "failed":
                raise JobFailedError("Acme failed it", job=job)


@pytest.mark.parametrize(("backend", "rules"), BROKEN, ids=[cls.__name__ for cls, _ in BROKEN])
def test_a_broken_backend_breaks_its_rule_and_no_other(
    backend: type[Acme], rules: tuple[str, ...]
) -> None:
    class Suite(Sound):
        examples = 500

    Suite.backend = backend(api_key="not-a-key")
    certain = [name for name in RULES if name not in BY_CHANCE]
    by_chance = [name for name in rules if name in BY_CHANCE]
    assert sorted(broken_rules(Suite(), [*certain, *by_chance])) == sorted(rules)


def about(backend: Backend, **given: Any) -> Subject:
    suite: Subject = type("Suite", (Sound,), {"backend": backend, **given})()
    return suite


class WithoutAnAge(Acme):
    def settle(self, job: Job) -> Flow[Generation]:  # type: ignore[override]
        return (yield from super().settle(job))


def test_a_signature_of_an_older_imagegen_is_caught_before_anybody_pays() -> None:
    suite = about(WithoutAnAge(api_key="not-a-key"))
    told = asked(suite, "test_its_methods_take_what_imagegen_passes")
    assert "settle(job: " in told
    assert "too many positional arguments; write settle(job: " in told
    assert "age: " in told


class Coroutine(Acme):
    async def submit(self, *_: Any) -> Any:  # type: ignore[override]
        """Be no generator."""


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_a_coroutine_is_no_flow() -> None:
    told = asked(about(Coroutine(api_key="not-a-key")), "test_a_submission_is_one_paid_post")
    assert "submit() returns <coroutine" in told
    assert "write it as a generator function" in told


class AtOnce(Acme):
    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        job = yield from super().submit(request, model, terms)
        return evolve(job, settled=self.made(job, Answer(urls=[URL])))

    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        raise UnsupportedFeatureError("Acme answers at once", job=job)


class Nests(Acme):
    """Puts everything, the caller's own fields too, into one object of the body."""

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        said = super().translate(request, model, terms)
        return evolve(said, body={"version": model, "input": said.body})


class Edits(Acme):
    """Changes a picture, and so needs one; knows no characters."""

    def extras(self, draft: Draft, request: ImageRequest) -> None:
        sources = [each for each in request.references if each.role == "source"]
        if len(sources) < len(request.references):
            draft.unsupported("references", "Acme knows no characters")
        if not sources:
            raise draft.refusal("references", "there is nothing to change", "Give a source")
        super().extras(draft, evolve(request, references=sources))


SOURCE = ReferenceImage("https://pictures.example/a.png", "source")


@pytest.mark.parametrize(
    ("backend", "given"),
    [(Nests, {}), (Edits, {"request": ImageRequest("a red fox", references=[SOURCE])})],
)
def test_an_unusual_sound_backend_keeps_every_rule(
    backend: type[Acme], given: dict[str, Any]
) -> None:
    told = {name: asked(about(backend(api_key="x"), **given), name) for name in RULES}
    assert [words for words in told.values() if words.startswith("broken")] == []


def test_nested_fields_that_results_rest_on_cannot_be_replaced_either() -> None:
    rule = "test_what_prices_and_results_rest_on_cannot_be_replaced"

    class Replaceable(Nests):
        def reserved(self) -> frozenset[str]:
            return frozenset({"model", "n", "seed"})

    assert "may set 'prompt'" in asked(about(Replaceable(api_key="x")), rule)


def test_a_suite_without_a_backend_is_told_to_add_one() -> None:
    suite: Subject = type("TestNothing", (Conformance,), {})()
    assert "add backend to TestNothing" in asked(suite, "test_it_is_named")


class BuysAgain(AtOnce):
    def settle(self, job: Job, age: float = 0.0) -> Flow[Generation]:
        yield from self.post(self.translate(job.request, job.model, Terms()))
        return self.made(job, Answer(urls=[URL]))


def test_a_backend_that_answers_at_once_keeps_the_rules_too() -> None:
    given = {"success": [JOB], "partial": [JOB], "refusals": Sound.refusals[:1]}
    told = {name: asked(about(AtOnce(api_key="x"), **given), name) for name in RULES}
    assert [name for name, words in told.items() if words.startswith("broken")] == []


def test_settling_an_answered_job_may_not_buy_it_again() -> None:
    rule = "test_an_answered_job_is_not_bought_again"
    assert "makes a paid call" in asked(about(BuysAgain(api_key="x"), success=[JOB]), rule)


Module = Callable[[str, str], None]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    """Write a module whose path begins with ``kit_``."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, code: str) -> None:
        file = tmp_path / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(code, encoding="utf-8")

    yield write
    for name in [name for name in sys.modules if name.startswith("kit_")]:
        del sys.modules[name]


CLASS = "from imagegen.backends.minimax import MiniMax\nclass Acme(MiniMax):\n    pass\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import time", "kit_acme.backend imports time"),
        ("from os import environ", "kit_acme.backend imports os.environ"),
        ("import os.path as p", "kit_acme.backend imports os.path"),
        ("from . import helper", "kit_acme.helper imports socket"),
        ("from kit_acme.helper import x", "kit_acme.helper imports socket"),
        ("from urllib import request", "kit_acme.backend imports urllib.request"),
        ("if True:\n    import httpx", "kit_acme.backend imports httpx"),
        ("import threading", "kit_acme.backend imports threading"),
        ("from threading import Lock", ""),
        ("from urllib.parse import quote", ""),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import httpx", ""),
    ],
)
def test_modules_that_import_io_are_found(module: Module, line: str, found: str) -> None:
    module("kit_acme.__init__", "from kit_acme.backend import Acme\nimport time\n")
    module("kit_acme.helper", "import socket\nx = socket\n")
    module("kit_acme.backend", f"{line}\n{CLASS}")
    backend = import_module("kit_acme.backend").Acme(api_key="x")
    told = asked(about(backend), "test_its_modules_import_no_io")
    assert (found in told) if found else told == "kept"


KEEPING = f"""
from {__name__} import Acme
from kit_acme.store import JOBS

class Keeps(Acme):
    def submit(self, request, model, terms):
        job = yield from super().submit(request, model, terms)
        JOBS[job.id] = job
        return job

    def settle(self, job, age=0.0):
        return (yield from super().settle(JOBS[job.id], age))
"""


def test_jobs_that_another_module_keeps_are_found(module: Module) -> None:
    module("kit_acme.__init__", "")
    module("kit_acme.store", "JOBS = {}\n")
    module("kit_acme.backend", KEEPING)
    suite = about(import_module("kit_acme.backend").Keeps(api_key="x"))
    assert "the job raised KeyError: 'j1'" in asked(suite, "test_jobs_survive_storage")
    assert list(import_module("kit_acme.store").JOBS) == ["j1"]


def test_an_entry_point_must_lead_to_the_backend(tmp_path: Path, module: Module) -> None:
    rule = "test_it_is_registered_under_its_name"
    folder = tmp_path / "acme-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n", "utf-8")
    points = folder / "entry_points.txt"
    points.write_text("[imagegen.backends]\nacme = kit_one:Acme\n", "utf-8")
    module("kit_one", CLASS.replace("pass", "name = 'acme'"))
    module("kit_two", CLASS.replace("pass", "name = 'acme'"))
    one, two = (import_module(name).Acme(api_key="x") for name in ("kit_one", "kit_two"))
    assert asked(about(one), rule) == "kept"
    assert "leads to kit_one:Acme, not to kit_two:Acme" in asked(about(two), rule)
    points.write_text("[imagegen.backends]\nstudio = kit_one:Acme\n", "utf-8")
    words = "'studio' leads to Acme, whose name is 'acme'; call it acme in [project.entry-points"
    assert words in asked(about(one), rule)
    points.write_text("[imagegen.backends]\nacme = kit_one:Nothing\n", "utf-8")
    assert "is not where its entry point says" in asked(about(one), rule)


def test_what_is_not_given_skips_its_rules_with_what_to_add() -> None:
    suite = about(Acme(api_key="x"), success=(), partial=(), refusals=())
    told = {asked(suite, name).partition(":")[0:3:2] for name in RULES}
    added = {words.strip().partition(":")[0] for state, words in told if state == "skipped"}
    assert added == {"add success", "add partial", "add refusals", "add the entry point"}
    assert {state for state, _ in told} == {"kept", "skipped"}


def test_a_complete_suite_skips_nothing() -> None:
    given = {"success": (), "partial": (), "refusals": (), "complete": True}
    told = {name: asked(about(Acme(api_key="x"), **given), name) for name in RULES}
    missing = {words for words in told.values() if "complete = True" in words}
    assert {words.partition(":")[2][:10].strip() for words in missing} == {
        *("add succe", "add parti", "add refus", "add the e"),
    }
    assert {words.partition(":")[0] for words in told.values()} == {"kept", "broken"}


def test_what_every_backend_says_of_itself_is_asked_for_once() -> None:
    class Nameless(Acme):
        def __getattribute__(self, name: str) -> Any:
            if name in ("prefix", "host_variable"):
                raise AttributeError(name)
            return super().__getattribute__(name)

    with pytest.raises(TypeError, match="Nameless lacks `host_variable` and `prefix`"):
        about(Nameless(api_key="x"))


class TakesAnyWordsForARefusal(Acme):
    def accepted(self, reply: Reply, model: str) -> Answer:
        if reply.status == 503 and b'"code"' in reply.body:
            raise ProviderUnavailableError("busy", provider=self.name, status=503)
        return super().accepted(reply, model)


class KnowsThatItIsBusy(TakesAnyWordsForARefusal):
    def accepted(self, reply: Reply, model: str) -> Answer:
        known = reply.status != 503 or b'"busy"' in reply.body
        return super().accepted(reply if known else evolve(reply, body=b""), model)


def test_a_server_error_with_words_that_nobody_knows_is_unknown() -> None:
    rule = "test_an_unreadable_answer_is_unknown"
    refusals = [(reply({"code": "busy"}, status=503), ProviderUnavailableError)]
    told = asked(about(TakesAnyWordsForARefusal(api_key="x"), refusals=refusals), rule)
    assert """HTTP 503 with b'{"code": "x-of-the-kit"}'""" in told
    in_a_list = [([answer], kind) for answer, kind in refusals]
    assert asked(about(TakesAnyWordsForARefusal(api_key="x"), refusals=in_a_list), rule) == told
    suite = about(KnowsThatItIsBusy(api_key="x"), refusals=refusals)
    assert broken_rules(suite, (name for name in RULES if name not in BY_CHANCE)) == []


class KeepsWhatItSays(Acme):
    last: Any = None

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        said = super().translate(request, model, terms)
        self.last = said
        return said


class ForgetsToYieldFrom(Acme):
    def submit(self, request: ImageRequest, model: str, terms: Terms) -> Flow[Job]:
        job: Any = super().submit(request, model, terms)
        yield Pause(0.0)
        return Job.from_json(job.to_json())


class AsksTwice(Acme):
    def told(self, reply: Reply) -> Answer:
        answer = super().told(reply)
        return evolve(answer, state="not quite") if answer.state == "done" else answer


@pytest.mark.parametrize(
    ("backend", "rule", "words"),
    [
        (KeepsWhatItSays, "a_translation_is_pure", "a backend keeps nothing: use a local variable"),
        (ForgetsToYieldFrom, "a_submission_is_one_paid_post", "`yield from` only"),
        (AsksTwice, "a_submission_is_one_paid_post", "makes more than 3 calls, one a reply"),
        (
            AsksTwice,
            "a_success_is_a_whole_generation",
            "an end (is_over), or is a call made twice?",
        ),
    ],
)
def test_common_slips_are_told_with_their_cure(backend: type[Acme], rule: str, words: str) -> None:
    told = asked(about(backend(api_key="x")), f"test_{rule}")
    assert told.startswith("broken")
    assert words in told


def test_lines_of_a_failure_are_short_and_keep_both_ends() -> None:
    with pytest.raises(AssertionError) as caught:
        require_none([f"first{'x' * 5000}last", "short"], "The rule:")
    rule, long, short = str(caught.value).splitlines()
    assert (rule, short) == ("The rule:", "  short")
    assert (len(long) <= 300, long[:7], long[-4:]) == (True, "  first", "last")


def test_partial_may_be_none_only_if_every_model_makes_one_a_call() -> None:
    rule = "test_partial_results_are_kept"
    one = type("One", (Acme,), {"images_per_call": lambda *_: 1})
    assert asked(about(one(api_key="x"), partial=None), rule) == "kept"
    assert "partial is None" in asked(about(Acme(api_key="x"), partial=None), rule)


def test_what_is_no_instance_is_refused_where_the_suite_is_written() -> None:
    with pytest.raises(TypeError, match="must be an instance of a Backend"):
        about(Acme)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a list of replies"):
        about(Acme(api_key="x"), success=DONE)


ELSEWHERE = {
    "test_it_is_registered_under_its_name",
    "test_its_methods_take_what_imagegen_passes",
    "test_its_modules_import_no_io",
    "test_an_answered_job_is_not_bought_again",
}


def test_every_rule_has_a_backend_that_breaks_it() -> None:
    assert set(RULES) - {rule for _, rules in BROKEN for rule in rules} == ELSEWHERE
