"""OpenAI's backend through both clients: forms, keys, pictures, plans, on sockets and without."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from email.message import Message
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from imagegen import Client, ConfigurationError, ImageRequest, ReferenceImage, Retries
from imagegen.backends.openai import HOST, OpenAI
from imagegen.cli.commands import imagegen
from imagegen.errors import RateLimitError, SubmissionUnknownError
from imagegen.testing import FakeClock
from openai_recorder import FLARE, KEY, PNG, Recorder, Sent

LOCAL = "openai:Qwen/Qwen-Image"
EDIT = ImageRequest("a fox 🦊", references=ReferenceImage(PNG, role="source"))
LARGE = PNG + random.Random(7).randbytes(300_000)  # noqa: S311 - pixels


@pytest.fixture
def server() -> Iterator[Recorder]:
    """A server without a key whose pictures are long enough to be decoded while they arrive."""
    server = Recorder(picture=LARGE)
    yield server
    server.close()


def sent(request: httpx.Request) -> Sent:
    headers = Message()
    for name, value in request.headers.items():
        headers[name] = value
    return Sent(request.method, request.url.path, headers, request.read())


# Without sockets


def test_a_form_leaves_with_its_type_its_length_and_the_key(kit: Any) -> None:
    answer = {"data": [{"url": "https://pictures.example/1.png"}]}
    watched = kit.watched(httpx.MockTransport(lambda _: httpx.Response(200, json=answer)))
    kit.desk([OpenAI(api_key=KEY)], watched=watched).generate(EDIT, model="openai:")
    [request] = watched.requests
    assert str(request.url) == f"{HOST}/v1/images/edits"
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert request.headers["content-length"] == str(len(request.read()))
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert sent(request).parts == [
        ("image", "image/png", PNG),
        ("model", None, FLARE.encode()),
        ("n", None, b"1"),
        ("prompt", None, "a fox 🦊".encode()),
    ]


def test_without_a_key_nothing_leaves_for_openai(kit: Any) -> None:
    watched = kit.watched(httpx.MockTransport(lambda _: httpx.Response(200, json={})))
    desk = kit.desk([OpenAI()], watched=watched)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        desk.generate(EDIT, model="openai:")
    assert watched.requests == []


def test_a_rate_limit_is_waited_for_and_a_server_error_is_not_repeated(
    kit: Any, time: FakeClock
) -> None:
    refusal = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "slow_down"}}
    answers = [
        httpx.Response(429, json=refusal, headers={"Retry-After": "12"}),
        httpx.Response(503, json=refusal, headers={"Retry-After": "12"}),
    ]
    watched = kit.watched(httpx.MockTransport(lambda _: answers.pop(0)))
    desk = kit.desk([OpenAI(api_key=KEY)], watched=watched, clock=time, retries=Retries())
    with pytest.raises(SubmissionUnknownError) as caught:
        desk.generate(EDIT, model="openai:")
    assert [attempt.error for attempt in caught.value.attempts] == [
        RateLimitError.__name__,
        SubmissionUnknownError.__name__,
    ]
    assert time.monotonic() >= 12
    first, second = (sent(request) for request in watched.requests)
    assert first.parts == second.parts
    assert first.headers["content-type"] != second.headers["content-type"]


# On sockets


def test_a_server_of_ones_own_needs_no_key(kit: Any, server: Recorder) -> None:
    desk = kit.desk([OpenAI(base_url=server.origin)])
    generation = desk.generate(ImageRequest("a fox", n=2, seed=7, output="bytes"), model=LOCAL)
    assert [image.data for image in generation.images] == [LARGE, LARGE]
    assert generation.images[0].request_id == "req_1"
    assert generation.images[0].seed == 7
    [request] = server.sent
    assert request.path == "/v1/images/generations"
    assert "authorization" not in request.headers
    assert request.json["seed"] == 7


def test_pictures_to_change_are_uploaded_whole(kit: Any, server: Recorder) -> None:
    desk = kit.desk([OpenAI(base_url=server.origin)])
    several = [ReferenceImage(LARGE, role="source"), ReferenceImage(PNG, role="source")]
    desk.generate(ImageRequest("a fox", references=several), model=LOCAL)
    [request] = server.sent
    assert request.path == "/v1/images/edits"
    files = [content for name, _, content in request.parts if name == "image[]"]
    assert sorted(files, key=len) == [PNG, LARGE]


def test_more_pictures_than_one_call_makes_are_split(kit: Any, server: Recorder) -> None:
    desk = kit.desk([OpenAI(base_url=server.origin)])
    generation = desk.generate(ImageRequest("a fox", n=12, output="bytes"), model=LOCAL)
    assert len(generation.images) == 12
    assert sorted(request.json["n"] for request in server.sent) == [2, 10]


# What is told beforehand


def test_a_plan_shows_a_form_without_its_pictures() -> None:
    large = ImageRequest("a fox", references=ReferenceImage(LARGE, role="source"))
    with Client([OpenAI()]) as client:
        [plan] = client.plan(large, ["openai:"])
    assert plan.url == f"{HOST}/v1/images/edits"
    body = plan.body()
    assert body == {
        "model": FLARE,
        "prompt": "a fox",
        "n": "1",
        "image": f"<image/png, {len(LARGE):,} bytes>",
    }
    assert json.loads(json.dumps(body)) == body
    assert plan.missing_key == "OPENAI_API_KEY"


def test_a_plan_misses_no_key_where_none_is_needed() -> None:
    with Client([OpenAI(base_url="http://127.0.0.1:8080")]) as client:
        [plan] = client.plan("a fox", [LOCAL])
    assert (plan.missing_key, plan.supported) == (None, True)
    assert [notice.field for notice in plan.notices] == ["model", "price"]


def told(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, str]:
    """What `imagegen doctor` finds where this is the only provider, by what it is about."""
    monkeypatch.setattr("imagegen.backends.names", lambda: ("openai",))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    printed = CliRunner().invoke(imagegen, ["doctor", "--json"]).stdout
    return {each["what"]: each["status"] for each in json.loads(printed)["findings"]}


def test_the_doctor_asks_a_server_without_a_key(
    server: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = told(monkeypatch, OPENAI_BASE_URL=f"{server.origin}/v1")
    assert (found["openai host"], found["openai key"], "keys" in found) == ("ok", "skip", False)
    assert [request.path for request in server.sent] == ["/v1/models"]


def test_the_doctor_asks_a_server_with_a_key(
    server: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = KEY
    right = told(monkeypatch, OPENAI_BASE_URL=server.origin, OPENAI_API_KEY=KEY)
    assert (right["openai host"], right["openai account"]) == ("ok", "ok")
    wrong = told(monkeypatch, OPENAI_API_KEY="another-made-up-key")
    assert (wrong["openai host"], wrong["openai account"]) == ("ok", "fail")
