"""The request that a command line makes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from attrs import fields, frozen

from imagegen.backends.base import Fit, Unsupported
from imagegen.errors import InvalidRequestError
from imagegen.request import ImageRequest, ReferenceImage, Role

LONGEST = 100_000
"""Bytes of a prompt that is read; no model takes a tenth of it."""


@frozen(kw_only=True)
class Wanted:
    """What `options.request_options` take."""

    prompt: str | None
    prompt_file: Path | None
    n: int
    size: str | None
    aspect_ratio: str | None
    seed: int | None
    characters: Sequence[str]
    sources: Sequence[str]
    enhance_prompt: bool | None
    fit: Fit | None
    unsupported: Unsupported | None

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> Self:
        """Take them out of *options*, which keep the rest."""
        return cls(**{attribute.name: options.pop(attribute.name) for attribute in fields(cls)})

    def request(self) -> ImageRequest:
        """What is wanted.

        Raises:
            InvalidRequestError: it is no request.
        """
        return ImageRequest(
            self._words(),
            n=self.n,
            size=self.size,
            aspect_ratio=self.aspect_ratio,
            seed=self.seed,
            references=[*_all(self.sources, "source"), *_all(self.characters, "character")],
            enhance_prompt=self.enhance_prompt,
        )

    def _words(self) -> str:
        given = [each for each in (self.prompt, self.prompt_file) if each is not None]
        if len(given) != 1:
            raise InvalidRequestError(
                "one prompt is needed, and two were given" if given else "a prompt is needed",
                advice="Give it as PROMPT, with --prompt-file FILE, or as - on standard input",
                field="prompt",
            )
        if "-" in (self.prompt, str(self.prompt_file)):
            return _decoded(sys.stdin.buffer.read(LONGEST + 1))
        return _read(self.prompt_file) if self.prompt_file else self.prompt or ""


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _decoded(file.read(LONGEST + 1))
    except OSError as error:
        raise InvalidRequestError(
            f"the prompt cannot be read from {str(path)!r}: {error.strerror}", field="prompt"
        ) from error


def _decoded(data: bytes) -> str:
    """Read UTF-8; the line end that editors and `echo` add is no part of a prompt."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"the prompt is not UTF-8: {error}", field="prompt") from error
    if len(data) > LONGEST:
        raise InvalidRequestError(f"the prompt is longer than {LONGEST} bytes", field="prompt")
    return text.removesuffix("\n").removesuffix("\r")


def _all(given: Sequence[str], role: Role) -> list[ReferenceImage]:
    return [ReferenceImage(one, role) for one in given]
