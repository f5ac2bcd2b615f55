"""Run the command line in this process, over a tiny zoo."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from . import warm


@pytest.fixture
def tiny(tiny_zoo, tiny_base, monkeypatch):
    """The options that choose the tiny base."""
    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_zoo))
    return ["--base", tiny_base.name]


@pytest.fixture
def carded(tiny_folder, tiny_card, tmp_path, monkeypatch):
    """The options that choose the tiny base as one for retrieval, without any module."""
    from polyrank.base.card import write_base_card

    folder = tmp_path / "zoo" / "carded" / "base"
    shutil.copytree(tiny_folder, folder)
    write_base_card(tiny_card, folder)
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path / "zoo"))
    return ["--base", "carded"]


@pytest.fixture
def files(tmp_path):
    """Queries, documents and judgements as files: tr asks, en answers."""
    words = ["water boils", "a long river", "old iron", "white salt", "night birds", "stone"]
    (tmp_path / "queries.jsonl").write_text(
        "".join(
            f'{{"_id": "q{i}", "text": "{w}", "language": "tr"}}\n' for i, w in enumerate(words)
        )
    )
    (tmp_path / "documents.tsv").write_text(
        "".join(f"d{i}\t{w} and {words[i - 1]}\n" for i, w in enumerate(words))
    )
    (tmp_path / "qrels.txt").write_text("".join(f"q{i} 0 d{i} 1\n" for i in range(len(words))))
    return tmp_path


@pytest.fixture
def source(files):
    """The options that name the files as a collection."""
    return [
        *("--queries", files / "queries.jsonl", "--documents", files / "documents.tsv"),
        *("--document-language", "en"),
    ]


@pytest.fixture(scope="module")
def warm_commands(made_default_zoo):
    """A folder for $PATH whose `polyrank` starts at once, over that zoo; see warm.py."""
    folder = Path(tempfile.mkdtemp(prefix="polyrank-"))  # a socket's path must be short
    path, command = folder / "socket", folder / "polyrank"
    command.write_text(warm.CLIENT.format(python=sys.executable, path=str(path)))
    command.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, warm.__file__, path],
        env={**os.environ, "POLYRANK_ZOO": str(made_default_zoo)},
        stdout=subprocess.PIPE,
    )
    assert server.stdout.readline() == b"ready\n"
    yield folder
    server.terminate()
    server.wait()
    shutil.rmtree(folder)
