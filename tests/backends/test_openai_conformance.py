"""The suite that every backend passes, on OpenAI's and on a compatible server's models."""

from __future__ import annotations

import re

from answers import FIXTURES
from imagegen.backends.openai import MODELS, OpenAI
from imagegen.errors import (
    AuthenticationError,
    ConfigurationError,
    ContentPolicyError,
    InsufficientBalanceError,
    InvalidRequestError,
    RateLimitError,
)
from imagegen.flow import Reply
from imagegen.testing import Conformance, reply


def answers(case: str) -> list[Reply]:
    """The replies of one of the fixtures, in order."""
    files = sorted((FIXTURES / "openai" / case).glob("[0-9]*"))
    return [
        reply(body=file.read_bytes(), status=int(re.split("[-.]", file.name)[2])) for file in files
    ]


class TestOpenAI(Conformance):
    backend = OpenAI(api_key="not-a-key")
    models = (*MODELS, "gpt-image-1", "dall-e-2", "dall-e-3", "Qwen/Qwen-Image")
    success = answers("reference-example")
    partial = answers("fewer-than-asked")
    refusals = (
        (answers("key-not-accepted"), AuthenticationError),
        (answers("model-shut-down"), ConfigurationError),
        (answers("no-credits"), InsufficientBalanceError),
        (answers("prompt-blocked"), ContentPolicyError),
        (answers("rate-limited"), RateLimitError),
        (answers("unknown-parameter"), InvalidRequestError),
    )
