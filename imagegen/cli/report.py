"""What the command prints: one JSON object, or lines for a person."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from imagegen.cli import exit_codes
from imagegen.cli.delivery import Delivery
from imagegen.errors import AllRoutesFailedError, ConfigurationError, ImageGenError
from imagegen.redaction import printable
from imagegen.result import Attempt, Cost, GeneratedImage, Generation, ImageFailure
from imagegen.wording import money_with_basis

SANDBOX_WORDS = "sandbox: no provider was asked, nothing was charged"


class Speaker:
    """Says what came of the command: results on standard output, errors on standard error.

    `on_ledger` is `Setup.again`: None where nothing can be finished later.
    """

    def __init__(
        self, *, as_json: bool, sandbox: bool = False, on_ledger: str | None = None
    ) -> None:
        self._sandbox = sandbox
        self._as_json = as_json
        self.on_ledger = on_ledger

    @contextmanager
    def explaining(self) -> Generator[None]:
        """Tell what ends the block, and end the command with its status.

        Raises:
            SystemExit: an ImageGenError or Ctrl-C ended it.
        """
        try:
            yield
        except ImageGenError as error:
            self.failed(error)
            raise SystemExit(exit_codes.exit_code(error)) from None
        except KeyboardInterrupt as interruption:
            self.interrupted(interruption)
            raise SystemExit(exit_codes.INTERRUPTED) from None

    def made(self, delivery: Delivery) -> None:
        """Tell of the pictures, saved or not, and how to get those that are missing."""
        generation, paths = delivery.generation, delivery.paths
        if self._as_json:
            echo(as_json(generation, paths, sandbox=self._sandbox))
        else:
            echo("\n".join(as_lines(generation, paths, sandbox=self._sandbox)))
        if delivery.problem:
            self.unsaved(delivery.problem)
        self.missing([delivery])

    def missing(self, deliveries: Sequence[Delivery]) -> None:
        """Tell how to get what is missing, where anything can be done."""
        verbs = {verb for delivery in deliveries if (verb := _finishing(delivery))}
        if verbs and self.on_ledger is not None:
            words = self._jobs(min(verbs))  # to reconcile is to resume too
            click.echo(f"imagegen: to get what is missing, run {words}", err=True)

    def unsaved(self, problem: BaseException) -> None:
        """Tell why pictures that came are not in the folder."""
        words = self.told(str(problem)) or "interrupted"
        click.echo(f"imagegen: not everything was saved: {words}", err=True)

    def failed(self, error: ImageGenError) -> None:
        """Tell why there are none."""
        if isinstance(error, ConfigurationError) and error.field == "api_key":
            error.advice += ". To try it without a key, add --sandbox"
        open_ended = isinstance(error, AllRoutesFailedError) and error.charged == "unknown"
        if open_ended and self.on_ledger is not None:
            error.advice = f"To look up what is unknown, run {self._jobs('reconcile')}"
        if self._as_json:
            echo(dumps({"sandbox": self._sandbox, "error": self.error_as_dict(error)}))
            return
        click.echo(f"imagegen: {self.told(str(error))}", err=True)
        for note in self._notes(error):
            click.echo(note, err=True)

    def misused(self, message: str) -> None:
        """Tell a program what is wrong with the command line; a person is told by click."""
        error = error_as_dict(ImageGenError(message), kind="UsageError")
        echo(dumps({"sandbox": self._sandbox, "error": error}))

    def interrupted(self, interruption: BaseException) -> None:
        """Tell what goes on without us."""
        notes = self._notes(interruption)
        if notes and self.on_ledger is not None:
            resume, reconcile = self._jobs("resume"), self._jobs("reconcile")
            notes.append(f"{resume} finishes what was accepted, {reconcile} also looks up the rest")
        if self._as_json:
            error = error_as_dict(ImageGenError("interrupted"), kind="KeyboardInterrupt")
            echo(dumps({"sandbox": self._sandbox, "error": {**error, "notes": notes}}))
            return
        for line in ("imagegen: interrupted", *notes):
            click.echo(line, err=True)

    def error_as_dict(self, error: ImageGenError) -> dict[str, Any]:
        """Why nothing came, in the words of the command."""
        fields = error_as_dict(error)
        return {**fields, "message": self.told(fields["message"]), "notes": self._notes(error)}

    def told(self, text: str) -> str:
        """A message of the library, in the words of the command."""
        for words, option in {**self._jobs_in_words(), **_OPTIONS}.items():
            text = text.replace(words, option)
        return text

    def _notes(self, error: BaseException) -> list[str]:
        return [printable(self.told(note)) for note in getattr(error, "__notes__", ())]

    def _jobs(self, verb: str) -> str:
        return f"imagegen jobs {verb}{self.on_ledger}"

    def _jobs_in_words(self) -> dict[str, str]:
        if self.on_ledger is None:
            return _IN_PYTHON
        return {
            "ask again with client.result(error.job)": f"run {self._jobs('resume')}",
            "client.result(job) can still ask for it": f"{self._jobs('resume')} waits for it",
            "let client.reconcile() do it": f"run {self._jobs('reconcile')}",
        }


def _finishing(delivery: Delivery) -> str | None:
    """The verb of `imagegen jobs` that may bring what is missing; None if nothing can."""
    failures = [failure for failure in delivery.generation.failures if failure.charged != "no"]
    if any(failure.error == "SubmissionUnknownError" for failure in failures):
        return "reconcile"
    goes_on = any(failure.error == "DeadlineExceededError" for failure in failures)
    return "resume" if goes_on or not delivery.complete else None


def echo(text: str) -> None:
    """Write to standard output; if that fails, say so: what is saved is saved."""
    try:
        try:
            click.echo(text)
        except UnicodeEncodeError as error:
            click.echo(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
    except OSError as error:
        click.echo(f"imagegen: standard output cannot be written: {error.strerror}", err=True)


_OPTIONS = {
    'fit="nearest"': "--fit nearest",
    'unsupported="adjust"': "--unsupported adjust",
    "max_cost=": "--max-cost ",
    "max_cost": "--max-cost",
    ", or give the backend an api_key": "",
    'role="source"': "--source",
    'role="character"': "--reference",
    'model="provider:model"': "--model PROVIDER:MODEL",
    "Route: models must be": "--model must be",
    'on_unknown="reconcile"': "--on-unknown reconcile",
    "Give the client one: Client(ledger=Ledger())": "Name one with --ledger",
    "The Generation still holds the pictures: save them elsewhere": (
        "The provider still has the pictures: name another folder with --out"
    ),
}
_IN_PYTHON = {
    "client.result(error.job)": "client.result(error.job) in Python",
    "client.result(job)": "client.result(job) in Python",
    ", or let client.reconcile() do it": "",
}
"""What the library advises and the command, without a ledger, cannot do."""


def as_json(generation: Generation, paths: Sequence[Path | None], *, sandbox: bool) -> str:
    """The object that `--json` prints; an interface: docs/guides/command.md."""
    return dumps({"sandbox": sandbox, **made_as_dict(generation, paths)})


def made_as_dict(generation: Generation, paths: Sequence[Path | None]) -> dict[str, Any]:
    """What came of a request, and where it was saved."""
    pairs = zip(generation.images, paths, strict=True)
    return {
        "provider": generation.provider,
        "model": generation.model,
        "images": [_image(image, path) for image, path in pairs],
        "cost": cost_as_dict(generation.cost),
        "failures": [_failure(failure) for failure in generation.failures],
        "notices": [asdict(notice) for notice in generation.notices],
        "attempts": [_attempt(attempt) for attempt in generation.attempts],
        "job": generation.job.id if generation.job else None,
    }


def error_as_dict(error: ImageGenError, kind: str | None = None) -> dict[str, Any]:
    """Why nothing came."""
    return {
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
        "attempts": [_attempt(attempt) for attempt in error.attempts],
    }


def as_lines(generation: Generation, paths: Sequence[Path | None], *, sandbox: bool) -> list[str]:
    """The lines that a person reads."""
    lines = [SANDBOX_WORDS] if sandbox else []
    for image, path in zip(generation.images, paths, strict=True):
        seed = "" if image.seed is None else f"  seed {image.seed}"
        flag = "  flagged as not safe for work" if image.nsfw else ""
        what = f"{image.width}x{image.height} {image.media_type}" if path else "not fetched"
        lines.append(f"{printable(str(path or image.url))}  {what}{seed}{flag}")
    others = (each for each in generation.attempts if _is_of_another(each, generation))
    lines += [_tried(attempt) for attempt in others]
    lines += [f"note: {notice.message} ({notice.field})" for notice in generation.notices]
    lines += [f"missing: {_failed(failure)}" for failure in generation.failures]
    seconds = max((a.seconds or 0.0 for a in generation.attempts), default=0.0)
    made = f"{len(generation.images)} of {generation.request.n} pictures"
    who = f"{generation.provider} {generation.model}"
    lines.append(f"{made} by {who} in {seconds:.1f} s, {money_with_basis(generation.cost)}")
    return lines


def _is_of_another(attempt: Attempt, generation: Generation) -> bool:
    """Tell whether it is of a model that a route turned from, or passed over."""
    made_by = (generation.provider, generation.model)
    return attempt.error is not None and (attempt.provider, attempt.model) != made_by


def _tried(attempt: Attempt) -> str:
    who = f"{attempt.provider}:{attempt.model}"
    return printable(f"tried before: {who}: {attempt.message} ({attempt.error})")


def _failed(failure: ImageFailure) -> str:
    which = "a picture" if failure.index is None else f"picture {failure.index}"
    return f"{which}: {failure.message} ({failure.error}, charged: {failure.charged})"


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


def cost_as_dict(cost: Cost) -> dict[str, Any]:
    """Money, and what it rests on."""
    return asdict(cost)


def _failure(failure: ImageFailure) -> dict[str, Any]:
    fields: dict[str, Any] = asdict(failure, recurse=False)
    return {**fields, "job": failure.job.id if failure.job else None}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    fields: dict[str, Any] = asdict(attempt, recurse=False)
    return {**fields, "cost": cost_as_dict(attempt.cost)}


def dumps(value: dict[str, Any]) -> str:
    """Write *value*; amounts and moments become strings, so that no digit is lost."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=_text)


def _text(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
