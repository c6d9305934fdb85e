"""Pictures in notebooks: what is shown, that it is inert; and pictures as Pillow's."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given, settings, strategies as st
from PIL import Image

from imagegen import (
    Attempt,
    Cost,
    GeneratedImage,
    Generation,
    ImageFailure,
    ImageRequest,
    Notice,
)
from imagegen.errors import ConfigurationError, InvalidRequestError, MalformedReplyError
from imagegen.pictures import notebook
from imagegen.redaction import hide_prompts, prompts_hidden

SIGNED = "https://me:SECRET@cdn.host/a.png?Signature=SECRET#SECRET"
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&lt;"
TAGS = {"div", "p", "q", "figure", "figcaption", "img", "ul", "li"}
ATTRIBUTES = {"style", "alt", "src"}


def encoded(kind: str = "PNG", size: tuple[int, int] = (64, 40), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, kind, **options)
    return file.getvalue()


PNG = encoded()


def image(data: bytes = PNG, **fields: Any) -> GeneratedImage:
    measured = GeneratedImage(**fields).with_data(data)
    assert measured
    return measured


def generation(*images: GeneratedImage, **fields: Any) -> Generation:
    request = ImageRequest("a red fox", n=max(1, len(images)))
    return Generation(
        **{"images": images, "provider": "p", "model": "m", "request": request, **fields}
    )


@define
class Page(HTMLParser):
    """What a browser would make of it; fails on a tag that is not closed, or not expected."""

    text: str = ""
    sources: list[str] = field(factory=list[str])
    items: list[str] = field(factory=list[str])
    _open: list[str] = field(factory=list[str])

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        values = dict(attrs)
        assert values.keys() <= ATTRIBUTES
        assert not values.keys() & {"style"} or "url" not in (values["style"] or "")
        if tag == "img":
            self.sources.append(values["src"] or "")
        else:
            self._open.append(tag)
        if tag == "li":
            self.items.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open[-1] == "li":
            self.items[-1] += data

    def whole(self) -> Page:
        self.close()
        assert self._open == []
        assert all(source.startswith("data:image/") for source in self.sources)
        return self


def read(text: str) -> Page:
    page = Page()
    page.feed(text)
    return page.whole()


def shown(made: Generation) -> Page:
    return read(made._repr_html_())


def inline(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@pytest.fixture
def hidden() -> Iterator[None]:
    before = prompts_hidden()
    hide_prompts()
    yield
    hide_prompts(hide=before)


# One picture


@pytest.mark.parametrize(("kind", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
def test_a_picture_is_given_to_jupyter_as_it_is(kind: str, media_type: str) -> None:
    picture = image(encoded(kind))
    assert picture._repr_mimebundle_() == {
        "text/plain": repr(picture),
        media_type: base64.b64encode(encoded(kind)).decode(),
    }


@pytest.mark.parametrize(("kind", "media_type"), [("WEBP", "image/webp"), ("GIF", "image/gif")])
def test_a_type_that_jupyter_does_not_take_is_shown_as_html(kind: str, media_type: str) -> None:
    forms = image(encoded(kind))._repr_mimebundle_()
    assert forms.keys() == {"text/plain", "text/html"}
    assert read(forms["text/html"]).sources == [inline(encoded(kind), media_type)]


@pytest.mark.parametrize("data", [encoded("TIFF"), b"<script>"])
def test_what_browsers_do_not_show_is_said(data: bytes) -> None:
    forms = GeneratedImage(data=data, media_type="image/png")._repr_mimebundle_()
    assert forms.keys() == {"text/plain", "text/html"}
    assert "client.save(generation, folder)" in read(forms["text/html"]).text


def test_the_type_is_that_of_the_bytes() -> None:
    hostile = GeneratedImage(data=encoded("GIF"), media_type='x" onload="alert(1)')
    page = read(hostile._repr_mimebundle_()["text/html"])
    assert page.sources == [inline(encoded("GIF"), "image/gif")]


@pytest.mark.parametrize(
    ("include", "exclude", "kinds"),
    [
        (None, None, {"text/plain", "image/png"}),
        (set[str](), set[str](), {"text/plain", "image/png"}),
        ({"image/png"}, None, {"image/png"}),
        (["text/plain", "text/html"], (), {"text/plain"}),
        (None, {"image/png"}, {"text/plain"}),
        ({"image/png"}, {"image/png"}, set[str]()),
    ],
)
def test_only_what_is_wanted_is_given(include: Any, exclude: Any, kinds: set[str]) -> None:
    assert image()._repr_mimebundle_(include=include, exclude=exclude).keys() == kinds


def test_a_picture_that_is_not_fetched_says_how_to() -> None:
    until = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
    forms = GeneratedImage(url=SIGNED, expires_at=until)._repr_mimebundle_()
    assert forms.keys() == {"text/plain", "text/html"}
    for text in (forms["text/plain"], read(forms["text/html"]).text):
        assert (
            "Not fetched: it is kept until 2026-11-28 12:00 UTC at https://cdn.host/a.png" in text
        )
        assert "client.fetch(generation) brings it" in text
        assert "SECRET" not in text


def test_a_picture_without_address_says_that_it_is_not_fetched() -> None:
    html = GeneratedImage()._repr_mimebundle_()["text/html"]
    assert read(html).text == "Not fetched: the provider gave neither bytes nor a URL"


def test_a_long_address_is_cut_and_stays_in_its_column() -> None:
    html = generation(GeneratedImage(url="https://h/" + "long/" * 200))._repr_html_()
    (address,) = re.findall(r"https://\S+", read(html).text)
    assert len(address) == 80
    assert "overflow-wrap:anywhere" in html


# A Generation


def test_pictures_are_shown_with_size_seed_and_flag() -> None:
    made = generation(image(seed=0), image(encoded("JPEG", (8, 4)), nsfw=True))
    page = shown(made)
    assert page.sources == [inline(PNG, "image/png"), inline(encoded("JPEG", (8, 4)), "image/jpeg")]
    assert "64 × 40 px, seed 0" in page.text
    assert "8 × 4 px, flagged as not safe for work" in page.text


def test_who_made_it_for_how_much_is_said() -> None:
    attempts = (
        Attempt(provider="p", model="m", n=1, seconds=1.25),
        Attempt(provider="p", model="m", n=1, seconds=3.21),
        Attempt(provider="p", model="m", n=1),
    )
    cost = Cost(amount=Decimal("0.0070"), currency="USD", basis="list-price")
    text = shown(generation(image(), cost=cost, attempts=attempts)).text
    assert "1 of 1 pictures by p m · 0.0070 USD (list price) · 3.2 s" in text
    assert "a red fox" in text


@pytest.mark.parametrize(("seconds", "end"), [(None, "a red fox"), (0.0, " · 0.0 s")])
def test_a_time_that_is_not_known_is_not_said(seconds: float | None, end: str) -> None:
    attempts = (Attempt(provider="p", model="m", n=1, seconds=seconds),)
    assert f"by p m · cost unknown{end}" in shown(generation(attempts=attempts)).text


def test_an_unknown_cost_is_unknown() -> None:
    assert "p m · cost unknown" in shown(generation(image())).text
    free = Cost(amount=Decimal(0), basis="list-price")
    assert "p m · 0 (list price)" in shown(generation(image(), cost=free)).text
    strange = Cost(amount=Decimal("NaN"), currency="USD", basis="billed")
    assert "p m · cost unknown" in shown(generation(image(), cost=strange)).text


def test_what_is_missing_is_listed() -> None:
    made = generation(
        failures=(
            ImageFailure(error="ContentPolicyError", message="it is refused", index=2),
            ImageFailure(error="JobFailedError", message="it failed", charged="no"),
        ),
        notices=(Notice("adjusted", "size", "1024x1024 instead"),),
    )
    assert shown(made).items == [
        "missing: picture 2: it is refused (ContentPolicyError, charged: unknown)",
        "missing: a picture: it failed (JobFailedError, charged: no)",
        "note: 1024x1024 instead (size)",
    ]


def test_nothing_at_all_is_a_page_too() -> None:
    page = shown(generation())
    assert (page.sources, page.items) == ([], [])
    assert "0 of 1 pictures" in page.text


def test_many_pictures_are_not_all_shown() -> None:
    page = shown(generation(*(image() for _ in range(30))))
    assert len(page.sources) == notebook.SHOWN == 24
    assert "6 more pictures, not shown here" in page.text
    assert "more" not in shown(generation(*(image() for _ in range(24)))).text


def test_many_lines_are_not_all_shown() -> None:
    failures = [ImageFailure(error="E", message="m", index=k) for k in range(25)]
    page = shown(generation(failures=tuple(failures)))
    assert len(page.items) == 24
    assert "1 more line, not shown here" in page.text


def test_pictures_that_are_too_many_bytes_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "INLINED", 2_000_000)
    large = image(PNG + bytes(1_900_000))
    page = shown(generation(large, large, image()))
    assert page.sources == [inline(large.data or b"", "image/png"), inline(PNG, "image/png")]
    assert page.text.count("Not shown: a page has room for 2 MB of pictures") == 1


def test_a_generation_shows_no_signature() -> None:
    made = generation(
        GeneratedImage(url=SIGNED),
        failures=(ImageFailure(error="E", message=f"see {SIGNED}"),),
        request=ImageRequest(f"a fox like {SIGNED}"),
        raw=({"url": SIGNED},),
    )
    assert "SECRET" not in made._repr_html_()
    assert "client.fetch(generation)" in shown(made).text


@pytest.mark.usefixtures("hidden")
def test_a_hidden_prompt_is_not_shown() -> None:
    failure = ImageFailure(error="E", message="no picture of 'a red fox'")
    kept = GeneratedImage(url="https://h/a%20red%20fox.png")
    notices = (Notice("ignored", "n", "of a Red Fox"),)
    made = generation(kept, failures=(failure,), notices=notices)
    html = made._repr_html_()
    assert "fox" not in html.casefold()
    assert "<9 characters>" in read(html).text


words = st.text(max_size=40) | st.just(MARKUP)


@settings(max_examples=100, deadline=None)
@given(words, words, words, words)
def test_hostile_words_stay_words(first: str, second: str, third: str, fourth: str) -> None:
    made = generation(
        image(),
        GeneratedImage(url=f"https://h/{first}"),
        provider=first,
        model=second,
        request=ImageRequest(third.encode("utf-8", "ignore").decode().strip() or "x"),
        cost=Cost(amount=Decimal(1), currency=fourth, basis="billed"),
        failures=(ImageFailure(error=first, message=second),),
        notices=(Notice("ignored", third, fourth),),
    )
    shown(made)
    read(made.images[1]._repr_mimebundle_()["text/html"])


def test_what_looks_like_markup_is_shown_as_text() -> None:
    made = generation(provider=MARKUP, model="m", request=ImageRequest(MARKUP))
    assert shown(made).text.count(MARKUP) == 2


def test_the_values_are_loaded_without_notebook_and_pillow() -> None:
    late = "{'PIL', 'imagegen.pictures.notebook'}"
    code = f"import sys, imagegen.result; print({late} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# As Pillow's


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_a_picture_becomes_pillows(kind: str) -> None:
    picture = image(encoded(kind)).to_pil()
    assert (picture.format, picture.size) == (kind, (64, 40))
    red, green, blue = picture.convert("RGB").tobytes()[:3]
    assert red > 250
    assert max(green, blue) < 5


def test_a_picture_without_bytes_is_fetched_first() -> None:
    with pytest.raises(InvalidRequestError, match=r"client\.fetch\(generation\)"):
        GeneratedImage(url=SIGNED).to_pil()


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigurationError) as caught:
        image().to_pil()
    assert "pip install 'imagegen-client[pillow]'" in str(caught.value)


def bomb() -> bytes:
    """A PNG that says it is 20,000 pixels a side, in a few bytes."""
    return PNG[:16] + (20_000).to_bytes(4, "big") * 2 + PNG[24:]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        PNG[:60],
        encoded("JPEG")[:300],
        b"\x89PNG\r\n\x1a\n",
        encoded("BMP"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        pytest.param(bomb(), id="bomb"),
    ],
)
def test_what_pillow_cannot_decode_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedReplyError, match="Pillow cannot decode") as caught:
        GeneratedImage(data=data, request_id="req-1").to_pil()
    assert (caught.value.request_id, caught.value.charged) == ("req-1", "yes")


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF"]), st.data())
def test_wrong_bytes_raise_nothing_else(kind: str, data: st.DataObject) -> None:
    broken = bytearray(encoded(kind))
    for place in data.draw(st.lists(st.integers(0, min(len(broken), 300) - 1), max_size=4)):
        broken[place] = data.draw(st.integers(0, 255))
    with suppress(MalformedReplyError):
        GeneratedImage(data=bytes(broken)).to_pil()
