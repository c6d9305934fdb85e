from __future__ import annotations

import io
import statistics
import subprocess
import sys
import time

import pytest
from PIL import Image

from imagegen.sandbox import drawing, pictures
from imagegen.sandbox.pictures import RATIOS, Picture


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("size", [*RATIOS.values(), (512, 2048), (64, 64), (1080, 1920), (65, 67)])
def test_pictures_are_jpegs_of_exactly_the_requested_size(size: tuple[int, int]) -> None:
    with opened(Picture("a fox", 1, *size).jpeg()) as picture:
        assert (picture.format, picture.size) == ("JPEG", size)


def test_equal_requests_give_equal_bytes_drawn_anew() -> None:
    picture = Picture("a fox", 7, 256, 256)
    assert drawing.jpeg(picture) == drawing.jpeg(picture) == picture.jpeg()


def test_prompt_seed_and_size_each_change_the_picture() -> None:
    one = Picture("a fox", 7, 256, 256)
    others = [Picture("a hen", 7, 256, 256), Picture("a fox", 8, 256, 256)]
    assert len({one.jpeg(), *(other.jpeg() for other in others)}) == 3


def test_a_picture_is_not_one_colour() -> None:
    with opened(Picture("a fox", 7, 512, 512).jpeg()) as picture:
        assert statistics.stdev(picture.convert("L").tobytes()) > 20


@pytest.mark.parametrize("prompt", ["", "漫画 🦊", "\ud800 lone", "line\nbreak", "word" * 400])
def test_any_prompt_can_be_drawn(prompt: str) -> None:
    with opened(Picture(prompt, -(2**63), 128, 128).jpeg()) as picture:
        assert picture.size == (128, 128)


def test_long_prompts_are_cut_between_words() -> None:
    cut = drawing.first_words("A red fox in the snow, at dawn, cinematic")
    assert cut == "A red fox in the snow, at dawn …"
    assert drawing.first_words(" short\n one ") == "short one"


def test_a_megapixel_is_drawn_in_a_blink() -> None:
    drawing.jpeg(Picture("warm", 0, 64, 64))
    started = time.perf_counter()
    content = drawing.jpeg(Picture("a fox", 3, 1024, 1024))
    # About 30 ms; ten times that still says "no background task is needed".
    assert time.perf_counter() - started < 0.3
    assert 20_000 < len(content) < 250_000


def test_only_some_pictures_are_kept_in_memory() -> None:
    for seed in range(60):
        Picture("many", seed, 16, 16).jpeg()
    assert pictures._drawn.cache_info().currsize <= 48


def test_the_package_imports_without_its_extra_and_says_what_to_install() -> None:
    script = """
import sys
sys.modules["PIL"] = sys.modules["uvicorn"] = None
from imagegen.sandbox import Fault, Sandbox
from imagegen.sandbox.pictures import Picture
for use in (Picture("a", 1, 8, 8).jpeg, lambda: Sandbox().running()):
    try:
        use()
    except ImportError as missing:
        print(missing)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.count("pip install 'imagegen-client[sandbox]'") == 2
