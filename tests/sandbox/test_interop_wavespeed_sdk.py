"""The official `wavespeed` SDK against the sandbox on a real port."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from wavespeed import Client

from imagegen.sandbox import Fault, Sandbox

MODEL = "minimax/image-01/text-to-image"
EDIT = "minimax/image-01/image-to-image"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(latency=0.05, keys={"ws-key"})
    with sandbox.running():
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return Client(api_key="ws-key", base_url=sandbox.origin, retry_interval=0.01)


def test_run_polls_until_the_pictures_are_there(client: Client, sandbox: Sandbox) -> None:
    given = {"prompt": "a red fox", "size": "1344*576", "num_images": 2, "seed": 3}
    outputs = client.run(MODEL, given, poll_interval=0.02)["outputs"]
    assert len(outputs) == 2
    for url in outputs:
        reply = requests.get(url, timeout=5)
        with Image.open(io.BytesIO(reply.content)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (1344, 576))
    (submission,) = sandbox.submissions
    assert submission.body == given


def test_sync_mode_answers_in_one_request(client: Client) -> None:
    outputs = client.run(MODEL, {"prompt": "a"}, enable_sync_mode=True)["outputs"]
    assert len(outputs) == 1


def test_a_sync_timeout_is_what_the_sdk_takes_for_one(client: Client, sandbox: Sandbox) -> None:
    sandbox.latency, sandbox.sync_limit = 0.3, 0.1
    with pytest.raises(RuntimeError, match=r"Sync mode timed out \(task_id: \w{32}\)"):
        client.run(MODEL, {"prompt": "a"}, enable_sync_mode=True)
    result = client.run_no_throw(MODEL, {"prompt": "a"}, enable_sync_mode=True)
    assert (result["status"], result["outputs"]) == ("processing", None)
    assert result["task_id"] == sandbox.submissions[-1].id


def test_get_result_finds_a_task_again(client: Client, sandbox: Sandbox) -> None:
    client.run(MODEL, {"prompt": "a"}, poll_interval=0.02)
    data = client.get_result(sandbox.submissions[0].id)["data"]
    assert (data["status"], data["model"]) == ("completed", MODEL)


def test_get_result_retries_through_a_bad_gateway(
    client: Client, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.inject(Fault("http", step="poll", status=502, shape="html", times=2))
    assert client.run(MODEL, {"prompt": "a"}, poll_interval=0.02)["outputs"]
    assert capsys.readouterr().out.count("HTTP 502") == 2


def test_an_uploaded_file_is_taken_as_a_reference(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "me.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    url = client.upload(str(file))
    assert requests.get(url, timeout=5).content == file.read_bytes()
    assert client.run(EDIT, {"prompt": "a", "image": url}, poll_interval=0.02)["outputs"]


def test_a_wrong_key_is_a_401(sandbox: Sandbox) -> None:
    client = Client(api_key="wrong", base_url=sandbox.origin)
    with pytest.raises(RuntimeError, match=r"HTTP 401.*invalid API key"):
        client.run(MODEL, {"prompt": "a"})
    assert sandbox.submissions == []


def test_missing_credit_is_a_400(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("insufficient_balance"))
    with pytest.raises(RuntimeError, match=r"HTTP 400.*Insufficient credits"):
        client.run(MODEL, {"prompt": "a"})


@pytest.mark.parametrize("status", ["failed", "cancelled", "timeout", "deleted"])
def test_a_task_that_ends_badly_raises_with_its_id(
    client: Client, sandbox: Sandbox, status: str
) -> None:
    sandbox.inject(Fault("prediction_status", prediction_status=status))
    with pytest.raises(RuntimeError, match=rf"Prediction {status} \(task_id: \w{{32}}\)"):
        client.run(MODEL, {"prompt": "a"}, poll_interval=0.02)


def test_moderation_reaches_the_caller_in_the_providers_words(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("moderated"))
    result = client.run_no_throw(MODEL, {"prompt": "a"}, poll_interval=0.02)
    assert result["status"] == "failed"
    assert "flagged as potentially sensitive" in str(result["error"])
    assert result["task_id"] == sandbox.submissions[0].id


def test_a_lost_answer_is_told_as_one_and_never_sent_again(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("drop", accepted=True))
    with pytest.raises(RuntimeError, match="may already have been created"):
        client.run(MODEL, {"prompt": "a"})
    assert len(sandbox.submissions) == 1
