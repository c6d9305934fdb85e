"""Where and with what something was measured; no names of hosts or users."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "httpx",
    "httpx2",
    "httpx-aiohttp",
    "aiohttp",
    "openai",
    "litellm",
    "wavespeed",
    "huggingface_hub",
)


def machine() -> dict[str, str | int]:
    """The class of this machine."""
    return {
        "cores": os.cpu_count() or 1,
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def name_of(described: dict[str, str | int]) -> str:
    """A machine's class, as part of a file's name."""
    words = f"{described['cores']} core {described['cpu']} python {described['python']}"
    return re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-")


def versions() -> dict[str, str]:
    """Versions of what is compared."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """The processor's model, as far as the system tells it."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        told = ""
    model = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    return model[1].strip() if model else platform.processor() or "unknown processor"
