"""Write the table of what models can do into docs/reference/models.md.

Usage: python tools/matrix.py
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from imagegen import backends
from imagegen.capabilities import Capabilities, capabilities
from imagegen.cli.models import pictures, ratios, references, sizes
from imagegen.cli.prices import priced

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "models.md"
BEGIN = "<!-- models: written by tools/matrix.py -->"
END = "<!-- end of models -->"
SHOWN = {
    "wavespeed": (
        *("minimax/image-01", "minimax/image-01/text-to-image", "minimax/image-01/image-to-image"),
        *("wavespeed-ai/flux-dev", "wavespeed-ai/flux-schnell", "wavespeed-ai/flux-kontext-pro"),
        *("bytedance/seedream-v4", "bytedance/seedream-v4/edit", "google/nano-banana/edit"),
        *("alibaba/wan-2.6/text-to-image", "openai/gpt-image-1.5/text-to-image", "z-ai/cogview-4"),
    )
}
"""Of a provider with very many models those that are shown; `imagegen models --all` has all."""

HEADS = (
    *("model", "pixels", "ratios", "n", "seed", "enhance", "references", "bytes", "price"),
    "as of",
)


def main(page: Path = PAGE) -> None:
    """Rewrite *page*."""
    page.write_text(filled_in(page.read_text(encoding="utf-8")), encoding="utf-8")


def filled_in(text: str) -> str:
    """Return *text* with the table between the markers as it is today.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"a marker is missing: {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def table() -> str:
    """The table, in Markdown."""
    lines = [_line(HEADS), _line("---" for _ in HEADS)]
    return "\n".join([*lines, *(_line(_cells(found)) for found in _shown())])


def _shown() -> Iterator[Capabilities]:
    for name in backends.names():
        backend = backends.load(name)()
        for model in SHOWN.get(name, backend.models()):
            yield capabilities(backend, model)


def _cells(found: Capabilities) -> Iterator[str]:
    yield f"`{found.provider}:{found.model}`"
    yield sizes(found) or "–"
    yield ratios(found) or "–"
    yield pictures(found)
    yield from (_mark(flag) for flag in (found.seed, found.enhance_prompt))
    yield references(found) or "–"
    yield _mark(found.inline)
    yield priced(found.price)
    yield str(found.price.as_of) if found.price else "–"


def _mark(flag: bool) -> str:  # noqa: FBT001 - it is what is shown
    return "yes" if flag else "–"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
