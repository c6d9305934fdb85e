"""The exchanges of `fixtures/`, as bodies and replies.

What some tests of all backends share, those of one backend import from them as `tests.backends`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagegen import backends
from imagegen.flow import Reply
from imagegen.testing import reply

FOLDER = Path(__file__).parents[2] / "fixtures"

sys.path.append(str(FOLDER.parent))

Exchange = Callable[[str], tuple[dict[str, Any], tuple[Reply, ...]]]


def _replies(case: Path) -> tuple[Reply, ...]:
    files = sorted(case.glob("[0-9]*-*"))
    statuses = [int(re.split("[-.]", file.name)[2]) for file in files]
    return tuple(
        reply(status=status, body=file.read_bytes())
        for file, status in zip(files, statuses, strict=True)
    )


@pytest.fixture(scope="session")
def exchange() -> Exchange:
    """Read ``"provider/case"``: the body of the submission and the replies in order."""

    def read(name: str) -> tuple[dict[str, Any], tuple[Reply, ...]]:
        case = FOLDER / name
        return json.loads((case / "request.json").read_bytes()), _replies(case)

    return read


@pytest.fixture(scope="session")
def cases() -> list[Path]:
    folders = [FOLDER / name for name in backends.names()]
    return sorted(case for folder in folders if folder.exists() for case in folder.iterdir())
