"""Generation, Job and their parts: what they hold, show, add up to and write down."""

from __future__ import annotations

import base64
import copy
import io
import json
import pickle
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given, settings, strategies as st
from PIL import Image

from imagegen.errors import Charged, ConfigurationError, InvalidRequestError
from imagegen.request import ImageRequest, ReferenceImage, Size
from imagegen.result import (
    Attempt,
    Basis,
    Cost,
    GeneratedImage,
    Generation,
    ImageFailure,
    Job,
    Notice,
)


def picture(kind: str = "PNG", size: tuple[int, int] = (3, 2), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, kind, **options)
    return file.getvalue()


PNG = picture()
REQUEST = ImageRequest("a fox", references=PNG)
SIGNED = "https://me:SECRET@cdn.host/a.png?Signature=SECRET#SECRET"


def generation(**fields: Any) -> Generation:
    return Generation(**{"provider": "p", "model": "m", "request": REQUEST, **fields})


def job(**fields: Any) -> Job:
    return Job(**{"provider": "p", "model": "m", "id": "i", "request": REQUEST, **fields})


def usd(amount: str, basis: Basis = "list-price") -> Cost:
    return Cost(amount=Decimal(amount), currency="USD", basis=basis)


YUAN = Cost(amount=Decimal(1), currency="CNY", basis="list-price")


# Pictures


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
    ],
)
def test_a_picture_is_measured_by_its_bytes(kind: str, media_type: str) -> None:
    data = picture(kind, (64, 40))
    image = GeneratedImage(url="https://h/a", seed=7, width=1).with_data(data)
    assert image == GeneratedImage(
        url="https://h/a", seed=7, data=data, media_type=media_type, width=64, height=40
    )


def test_a_picture_is_measured_behind_a_long_head() -> None:
    comment = b"\xff\xfe\xff\xff" + bytes(65_533)
    data = picture("JPEG", (64, 40))
    image = GeneratedImage().with_data(data[:2] + comment * 3 + data[2:])
    assert image
    assert (image.width, image.height) == (64, 40)


def test_a_picture_whose_size_is_not_told_is_kept_without_it() -> None:
    image = GeneratedImage(width=1, height=1).with_data(b"\xff\xd8\xff\xd9")
    assert image
    assert (image.media_type, image.width, image.height) == ("image/jpeg", None, None)


@pytest.mark.parametrize("data", [b"", b"<html>", picture("BMP"), b'{"code": 1}'])
def test_bytes_that_are_no_picture_are_not_taken(data: bytes) -> None:
    assert GeneratedImage(url="https://h/a").with_data(data) is None


@pytest.mark.parametrize(
    ("data", "length"), [(PNG, f"<{len(PNG):,} bytes>"), (bytes(2000), "<2,000 bytes>")]
)
def test_a_repr_tells_the_length_of_a_picture_only(data: bytes, length: str) -> None:
    shown = repr(job(settled=generation(images=(GeneratedImage(data=data),))))
    assert f"data={length}" in shown
    assert r"\x" not in shown
    assert base64.b64encode(data).decode()[:20] not in shown


def test_a_repr_shows_no_signature() -> None:
    pictures = (GeneratedImage(url=SIGNED), GeneratedImage())
    shown = repr(job(parts=(job(settled=generation(images=pictures, raw=({"u": SIGNED},))),)))
    assert "SECRET" not in shown
    assert "'https://cdn.host/a.png'" in shown
    assert "url=None, data=None" in shown


def test_a_repr_shows_no_signature_of_a_reference() -> None:
    shown = repr(generation(request=ImageRequest("a fox", references=SIGNED)))
    assert "SECRET" not in shown


@pytest.mark.parametrize(
    "value",
    [
        GeneratedImage(),
        Cost(),
        Notice("ignored", "n", "x"),
        ImageFailure(error="E", message="m"),
        Attempt(provider="p", model="m", n=1),
        generation(),
        job(),
    ],
)
def test_a_result_does_not_change_and_can_be_kept_in_a_set(value: Any) -> None:
    name = next(iter(type(value).__attrs_attrs__)).name
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, 1)
    assert value in {value, 1}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])  # noqa: S301
def test_a_job_survives_copying_and_pickling(copied: Any) -> None:
    whole = job(settled=generation(images=(GeneratedImage(data=PNG),)), parts=(job(),))
    assert copied(whole) == whole


# Money


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        (usd("0.1"), usd("0.2"), usd("0.3")),
        (usd("0.1", "billed"), usd("0.2", "billed"), usd("0.3", "billed")),
        (usd("0.1", "billed"), usd("0.2"), usd("0.3")),
        (usd("0.1"), Cost(), Cost()),
        (Cost(), usd("0.1"), Cost()),
        (Cost(), Cost(), Cost()),
        (usd("0.1"), Cost(currency="USD"), Cost()),
        (usd("0.1"), YUAN, Cost()),
        (usd("0"), YUAN, YUAN),
        (YUAN, usd("0"), YUAN),
        (usd("0"), Cost(), Cost()),
        (Cost(), usd("0"), Cost()),
        (usd("0.1", "billed"), usd("0"), usd("0.1", "billed")),
        (usd("0"), usd("0.00"), usd("0")),
    ],
)
def test_costs_add_up_only_where_both_are_known_or_one_is_nothing(
    one: Cost, other: Cost, total: Cost
) -> None:
    assert one + other == total


def test_the_total_of_nothing_is_unknown() -> None:
    assert Cost.total([]) == Cost(amount=None, currency=None, basis="unknown")


def test_the_total_of_several_is_exact() -> None:
    assert Cost.total(usd("0.1") for _ in range(10)) == usd("1.0")


def test_one_unknown_part_makes_the_total_unknown() -> None:
    assert Cost.total([usd("1"), Cost(), usd("1")]) == Cost()


# JSON, there and back

TEXT = st.text(max_size=12)
LINE = TEXT | st.none()
INT = st.integers(-(2**63), 2**63) | st.none()
ZONES = st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))) | st.just(UTC)
TIMES = st.none() | st.datetimes(timezones=ZONES)
CHARGED = st.sampled_from(get_args(Charged))
SECONDS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
COSTS = st.builds(
    Cost,
    amount=st.none() | st.decimals("-1e6", "1e6", allow_nan=False, places=6),
    currency=LINE,
    basis=st.sampled_from(get_args(Basis)),
)
OPTIONS = st.dictionaries(
    TEXT,
    st.dictionaries(
        TEXT,
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | SECONDS | TEXT,
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
            max_leaves=4,
        ),
        max_size=2,
    ),
    max_size=2,
)
SIZES = st.builds(Size, st.integers(1, 16_384), st.integers(1, 16_384))
REFERENCES = st.builds(
    ReferenceImage,
    st.sampled_from([PNG, picture("JPEG"), "https://h/ä?x=1"]),
    st.sampled_from(["character", "source"]),
)


@st.composite
def requests(draw: st.DrawFn) -> ImageRequest:
    size = draw(st.none() | SIZES)
    return ImageRequest(
        draw(st.text(min_size=1, max_size=20).filter(str.strip)),
        n=draw(st.integers(1, 100)),
        size=size,
        aspect_ratio=None if size else draw(st.sampled_from([None, "16:9", "21:9"])),
        seed=draw(st.none() | st.integers(-(2**63), 2**62)),
        references=draw(st.lists(REFERENCES, max_size=2)),
        enhance_prompt=draw(st.none() | st.booleans()),
        output=draw(st.sampled_from(["url", "bytes"])),
        provider_options=draw(OPTIONS),
    )


REQUESTS = st.shared(requests(), key="request")
IMAGES = st.builds(
    GeneratedImage,
    url=LINE,
    data=st.none() | st.binary(max_size=9),
    media_type=LINE,
    width=INT,
    height=INT,
    seed=INT,
    nsfw=st.none() | st.booleans(),
    expires_at=TIMES,
    request_id=LINE,
)
NOTICES = st.builds(
    Notice, st.sampled_from(["adjusted", "ignored", "unverified", "delivered"]), TEXT, TEXT
)
BARE_JOBS = st.builds(Job, provider=TEXT, model=TEXT, id=TEXT, request=REQUESTS, created_at=TIMES)
FAILURES = st.builds(
    ImageFailure,
    error=TEXT,
    message=TEXT,
    index=INT,
    charged=CHARGED,
    code=INT,
    request_id=LINE,
    job=st.none() | BARE_JOBS,
)
ATTEMPTS = st.builds(
    Attempt,
    provider=TEXT,
    model=TEXT,
    n=st.integers(1, 9),
    images=st.integers(0, 9),
    seconds=SECONDS,
    execution_seconds=SECONDS,
    created_at=TIMES,
    cost=COSTS,
    error=LINE,
    message=LINE,
    charged=CHARGED,
    request_id=LINE,
)


def tuples(items: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=2).map(tuple)


GENERATIONS = st.builds(
    Generation,
    images=tuples(IMAGES),
    failures=tuples(FAILURES),
    cost=COSTS,
    provider=TEXT,
    model=TEXT,
    request=REQUESTS,
    attempts=tuples(ATTEMPTS),
    notices=tuples(NOTICES),
    job=st.none() | BARE_JOBS,
    raw=st.just(({"kept": "no"},)),
)
JOBS = st.builds(
    Job,
    provider=TEXT,
    model=TEXT,
    id=TEXT,
    request=REQUESTS,
    created_at=TIMES,
    notices=tuples(NOTICES),
    settled=st.none() | GENERATIONS,
    parts=tuples(BARE_JOBS),
)


@settings(max_examples=60, deadline=None)
@given(JOBS)
def test_a_job_reads_back_what_it_writes(one: Job) -> None:
    again = Job.from_json(one.to_json())
    assert again == one
    assert again.to_json() == one.to_json()


@settings(max_examples=40, deadline=None)
@given(GENERATIONS)
def test_a_generation_reads_back_all_but_bytes_and_raw(one: Generation) -> None:
    again = Generation.from_json(one.to_json())
    assert all(image.data is None for image in again.images)
    assert again.raw == ()
    assert again.to_json() == one.to_json()
    assert (again.request, again.cost, again.attempts) == (one.request, one.cost, one.attempts)
    assert (again.failures, again.notices, again.job) == (one.failures, one.notices, one.job)
    assert [image.url for image in again.images] == [image.url for image in one.images]


def test_a_generations_json_has_neither_pictures_nor_raw_replies() -> None:
    text = generation(images=(GeneratedImage(data=PNG),), raw=("SECRET",)).to_json()
    assert base64.b64encode(PNG).decode() not in text
    assert "SECRET" not in text
    assert "raw" not in json.loads(text)


def test_a_settled_jobs_json_keeps_the_pictures_that_came() -> None:
    settled = generation(images=(GeneratedImage(data=PNG, media_type="image/png"),), raw=("x",))
    again = Job.from_json(job(settled=settled).to_json())
    assert again.settled
    assert again.settled.images[0].data == PNG
    assert again.settled.raw == ()


def test_json_keeps_the_digest_of_a_reference_not_its_bytes() -> None:
    text = job().to_json()
    assert base64.b64encode(PNG).decode()[:20] not in text
    again = Job.from_json(text).request.references[0]
    assert again == ReferenceImage(PNG)
    assert again.data is None


def test_json_leaves_out_what_is_not_set() -> None:
    assert json.loads(job(request=ImageRequest("a fox")).to_json()) == {
        "provider": "p",
        "model": "m",
        "id": "i",
        "request": {"prompt": "a fox"},
    }


def test_a_job_written_with_whole_seconds_by_another_program_is_read() -> None:
    attempt = Attempt(provider="p", model="m", n=1, seconds=1.0)
    text = job(settled=generation(attempts=(attempt,))).to_json()
    again = Job.from_json(text.replace('"seconds": 1.0', '"seconds": 1'))
    assert again.settled
    assert again.settled.attempts == (attempt,)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 10**50},
        {"provider_options": {"minimax": {"x": 10**50}}},
        {"provider_options": {"minimax": {"x": nested(20)}}},
        {"provider_options": {"minimax": {"x": nested(40)}}},
        {"provider_options": {"minimax": {"\ud800": 1}}},
        {"provider_options": {"minimax": {"x": -0.0, "y": 5e-324, "z": 1.7e308}}},
    ],
    ids=["n", "integer", "20 deep", "40 deep", "surrogate", "floats"],
)
def test_a_request_that_is_accepted_can_be_stored_in_a_job(fields: dict[str, Any]) -> None:
    try:
        request = ImageRequest("a fox", **fields)
    except InvalidRequestError:
        return
    whole = job(settled=generation(request=request), request=request)
    text = whole.to_json()
    assert text.encode()
    assert Job.from_json(text) == whole


# JSON that is not ours

VALID: dict[str, Any] = json.loads(
    job(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        notices=(Notice("ignored", "seed", "x"),),
        parts=(job(),),
        settled=generation(
            images=(GeneratedImage(url="https://h/a", data=PNG, expires_at=datetime.now(UTC)),),
            failures=(ImageFailure(error="E", message="m", job=job()),),
            attempts=(Attempt(provider="p", model="m", n=1, seconds=0.5, cost=usd("1")),),
            cost=usd("1"),
            request=ImageRequest("a fox", size="8x8", provider_options={"p": {"x": 1}}),
        ),
    ).to_json()
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    below = [place for key, item in items for place in places(item, (*path, key))]
    return [path, *below] if path else below


def changed(path: tuple[Any, ...], new: Any) -> dict[str, Any]:
    value: Any = copy.deepcopy(VALID)
    target = value
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = new
    return dict(value)


STRANGE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["", "1E+999", "-0", "--", "2026-01-01", "8x8", "0x0", "AA=", "yes", [], {}])
    | st.lists(st.integers() | st.text(max_size=3), max_size=2)
    | st.dictionaries(st.sampled_from(["prompt", "url", "x"]), st.text(max_size=3), max_size=2)
)


def check_refusal(error: InvalidRequestError) -> None:
    assert error.message.startswith("this is no Job in JSON: ")
    assert len(str(error).splitlines()) == 1


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(places(VALID)), STRANGE)
def test_a_job_with_one_strange_value_is_refused_or_whole(path: tuple[Any, ...], new: Any) -> None:
    text = json.dumps(changed(path, new))
    try:
        read = Job.from_json(text)
    except InvalidRequestError as error:
        check_refusal(error)
    else:
        assert repr(read)
        assert Job.from_json(read.to_json()) == read


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (("provider",), 1),
        (("id",), None),
        (("created_at",), "yesterday"),
        (("created_at",), 1_767_225_600),
        (("request",), "a fox"),
        (("request", "prompt"), ""),
        (("request", "references", 0, "role"), "style"),
        (("request", "references", 0, "sha256"), 5),
        (("request", "references"), {}),
        (("notices", 0, "kind"), "shouted"),
        (("parts",), "none"),
        (("parts", 0, "id"), 7),
        (("settled", "request", "size"), "0x1"),
        (("settled", "request", "size"), 8),
        (("settled", "request", "provider_options"), []),
        (("settled", "request", "n"), 1.5),
        (("settled", "images", 0, "data"), "no base64!"),
        (("settled", "images", 0, "width"), "8"),
        (("settled", "attempts", 0, "charged"), "maybe"),
        (("settled", "attempts", 0, "seconds"), "0.5"),
        (("settled", "cost", "amount"), 1),
        (("settled", "cost", "amount"), "NaN"),
        (("settled", "cost", "basis"), "rumour"),
    ],
)
def test_a_job_with_a_wrong_field_is_refused(path: tuple[Any, ...], new: Any) -> None:
    with pytest.raises(InvalidRequestError, match="this is no Job in JSON: ") as caught:
        Job.from_json(json.dumps(changed(path, new)))
    names = [str(key) for key in path if isinstance(key, str)]
    assert any(name in caught.value.message for name in names[-2:])


@pytest.mark.parametrize("path", [("surprise",), ("settled", "surprise")])
def test_a_field_of_a_later_version_is_ignored(path: tuple[str, ...]) -> None:
    assert Job.from_json(json.dumps(changed(path, 1))) == Job.from_json(json.dumps(VALID))


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "7", '"job"', "{" * 9999, "\ud800", "\0"])
@pytest.mark.parametrize("cls", [Job, Generation])
def test_text_that_is_no_result_is_refused(cls: type[Job | Generation], text: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"this is no {cls.__name__} in JSON: "):
        cls.from_json(text)


@pytest.mark.parametrize("basis", ["x", None, "Billed"])
def test_a_cost_rests_on_one_of_three_things(basis: Any) -> None:
    with pytest.raises(ConfigurationError, match='"billed", "list-price", "unknown"') as caught:
        Cost(amount=Decimal(1), currency="USD", basis=basis)
    assert caught.value.field == "basis"
