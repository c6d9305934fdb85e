"""What a model can do is what its translation accepts, and the page says so."""

from __future__ import annotations

import importlib.util
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from imagegen import ImageGenError, ImageRequest, MiniMax, ReferenceImage, Size, WaveSpeed
from imagegen.backends.base import Backend, Draft, Terms, Translation
from imagegen.backends.wavespeed.catalogue import image_models, listed
from imagegen.capabilities import RATIOS, SIZES, FreeSizes, capabilities
from imagegen.pricing import Price

ROOT = Path(__file__).parents[1]
EIGHT = ("1:1", "16:9", "4:3", "3:2", "2:3", "3:4", "9:16", "21:9")
SOURCE = ReferenceImage("https://example.com/fox.jpg", role="source")


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("matrix", ROOT / "tools" / "matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_image_01_is_the_same_at_both_providers_but_for_its_references() -> None:
    ours = capabilities(MiniMax(), "image-01")
    theirs = capabilities(WaveSpeed(), "minimax/image-01")
    for found in (ours, theirs):
        assert found.free_sizes == FreeSizes(shortest=512, longest=2048, step=8)
        assert (found.fewest_images, found.most_images) == (1, 9)
        assert (found.ratios, found.sizes) == (EIGHT, ())
        assert found.seed
        assert found.enhance_prompt
        assert found.inline
        assert found.most_references == 1
        assert found.price is not None
        assert found.price.amount == Decimal("0.0035")
    assert (ours.character, ours.source) == (True, False)
    assert (theirs.character, theirs.source) == (True, True)


class Stepped(MiniMax):
    """A model of free sides in coarse steps."""

    name = "stepped"

    def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
        draft = Draft(self.name, model, terms)
        draft.size_on_grid(request, 256, 1536, 64)
        return draft.finished()


def test_free_sides_in_coarse_steps_are_found() -> None:
    found = capabilities(Stepped(), "m")
    assert found.free_sizes == FreeSizes(shortest=256, longest=1536, step=64)
    assert str(found.free_sizes) == "256–1536 by 64"
    assert found.sizes == ()
    assert "16:9" in found.ratios


def test_sides_that_are_not_free_of_each_other_are_not_called_so() -> None:
    class Slim(Stepped):
        def translate(self, request: ImageRequest, model: str, terms: Terms) -> Translation:
            size = request.size
            if size and max(size.width, size.height) > 3 * min(size.width, size.height):
                raise Draft(self.name, model, terms).refusal("size", "too slim", "Take another")
            return super().translate(request, model, terms)

    found = capabilities(Slim(), "m")
    assert found.free_sizes is None
    assert Size(1024, 1024) in found.sizes


def test_image_01_live_has_the_sizes_of_its_ratios() -> None:
    found = capabilities(MiniMax(), "image-01-live")
    assert found.free_sizes is None
    assert found.ratios == tuple(ratio for ratio in EIGHT if ratio != "21:9")
    assert Size(1280, 720) in found.sizes
    assert len(found.sizes) == 7
    assert found.price is None


def test_a_model_that_changes_pictures_is_asked_with_one() -> None:
    edit = capabilities(WaveSpeed(), "minimax/image-01/image-to-image")
    assert edit.needs_reference
    assert edit.source
    assert edit.ratios == EIGHT
    several = capabilities(WaveSpeed(), "bytedance/seedream-v4/edit")
    assert several.needs_reference
    assert several.most_references == 10
    assert (several.character, several.seed) == (False, False)


def test_what_a_model_needs_beyond_a_request_is_named() -> None:
    found = capabilities(WaveSpeed(), "alibaba/qwen-image/translate")
    assert found.needs == ("target_lang",)
    assert (found.prompt, found.seed, found.ratios) == (False, False, ())
    assert capabilities(WaveSpeed(), "bria/expand").needs_reference


def test_a_model_that_makes_pairs_only_is_asked_for_two() -> None:
    found = capabilities(WaveSpeed(), "google/nano-banana-pro/text-to-image-multi")
    assert (found.fewest_images, found.most_images) == (2, 2)
    assert found.ratios == ("4:3", "3:2", "2:3", "3:4")


def test_a_model_that_is_not_listed_is_not_known() -> None:
    found = capabilities(WaveSpeed(), "somebody/new-model")
    assert not found.known
    assert str(found.free_sizes) == "any"
    assert found.ratios == RATIOS
    assert found.price is None


@pytest.mark.parametrize(
    ("backend", "model"), [(MiniMax(), "image-02"), (WaveSpeed(), "no-vendor")]
)
def test_a_model_that_cannot_be_is_refused(backend: Backend, model: str) -> None:
    with pytest.raises(ImageGenError) as caught:
        capabilities(backend, model)
    assert caught.value.field == "model"


@pytest.mark.parametrize("model", image_models())
def test_the_listing_and_the_findings_agree(model: str) -> None:
    entry, found = listed(model), capabilities(WaveSpeed(), model)
    assert entry is not None
    sizes = {
        Size.parse(text) for text in entry.inputs.get("size", {}).get("enum", ()) if "*" in text
    }
    assert sizes <= set(SIZES), "a size of the listing is not tried"
    assert set(found.sizes) == sizes
    ratios = entry.inputs.get("aspect_ratio", {}).get("enum", ())
    assert set(ratios) - {"auto"} <= set(found.ratios)
    assert found.prompt == ("prompt" in entry.inputs)
    assert found.seed == ("seed" in entry.inputs)
    assert found.most_images == entry.images_per_call
    assert found.known


@pytest.mark.parametrize("model", ["image-01", "image-01-live"])
def test_what_is_found_can_be_asked_for_and_what_is_not_is_refused(model: str) -> None:
    backend, found = MiniMax(), capabilities(MiniMax(), model)
    for ratio in RATIOS:
        request = ImageRequest("a fox", aspect_ratio=ratio)
        if ratio in found.ratios:
            assert backend.translate(request, model, Terms()).notices == ()
        else:
            with pytest.raises(ImageGenError):
                backend.translate(request, model, Terms())
    with pytest.raises(ImageGenError):
        backend.translate(ImageRequest("a fox", references=[SOURCE]), model, Terms())


def test_the_price_is_the_callers_own_and_nothing_else_depends_on_it() -> None:
    own = Price(
        amount=Decimal("0.001"),
        currency="USD",
        per="image",
        as_of=date(2026, 11, 1),
        source="our contract",
    )
    paid = capabilities(MiniMax(api_key="made-up", prices={"image-01": own}), "image-01")
    assert paid.price == own
    assert capabilities(MiniMax(), "image-01").price != own


def test_it_is_quick_and_remembered() -> None:
    backend = WaveSpeed(first_poll=2.5)  # nobody asked this one before
    started = time.perf_counter()
    first = [capabilities(backend, model) for model in backend.models()]
    asked = time.perf_counter() - started
    started = time.perf_counter()
    assert [capabilities(backend, model) for model in backend.models()] == first
    assert time.perf_counter() - started < asked / 5
    assert asked < 5.0  # half a second, on a machine that does nothing else


def test_the_page_says_what_the_models_can_do() -> None:
    page = ROOT / "docs" / "reference" / "models.md"
    text = page.read_text(encoding="utf-8")
    assert tool().filled_in(text) == text, "it is stale: run python tools/matrix.py"


def test_the_tool_rewrites_a_stale_page_and_wants_its_markers(tmp_path: Path) -> None:
    matrix = tool()
    page = tmp_path / "models.md"
    page.write_text(f"# Models\n\n{matrix.BEGIN}\nold\n{matrix.END}\n\nrest\n", encoding="utf-8")
    matrix.main(page)
    text = page.read_text(encoding="utf-8")
    assert "| `minimax:image-01` |" in text
    assert "old" not in text
    assert text.endswith("\n\nrest\n")
    with pytest.raises(ValueError, match="marker"):
        matrix.filled_in("# Models\n")
