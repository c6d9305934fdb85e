"""Facts of the MiniMax Image-01 model, the same at MiniMax and at WaveSpeedAI.

Source: MiniMax image generation reference (OpenAPI, read 2026-11-20); WaveSpeedAI's pages of
minimax/image-01 name the same sizes and bounds.
"""

from __future__ import annotations

from types import MappingProxyType

from imagegen.backends.base import Draft
from imagegen.backends.geometry import Grid
from imagegen.request import Size

RATIOS = MappingProxyType(
    {
        "1:1": Size(1024, 1024),
        "16:9": Size(1280, 720),
        "4:3": Size(1152, 864),
        "3:2": Size(1248, 832),
        "2:3": Size(832, 1248),
        "3:4": Size(864, 1152),
        "9:16": Size(720, 1280),
        "21:9": Size(1344, 576),
    }
)
"""Aspect ratio to pixels, both providers."""

SHORTEST, LONGEST, STEP = 512, 2048, 8
SIZES = Grid(SHORTEST, LONGEST, STEP)
IMAGES_PER_CALL = 9


def fitting_size(draft: Draft, size: Size) -> Size:
    """Return *size* if the model makes it, else the nearest it makes, if the terms allow."""
    nearest = SIZES.nearest(size)
    if nearest != size:
        draft.unfit("size", f"{size} is not {SIZES}", nearest)
    return nearest
