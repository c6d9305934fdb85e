"""What was delivered, by its own bytes, against what was asked for. Pure."""

from __future__ import annotations

from attrs import evolve

from imagegen.request import ImageRequest
from imagegen.result import GeneratedImage, Generation, Notice

TOLERANCE = 0.04
"""How far a shape may be from the ratio asked: sizes are multiples of 8 pixels."""


def compared(generation: Generation) -> Generation:
    """Add a notice for each measured picture that is not of the size or ratio asked for.

    A difference that the translation has already announced is not told again.
    """
    announced = any(n.field in ("size", "aspect_ratio") for n in generation.notices)
    if announced:
        return generation
    pairs = enumerate(generation.images)
    found = [_difference(generation.request, index, image) for index, image in pairs]
    differences = list(filter(None, found))
    if not differences:
        return generation
    return evolve(generation, notices=(*generation.notices, *differences))


def _difference(request: ImageRequest, index: int, image: GeneratedImage) -> Notice | None:
    if image.width is None or image.height is None:
        return None
    came = f"image {index} came as {image.width}x{image.height}"
    if request.size and (request.size.width, request.size.height) != (image.width, image.height):
        return Notice("delivered", "size", f"{came}, not {request.size}")
    if request.aspect_ratio:
        across, down = map(int, request.aspect_ratio.split(":"))
        if abs(image.width / image.height / (across / down) - 1) > TOLERANCE:
            return Notice("delivered", "aspect_ratio", f"{came}, not {request.aspect_ratio}")
    return None
