"""What was delivered is compared with what was asked, by the pictures' own bytes."""

from __future__ import annotations

from typing import Any

import pytest

from imagegen import GeneratedImage, Generation, ImageRequest, Notice
from imagegen.pictures.fidelity import compared


def generation(request: ImageRequest, *images: GeneratedImage, notices: Any = ()) -> Generation:
    return Generation(
        provider="p", model="m", request=request, images=images, notices=tuple(notices)
    )


def of_size(width: int, height: int) -> GeneratedImage:
    return GeneratedImage(width=width, height=height)


@pytest.mark.parametrize(
    ("asked", "came", "words"),
    [
        ({"size": "1024x1024"}, (512, 512), "image 0 came as 512x512, not 1024x1024"),
        ({"size": "1024x1024"}, (1024, 1016), "image 0 came as 1024x1016, not 1024x1024"),
        ({"aspect_ratio": "16:9"}, (720, 1280), "image 0 came as 720x1280, not 16:9"),
        ({"aspect_ratio": "1:1"}, (1024, 900), "image 0 came as 1024x900, not 1:1"),
    ],
)
def test_another_size_or_shape_than_asked_is_noticed(
    asked: dict[str, Any], came: tuple[int, int], words: str
) -> None:
    (notice,) = compared(generation(ImageRequest("a", **asked), of_size(*came))).notices
    field = next(iter(asked))
    assert notice == Notice("delivered", field, words)


@pytest.mark.parametrize(
    ("asked", "came"),
    [
        ({"size": "1024x1024"}, (1024, 1024)),
        ({"aspect_ratio": "21:9"}, (1344, 576)),
        ({"aspect_ratio": "3:2"}, (1248, 832)),
        ({"aspect_ratio": "16:9"}, (1344, 768)),
        ({}, (77, 1999)),
    ],
)
def test_what_was_asked_is_not_noticed(asked: dict[str, Any], came: tuple[int, int]) -> None:
    assert compared(generation(ImageRequest("a", **asked), of_size(*came))).notices == ()


def test_a_picture_that_is_not_measured_is_not_judged() -> None:
    made = generation(ImageRequest("a", size="512x512"), GeneratedImage(url="https://h/a"))
    assert compared(made) == made


def test_a_difference_already_announced_is_not_told_again() -> None:
    announced = Notice("adjusted", "size", "another size was sent")
    made = generation(ImageRequest("a", size="777x777"), of_size(776, 776), notices=[announced])
    assert compared(made).notices == (announced,)


def test_each_picture_is_judged_by_itself() -> None:
    made = generation(ImageRequest("a", n=2, size="512x512"), of_size(512, 512), of_size(8, 8))
    assert [n.message for n in compared(made).notices] == ["image 1 came as 8x8, not 512x512"]
