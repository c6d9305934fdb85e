"""Pictures as values: a prompt, a seed and a size, drawn only when somebody looks."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from attrs import frozen

from imagegen.distribution import install

# MiniMax image generation reference, `aspect_ratio`: width and height in pixels.
RATIOS: Final[dict[str, tuple[int, int]]] = {
    "1:1": (1024, 1024),
    "16:9": (1280, 720),
    "4:3": (1152, 864),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "3:4": (864, 1152),
    "9:16": (720, 1280),
    "21:9": (1344, 576),
}
_KEPT: Final = 48


@frozen
class Picture:
    """A picture not drawn yet: width and height in pixels; equal values give equal bytes."""

    prompt: str
    seed: int
    width: int
    height: int

    def jpeg(self) -> bytes:
        """Its JPEG; raises ImportError where Pillow is not installed."""
        return _drawn(self)


@lru_cache(maxsize=_KEPT)
def _drawn(picture: Picture) -> bytes:
    try:
        from imagegen.sandbox import drawing  # noqa: PLC0415  (Pillow is an extra)
    except ImportError as missing:
        raise ImportError(
            f"the sandbox draws with Pillow, which is missing: {install('sandbox')}"
        ) from missing
    return drawing.jpeg(picture)
