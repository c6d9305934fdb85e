"""The examples of the backend's page run, against a server of its shape."""

from __future__ import annotations

from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from imagegen.backends.openai import MODELS, OpenAI
from openai_recorder import KEY, Recorder

PAGE = Path(__file__).parents[2] / "docs" / "backends" / "openai.md"


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Recorder(key=KEY)
    try:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.origin}/v1")
        monkeypatch.chdir(tmp_path)
        examples = list(Sybil(parsers=[PythonCodeBlockParser()]).parse(PAGE).examples())
        for example in examples:
            example.evaluate()
    finally:
        server.close()
    assert len(examples) == 3
    paths = [sent.path.rpartition("/")[2] for sent in server.sent]
    assert paths == ["generations", "edits", "generations"]
    assert len(list((tmp_path / "foxes").iterdir())) == 1


def test_the_page_names_every_model() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [model for model in MODELS if f"`{model}`" not in text] == []
    assert f"`{OpenAI.default_model}` (the default)" in text
