"""Both built-in backends pass the suite that other people's backends are to pass."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from imagegen.backends.minimax import MiniMax
from imagegen.backends.wavespeed import WaveSpeed
from imagegen.errors import (
    AuthenticationError,
    ContentPolicyError,
    InsufficientBalanceError,
    InvalidRequestError,
    RateLimitError,
)
from imagegen.flow import Reply
from imagegen.request import ImageRequest, ReferenceImage
from imagegen.testing import Conformance, reply

FOLDER = Path(__file__).parents[2] / "fixtures"
LISTING: dict[str, Any] = json.loads(
    resources.files("imagegen.backends.wavespeed").joinpath("models.json").read_text("utf-8")
)["models"]
SOURCE = ReferenceImage("https://pictures.example/scene.png", "source")


def answers(case: str) -> list[Reply]:
    """The replies of one of the fixtures, in order."""
    files = sorted((FOLDER / case).glob("[0-9]*"))
    return [
        reply(body=file.read_bytes(), status=int(re.split("[-.]", file.name)[2])) for file in files
    ]


class TestMiniMax(Conformance):
    backend = MiniMax(api_key="not-a-key")
    success = answers("minimax/captured-success")
    partial = answers("minimax/one-blocked")
    refusals = (
        (answers("minimax/all-blocked"), ContentPolicyError),
        (answers("minimax/key-not-understood"), AuthenticationError),
        (answers("minimax/no-balance"), InsufficientBalanceError),
        (answers("minimax/prompt-refused"), ContentPolicyError),
        (answers("minimax/rate-limited"), RateLimitError),
        (answers("minimax/unsupported-model"), InvalidRequestError),
    )


class TestWaveSpeed(Conformance):
    backend = WaveSpeed(api_key="not-a-key")
    success = answers("wavespeed/completed")
    partial = answers("wavespeed/completed")
    refusals = (
        (answers("wavespeed/concurrency-limit"), RateLimitError),
        (answers("wavespeed/invalid-key"), AuthenticationError),
        (answers("wavespeed/moderated"), ContentPolicyError),
        (answers("wavespeed/no-credits"), InsufficientBalanceError),
    )

    def request_for(self, model: str) -> ImageRequest:
        """The least that *model* needs, by its listing."""
        entry = LISTING.get(model, {})
        inputs, required = entry.get("inputs", {}), set(entry.get("required", ()))
        shapes = inputs.get("aspect_ratio", {}).get("enum", ["1:1"])
        needs_picture = {"image", "images"} & required or model.endswith("01/image-to-image")
        others = required - {"prompt", "image", "images", "aspect_ratio", "size"}
        return ImageRequest(
            "a red fox",
            n=inputs.get("num_images", {}).get("minimum", 1),
            aspect_ratio=next(s for s in shapes if ":" in s)
            if "aspect_ratio" in required
            else None,
            size="1024x1024" if "size" in required else None,
            references=SOURCE if needs_picture else (),
            provider_options={"wavespeed": dict.fromkeys(others, "x")} if others else {},
        )


class TestAWaveSpeedThatAnswersAtOnce(Conformance):
    backend = WaveSpeed(api_key="not-a-key", sync_mode=True)
    success = answers("wavespeed/completed")[1:]
    partial = answers("wavespeed/completed")[1:]
    models = ("minimax/image-01",)
