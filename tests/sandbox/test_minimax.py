from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.exchange import Answer, Request

Ask = Callable[..., Answer]

JPEG = base64.b64encode(b"\xff\xd8\xff\xe0 a face").decode()
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n a face").decode()


def refused(answer: Answer) -> str:
    """The words of a 2013, after checking the shape that real refusals have."""
    body = answer.json()
    assert answer.status == 200
    assert body["id"] == ""
    assert body["data"] == {}
    assert "metadata" not in body
    assert body["base_resp"]["status_code"] == 2013
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["Trace-Id"])
    return str(body["base_resp"]["status_msg"])


def sizes(sandbox: Sandbox, answer: Answer) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for url in answer.json()["data"]["image_urls"]:
        parts = urlsplit(url)
        served = sandbox.handle(Request("GET", parts.path.replace("%2F", "/"), parts.query))
        with Image.open(io.BytesIO(served.body)) as picture:
            found.append(picture.size)
    return found


def test_success_has_the_captured_shape_with_counts_as_strings(generate: Ask) -> None:
    answer = generate(n=3)
    body = answer.json()
    assert set(body) == {"id", "data", "metadata", "base_resp"}
    assert set(body["data"]) == {"image_urls"}
    assert len(set(body["data"]["image_urls"])) == 3
    assert body["metadata"] == {"failed_count": "0", "success_count": "3"}
    assert body["base_resp"] == {"status_code": 0, "status_msg": "success"}
    assert re.fullmatch(r"[0-9a-f]{32}", body["id"])
    assert answer.headers["Trace-Id"] == body["id"]


def test_the_answer_arrives_after_the_latency(generate: Ask) -> None:
    assert generate().delay == 20.0
    assert generate(n=0).delay == 0.0


def test_base64_is_a_jpeg_without_prefix_drawn_only_when_read(generate: Ask) -> None:
    answer = generate(response_format="base64", n=2)
    assert answer.lazy
    data = answer.json()["data"]
    assert set(data) == {"image_base64"}
    pictures = [base64.b64decode(item, validate=True) for item in data["image_base64"]]
    assert all(picture.startswith(b"\xff\xd8\xff") for picture in pictures)
    assert len(set(pictures)) == 2


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, (1024, 1024)),
        ({"aspect_ratio": "16:9"}, (1280, 720)),
        ({"aspect_ratio": "4:3"}, (1152, 864)),
        ({"aspect_ratio": "3:2"}, (1248, 832)),
        ({"aspect_ratio": "2:3"}, (832, 1248)),
        ({"aspect_ratio": "3:4"}, (864, 1152)),
        ({"aspect_ratio": "9:16"}, (720, 1280)),
        ({"aspect_ratio": "21:9"}, (1344, 576)),
        ({"width": 512, "height": 2048}, (512, 2048)),
        ({"width": 520, "height": 520, "aspect_ratio": "16:9"}, (1280, 720)),
        ({"width": 520, "height": 520, "model": "image-01-live"}, (1024, 1024)),
        ({"width": 7, "model": "image-01-live"}, (1024, 1024)),
        ({"aspect_ratio": None, "seed": None}, (1024, 1024)),
    ],
)
def test_pictures_have_the_documented_size(
    sandbox: Sandbox, generate: Ask, fields: dict[str, Any], size: tuple[int, int]
) -> None:
    assert sizes(sandbox, generate(**fields)) == [size]


def test_a_seed_reproduces_and_image_i_uses_the_seed_plus_i(generate: Ask) -> None:
    def pictures(**fields: Any) -> list[str]:
        data: dict[str, list[str]] = generate(response_format="base64", **fields).json()["data"]
        return data["image_base64"]

    two = pictures(seed=5, n=2)
    assert two == pictures(seed=5, n=2)
    assert two[1] == pictures(seed=6)[0]
    assert pictures() != pictures()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "nope-01"}, "invalid params, unsupported model: nope-01"),
        ({"model": None}, "unsupported model"),
        ({"model": ["image-01"]}, "unsupported model"),
        ({"prompt": "x" * 1501}, "invalid params, prompt length must be less than 1500"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": 5}, "prompt"),
        (
            {"aspect_ratio": "5:4"},
            "invalid params, aspect_ratio must be one of the documented ratios",
        ),
        ({"aspect_ratio": ["1:1"]}, "aspect_ratio"),
        ({"aspect_ratio": "21:9", "model": "image-01-live"}, "21:9"),
        ({"n": 0}, "invalid params, n must be between 1 and 9"),
        ({"n": 10}, "invalid params, n must be between 1 and 9"),
        ({"n": "2"}, "n must be"),
        ({"n": True}, "n must be"),
        ({"n": 2.0}, "n must be"),
        ({"width": 512}, "width and height must be set together"),
        ({"height": 512}, "width and height must be set together"),
        ({"width": 511, "height": 512}, "width must be between 512 and 2048"),
        ({"width": 512, "height": 2049}, "height must be between 512 and 2048"),
        ({"width": 512, "height": 516}, "height must be between 512 and 2048"),
        ({"width": 512.0, "height": 512}, "width"),
        ({"seed": "7"}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"response_format": "b64_json"}, "response_format"),
        ({"prompt_optimizer": "yes"}, "prompt_optimizer"),
        ({"aigc_watermark": 1}, "aigc_watermark"),
        ({"style": {"style_type": "漫画"}}, "style"),
        ({"style": "漫画", "model": "image-01-live"}, "style"),
        ({"style": {"style_type": "noir"}, "model": "image-01-live"}, "style_type"),
        (
            {"style": {"style_type": "元气", "style_weight": 0}, "model": "image-01-live"},
            "style_weight",
        ),
        (
            {"style": {"style_type": "元气", "style_weight": True}, "model": "image-01-live"},
            "style_weight",
        ),
        ({"subject_reference": "me"}, "subject_reference"),
        ({"subject_reference": ["me"]}, "subject_reference"),
        (
            {"subject_reference": [{"type": "object", "image_file": "https://x/y.png"}]},
            "invalid params, subject_reference must be character",
        ),
        ({"subject_reference": [{"type": "character"}]}, "image_file"),
        ({"subject_reference": [{"type": "character", "image_file": "me.png"}]}, "image_file"),
        (
            {"subject_reference": [{"type": "character", "image_file": "https://x/y.png"}] * 2},
            "one reference",
        ),
    ],
)
def test_invalid_requests_answer_2013_under_200_and_cost_nothing(
    sandbox: Sandbox, generate: Ask, fields: dict[str, Any], words: str
) -> None:
    assert words in refused(generate(**fields))
    assert sandbox.submissions == []
    assert sandbox.balance == 100


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "x" * 1500},
        {"prompt": "漫" * 1500},
        {"style": {"style_type": "水彩"}, "model": "image-01-live"},
        {"style": {"style_type": "水彩", "style_weight": 1}, "model": "image-01-live"},
        {"seed": -(2**63)},
        {"unheard_of": {"of": 1}, "prompt_optimizer": True},
        {"subject_reference": []},
        {"subject_reference": [{"type": "character", "image_file": "https://x/y.png"}]},
        {"n": 9, "aspect_ratio": "1:1"},
    ],
)
def test_what_the_document_allows_and_what_it_does_not_know_is_accepted(
    generate: Ask, fields: dict[str, Any]
) -> None:
    assert generate(**fields).json()["base_resp"]["status_code"] == 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"data:image/jpeg;base64,{JPEG}", None),
        (f"data:image/jpg;base64,{JPEG}", None),
        (f"data:image/png;base64,{PNG}", None),
        (f"data:image/png;base64,{JPEG}", "JPG, JPEG or PNG"),
        (f"data:image/webp;base64,{PNG}", "JPG, JPEG or PNG"),
        (f"data:image/png,{PNG}", "JPG, JPEG or PNG"),
        (f"data:image/png;base64,{PNG}!", "base64"),
        ("data:image/png;base64,é", "base64"),
    ],
)
def test_data_urls_must_hold_the_picture_they_announce(
    generate: Ask, source: str, words: str | None
) -> None:
    answer = generate(subject_reference=[{"type": "character", "image_file": source}])
    if words is None:
        assert answer.json()["base_resp"]["status_code"] == 0
    else:
        assert words in refused(answer)


def test_references_of_ten_megabytes_are_too_large(generate: Ask) -> None:
    content = base64.b64encode(b"\xff\xd8\xff".ljust(10_000_000, b"x")).decode()
    source = f"data:image/jpeg;base64,{content}"
    answer = generate(subject_reference=[{"type": "character", "image_file": source}])
    assert "10MB" in refused(answer)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"prompt=a+fox"])
def test_a_body_that_is_no_json_object_answers_2013(ask: Ask, body: bytes) -> None:
    assert "JSON" in refused(ask("POST", "/v1/image_generation", body))


def status(answer: Answer) -> tuple[int, str]:
    assert answer.status == 200
    base = answer.json()["base_resp"]
    return base["status_code"], base["status_msg"]


@pytest.mark.parametrize("path", ["/v1/image_generation", "/account/query_balance"])
def test_keys_are_missing_1004_or_wrong_2049(sandbox: Sandbox, ask: Ask, path: str) -> None:
    method = "POST" if "image" in path else "GET"
    sandbox.keys = frozenset({"sk-api-1"})
    login = "login fail: Please carry the API secret key in the 'Authorization' field"
    code, words = status(ask(method, path, key=""))
    assert code == 1004
    assert words.startswith(login)
    assert status(ask(method, path, key="", x_api_key="sk-api-1"))[0] == 1004
    assert status(ask(method, path, key="", authorization="sk-api-1"))[0] == 1004
    assert status(ask(method, path, key="sk-other")) == (2049, "invalid api key")


def test_accepted_submissions_are_logged_and_charged_by_the_image(
    sandbox: Sandbox, generate: Ask
) -> None:
    answer = generate(n=4, seed=1)
    (submission,) = sandbox.submissions
    assert (submission.provider, submission.model) == ("minimax", "image-01")
    assert submission.id == answer.json()["id"]
    assert submission.images == 4
    assert submission.price == Decimal("0.0140")
    assert submission.body == {"model": "image-01", "prompt": "a fox", "n": 4, "seed": 1}
    assert submission.at == 1_764_000_000.25
    assert sandbox.balance == Decimal("99.986")


def test_a_balance_below_the_price_answers_1008(sandbox: Sandbox, generate: Ask) -> None:
    sandbox.balance = Decimal("0.0105")
    assert status(generate(n=4)) == (1008, "insufficient balance")
    assert status(generate(n=3))[0] == 0
    assert status(generate())[0] == 1008
    assert len(sandbox.submissions) == 1


def test_one_moderated_picture_makes_the_array_shorter(sandbox: Sandbox, generate: Ask) -> None:
    sandbox.inject(Fault("moderated", image=1))
    body = generate(n=3).json()
    assert len(body["data"]["image_urls"]) == 2
    assert body["metadata"] == {"failed_count": "1", "success_count": "2"}
    assert body["base_resp"]["status_code"] == 0
    assert sandbox.submissions[0].images == 2


def test_when_everything_is_blocked_the_success_is_empty(sandbox: Sandbox, generate: Ask) -> None:
    sandbox.inject(Fault("moderated"))
    body = generate().json()
    assert body["data"] == {}
    assert body["metadata"] == {"failed_count": "1", "success_count": "0"}
    assert body["base_resp"] == {"status_code": 0, "status_msg": "success"}
    assert sandbox.submissions[0].price == 0


def test_a_missing_picture_is_billed_and_not_counted_as_failed(
    sandbox: Sandbox, generate: Ask
) -> None:
    sandbox.inject(Fault("missing", image=0))
    body = generate(n=2).json()
    assert len(body["data"]["image_urls"]) == 1
    assert body["metadata"] == {"failed_count": "0", "success_count": "1"}
    assert sandbox.submissions[0].images == 2


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Fault("rate_limit", retry_after=7), 1002, "rate limit"),
        (Fault("insufficient_balance"), 1008, "insufficient balance"),
        (Fault("code", code=1026), 1026, "input new_sensitive"),
        (Fault("code", code=2061, message="plan, image-01"), 2061, "plan, image-01"),
        (Fault("code", code=99), 99, "unknown error"),
        (Fault("code"), 1000, "unknown error"),
    ],
)
def test_any_base_resp_code_can_be_scripted_and_bills_nothing(
    sandbox: Sandbox, generate: Ask, fault: Fault, code: int, words: str
) -> None:
    sandbox.inject(fault)
    answer = generate()
    assert status(answer) == (code, words)
    assert answer.json()["id"] == answer.headers["Trace-Id"]
    assert answer.headers.get("Retry-After") == ("7" if fault.retry_after else None)
    assert sandbox.submissions == []
    assert status(generate())[0] == 0


def test_a_code_may_come_under_another_http_status(sandbox: Sandbox, generate: Ask) -> None:
    sandbox.inject(Fault("rate_limit", status=429))
    answer = generate()
    assert (answer.status, answer.json()["base_resp"]["status_code"]) == (429, 1002)


def test_a_slow_generation_takes_so_much_longer(sandbox: Sandbox, generate: Ask) -> None:
    sandbox.inject(Fault("slow", seconds=100))
    assert [generate().delay, generate().delay] == [120.0, 20.0]


@pytest.mark.parametrize(("shape", "data"), [("null", None), ("empty", {})])
def test_outputs_may_be_null_or_empty(
    sandbox: Sandbox, generate: Ask, shape: Any, data: object
) -> None:
    sandbox.inject(Fault("outputs", shape=shape))
    assert generate().json()["data"] == data


def test_outputs_may_be_objects(sandbox: Sandbox, generate: Ask) -> None:
    sandbox.inject(Fault("outputs", shape="objects"))
    (item,) = generate().json()["data"]["image_urls"]
    assert item["url"].startswith(sandbox.origin)


def test_quota_counts_the_pictures_billed_today(ask: Ask, generate: Ask, clock: Any) -> None:
    generate(n=9)
    clock.sleep(86_400)
    generate(n=2)
    answer = ask("GET", "/v1/token_plan/remains")
    (quota,) = answer.json()["model_remains"]
    assert quota["model_name"] == "image-01"
    assert quota["current_interval_usage_count"] == 2
    assert quota["end_time"] - quota["start_time"] == 86_400_000
    assert 0 < quota["remains_time"] < 86_400_000
    assert status(answer) == (0, "success")


def test_the_balance_is_told_in_strings(ask: Ask, generate: Ask) -> None:
    generate()
    body = ask("GET", "/account/query_balance").json()
    assert body["available_amount"] == "99.9965"
    assert body["owed_amount"] == "0"


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/image_generation", "/nowhere"])
def test_other_paths_and_methods_are_a_plain_404(ask: Ask, path: str) -> None:
    answer = ask("GET", path)
    assert (answer.status, answer.body) == (404, b"404 page not found")
