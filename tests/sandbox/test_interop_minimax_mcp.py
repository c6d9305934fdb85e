"""The official `minimax-mcp` server, a real subprocess, against the sandbox on a real port."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagegen.sandbox import Fault, Sandbox

COMMAND = (sys.executable, "-c", "from minimax_mcp.server import main; main()")


class Tools:
    """An MCP client by hand: JSON-RPC lines over the server's standard streams.

    The server prints a banner first, which a strict client would choke on.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._sent = 0
        client = {"name": "test", "version": "0"}
        self._call(
            "initialize",
            {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client},
        )
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, name: str, **arguments: Any) -> str:
        result = self._call("tools/call", {"name": name, "arguments": arguments})
        (content,) = result["content"]
        return str(content["text"])

    def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._sent += 1
        self._write({"jsonrpc": "2.0", "id": self._sent, "method": method, "params": params})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line) if line.startswith("{") else {}
            if message.get("id") == self._sent:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
        raise AssertionError("the server went away")

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(keys={"mm-key"})
    with sandbox.running():
        yield sandbox


@pytest.fixture(scope="module", params=["url", "local"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def tools(sandbox: Sandbox, mode: str, folder: Path) -> Iterator[Tools]:
    environment = {
        **os.environ,
        "MINIMAX_API_KEY": "mm-key",
        "MINIMAX_API_HOST": sandbox.origin,
        "MINIMAX_API_RESOURCE_MODE": mode,
        "MINIMAX_MCP_BASE_PATH": str(folder),
    }
    with subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
        text=True,
    ) as process:
        yield Tools(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)


def test_text_to_image_delivers_urls_or_files(
    tools: Tools, sandbox: Sandbox, mode: str, folder: Path
) -> None:
    before = len(sandbox.submissions)
    text = tools.call("text_to_image", prompt="a red fox", aspect_ratio="16:9", n=2)
    (submission,) = sandbox.submissions[before:]
    assert submission.body == {
        "model": "image-01",
        "prompt": "a red fox",
        "aspect_ratio": "16:9",
        "n": 2,
        "prompt_optimizer": True,
    }
    if mode == "url":
        urls = ast.literal_eval(text.removeprefix("Success. Image URLs: "))
        assert len(urls) == 2
        assert all(url.startswith(f"{sandbox.origin}/files/") for url in urls)
        return
    assert text.startswith("Success. Images saved as: ")
    files = sorted(folder.glob("image_*.jpg"))
    assert len(files) == 2
    for file in files:
        with Image.open(file) as picture:
            assert (picture.format, picture.size) == ("JPEG", (1280, 720))


def test_a_code_of_the_provider_is_reported_with_its_words_and_trace(
    tools: Tools, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault("code", code=1008))
    text = tools.call("text_to_image", prompt="a red fox")
    assert text.startswith("Failed to generate images: API Error: 1008-insufficient balance")
    assert len(text.rpartition("Trace-Id: ")[2]) == 32


def test_a_prompt_that_is_too_long_is_refused_in_minimaxs_words(tools: Tools) -> None:
    text = tools.call("text_to_image", prompt="x" * 1501)
    assert "2013-invalid params, prompt length must be less than 1500" in text


def test_blocked_pictures_leave_it_with_nothing(tools: Tools, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("moderated"))
    assert tools.call("text_to_image", prompt="a") == (
        "Failed to generate images: No images generated"
    )


def test_a_broken_connection_is_a_failed_request(tools: Tools, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("drop", accepted=True))
    assert "Request failed" in tools.call("text_to_image", prompt="a")
