"""A provider without a network, for an application's tests."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from imagegen import Budget, Client, Comparison, Generation, Job, Ledger
from imagegen.errors import (
    BudgetExceededError,
    ConfigurationError,
    ContentPolicyError,
    DeadlineExceededError,
    InsufficientBalanceError,
    JobFailedError,
    RateLimitError,
    SubmissionUnknownError,
    TransportError,
)
from imagegen.request import ImageRequest, Size
from imagegen.testing import FakeBackend, FakeClock, Made
from imagegen.testing.conformance.fields import FieldRules
from imagegen.testing.conformance.form import FormRules
from imagegen.testing.conformance.purity import PurityRules
from imagegen.testing.conformance.translation import TranslationRules
from imagegen.testing.drawing import png
from imagegen.testing.fake import Scripted


class TestWhatAppliesOfTheConformanceKit(FormRules, FieldRules, TranslationRules, PurityRules):
    backend = FakeBackend()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("a connection was to be made")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


def generated(desk: Any, request: ImageRequest | str, **options: Any) -> Generation:
    made = desk.generate(request, **options)
    assert isinstance(made, Generation)
    return made


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (512, 512)),
        ({"size": "1280x720"}, (1280, 720)),
        ({"size": "1x1"}, (1, 1)),
        ({"size": Size(3, 1000)}, (3, 1000)),
        ({"aspect_ratio": "16:9"}, (512, 288)),
        ({"aspect_ratio": "1:99"}, (5, 495)),
    ],
)
def test_pictures_are_real_and_of_the_size_asked_for(
    kit: Any, asked: dict[str, Any], size: tuple[int, int]
) -> None:
    desk = kit.desk([FakeBackend()])
    made = generated(desk, ImageRequest("a fox", n=2, **asked), model="fake:picture")
    for image in made.images:
        picture = Image.open(BytesIO(image.data or b""))
        picture.load()
        assert (picture.format, picture.size) == ("PNG", size)
        assert (image.width, image.height) == size
    assert made.notices == ()


def test_equal_seeds_give_equal_pictures_and_each_picture_has_its_own() -> None:
    with Client([FakeBackend()]) as client:
        several = client.generate(ImageRequest("a fox", n=3, seed=7))
        second = client.generate(ImageRequest("a fox", seed=8))
        other = client.generate(ImageRequest("a hen", seed=8))
    pictures = [image.data for image in several.images]
    assert len(set(pictures)) == 3
    assert second.images[0].data == pictures[1] != other.images[0].data


def test_what_was_submitted_is_remembered_in_order(kit: Any) -> None:
    backend = FakeBackend()
    desk = kit.desk([backend])
    generated(desk, "a fox")
    generated(desk, ImageRequest("a hen", n=2))
    assert [(asked.prompt, asked.n) for asked in backend.requests] == [("a fox", 1), ("a hen", 2)]


def test_more_pictures_than_one_call_makes_are_split() -> None:
    backend = FakeBackend(most=2)
    with Client([backend]) as client:
        assert len(client.generate(ImageRequest("a fox", n=5)).images) == 5
    assert sorted(asked.n for asked in backend.requests) == [1, 2, 2]


@pytest.mark.parametrize("output", ["url", "bytes"])
def test_pictures_carry_their_bytes_so_that_nothing_is_fetched(kit: Any, output: Any) -> None:
    desk = kit.desk([FakeBackend()])
    made = generated(desk, ImageRequest("a fox", output=output))
    assert desk.fetch(made) == made
    assert made.images[0].data
    assert (made.images[0].url is None) == (output == "bytes")


def test_a_script_is_followed_and_then_everything_succeeds() -> None:
    own = png("mine", Size(2, 2))
    empty = InsufficientBalanceError("empty")
    script: list[Scripted] = [empty, Made(images=1), Made(data=own)]
    with Client([FakeBackend(script=script)]) as client:
        with pytest.raises(InsufficientBalanceError, match="empty") as caught:
            client.generate("a fox")
        assert (caught.value.provider, caught.value.charged) == ("fake", "no")
        partial = client.generate(ImageRequest("a fox", n=2))
        assert (len(partial.images), len(partial.failures)) == (1, 1)
        assert partial.failures[0].error == "ContentPolicyError"
        assert client.generate("a fox").images[0].data == own
        assert client.generate("a fox").images[0].data != own


def test_a_submission_that_brings_nothing_is_an_error() -> None:
    script = [Made(images=0), Made(images=0, missing=JobFailedError)]
    with Client([FakeBackend(script=script)]) as client:
        with pytest.raises(ContentPolicyError, match="no picture came"):
            client.generate("a fox")
        with pytest.raises(JobFailedError):
            client.generate("a fox")


def test_a_passing_fault_is_tried_again_as_with_a_real_provider(kit: Any) -> None:
    script: list[Scripted] = [
        RateLimitError("busy", retry_after=20),
        TransportError("refused", sent=False),
    ]
    backend, clock = FakeBackend(script=script), FakeClock()
    desk = kit.desk([backend], clock=clock)
    assert generated(desk, "a fox").images
    assert len(backend.requests) == 3
    assert clock.monotonic() >= 20


def test_an_unknown_outcome_is_not_tried_again() -> None:
    backend = FakeBackend(script=[SubmissionUnknownError("lost")])
    with Client([backend]) as client, pytest.raises(SubmissionUnknownError) as caught:
        client.generate("a fox")
    assert caught.value.charged == "unknown"
    assert len(backend.requests) == 1


@pytest.mark.parametrize("kind", [TransportError, DeadlineExceededError])
def test_a_submission_that_was_sent_in_vain_is_unknown_as_with_a_real_provider(kind: Any) -> None:
    backend = FakeBackend(script=[kind("reset")])
    with Client([backend]) as client, pytest.raises(SubmissionUnknownError) as caught:
        client.generate("a fox")
    assert caught.value.charged == "unknown"
    assert len(backend.requests) == 1


def test_a_job_that_takes_too_long_can_be_asked_for_again() -> None:
    with Client([FakeBackend(seconds=600)], clock=FakeClock()) as client:
        with pytest.raises(DeadlineExceededError) as caught:
            client.generate("a fox", timeout=5)
        assert caught.value.job is not None
        assert len(client.result(caught.value.job, timeout=700).images) == 1


def test_an_application_that_names_its_provider_gets_a_fake_of_that_name() -> None:
    class Fake(FakeBackend):
        name = "minimax"

    backend = Fake()
    with Client([backend]) as client:
        assert client.generate("a fox", model="minimax:image-01").provider == "minimax"
    assert len(backend.requests) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("most", 0), ("most", "4"), ("most", True)),
        *(("seconds", -1), ("seconds", "5"), ("seconds", float("nan"))),
        *(("price", "free"), ("price", -1), ("script", None), ("script", {"one": Made()})),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_at_once(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=field):
        FakeBackend(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("images", -1), ("images", True), ("images", "2"), ("missing", ValueError), ("missing", "x")],
)
def test_what_a_submission_brings_is_possible(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{field} must be"):
        Made(**{field: value})


def test_each_model_may_have_its_own_script(kit: Any) -> None:
    backend = FakeBackend(script={"bad": [RateLimitError("busy")]})
    desk = kit.desk([backend], retries=None)
    comparison = kit.wait(desk.client.compare("a fox", models=["fake:good", "fake:bad"]))
    assert isinstance(comparison, Comparison)
    assert [bool(c.generation) for c in comparison.contenders] == [True, False]


def test_a_job_takes_its_time_and_can_be_asked_for_from_another_process() -> None:
    clock, request = FakeClock(), ImageRequest("a fox", seed=7)
    with Client([FakeBackend(seconds=60)], clock=clock) as client:
        job = client.submit(request)
        assert job.settled is None
        here = client.result(job)
    assert clock.monotonic() == 60
    with Client([FakeBackend(seconds=60)], clock=FakeClock()) as client:
        there = client.result(Job.from_json(job.to_json()))
    assert [image.data for image in there.images] == [image.data for image in here.images]


@pytest.mark.parametrize("seconds", [None, 5])
def test_a_failed_job_is_accepted_first(seconds: float | None) -> None:
    backend = FakeBackend(script=[JobFailedError("it failed")], seconds=seconds)
    with Client([backend], clock=FakeClock()) as client:
        job = client.submit("a fox")
        with pytest.raises(JobFailedError, match="it failed") as caught:
            client.result(job)
    assert caught.value.job == job


def test_its_price_is_known_and_kept_to(tmp_path: Any) -> None:
    with (
        Ledger(tmp_path / "ledger.db") as ledger,
        Client([FakeBackend(price="0.25")], ledger=ledger, budget=Budget(amount="0.60")) as client,
    ):
        assert client.plan("a fox")[0].cost.amount == Decimal("0.25")
        assert client.generate(ImageRequest("a fox", n=2)).cost.amount == Decimal("0.50")
        with pytest.raises(BudgetExceededError):
            client.generate("a fox")


def test_a_price_may_be_unknown() -> None:
    with Client([FakeBackend(price=None)]) as client:
        assert client.plan("a fox")[0].cost.amount is None


def test_a_plan_submits_nothing() -> None:
    backend = FakeBackend(script=[RateLimitError("busy")])
    with Client([backend]) as client:
        (plan,) = client.plan("a fox")
        assert (plan.supported, plan.body()) == (True, None)
    assert backend.requests == []
    assert len(backend.script[None]) == 1


@pytest.mark.parametrize("script", [["busy"], [RateLimitError], [b"\x89PNG"]])
def test_a_script_has_only_what_can_come(script: Any) -> None:
    with pytest.raises(ConfigurationError, match="a script has Made"):
        FakeBackend(script=script)


@pytest.mark.parametrize("data", [b"", b"GIF", "x"])
def test_scripted_bytes_are_a_picture(data: Any) -> None:
    with pytest.raises(ConfigurationError, match="bytes of a picture"):
        Made(data=data)
