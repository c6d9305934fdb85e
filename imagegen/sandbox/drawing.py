"""The scenery in the sandbox's pictures: a sun over ridges, coloured by the seed."""

from __future__ import annotations

import colorsys
import io
import math
import random
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageDraw, ImageFont

if TYPE_CHECKING:
    from imagegen.sandbox.pictures import Picture

Colour = tuple[int, int, int]

_RIDGES: Final = 5
_LARGEST: Final = 768


def jpeg(picture: Picture) -> bytes:
    """Draw `picture`: about 30 ms a megapixel."""
    chance = random.Random(_plain(f"{picture.seed}|{picture.prompt}"))  # noqa: S311  (scenery)
    canvas = _scene(chance, picture.width, picture.height)
    _sign(canvas, picture)
    file = io.BytesIO()
    canvas.save(file, "JPEG", quality=88)
    return file.getvalue()


def _plain(text: str) -> str:
    # A prompt may hold lone surrogates, which no font and no hash takes.
    return text.encode("utf-8", "replace").decode()


def _scene(chance: random.Random, width: int, height: int) -> Image.Image:
    # Soft shapes lose little at half size or less, and cost a quarter.
    shrink = max(2.0, max(width, height) / _LARGEST)
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    hue = chance.random()
    scene = _blend(size, _colour(hue, 0.62, 0.52), _colour(hue + 0.09, 0.34, 0.98))
    _sun(scene, chance, _colour(hue + 0.13, 0.22, 1.0))
    for depth in range(1, _RIDGES + 1):
        _ridge(scene, chance, depth, hue)
    return _grained(scene, chance).resize((width, height), Image.Resampling.BILINEAR)


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _blend(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    mask = Image.linear_gradient("L").crop((0, 0, 1, 256))
    column = Image.composite(
        Image.new("RGB", (1, 256), bottom), Image.new("RGB", (1, 256), top), mask
    )
    return column.resize((1, size[1])).resize(size, Image.Resampling.NEAREST)


def _sun(scene: Image.Image, chance: random.Random, colour: Colour) -> None:
    x, y = chance.uniform(0.2, 0.8) * scene.width, chance.uniform(0.2, 0.42) * scene.height
    disc = min(scene.size) * chance.uniform(0.07, 0.12)
    soft = Image.Resampling.BILINEAR
    for radius, strength in ((disc * 5, 180), (disc, 90_000)):
        # Pillow's gradient is 0 in the middle and 180 where it touches the sides.
        fall = [min(255, round((max(0, 180 - i) / 180) ** 2 * strength)) for i in range(256)]
        side = max(1, round(radius * 2))
        mask = Image.radial_gradient("L").resize((side, side), soft).point(fall)
        scene.paste(colour, (round(x - radius), round(y - radius)), mask)


def _ridge(scene: Image.Image, chance: random.Random, depth: int, hue: float) -> None:
    near = depth / _RIDGES
    crest = _colour(hue + 0.06 - near * 0.1, 0.3 + near * 0.32, 0.86 - near * 0.66)
    foot = _colour(hue + 0.08 - near * 0.1, 0.26 + near * 0.3, 0.98 - near * 0.72)
    # Drawn at double size and reduced: a smooth edge.
    line = _skyline(chance, scene.width * 2, scene.height * 2, near)
    top = max(0, int(min(y for _, y in line)) // 2)
    width, height = scene.width, scene.height - top
    mask = Image.new("L", (width * 2, height * 2))
    outline = [(x, y - top * 2) for x, y in line]
    outline += [(width * 2, height * 2), (0, height * 2)]
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    scene.paste(_blend((width, height), crest, foot), (0, top), mask.reduce(2))


def _skyline(
    chance: random.Random, width: int, height: int, near: float
) -> list[tuple[float, float]]:
    waves = [
        (
            chance.uniform(0.7, 1.3) * 0.035 / order,
            order * chance.uniform(1.0, 2.6),
            chance.random(),
        )
        for order in (1, 2, 4, 9)
    ]
    level = 0.4 + near * 0.44
    points: list[tuple[float, float]] = []
    for x in range(0, width + 12, 12):
        turn = x / max(width, height)
        swell = sum(size * math.sin(math.tau * (rate * turn + at)) for size, rate, at in waves)
        points.append((x, height * (level - swell)))
    return points


def _grained(scene: Image.Image, chance: random.Random) -> Image.Image:
    # Grain hides the banding that JPEG makes of long gradients.
    tile = Image.frombytes("L", (256, 256), chance.randbytes(65536)).point(
        [i // 22 for i in range(256)]
    )
    grain = Image.new("L", scene.size)
    for left in range(0, scene.width, 256):
        for top in range(0, scene.height, 256):
            grain.paste(tile, (left, top))
    return ImageChops.subtract(scene, Image.merge("RGB", (grain, grain, grain)))


def _sign(canvas: Image.Image, picture: Picture) -> None:
    pen = ImageDraw.Draw(canvas)
    edge = max(8, min(canvas.size) // 26)
    title, note = first_words(picture.prompt), f"sandbox · seed {picture.seed}"
    large, small = _font(edge), _font(max(9, round(edge * 0.6)))
    base = canvas.height - edge
    pen.text((edge, base), note, font=small, fill=(255, 255, 255), anchor="ls")
    pen.text((edge, base - edge), title, font=large, fill=(255, 255, 255), anchor="ls")


def first_words(prompt: str, longest: int = 34) -> str:
    """The beginning of `prompt`, cut between words at `longest` characters."""
    words = " ".join(_plain(prompt).split())
    if len(words) <= longest:
        return words
    return words[:longest].rsplit(" ", 1)[0].rstrip(",;:. ") + " …"


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
