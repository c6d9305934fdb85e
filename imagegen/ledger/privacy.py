"""What of requests, jobs and providers' words is stored: no bytes and, if so asked, no prompt."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from imagegen.redaction import shown
from imagegen.request import ImageRequest
from imagegen.result import Generation, Job, Notice

LEFT_OUT = "(left out, as the words might quote the prompt)"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PIECE = 12
"""Letters in a row that a text may share with the prompt without quoting it."""


def is_digest(prompt: str) -> bool:
    """Tell whether this is what `digest` makes of a prompt."""
    return bool(_DIGEST.fullmatch(prompt))


def digest(prompt: str) -> str:
    """Return what stands for *prompt*; a digest stands for itself."""
    if is_digest(prompt):
        return prompt
    return f"sha256:{hashlib.sha256(prompt.encode()).hexdigest()}"


@frozen
class Privacy:
    """How things are stored: with prompts, or with their digests instead."""

    prompts: bool

    def request(self, request: ImageRequest) -> ImageRequest:
        """*request*; options of the provider may hold pictures, or a prompt, and go with it."""
        if self.prompts:
            return evolve(request, provider_options=_without_bytes(request.provider_options))
        return evolve(request, prompt=digest(request.prompt), provider_options={})

    def job(self, job: Job) -> Job:
        """*job*, with no bytes of its pictures."""
        return evolve(
            job,
            request=self.request(job.request),
            notices=self._notices(job.notices, job.request),
            settled=job.settled and self.generation(job.settled),
            parts=tuple(self.job(part) for part in job.parts),
        )

    def generation(self, generation: Generation) -> Generation:
        """*generation*, with no bytes of its pictures; JSON leaves `raw` out anyway."""
        prompt = generation.request.prompt
        failures = (
            evolve(f, message=self._text(f.message, prompt), job=f.job and self.job(f.job))
            for f in generation.failures
        )
        attempts = (
            evolve(a, message=a.message and self._text(a.message, prompt))
            for a in generation.attempts
        )
        return evolve(
            generation,
            images=tuple(evolve(image, data=None) for image in generation.images),
            failures=tuple(failures),
            request=self.request(generation.request),
            attempts=tuple(attempts),
            notices=self._notices(generation.notices, generation.request),
            job=generation.job and self.job(generation.job),
        )

    def words(self, text: str, prompts: Sequence[str]) -> str:
        """*text* as one line; *prompts* are those that it may quote, as far as they are known."""
        if self.prompts:
            return shown(text)
        known = [prompt for prompt in prompts if not is_digest(prompt)]
        for prompt in known:
            text = _without(text, prompt)
        return shown(text) if known else LEFT_OUT

    def _text(self, text: str, prompt: str) -> str:
        return text if self.prompts else self.words(text, [prompt])

    def _notices(self, notices: Sequence[Notice], request: ImageRequest) -> tuple[Notice, ...]:
        return tuple(
            evolve(notice, message=self._text(notice.message, request.prompt)) for notice in notices
        )


def _without_bytes(value: Any) -> Any:
    """*value*, JSON, with digests for its data URLs."""
    if isinstance(value, Mapping):
        return {name: _without_bytes(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_bytes(each) for each in value]
    is_data = isinstance(value, str) and value[:5].lower() == "data:"
    return digest(value) if is_data else value


def _without(text: str, prompt: str) -> str:
    """*text* with the digest for *prompt*; nothing of it if it quotes the prompt otherwise."""
    for form in (prompt, " ".join(prompt.split()), json.dumps(prompt)[1:-1]):
        text = text.replace(form, digest(prompt))
    return LEFT_OUT if _pieces(text) & _pieces(prompt) else text


def _pieces(text: str) -> set[str]:
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return {letters[i : i + _PIECE] for i in range(len(letters) - _PIECE + 1)}
