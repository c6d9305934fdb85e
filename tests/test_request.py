"""ImageRequest, Size and ReferenceImage: what they take, what they refuse, what they show."""

from __future__ import annotations

import base64
import copy
import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given, settings, strategies as st
from PIL import Image

from imagegen.errors import InvalidRequestError
from imagegen.request import ImageRequest, ReferenceImage, Size

HUGE = 10**5000  # its decimal form is longer than Python writes


def picture(kind: str = "PNG", color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), color).save(file, kind)
    return file.getvalue()


PNG, JPEG, WEBP, GIF = (picture(kind) for kind in ("PNG", "JPEG", "WEBP", "GIF"))


def refusal(**fields: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        ImageRequest(**{"prompt": "a fox", **fields})
    return caught.value


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def containing_itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["again"] = value
    return value


# The request as a whole


def test_a_prompt_is_all_that_a_request_needs() -> None:
    request = ImageRequest("a fox")
    assert (request.prompt, request.n, request.output) == ("a fox", 1, "url")
    assert {request.size, request.aspect_ratio, request.seed, request.enhance_prompt} == {None}
    assert (request.references, request.provider_options) == ((), {})


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        ({"prompt": ""}, "prompt", "1–1500 characters"),
        ({"prompt": " \n\t"}, "prompt", "not all blank"),
        ({"prompt": "x" * 1501}, "prompt", "1–1500 characters.*1501 characters"),
        ({"prompt": None}, "prompt", "1–1500 characters.*NoneType"),
        ({"prompt": b"fox"}, "prompt", "1–1500 characters.*bytes"),
        ({"prompt": 7}, "prompt", "1–1500 characters.*int"),
        ({"prompt": "ab\ud800c"}, "prompt", "lone surrogate at position 2"),
        ({"n": 0}, "n", "whole number of pictures, 1 or more"),
        ({"n": -1}, "n", "1 or more"),
        ({"n": True}, "n", "whole number"),
        ({"n": 1.0}, "n", "whole number"),
        ({"n": "2"}, "n", "whole number"),
        ({"n": None}, "n", "whole number"),
        ({"n": -HUGE}, "n", "1 or more"),
        ({"seed": 2**63}, "seed", r"from -2\*\*63 to 2\*\*63-1"),
        ({"seed": -(2**63) - 1}, "seed", r"from -2\*\*63 to 2\*\*63-1"),
        ({"seed": False}, "seed", "an integer"),
        ({"seed": 7.0}, "seed", "an integer"),
        ({"seed": "7"}, "seed", "an integer"),
        ({"seed": HUGE}, "seed", "an integer"),
        ({"seed": 2**63 - 2, "n": 3}, "seed", r"seed \+ n - 1 must not pass 2\*\*63-1"),
        ({"size": "1280"}, "size", '"1280x720"'),
        ({"size": ""}, "size", '"1280x720"'),
        ({"size": "axb"}, "size", '"1280x720"'),
        ({"size": "-1x5"}, "size", '"1280x720"'),
        ({"size": "1280x720x3"}, "size", '"1280x720"'),
        ({"size": "１２８０x７２０"}, "size", '"1280x720"'),
        ({"size": "100000x1"}, "size", '"1280x720"'),
        ({"size": 1280}, "size", '"1280x720"'),
        ({"size": [1280, 720]}, "size", '"1280x720"'),
        ({"size": (1, 2, 3)}, "size", '"1280x720"'),
        ({"size": "0x720"}, "size", "width must be a whole number of pixels from 1 to 16384"),
        ({"size": "720x0"}, "size", "height must be a whole number of pixels from 1 to 16384"),
        ({"size": "16385x1"}, "size", "width must be .* from 1 to 16384, not 16385"),
        ({"size": (1.0, 2)}, "size", "whole number of pixels"),
        ({"size": (True, 2)}, "size", "whole number of pixels"),
        ({"size": ("1", "2")}, "size", "whole number of pixels"),
        ({"size": (HUGE, 2)}, "size", "whole number of pixels"),
        ({"aspect_ratio": "16/9"}, "aspect_ratio", '"WIDTH:HEIGHT" with numbers from 1 to 99'),
        ({"aspect_ratio": "0:1"}, "aspect_ratio", "from 1 to 99"),
        ({"aspect_ratio": "1:0"}, "aspect_ratio", "from 1 to 99"),
        ({"aspect_ratio": "100:1"}, "aspect_ratio", "from 1 to 99"),
        ({"aspect_ratio": "016:9"}, "aspect_ratio", "from 1 to 99"),
        ({"aspect_ratio": "16:9:1"}, "aspect_ratio", "from 1 to 99"),
        ({"aspect_ratio": "１:１"}, "aspect_ratio", "from 1 to 99"),
        ({"aspect_ratio": ""}, "aspect_ratio", '"16:9"'),
        ({"aspect_ratio": 1.5}, "aspect_ratio", '"16:9"'),
        ({"aspect_ratio": (16, 9)}, "aspect_ratio", '"16:9"'),
        ({"size": "8x8", "aspect_ratio": "1:1"}, "aspect_ratio", "size or aspect_ratio, not both"),
        ({"enhance_prompt": 1}, "enhance_prompt", "True, False or None"),
        ({"enhance_prompt": "yes"}, "enhance_prompt", "True, False or None"),
        ({"output": "base64"}, "output", '"url" or "bytes"'),
        ({"output": None}, "output", '"url" or "bytes"'),
        ({"output": ["url"]}, "output", '"url" or "bytes"'),
        ({"provider_options": {"minimax": 1}}, "provider_options", "map a provider to its fields"),
        ({"provider_options": []}, "provider_options", "map a provider to its fields"),
        ({"provider_options": None}, "provider_options", "map a provider to its fields"),
        (
            {"provider_options": {1: {}}},
            "provider_options",
            "provider_options must be a JSON value",
        ),
        ({"provider_options": {"a": {2: 1}}}, "provider_options", "provider_options.a must be"),
        (
            {"provider_options": {"a": {"b": {1}}}},
            "provider_options",
            "provider_options.a.b must be a JSON value",
        ),
        (
            {"provider_options": {"a": {"b": [0, b""]}}},
            "provider_options",
            "provider_options.a.b.1.? must be",
        ),
        ({"provider_options": {"a": {"b": float("nan")}}}, "provider_options", "a JSON value"),
        ({"provider_options": {"a": {"b": float("inf")}}}, "provider_options", "a JSON value"),
        ({"provider_options": {"a": {"b": "\udfff"}}}, "provider_options", "lone surrogate"),
        ({"provider_options": {"a": {"\udfff": 1}}}, "provider_options", "lone surrogate"),
        ({"provider_options": {"a": {"b": HUGE}}}, "provider_options", "provider_options"),
        ({"provider_options": {"a": {"b": nested(2000)}}}, "provider_options", "provider_options"),
        ({"provider_options": {"a": containing_itself()}}, "provider_options", "provider_options"),
        ({"references": 5}, "references", "URL, a data URL, a path or bytes, not int"),
        ({"references": [None]}, "references", "URL, a data URL, a path or bytes, not NoneType"),
        ({"references": {"role": "source"}}, "references", "cannot be read"),
        ({"references": "no/such/file.png"}, "references", "'no/such/file.png' cannot be read: "),
        ({"references": ""}, "references", "cannot be read: "),
        ({"references": "a\0b"}, "references", "cannot be read: "),
        ({"references": "https://"}, "references", "must be http"),
        ({"references": "https://host/\ud800"}, "references", "lone surrogate"),
        ({"references": b""}, "references", "JPEG or PNG picture by its own bytes"),
        ({"references": WEBP}, "references", "JPEG or PNG"),
        ({"references": GIF}, "references", "JPEG or PNG"),
        ({"references": "data:image/png;base64"}, "references", 'must read "data:image/jpeg;base6'),
        ({"references": "data:image/png;base64,A"}, "references", "valid base64"),
        ({"references": "data:image/png;base64,é"}, "references", "valid base64"),
        ({"references": "data:image/png;base64,AA AA"}, "references", "valid base64"),
        ({"references": "data:,\ud800"}, "references", "valid base64"),
        ({"references": "data:image/png,hello"}, "references", "JPEG or PNG"),
    ],
)
def test_a_wrong_field_is_named_and_what_is_allowed_is_said(
    fields: dict[str, Any], field: str, allowed: str
) -> None:
    error = refusal(**fields)
    assert error.field == field
    with pytest.raises(InvalidRequestError, match=allowed):
        raise error


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.binary(max_size=20)
    | st.sampled_from([b"\x89PNG\r\n\x1a\n", "https://h/a", "16:9", "8x8", "url", Path("x"), PNG]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(), max_size=3) | st.integers(), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=5,
)
FIELDS = ("n", "size", "aspect_ratio", "seed", "references", "enhance_prompt", "output")


def check_refusal(error: InvalidRequestError) -> None:
    assert error.field in {"prompt", "provider_options", *FIELDS}
    assert len(str(error).splitlines()) == 1
    assert str(error).encode()


@settings(max_examples=250, deadline=None)
@given(
    ANYTHING | st.just("a fox"),
    st.dictionaries(st.sampled_from([*FIELDS, "provider_options"]), ANYTHING, max_size=3),
)
def test_whatever_is_given_only_an_invalid_request_error_is_raised(
    prompt: Any, fields: dict[str, Any]
) -> None:
    try:
        request = ImageRequest(prompt, **fields)
    except InvalidRequestError as error:
        check_refusal(error)
    else:
        assert ImageRequest(prompt, **fields) == request
        assert repr(request)


def test_fields_after_the_prompt_are_given_by_name() -> None:
    make: Any = ImageRequest
    with pytest.raises(TypeError, match="positional"):
        make("a fox", 2)


@pytest.mark.parametrize("name", ["prompt", "n", "provider_options", "colour"])
def test_a_request_does_not_change(name: str) -> None:
    request = ImageRequest("a fox")
    with pytest.raises((FrozenInstanceError, AttributeError)):
        setattr(request, name, 1)


def test_equal_requests_are_one_in_a_set() -> None:
    fields: dict[str, Any] = {"size": "8x8", "provider_options": {"minimax": {"x": [1]}}}
    assert len({ImageRequest("a fox", **fields), ImageRequest("a fox", **fields)}) == 1


def test_requests_that_differ_in_options_only_are_not_equal() -> None:
    assert ImageRequest("a fox") != ImageRequest("a fox", provider_options={"minimax": {}})


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])  # noqa: S301
def test_a_request_survives_copying_and_pickling(copied: Any) -> None:
    request = ImageRequest("a fox", n=2, references=[PNG, "https://h/a"], seed=1, size=(8, 8))
    assert copied(request) == request
    assert copied(request).references[0].data == PNG


# Prompt, n, seed


@pytest.mark.parametrize("character", ["x", "é", "狐", "🦊"])
def test_a_prompt_of_1500_characters_is_taken_whatever_the_script(character: str) -> None:
    assert ImageRequest(character * 1500).prompt == character * 1500


def test_a_prompt_is_kept_as_it_is() -> None:
    assert ImageRequest("  a fox\n").prompt == "  a fox\n"


@pytest.mark.parametrize("n", [1, 9, 10, 1000])
def test_n_has_no_upper_limit_of_one_call(n: int) -> None:
    assert ImageRequest("a fox", n=n).n == n


@pytest.mark.parametrize("seed", [None, 0, -1, -(2**63), 2**63 - 1])
def test_any_64_bit_seed_is_taken(seed: int | None) -> None:
    assert ImageRequest("a fox", seed=seed).seed == seed


def test_the_last_seed_of_a_request_may_be_the_highest() -> None:
    assert ImageRequest("a fox", seed=2**63 - 3, n=3).n == 3


# Size and aspect ratio


@pytest.mark.parametrize(
    "given_size",
    ["1280x720", "1280X720", "1280*720", "1280×720", " 1280 x 720 ", (1280, 720), Size(1280, 720)],
)
def test_a_size_is_read_from_all_its_forms(given_size: Any) -> None:
    assert Size.parse(given_size) == ImageRequest("a fox", size=given_size).size == Size(1280, 720)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 16384), st.integers(1, 16384))
def test_a_size_reads_back_what_it_writes(width: int, height: int) -> None:
    assert Size.parse(str(Size(width, height))) == Size(width, height)


def test_sizes_are_ordered_by_width_then_height() -> None:
    assert sorted([Size(2, 1), Size(1, 9), Size(1, 2)]) == [Size(1, 2), Size(1, 9), Size(2, 1)]


@pytest.mark.parametrize(
    ("text", "ratio"), [("16:9", "16:9"), (" 16 : 9 ", "16:9"), ("1:1", "1:1"), ("99:98", "99:98")]
)
def test_an_aspect_ratio_is_written_in_one_way(text: str, ratio: str) -> None:
    assert ImageRequest("a fox", aspect_ratio=text).aspect_ratio == ratio


@pytest.mark.parametrize("enhance", [None, True, False])
def test_enhance_prompt_has_three_states(enhance: Any) -> None:
    assert ImageRequest("a fox", enhance_prompt=enhance).enhance_prompt is enhance


# provider_options


def test_a_later_change_of_the_callers_options_does_not_reach_the_request() -> None:
    inner: dict[str, Any] = {"style": {"type": "comic"}, "list": [1, {"a": 1}]}
    options = {"minimax": inner}
    request = ImageRequest("a fox", provider_options=options)
    inner["style"]["type"] = "changed"
    inner["list"][1]["a"] = "changed"
    inner["list"].append("changed")
    inner["new"] = options["other"] = {"changed": True}
    assert request.provider_options == {
        "minimax": {"style": {"type": "comic"}, "list": [1, {"a": 1}]}
    }


def test_options_may_hold_every_kind_of_json_value() -> None:
    options: dict[str, Any] = {
        "minimax": {"a": None, "b": True, "c": -1, "d": 0.5, "é": "狐", "e": [[]], "f": {}}
    }
    kept = ImageRequest("a fox", provider_options=options).provider_options
    assert kept == options
    assert json.loads(json.dumps(kept)) == options


def test_a_slash_in_the_name_of_an_option_is_a_letter_like_any_other() -> None:
    options = {"minimax": {"https://host/" + "a/" * 40: 1}}
    assert ImageRequest("a fox", provider_options=options).provider_options == options


def test_a_tuple_among_the_options_becomes_an_array() -> None:
    kept = ImageRequest("a fox", provider_options={"minimax": {"pair": (1, 2)}}).provider_options
    assert kept == {"minimax": {"pair": [1, 2]}}


@pytest.mark.parametrize(
    "options",
    [
        MappingProxyType({"minimax": {"a": 1}}),
        {"minimax": MappingProxyType({"a": 1})},
        {"minimax": MappingProxyType({"a": 1}), "other": {"b": MappingProxyType({})}},
    ],
)
def test_any_mapping_serves_as_options(options: Mapping[str, Any]) -> None:
    kept = ImageRequest("a fox", provider_options=options).provider_options
    assert kept["minimax"] == {"a": 1}
    assert json.dumps(kept)


# References


@pytest.mark.parametrize(("data", "media_type"), [(PNG, "image/png"), (JPEG, "image/jpeg")])
def test_a_reference_is_known_by_its_bytes(data: bytes, media_type: str) -> None:
    reference = ReferenceImage(data)
    assert (reference.data, reference.media_type, reference.url) == (data, media_type, None)
    assert reference.role == "character"


def test_bytes_go_on_the_wire_as_a_data_url() -> None:
    head, _, payload = ReferenceImage(JPEG).wire.partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(payload) == JPEG


@pytest.mark.parametrize("url", ["https://h/a.png?x=1", "http://127.0.0.1/a", "HTTPS://h/a"])
def test_a_url_goes_on_the_wire_as_it_is(url: str) -> None:
    reference = ReferenceImage(url, role="source")
    assert (reference.wire, reference.url, reference.role) == (url, url, "source")
    assert {reference.data, reference.media_type, reference.sha256} == {None}


@pytest.mark.parametrize(
    "source",
    [
        "data:image/png;base64," + base64.b64encode(PNG).decode(),
        "DATA:image/jpeg;BASE64," + base64.b64encode(PNG).decode(),
        "data:," + "".join(f"%{byte:02x}" for byte in PNG),
    ],
)
def test_a_data_url_is_read_and_its_word_for_the_type_not_trusted(source: str) -> None:
    reference = ReferenceImage(source)
    assert (reference.data, reference.media_type) == (PNG, "image/png")


@pytest.mark.parametrize("as_given", [str, Path])
def test_a_file_is_read_at_once(tmp_path: Path, as_given: Any) -> None:
    file = tmp_path / "fox.jpg"
    file.write_bytes(PNG)
    reference = ReferenceImage(as_given(file))
    file.unlink()
    assert (reference.data, reference.media_type) == (PNG, "image/png")


def test_the_reason_why_a_file_is_not_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be read: Is a directory"):
        ReferenceImage(tmp_path)


def test_a_file_under_10_mb_is_taken(tmp_path: Path) -> None:
    data = PNG + bytes(9_999_999 - len(PNG))
    (tmp_path / "fox").write_bytes(data)
    assert ReferenceImage(data) == ReferenceImage(tmp_path / "fox")


@pytest.mark.parametrize("size", [10_000_000, 10_000_001])
def test_a_reference_of_10_mb_is_refused(tmp_path: Path, size: int) -> None:
    data = JPEG + bytes(size - len(JPEG))
    (tmp_path / "fox").write_bytes(data)
    for source in (data, tmp_path / "fox"):
        with pytest.raises(
            InvalidRequestError, match=r"under 10 MB \(10,000,000 bytes\)"
        ) as caught:
            ReferenceImage(source)
        assert caught.value.field == "references"


@pytest.mark.parametrize("role", ["style", "", None, 1, ["source"]])
def test_a_reference_has_one_of_two_roles(role: Any) -> None:
    with pytest.raises(InvalidRequestError, match='"character" or "source"') as caught:
        ReferenceImage(PNG, role=role)
    assert caught.value.field == "references"


@pytest.mark.parametrize(
    "references",
    [PNG, ReferenceImage(PNG), [PNG], (ReferenceImage(PNG),), iter([PNG]), {ReferenceImage(PNG)}],
)
def test_one_reference_or_several_are_taken(references: Any) -> None:
    assert ImageRequest("a fox", references=references).references == (ReferenceImage(PNG),)


def test_references_keep_their_order_and_role() -> None:
    second = ReferenceImage(JPEG, role="source")
    request = ImageRequest("a fox", references=["https://h/a", second])
    assert request.references == (ReferenceImage("https://h/a"), second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ReferenceImage(PNG), ReferenceImage(picture(color="blue"))),
        (ReferenceImage(PNG), ReferenceImage(PNG, role="source")),
        (ReferenceImage("https://h/a"), ReferenceImage("https://h/b")),
        (ReferenceImage("https://h/a"), ReferenceImage(PNG)),
    ],
)
def test_different_references_are_not_equal(one: ReferenceImage, other: ReferenceImage) -> None:
    assert one != other


def test_a_remembered_reference_is_equal_but_can_not_be_sent() -> None:
    real = ReferenceImage(PNG)
    remembered = ReferenceImage.remembered(None, real.media_type, real.sha256, real.role)
    assert remembered == real
    assert hash(remembered) == hash(real)
    with pytest.raises(InvalidRequestError, match="make the ReferenceImage again") as caught:
        _ = remembered.wire
    assert caught.value.field == "references"


def test_a_remembered_url_can_be_sent() -> None:
    assert ReferenceImage.remembered("https://h/a", None, None, "source").wire == "https://h/a"


def test_a_reference_does_not_change() -> None:
    reference: Any = ReferenceImage(PNG)
    with pytest.raises(FrozenInstanceError):
        reference.role = "source"


@pytest.mark.parametrize("source", [PNG, "data:image/png;base64," + base64.b64encode(PNG).decode()])
def test_a_repr_does_not_show_the_bytes_of_a_reference(source: Any) -> None:
    shown = repr(ImageRequest("a fox", references=source))
    assert repr(PNG)[2:12] not in shown
    assert base64.b64encode(PNG).decode()[:12] not in shown
    assert "image/png" in shown


@pytest.mark.parametrize("url", ["https://h/a.png?X-Signature=SECRET", "https://me:SECRET@h/a.png"])
def test_a_repr_does_not_show_what_a_references_url_signs(url: str) -> None:
    shown = repr(ImageRequest("a fox", references=url))
    assert "SECRET" not in shown
    assert "h/a.png" in shown


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GIF89a\x01\x00\x01\x00", "fox.png' is image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "fox.png' is image/webp"),
        (b"hello", "fox.png' is no picture that we know"),
    ],
)
def test_a_reference_of_another_kind_is_named_with_what_it_is(
    tmp_path: Path, data: bytes, words: str
) -> None:
    (tmp_path / "fox.png").write_bytes(data)
    with pytest.raises(InvalidRequestError) as caught:
        ReferenceImage(tmp_path / "fox.png")
    assert words in caught.value.message
