"""What the command prints: one JSON object, or lines for a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import asdict

from imagegen.errors import ImageGenError
from imagegen.result import Attempt, Cost, GeneratedImage, Generation, ImageFailure

SANDBOX_WORDS = "sandbox: no provider was asked, nothing was charged"


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


def error_as_json(error: ImageGenError, *, sandbox: bool) -> str:
    """The object that `--json` prints when nothing came."""
    return _dumps(
        {
            "sandbox": sandbox,
            "error": {
                "type": type(error).__name__,
                "message": str(error),
                "provider": error.provider,
                "model": error.model,
                "field": error.field,
                "charged": error.charged,
                "code": error.code,
                "status": error.status,
                "request_id": error.request_id,
                "job": error.job.id if error.job else None,
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
        lines.append(f"{path or image.url}  {what}{seed}{flag}")
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
