"""What a comparison's report says, read as the HTML that it is; tests/browser opens it."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import sys
import tracemalloc
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from attrs import evolve, field, mutable
from hypothesis import given, settings, strategies as st

from imagegen import (
    Attempt,
    ConfigurationError,
    Cost,
    GeneratedImage,
    Generation,
    ImageFailure,
    ImageRequest,
    JobFailedError,
    Notice,
    RateLimitError,
    ReferenceImage,
    SubmissionUnknownError,
    UnsupportedFeatureError,
    redaction,
    report,
)
from imagegen.purchase.comparison import Comparison, Contender
from imagegen.report import page

STARTED = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
VOID = {"img", "link", "meta", "rect"}
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1000, 500)
REQUEST = ImageRequest("a red fox", n=2, size="1000x500", seed=7)


def usd(amount: str, source: str | None = None) -> Cost:
    return Cost(amount=Decimal(amount), currency="USD", basis="list-price", source=source)


def pictures(*seeds: int) -> tuple[GeneratedImage, ...]:
    """One picture for each seed; its bytes differ, and are measured as a fetched one's are."""
    made = (GeneratedImage(seed=seed).with_data(PNG + bytes([seed])) for seed in seeds)
    return tuple(image for image in made if image)


def contender(
    model: str = "minimax:image-01",
    *,
    cost: Cost | None = None,
    seconds: float = 2.0,
    images: tuple[GeneratedImage, ...] | None = None,
    **fields: Any,
) -> Contender:
    provider, _, name = model.partition(":")
    made = Generation(
        images=pictures(7, 8) if images is None else images,
        cost=cost or usd("0.0070"),
        provider=provider,
        model=name,
        request=REQUEST,
        **fields,
    )
    return Contender(model=model, generation=made, price=usd("0.0070"), seconds=seconds)


def failed(error: Any, model: str = "minimax:image-01", seconds: float = 1.0) -> Contender:
    return Contender(model=model, error=error, price=usd("0.0070"), seconds=seconds)


def comparison(*contenders: Contender, request: ImageRequest = REQUEST) -> Comparison:
    whole = contenders or (contender(),)
    return Comparison(request=request, contenders=whole, started_at=STARTED)


def html(*contenders: Contender, request: ImageRequest = REQUEST, note: str = "") -> str:
    """The page as a browser reads it: with the characters that its references stand for."""
    text = page(comparison(*contenders, request=request), note)
    return re.sub(r"&#(\d{3,});", lambda match: chr(int(match[1])), text)


@mutable
class Reader(HTMLParser):
    """Every element and every piece of text; it fails where elements are not nested properly."""

    elements: list[tuple[str, dict[str, str | None]]] = field(factory=list)
    texts: dict[str, list[str]] = field(factory=dict)
    _open: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.setdefault(self._open[-1], []).append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader._open == []
    return reader


def finding(text: str, name: str) -> str:
    """The words of one finding of the summary."""
    found = re.search(rf"<dt>{name}</dt>(.*?)</dd>", text, re.DOTALL)
    assert found
    return " ".join(re.sub("<[^>]*>", " ", found[1]).split())


def row(text: str, model: str) -> list[str]:
    found = re.search(rf'<th scope="row">{model}</th>(.*)</tr>', text)
    assert found
    return re.findall("<td>(.*?)</td>", found[1])


# One file


def test_the_file_refers_to_nothing_outside_it_nor_to_what_its_policy_forbids() -> None:
    for tag, attributes in read(html(contender(), failed(RateLimitError("busy")))).elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag


def test_its_policy_allows_its_own_style_and_script_and_pictures_only() -> None:
    reader = read(html())
    (policy,) = (m["content"] for m in reader.all("meta") if "http-equiv" in m)

    def digest(tag: str) -> str:
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", html(), re.DOTALL)
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy == (
        f"default-src 'none'; img-src data:; style-src {digest('style')}; "
        f"script-src {digest('script')}; base-uri 'none'; form-action 'none'"
    )


def test_equal_comparisons_give_equal_files() -> None:
    assert html(contender()) == html(contender())
    assert html(contender()) != html(contender(seconds=3.0))


def test_the_bytes_of_each_picture_are_in_it_once() -> None:
    text = html(contender(images=pictures(7, 8)))
    for seed in (7, 8):
        assert text.count(base64.b64encode(PNG + bytes([seed])).decode()) == 1


def test_a_note_stands_at_the_top_as_text() -> None:
    text = html(note="sandbox: <b>nothing</b> was charged")
    assert [each["role"] for each in read(text).all("p") if "role" in each] == ["note"]
    assert "sandbox: &lt;b&gt;nothing&lt;/b&gt; was charged" in text
    assert text.index('role="note"') < text.index("<h1>")
    assert 'role="note"' not in html()


def test_pictures_beyond_the_page_s_room_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "INLINED", 2_000_000)
    (large,) = (GeneratedImage().with_data(PNG + bytes(1_900_000)),)
    assert large
    text = html(contender("a:b", images=(large, large)), contender("c:d", images=pictures(7)))
    assert len(read(text).all("img")) == 2
    assert text.count("Not shown: a page has room for 2 MB of pictures<") == 1
    assert base64.b64encode(PNG + bytes([7])).decode() in text


def test_a_large_page_takes_little_more_memory_than_itself() -> None:
    large = GeneratedImage().with_data(PNG + bytes(1_000_000))
    assert large
    whole = comparison(contender(images=(large,) * 8), request=ImageRequest("🦊 – ×"))
    page(comparison())
    tracemalloc.start()
    text = page(whole)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert text.isascii()
    assert peak < 2.6 * len(text)


def test_without_jinja_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    report._environment.cache_clear()
    for needing_it in (html, report.require):
        with pytest.raises(ConfigurationError, match=r"pip install 'imagegen-client\[report\]'"):
            needing_it()


# The request


def test_the_request_is_shown_with_its_references_but_not_with_its_secrets() -> None:
    request = ImageRequest(
        "a fox",
        aspect_ratio="16:9",
        references=[
            ReferenceImage("https://example.com/lady.png?X-Signature=sesame", role="source"),
            ReferenceImage(PNG),
        ],
        enhance_prompt=False,
        provider_options={"minimax": {"style": "sesame", "extra": 1}},
    )
    text = html(request=request)
    assert "source: https://example.com/lady.png<" in text
    assert f"character: image/png, SHA-256 {hashlib.sha256(PNG).hexdigest()[:16]}…" in text
    assert "2 references" in text
    assert "style, extra" in text
    assert "16:9" in text
    assert "sesame" not in text


def test_a_prompt_keeps_its_lines() -> None:
    text = html(request=ImageRequest("a fox\nin\tthe snow\r\nat dawn"))
    assert "<blockquote>a fox\nin�the snow\nat dawn</blockquote>" in text
    assert "<title>1 model compared: a fox in�the snow at dawn</title>" in text


@pytest.fixture
def hiding() -> Any:
    redaction.hide_prompts()
    yield
    redaction.hide_prompts(hide=False)


@pytest.mark.usefixtures("hiding")
def test_a_hidden_prompt_is_nowhere_in_it() -> None:
    prompt = "a very secret unreleased product"
    whole = contender(
        failures=(ImageFailure(error="JobFailedError", message=f"cannot draw {prompt}"),),
        notices=(Notice("adjusted", "prompt", f"{prompt.upper()} was cut"),),
    )
    none = failed(RateLimitError(f"no: {prompt}", advice=f"not {prompt}"))
    kept = contender(images=(GeneratedImage(url=f"https://h/{quote(prompt)}.png"),))
    text = html(whole, none, kept, request=ImageRequest(prompt, n=2))
    assert "https://h/&lt;prompt&gt;.png<" in text
    assert "&lt;prompt hidden&gt;" in text
    assert "secret" not in text.lower()


# What came


def test_a_picture_says_what_it_is() -> None:
    (image, _) = pictures(7, 8)
    text = html(contender(images=(evolve(image, nsfw=True), evolve(image, seed=None, nsfw=False))))
    assert "1000 × 500 px, seed 7, flagged as not safe for work<" in text
    assert "1000 × 500 px, flagged as safe for work<" in text
    first, second = (each["alt"] for each in read(text).all("img"))
    assert first == "a red fox – minimax:image-01, picture 1"
    assert second == "a red fox – minimax:image-01, picture 2"


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (
            GeneratedImage(url="https://cdn.example/a.png?Signature=s3", expires_at=STARTED),
            "Not fetched: it is kept until 2026-11-21 09:30 UTC at https://cdn.example/a.png<",
        ),
        (GeneratedImage(), "neither bytes nor a URL"),
        (GeneratedImage(data=b"II*\0....", media_type="image/png"), "image/tiff, which browsers"),
        (GeneratedImage(data=b"<svg onload=x>", media_type="image/svg+xml"), "no picture that we"),
    ],
)
def test_a_picture_that_cannot_be_shown_says_why(image: GeneratedImage, why: str) -> None:
    text = html(contender(images=(image,)))
    assert why in text
    assert read(text).all("img") == []


def test_a_media_type_is_read_from_the_bytes_and_not_believed() -> None:
    lying = GeneratedImage(data=PNG, media_type='text/html" onerror="x')
    (image,) = read(html(contender(images=(lying,)))).all("img")
    assert (image["src"] or "").startswith("data:image/png;base64,")


def test_what_failed_says_why_and_whether_it_was_charged() -> None:
    error = SubmissionUnknownError("no answer", provider="minimax", model="image-01")
    text = html(failed(error), contender())
    assert "SubmissionUnknownError, perhaps charged" in text
    assert "no answer" in text
    assert "Failed: no pictures" in text
    assert "let client.reconcile() do it." in text


def test_what_is_missing_says_why_and_whether_it_was_charged() -> None:
    missing = ImageFailure(error="ContentPolicyError", message="blocked", index=1, charged="no")
    text = html(contender(images=pictures(7), failures=(missing,)))
    assert "Incomplete: 1 of 2 pictures" in text
    assert "Picture 2 of the request" in text
    assert "blocked (ContentPolicyError, not charged)" in text


def test_a_picture_that_a_notice_names_has_the_notice_s_number_too() -> None:
    notice = Notice("delivered", "size", "image 1 came as 1000x500, not 1000x1000")
    text = html(contender(images=pictures(*range(12)), notices=(notice,)))
    assert "<b>Picture 2 (image 1):</b>" in text
    assert text.count("(image ") == 1


def test_notices_and_the_number_of_submissions_are_told() -> None:
    attempts = tuple(Attempt(provider="minimax", model="image-01", n=2) for _ in range(3))
    notices = (Notice("adjusted", "size", "1000x704 was sent"),)
    text = html(contender(attempts=attempts, notices=notices))
    assert "Adjusted: 1000x704 was sent" in text
    assert "<dt>Submissions</dt><dd>3</dd>" in text


# Costs and latencies


def test_a_cost_says_what_it_rests_on() -> None:
    text = html(contender(cost=usd("0.0070", "the price page, 2026-11-20")))
    assert "<dt>Cost</dt><dd>0.0070 USD</dd>" in text
    assert "list price, the price page, 2026-11-20" in text
    assert "<dt>Price per picture</dt><dd>0.0035 USD</dd>" in text
    assert "<dt>Cost per megapixel</dt><dd>0.007 USD</dd>" in text


def test_an_unknown_cost_is_never_a_bar_or_a_nought() -> None:
    text = html(contender(cost=Cost()))
    figures = "2, unknown, 0.0070 USD, 2.00 s, 1.00, unknown"
    assert ", ".join(row(text, "minimax:image-01")) == figures
    assert len(read(text).all("rect")) == 1  # its latency
    assert finding(text, "Cheapest") == "Not known No cost is known"
    assert finding(text, "Total cost") == "Unknown The cost of 1 model is not known"


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-1", "1E+999999", "1E-999999"])
def test_what_is_no_sum_of_money_is_unknown(amount: str) -> None:
    odd, attempt = usd(amount), Attempt(provider="g", model="h", n=2, cost=usd(amount))
    error = JobFailedError("lost", charged="unknown")
    error.attempts = (attempt, attempt)
    text = html(
        evolve(contender("a:b", cost=odd), price=odd), contender("c:d"), failed(error, "g:h")
    )
    assert row(text, "a:b") == ["2", "unknown", "unknown", "2.00 s", "1.00", "unknown"]
    assert row(text, "g:h")[1] == "unknown"
    assert finding(text, "Cheapest").startswith("c:d 0.0070 USD")
    assert finding(text, "Total cost").startswith("At least 0.0070 USD")
    assert len(text) < 50_000


def test_the_longest_bar_is_the_dearest_and_the_others_are_in_proportion() -> None:
    text = html(contender("a:b", cost=usd("0.02")), contender("c:d", cost=usd("0.005")))
    cheap, dear = (bar["width"] for bar in read(text).all("rect")[1::-1])
    assert (dear, cheap) == ("64.00%", "16.00%")


def test_a_charted_cost_of_nothing_is_drawn_as_nothing() -> None:
    text = html(failed(RateLimitError("busy")))
    assert [bar["width"] for bar in read(text).all("rect")] == ["0.00%", "64.00%"]
    assert "1.00 s, failed" in text


def test_what_was_not_asked_has_no_latency() -> None:
    text = html(contender(), failed(UnsupportedFeatureError("no"), "a:b", seconds=0.0))
    assert row(text, "a:b") == ["0", "0", "0.0070 USD", "not asked", "none", "none"]


def test_two_currencies_are_charted_apart_and_never_compared() -> None:
    yuan = Cost(amount=Decimal("0.025"), currency="CNY", basis="billed")
    text = html(contender("a:b", cost=yuan), contender("c:d"), contender("e:f", cost=Cost()))
    charts = [title for title in read(text).texts["title"] if title.startswith("Cost")]
    apart = "not to be compared with another currency's"
    assert charts == [f"Cost in CNY, {apart}", f"Cost in USD, {apart}"]
    yuan_chart, dollar_chart, _ = read(text).texts["desc"]
    assert yuan_chart == "a:b: 0.025 CNY; e:f: unknown"
    assert dollar_chart == "c:d: 0.0070 USD; e:f: unknown"
    assert finding(text, "Cheapest").startswith("Not compared")
    assert finding(text, "Total cost").startswith("At least 0.025 CNY and 0.0070 USD")


def test_the_cheapest_and_the_fastest_are_named() -> None:
    text = html(
        contender("a:b", cost=usd("0.01"), seconds=12.34),
        contender("c:d", cost=usd("0.02"), seconds=1.5),
    )
    assert finding(text, "Cheapest") == "a:b 0.01 USD, list price"
    assert finding(text, "Fastest") == "c:d 1.50 s"
    assert finding(text, "Total cost") == "0.03 USD list price"
    assert re.findall('<p class="best">(.*?)</p>', text) == ["Cheapest", "Fastest"]


def test_equals_are_named_together() -> None:
    text = html(contender("a:b"), contender("c:d"), contender("e:f"))
    assert finding(text, "Cheapest").startswith("a:b, c:d and e:f 0.0070 USD")


def test_a_model_that_delivered_less_is_neither_cheapest_nor_fastest() -> None:
    less = contender("a:b", cost=usd("0.0035"), seconds=0.1, images=pictures(7))
    none = failed(RateLimitError("busy"), "c:d", seconds=0.01)
    text = html(less, none, contender("e:f"))
    assert finding(text, "Cheapest").startswith("e:f 0.0070 USD, list price The only one of 3")
    assert finding(text, "Fastest").startswith("e:f 2.00 s The only one of 3 models")
    assert finding(html(less, none), "Fastest").startswith("Not known None of 2 models delivered")


def test_the_cheapest_of_those_whose_cost_is_known_is_said_to_be_that() -> None:
    text = html(contender("a:b"), contender("c:d", cost=Cost()))
    assert finding(text, "Cheapest").endswith("Only 1 cost of 2 known.")


# Text from outside

TEXTS = st.text(max_size=60).map("a".__add__)


@settings(max_examples=60, deadline=None)
@given(prompt=TEXTS, words=TEXTS, model=TEXTS)
def test_no_text_becomes_an_element_an_attribute_or_an_unseen_character(
    prompt: str, words: str, model: str
) -> None:
    text = html(spoilt(words, model), request=ImageRequest(prompt))
    reader, plain = read(text), read(html(spoilt("x", "x"), request=ImageRequest("x")))
    assert shape(reader) == shape(plain)
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text
    )
    text.encode("utf-8")


def spoilt(words: str, model: str) -> Contender:
    """A contender all of whose texts come from outside."""
    made = contender(
        cost=Cost(amount=Decimal(1), currency=words, basis="billed", source=words),
        images=(GeneratedImage(url=words), *pictures(7)),
        failures=(ImageFailure(error=words, message=words),),
        notices=(Notice("adjusted", "size", words),),
    )
    return evolve(made, model=model, error=RateLimitError(words, advice=words))


def shape(reader: Reader) -> Counter[tuple[str, frozenset[str]]]:
    return Counter((tag, frozenset(attributes)) for tag, attributes in reader.elements)
