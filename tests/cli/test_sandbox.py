"""`imagegen sandbox`, on a real port."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import httpx
import pytest
from click.testing import CliRunner

from imagegen import Client, MiniMax, RateLimitError
from imagegen.cli.commands import imagegen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_it_serves_both_apis_with_the_faults_asked_until_interrupted() -> None:
    port = free_port()
    command = [sys.executable, "-m", "imagegen.cli", "sandbox", "--latency", "0"]
    options = ["--port", str(port), "--fault", '{"kind": "rate_limit", "provider": "minimax"}']
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        origin = f"http://127.0.0.1:{port}"
        try:
            assert origin in process.stdout.readline()
            exports = "".join(process.stdout.readline() for _ in range(3))
            with Client([MiniMax(api_key="any", base_url=origin)], retries=None) as client:
                with pytest.raises(RateLimitError):
                    client.generate("a fox")
                made = client.fetch(client.generate("a fox"))
            balance = httpx.get(
                f"{origin}/api/v3/balance", headers={"authorization": "Bearer any"}, timeout=10
            )
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=20)
    assert made.images[0].width == 1024
    assert f"export MINIMAX_API_HOST={origin} " in exports
    assert "export IMAGEGEN_LEDGER=sandbox-ledger.db" in exports
    assert balance.json()["code"] == 200
    assert status == 0


def test_a_fault_that_makes_no_sense_is_wrong_usage() -> None:
    for text in ("{", '{"kind": "flood"}', '{"kind": "drop", "colour": 1}', "[]"):
        result = CliRunner().invoke(imagegen, ["sandbox", "--fault", text])
        assert result.exit_code == 2, result.output
        assert "--fault" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rate_limit", """it is not JSON; write '{"kind": "rate_limit"}'"""),
        ('{"kind": "drop", "colour": 1}', "unknown fields: colour; known are kind, provider, step"),
        ('{"kind": "flood"}', "kind must be one of code, drop"),
    ],
)
def test_a_fault_that_makes_no_sense_is_told_how_to_write_one(text: str, words: str) -> None:
    told = CliRunner().invoke(imagegen, ["sandbox", "--fault", text]).stderr
    assert words in " ".join(told.split())


def test_a_port_in_use_is_explained() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(imagegen, ["sandbox", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "imagegen: " in result.stderr
