"""What the command prints: one JSON object, or lines for a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from attrs import asdict, frozen

from imagegen.cli import exit_codes
from imagegen.errors import ConfigurationError, ImageGenError
from imagegen.redaction import printable
from imagegen.result import Attempt, Cost, GeneratedImage, Generation, ImageFailure

SANDBOX_WORDS = "sandbox: no provider was asked, nothing was charged"


@frozen
class Delivery:
    """What was made, where it was saved (None: not), and what went wrong in saving it."""

    generation: Generation
    paths: Sequence[Path | None]
    problem: BaseException | None = None

    @property
    def status(self) -> int:
        """The command's exit status."""
        if isinstance(self.problem, KeyboardInterrupt):
            return exit_codes.INTERRUPTED
        whole = not (self.problem or self.generation.failures or None in self.paths)
        return exit_codes.OK if whole else exit_codes.PARTIAL


class Speaker:
    """Says what came of the command: results on standard output, errors on standard error."""

    def __init__(self, *, sandbox: bool, as_json: bool) -> None:
        self._sandbox = sandbox
        self._as_json = as_json

    def made(self, delivery: Delivery) -> None:
        """Tell of the pictures, saved or not."""
        generation, paths = delivery.generation, delivery.paths
        if self._as_json:
            _print(as_json(generation, paths, sandbox=self._sandbox))
        else:
            _print("\n".join(as_lines(generation, paths, sandbox=self._sandbox)))
        if delivery.problem:
            words = str(delivery.problem) or "interrupted"
            click.echo(f"imagegen: not everything was saved: {words}", err=True)

    def failed(self, error: ImageGenError) -> None:
        """Tell why there are none."""
        if isinstance(error, ConfigurationError) and error.field == "api_key":
            error.advice += ". To try it without a key, add --sandbox"
        if self._as_json:
            _print(error_as_json(error, sandbox=self._sandbox))
            return
        click.echo(f"imagegen: {_in_options(str(error))}", err=True)
        self._notes(error)

    def interrupted(self, interruption: BaseException) -> None:
        """Tell what goes on without us."""
        if self._as_json:
            stand_in = ImageGenError("interrupted")
            for note in getattr(interruption, "__notes__", ()):
                stand_in.add_note(note)
            _print(error_as_json(stand_in, sandbox=self._sandbox, kind="KeyboardInterrupt"))
            return
        click.echo("imagegen: interrupted", err=True)
        self._notes(interruption)

    def _notes(self, error: BaseException) -> None:
        for note in getattr(error, "__notes__", ()):
            click.echo(printable(note), err=True)


def _print(text: str) -> None:
    """Write to standard output; if that fails, say so: what is saved is saved."""
    try:
        click.echo(text)
    except OSError as error:
        click.echo(f"imagegen: standard output cannot be written: {error.strerror}", err=True)


_OPTIONS = {
    'fit="nearest"': "--fit nearest",
    'unsupported="adjust"': "--unsupported adjust",
    "max_cost=": "--max-cost ",
    "max_cost": "--max-cost",
    ", or give the backend an api_key": "",
    "client.result(error.job)": "client.result(error.job) in Python",
    'role="source"': "--source",
    'role="character"': "--reference",
}


def _in_options(text: str) -> str:
    """A message of the library, in the words of the command."""
    for words, option in _OPTIONS.items():
        text = text.replace(words, option)
    return text


def as_json(generation: Generation, paths: Sequence[Path | None], *, sandbox: bool) -> str:
    """The object that `--json` prints; an interface, documented in docs/cli.md."""
    pairs = zip(generation.images, paths, strict=True)
    return _dumps(
        {
            "sandbox": sandbox,
            "provider": generation.provider,
            "model": generation.model,
            "images": [_image(image, path) for image, path in pairs],
            "cost": _cost(generation.cost),
            "failures": [_failure(failure) for failure in generation.failures],
            "notices": [asdict(notice) for notice in generation.notices],
            "attempts": [_attempt(attempt) for attempt in generation.attempts],
            "job": generation.job.id if generation.job else None,
        }
    )


def error_as_json(error: ImageGenError, *, sandbox: bool, kind: str | None = None) -> str:
    """The object that `--json` prints when nothing came."""
    return _dumps(
        {
            "sandbox": sandbox,
            "error": {
                "type": kind or type(error).__name__,
                "message": str(error),
                "provider": error.provider,
                "model": error.model,
                "field": error.field,
                "charged": error.charged,
                "code": error.code,
                "status": error.status,
                "request_id": error.request_id,
                "job": error.job.id if error.job else None,
                "notes": list(getattr(error, "__notes__", ())),
            },
        }
    )


def as_lines(generation: Generation, paths: Sequence[Path | None], *, sandbox: bool) -> list[str]:
    """The lines that a person reads."""
    lines = [SANDBOX_WORDS] if sandbox else []
    for image, path in zip(generation.images, paths, strict=True):
        seed = "" if image.seed is None else f"  seed {image.seed}"
        flag = "  flagged as not safe for work" if image.nsfw else ""
        what = f"{image.width}x{image.height} {image.media_type}" if path else "not fetched"
        lines.append(f"{printable(str(path or image.url))}  {what}{seed}{flag}")
    lines += [f"note: {notice.message} ({notice.field})" for notice in generation.notices]
    lines += [f"missing: {_failed(failure)}" for failure in generation.failures]
    seconds = max((a.seconds or 0.0 for a in generation.attempts), default=0.0)
    made = f"{len(generation.images)} of {generation.request.n} pictures"
    who = f"{generation.provider} {generation.model}"
    lines.append(f"{made} by {who} in {seconds:.1f} s, {_price(generation.cost)}")
    return lines


def _failed(failure: ImageFailure) -> str:
    which = "a picture" if failure.index is None else f"picture {failure.index}"
    return f"{which}: {failure.message} ({failure.error}, charged: {failure.charged})"


def _price(cost: Cost) -> str:
    if cost.amount is None:
        return "cost unknown"
    return f"{cost.amount} {cost.currency or ''} ({cost.basis})".replace("  ", " ")


def _image(image: GeneratedImage, path: Path | None) -> dict[str, Any]:
    return {
        "path": str(path) if path else None,
        "url": image.url,
        "width": image.width,
        "height": image.height,
        "media_type": image.media_type,
        "seed": image.seed,
        "nsfw": image.nsfw,
        "request_id": image.request_id,
        "expires_at": image.expires_at,
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {"amount": cost.amount, "currency": cost.currency, "basis": cost.basis}


def _failure(failure: ImageFailure) -> dict[str, Any]:
    fields: dict[str, Any] = asdict(failure, recurse=False)
    return {**fields, "job": failure.job.id if failure.job else None}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    fields: dict[str, Any] = asdict(attempt, recurse=False)
    return {**fields, "cost": _cost(attempt.cost)}


def _dumps(value: dict[str, Any]) -> str:
    """Amounts and moments become strings, so that no digit is lost."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
