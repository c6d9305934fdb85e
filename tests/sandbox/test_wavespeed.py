from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.exchange import Answer
from imagegen.sandbox.predictions import rfc3339

Ask = Callable[..., Answer]
Poll = Callable[[str], dict[str, Any]]

MODERATED = "Content flagged as potentially sensitive. Please try different prompts or images."


def began(answer: Answer) -> str:
    assert answer.status == 200, answer.json()
    return str(answer.json()["data"]["id"])


def test_a_submission_answers_at_once_with_the_captured_shape(predict: Ask) -> None:
    answer = predict(num_images=2)
    body = answer.json()
    assert (answer.delay, body["code"], body["message"]) == (0.0, 200, "success")
    data = body["data"]
    assert list(data) == [
        "id",
        "model",
        "outputs",
        "urls",
        "has_nsfw_contents",
        "status",
        "created_at",
        "error",
        "executionTime",
        "timings",
    ]
    assert re.fullmatch(r"[0-9a-f]{32}", data["id"])
    assert data["urls"]["get"].endswith(f"/api/v3/predictions/{data['id']}/result")
    assert (data["outputs"], data["has_nsfw_contents"]) == ([], [])
    assert (data["status"], data["error"], data["executionTime"]) == ("created", "", 0)
    assert re.fullmatch(r"2025-11-24T16:00:00\.25\d{1,7}Z", data["created_at"])


def test_a_prediction_is_created_then_processing_then_completed_by_the_clock(
    predict: Ask, poll: Poll, clock: Any
) -> None:
    identity = began(predict(num_images=2))
    seen = [poll(identity)["status"]]
    for seconds in (1.1, 18.8, 0.2):
        clock.sleep(seconds)
        seen.append(poll(identity)["status"])
    assert seen == ["created", "processing", "processing", "completed"]
    data = poll(identity)
    assert len(data["outputs"]) == 2
    assert data["has_nsfw_contents"] == [False, False]
    assert (data["executionTime"], data["timings"]) == (20_000, {"inference": 20_000})
    assert poll(identity) == data


def test_both_result_paths_answer_alike(ask: Ask, predict: Ask) -> None:
    path = f"/api/v3/predictions/{began(predict())}"
    assert ask("GET", path).json() == ask("GET", f"{path}/result").json()


def test_ids_are_visible_to_their_own_key_only(ask: Ask, predict: Ask) -> None:
    path = f"/api/v3/predictions/{began(predict())}/result"
    for answer in (
        ask("GET", path, key="other"),
        ask("GET", "/api/v3/predictions/0123456789abcdef0123456789abcdef/result"),
    ):
        assert answer.status == 404
        assert answer.json() == {"code": 404, "message": "Prediction not found"}


@pytest.mark.parametrize("digits", range(3, 10))
def test_times_are_rfc3339_with_as_many_digits_as_wanted(digits: int) -> None:
    assert re.fullmatch(rf"2023-11-14T22:13:20\.5\d{{{digits - 1}}}Z", rfc3339(1.7e9 + 0.5, digits))


def test_created_at_varies_in_digits_as_the_real_ones_do(predict: Ask) -> None:
    stamps = [predict().json()["data"]["created_at"] for _ in range(60)]
    lengths = {len(stamp.rpartition(".")[2]) - 1 for stamp in stamps}
    assert lengths <= set(range(3, 10))
    assert len(lengths) > 2


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_bad_key_is_a_401_envelope(sandbox: Sandbox, ask: Ask, key: str) -> None:
    sandbox.keys = frozenset({"right"})
    for method, path in (("POST", "minimax/image-01/text-to-image"), ("GET", "balance")):
        answer = ask(method, f"/api/v3/{path}", {"prompt": "a"}, key=key)
        assert answer.status == 401
        assert answer.json() == {"code": 401, "message": "invalid API key"}
    assert sandbox.submissions == []


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("minimax/image-01", {"prompt": "a"}, "model not found"),
        ("minimax/image-01/text-to-image", {}, 'field "prompt" is required'),
        (
            "minimax/image-01/text-to-image",
            {"prompt": "a", "size": "500*500"},
            'field "size" must be between 512 and 2048 on each side',
        ),
        ("minimax/image-01/text-to-image", b"{", "invalid JSON body"),
    ],
)
def test_invalid_submissions_are_a_400_envelope_and_cost_nothing(
    sandbox: Sandbox, ask: Ask, path: str, body: object, message: str
) -> None:
    answer = ask("POST", f"/api/v3/{path}", body or b"{}")
    assert answer.status == 400
    assert answer.json() == {"code": 400, "message": message}
    assert sandbox.submissions == []
    assert sandbox.balance == Decimal(100)


def test_unknown_endpoints_are_a_404_envelope(ask: Ask) -> None:
    assert ask("GET", "/api/v3/nothing").json() == {"code": 404, "message": "Not Found"}
    assert ask("DELETE", "/api/v3/predictions/1").status == 404


def test_accepted_submissions_are_logged_with_what_was_sent(sandbox: Sandbox, ask: Ask) -> None:
    body = {"prompt": "a", "num_images": 3, "nonsense": 1}
    path = "/api/v3/minimax/image-01/text-to-image?webhook=https%3A%2F%2Fx%2Fhook"
    identity = began(ask("POST", path, body))
    (submission,) = sandbox.submissions
    assert submission.provider == "wavespeed"
    assert submission.model == "minimax/image-01/text-to-image"
    assert (submission.id, submission.images, submission.body) == (identity, 3, body)
    assert submission.price == Decimal("0.0105")
    assert submission.webhook == "https://x/hook"
    assert sandbox.balance == Decimal("99.9895")


def test_a_balance_below_the_price_is_a_400_in_the_observed_words(
    sandbox: Sandbox, predict: Ask
) -> None:
    sandbox.balance = Decimal("0.0034")
    answer = predict()
    assert answer.status == 400
    assert answer.json() == {
        "code": 400,
        "message": "Insufficient credits. Please top up your account to continue.",
    }


def test_seeds_reproduce_and_minus_one_is_random(sandbox: Sandbox, predict: Ask) -> None:
    sandbox.latency = 0

    def pictures(**fields: Any) -> list[str]:
        answer = predict(enable_sync_mode=True, enable_base64_output=True, **fields)
        outputs: list[str] = answer.json()["data"]["outputs"]
        return outputs

    two = pictures(seed=5, num_images=2)
    assert two == pictures(seed=5, num_images=2)
    assert two[1] == pictures(seed=6)[0]
    assert pictures(seed=-1) != pictures(seed=-1)


def test_sync_mode_answers_completed_after_the_latency(predict: Ask, poll: Poll) -> None:
    answer = predict(enable_sync_mode=True)
    assert answer.delay == 20.0
    data = answer.json()["data"]
    assert (data["status"], len(data["outputs"])) == ("completed", 1)
    # Seen from the clock the task still runs: it is the answer that comes later.
    assert poll(data["id"])["status"] == "created"


def test_sync_mode_gives_up_after_its_limit_and_the_task_goes_on(
    sandbox: Sandbox, predict: Ask, poll: Poll, clock: Any
) -> None:
    sandbox.latency = 100
    answer = predict(enable_sync_mode=True)
    data = answer.json()["data"]
    assert (answer.status, answer.delay, answer.json()["code"]) == (200, 90.0, 200)
    assert (data["status"], data["code"], data["outputs"]) == ("processing", 5004, [])
    assert data["error"] == (
        "Sync mode timed out after 90 seconds. The prediction is still processing asynchronously."
    )
    clock.sleep(100)
    assert poll(data["id"])["status"] == "completed"


def test_a_sync_timeout_can_be_scripted_without_waiting_for_it(
    sandbox: Sandbox, predict: Ask
) -> None:
    sandbox.inject(Fault("sync_timeout"))
    answer = predict(enable_sync_mode=True)
    assert (answer.delay, answer.json()["data"]["code"]) == (0.0, 5004)
    assert len(sandbox.submissions) == 1


def test_models_without_sync_mode_drop_the_flag(ask: Ask) -> None:
    body = {"prompt": "a", "enable_sync_mode": True}
    answer = ask("POST", "/api/v3/alibaba/wan-2.5/text-to-image", body)
    assert answer.json()["data"]["status"] == "created"


def test_base64_outputs_are_naked_in_results_too(predict: Ask, poll: Poll, clock: Any) -> None:
    identity = began(predict(enable_base64_output=True))
    assert poll(identity)["outputs"] == []
    clock.sleep(20)
    (output,) = poll(identity)["outputs"]
    assert base64.b64decode(output, validate=True).startswith(b"\xff\xd8\xff")


def test_a_webhook_with_base64_output_is_refused_in_its_own_shape(ask: Ask) -> None:
    path = "/api/v3/minimax/image-01/text-to-image?webhook=https://x/hook"
    answer = ask("POST", path, {"prompt": "a", "enable_base64_output": True})
    assert answer.status == 400
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith("webhook callback does not support base64 output")


def test_a_reference_that_was_never_uploaded_fails_the_task(ask: Ask, poll: Poll) -> None:
    ticket = ask("POST", "/api/v3/media/uploads", {"filename": "a.png", "size": 3}).json()
    lost = ticket["data"]["download_url"]
    for fields in ({"image": lost}, {"image": "https://elsewhere/a.png"}):
        path = "/api/v3/minimax/image-01/image-to-image"
        identity = began(ask("POST", path, {"prompt": "a", "enable_sync_mode": True} | fields))
        code = 1402 if fields["image"] == lost else 0
        assert poll(identity).get("code", 0) == 0
        answer = ask("POST", path, {"prompt": "a", "enable_sync_mode": True} | fields)
        assert answer.json()["data"].get("code", 0) == code
        assert (answer.json()["data"]["status"] == "failed") == (code == 1402)


# Faults


@pytest.mark.parametrize("sync", [False, True])
def test_one_moderated_picture_is_flagged_in_its_place(
    sandbox: Sandbox, predict: Ask, poll: Poll, clock: Any, *, sync: bool
) -> None:
    sandbox.inject(Fault("moderated", image=1))
    data = predict(num_images=3, enable_sync_mode=sync).json()["data"]
    clock.sleep(20)
    shown = data if sync else poll(data["id"])
    assert shown["has_nsfw_contents"] == [False, True, False]
    assert len(shown["outputs"]) == 3


def test_a_moderated_prediction_fails_with_1200(
    sandbox: Sandbox, predict: Ask, poll: Poll, clock: Any
) -> None:
    sandbox.inject(Fault("moderated"))
    identity = began(predict())
    clock.sleep(20)
    data = poll(identity)
    assert (data["status"], data["code"], data["error"]) == ("failed", 1200, MODERATED)
    assert data["outputs"] == []


@pytest.mark.parametrize(
    ("fault", "status", "code", "error"),
    [
        (Fault("prediction_status"), "failed", 1405, "Task Failed"),
        (Fault("prediction_status", code=5000), "failed", 5000, "Internal Error"),
        (Fault("prediction_status", code=1402, message="gone"), "failed", 1402, "gone"),
        (Fault("prediction_status", prediction_status="timeout"), "timeout", 5004, "Timeout"),
        (Fault("prediction_status", prediction_status="cancelled"), "cancelled", None, ""),
        (Fault("prediction_status", prediction_status="deleted"), "deleted", None, ""),
        (Fault("prediction_status", prediction_status="archived"), "archived", None, ""),
    ],
)
def test_a_prediction_can_end_in_any_status(
    sandbox: Sandbox,
    predict: Ask,
    poll: Poll,
    clock: Any,
    *,
    fault: Fault,
    status: str,
    code: int | None,
    error: str,
) -> None:
    sandbox.inject(fault)
    identity = began(predict())
    assert poll(identity)["status"] == "created"
    clock.sleep(20)
    data = poll(identity)
    assert (data["status"], data.get("code"), data["error"]) == (status, code, error)
    assert data["outputs"] == []


def test_one_poll_can_show_another_status(sandbox: Sandbox, predict: Ask, poll: Poll) -> None:
    sandbox.latency = 0
    sandbox.inject(
        Fault("prediction_status", step="poll", after=1, prediction_status="pending", message="?")
    )
    identity = began(predict())
    polls = [poll(identity) for _ in range(3)]
    assert [data["status"] for data in polls] == ["completed", "pending", "completed"]
    assert polls[1]["error"] == "?"


@pytest.mark.parametrize("step", ["submit", "poll"])
@pytest.mark.parametrize(("shape", "outputs"), [("null", None), ("empty", [])])
def test_outputs_may_be_null_or_empty(
    sandbox: Sandbox, predict: Ask, poll: Poll, *, step: Any, shape: Any, outputs: object
) -> None:
    sandbox.latency = 0
    sandbox.inject(Fault("outputs", step=step, shape=shape))
    data = poll(began(predict()))
    assert (data["status"], data["outputs"]) == ("completed", outputs)


def test_outputs_may_be_objects(sandbox: Sandbox, predict: Ask, poll: Poll) -> None:
    sandbox.latency = 0
    sandbox.inject(Fault("outputs", shape="objects"))
    (output,) = poll(began(predict()))["outputs"]
    assert output["url"].startswith(sandbox.origin)


@pytest.mark.parametrize(("image", "left"), [(0, 2), (None, 0)])
def test_missing_pictures_are_billed_and_not_delivered(
    sandbox: Sandbox, predict: Ask, poll: Poll, image: int | None, left: int
) -> None:
    sandbox.latency = 0
    sandbox.inject(Fault("missing", image=image))
    data = poll(began(predict(num_images=3)))
    assert len(data["outputs"]) == len(data["has_nsfw_contents"]) == left
    assert sandbox.submissions[0].images == 3


def test_a_slow_generation_takes_so_much_longer(
    sandbox: Sandbox, predict: Ask, poll: Poll, clock: Any
) -> None:
    sandbox.inject(Fault("slow", seconds=60))
    answer = predict()
    clock.sleep(79)
    assert (answer.delay, poll(began(answer))["status"]) == (0.0, "processing")
    clock.sleep(1)
    assert poll(began(answer))["status"] == "completed"


def test_created_at_can_have_nanoseconds(sandbox: Sandbox, predict: Ask) -> None:
    sandbox.inject(Fault("nanoseconds", times=None))
    stamps = [predict().json()["data"]["created_at"] for _ in range(9)]
    assert all(re.fullmatch(r".*\.\d{9}Z", stamp) for stamp in stamps)


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (
            Fault("rate_limit", retry_after="2"),
            429,
            {"code": 429, "message": "You have reached your concurrency limit"},
        ),
        (
            Fault("insufficient_balance", status=402, message="Insufficient credits."),
            402,
            {"code": 402, "message": "Insufficient credits."},
        ),
        (Fault("code", code=400, message="no"), 200, {"code": 400, "message": "no"}),
        (Fault("code"), 200, {"code": 500, "message": "Error"}),
        (Fault("code", status=400, code=1407), 400, {"code": 1407, "message": "Error"}),
    ],
)
def test_refusals_can_be_scripted_and_bill_nothing(
    sandbox: Sandbox, predict: Ask, fault: Fault, status: int, body: object
) -> None:
    sandbox.inject(fault)
    answer = predict()
    assert (answer.status, answer.json()) == (status, body)
    assert answer.headers.get("Retry-After") == fault.retry_after
    assert sandbox.submissions == []


def test_polls_can_be_refused_too(sandbox: Sandbox, ask: Ask, predict: Ask) -> None:
    identity = began(predict())
    sandbox.inject(Fault("rate_limit", step="poll"), Fault("code", step="poll", code=500))
    path = f"/api/v3/predictions/{identity}/result"
    answers = [ask("GET", path) for _ in range(3)]
    assert [(a.status, a.json()["code"]) for a in answers] == [(429, 429), (200, 500), (200, 200)]


# The other endpoints


def test_the_list_is_paged_newest_first_and_private(ask: Ask, predict: Ask, clock: Any) -> None:
    ids: list[str] = []
    for _ in range(5):
        ids.append(began(predict()))
        clock.sleep(1)
    path = "/api/v3/predictions"
    page = ask("POST", path, {"page": 2, "page_size": 2}).json()["data"]
    assert (page["page"], page["total"]) == (2, 5)
    assert [item["id"] for item in page["items"]] == [ids[2], ids[1]]
    assert ask("POST", path, {"page": 9}, key="other").json()["data"]["total"] == 0


def test_the_list_filters_by_model_status_and_time(ask: Ask, predict: Ask, clock: Any) -> None:
    old = began(predict())
    clock.sleep(100)
    new = began(predict())

    def found(**fields: Any) -> list[str]:
        items = ask("POST", "/api/v3/predictions", fields or b"{}").json()["data"]["items"]
        return [item["id"] for item in items]

    assert found() == [new, old]
    assert found(status="completed") == [old]
    assert found(model="minimax/image-01/text-to-image") == [new, old]
    assert found(model="acme/paint") == []
    assert found(created_after="2025-11-24T16:01:00.123456789Z") == [new]
    assert found(created_before="2025-11-24T16:01:00") == [old]
    clock.sleep(7 * 86_400 - 50)
    assert found() == [new]


def test_the_list_shows_inputs_on_request(ask: Ask, predict: Ask) -> None:
    predict(seed=4)
    for wanted in (False, True):
        body = {"include_inputs": wanted}
        (item,) = ask("POST", "/api/v3/predictions", body).json()["data"]["items"]
        assert item.get("input") == ({"prompt": "a fox", "seed": 4} if wanted else None)


@pytest.mark.parametrize(
    "body",
    [{"page_size": 0}, {"page_size": 101}, {"page": 0}, {"page": "1"}, {"created_after": "now"}],
)
def test_a_list_that_makes_no_sense_is_refused(ask: Ask, body: object) -> None:
    assert ask("POST", "/api/v3/predictions", body).status == 400


def test_a_list_has_a_hundred_on_a_page_and_counts_what_the_filters_leave(
    ask: Ask, predict: Ask
) -> None:
    other = "wavespeed-ai/flux-dev"
    ids = [began(predict()) for _ in range(101)]
    began(ask("POST", f"/api/v3/{other}", {"prompt": "a fox"}))
    asked = {"model": "minimax/image-01/text-to-image"}
    first, second, third = (
        ask("POST", "/api/v3/predictions", asked | {"page": page}).json()["data"]
        for page in (1, 2, 3)
    )
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert [len(data["items"]) for data in (first, second, third)] == [100, 1, 0]
    assert {data["total"] for data in (first, second, third)} == {101}


def test_a_new_prediction_can_take_a_while_to_be_listed(
    sandbox: Sandbox, ask: Ask, predict: Ask, poll: Poll, clock: Any
) -> None:
    sandbox.listing_lag = 5.0
    identity = began(predict())

    def found(**fields: Any) -> list[str]:
        items = ask("POST", "/api/v3/predictions", fields or b"{}").json()["data"]["items"]
        return [item["id"] for item in items]

    clock.sleep(4.5)
    assert (found(), poll(identity)["status"]) == ([], "processing")
    clock.sleep(0.5)
    assert found() == [identity]
    assert found(created_before=rfc3339(clock())) == [identity]
    assert found(created_before=rfc3339(clock() - 6)) == []


def test_a_refused_list_names_the_field(ask: Ask) -> None:
    for field in ("page", "page_size"):
        answer = ask("POST", "/api/v3/predictions", {field: 0})
        assert f'"{field}"' in answer.json()["message"]


def test_deleted_predictions_say_so_and_leave_the_list(ask: Ask, predict: Ask, poll: Poll) -> None:
    identity = began(predict())
    path = "/api/v3/predictions/delete"
    assert ask("POST", path, {"ids": [identity]}, key="other").json()["data"]["deleted_count"] == 0
    body = {"ids": [identity, identity, "unknown"]}
    assert ask("POST", path, body).json()["data"] == {"deleted_count": 1}
    assert ask("POST", path, body).json()["data"] == {"deleted_count": 0}
    assert poll(identity)["status"] == "deleted"
    assert ask("POST", "/api/v3/predictions", b"{}").json()["data"]["total"] == 0
    assert ask("POST", path, {"ids": identity}).status == 400


def test_balance_models_and_price_answer_in_the_envelope(ask: Ask, predict: Ask) -> None:
    predict()
    assert ask("GET", "/api/v3/balance").json()["data"] == {"balance": 99.9965}
    assert len(ask("GET", "/api/v3/models").json()["data"]) == 214
    model = "minimax/image-01/text-to-image"
    asked = {"model_id": model, "inputs": {"num_images": 9, "other": 1}}
    assert ask("POST", "/api/v3/model/price", asked).json()["data"] == {
        "model_id": model,
        "price": 0.0315,
        "discounted_price": 0.0315,
        "discount_rate": 0,
        "currency": "USD",
    }
    asked = {"model_id": model, "inputs": {"num_images": 99}}
    assert ask("POST", "/api/v3/model/price", asked).json()["data"]["price"] == 0.0035
    assert ask("POST", "/api/v3/model/price", {"model_id": model}).status == 200
    assert ask("POST", "/api/v3/model/price", {"model_id": "x"}).status == 400


def test_a_poll_costs_the_same_with_five_thousand_predictions_in_flight(
    sandbox: Sandbox, predict: Ask, poll: Poll
) -> None:
    sandbox.balance, sandbox.latency = Decimal(1000), 3600
    ids = [began(predict()) for _ in range(50)]

    def best() -> float:
        rounds: list[float] = []
        for _ in range(7):
            started = time.perf_counter()
            for identity in ids:
                assert poll(identity)["status"] == "created"
            rounds.append(time.perf_counter() - started)
        return min(rounds)

    few = best()
    for _ in range(4950):
        predict()
    assert len(sandbox.submissions) == 5000
    # Were a poll linear in what is in flight, it would take a hundred times as long.
    assert best() < few * 10
