"""README and docs/: what they name exists, what they show runs, and README stays readable."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import polyrank

from .cli import conftest as command_line
from .documentation import (
    DOCS,
    PAGES,
    README,
    ROOT,
    anchors,
    blocks,
    commands,
    inline_commands,
    links,
    sentences,
)

warm_commands = command_line.warm_commands
BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.language == "bash"]
PYTHON = [block for block in BLOCKS if block.language == "python"]
RUN = sorted({block.page for block in SHELL + PYTHON if block.reason is None})
names = [str(page.relative_to(ROOT)) for page in PAGES]


def test_every_block_says_what_it_is():
    known = {"bash", "python", "text", "json", "yaml"}
    assert not [str(block) for block in BLOCKS if block.language not in known]
    assert not [str(block) for block in BLOCKS if block.reason and block.language == "text"]
    fences = {p: p.read_text(encoding="utf-8").count("```") for p in PAGES}
    assert {page: 2 * len(blocks(page)) for page in PAGES} == fences


def test_every_command_parses():
    """Each verb and option that a page names exists, and takes what is given."""
    wrong = []
    for where, words in _commands():
        try:
            _check(words)
        except Exception as error:  # of Typer, of several classes
            wrong.append(f"{where}: {' '.join(words)}: {error}")
    assert not wrong


def _commands():
    for block in SHELL:
        for words in commands(block.text):
            yield str(block), words
    for page in PAGES:
        for words in inline_commands(page):
            yield page.name, words


@cache
def _verbs():
    """The commands of the program, made once: that takes a second."""
    import typer
    from polyrank.cli.app import app

    return typer.main.get_command(app)


def _check(words):
    """Parse a command as far as it is written; `make` against the Makefile's targets."""
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        assert all(word in targets for word in words[1:] if "=" not in word), "no such target"
        return
    command, rest = _verbs(), words[1:]
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        if not rest[0].islower():
            return  # a placeholder: polyrank VERB --help
        assert rest[0] in command.commands, f"no verb {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    given = {word.partition("=")[0] for word in rest if re.match(r"--[a-z]", word)}
    assert given <= {*options, "--help"}, f"no option {given - options}"


def test_commands_of_blocks_are_whole():
    """Those that are run have all that they need, and choices that there are."""
    for block in SHELL:
        for words in commands(block.text):
            if words[0] == "make" or "--help" in words:
                continue
            command, rest = _verbs(), words[1:]
            while hasattr(command, "commands"):
                command, rest = command.commands[rest[0]], rest[1:]
            end = next((i for i, word in enumerate(rest) if word in ("|", ">", ">>", "&&")), None)
            command.make_context(command.name, list(rest[:end]))  # raises on what is wrong


def test_python_compiles_and_its_imports_resolve():
    for block in PYTHON:
        for node in ast.walk(ast.parse(block.text, str(block))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("polyrank"):
                if "neighbours" in node.module:  # whose tools need not be installed
                    assert find_spec(node.module), str(block)
                    continue
                module = import_module(node.module)
                has = {*dir(module), *getattr(module, "__all__", ())}  # hasattr would import torch
                assert {alias.name for alias in node.names} <= has, str(block)
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "pr":
                import polyrank

                assert node.attr in polyrank.__all__, f"{block}: pr.{node.attr}"


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_and_anchors_are_there(page):
    for target, anchor in links(page):
        assert target.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {target.name}#{anchor}"


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(DOCS)) for page in PAGES if page != README}
    assert pages == set(re.findall(r"(\S+\.md)$", nav, flags=re.MULTILINE))


def test_readme_is_short_and_its_sentences_too():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 180
    assert not [one for one in sentences(README) if len(one.split()) > 25]


def test_readme_names_what_ci_runs():
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    for target in re.search(r"^make (.+)$", ci, flags=re.MULTILINE)[1].split():
        assert f"make {target}" in readme


def script(name):
    """A file of benchmarks/, as a module."""
    spec = spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", [README, DOCS / "results.md"], ids=["README", "results"])
def test_the_tables_are_those_of_the_results(page):
    from polyrank.experiments.results import read_results

    text = page.read_text(encoding="utf-8")
    results = ROOT / "benchmarks" / "results" / "transfer.json"
    assert script("readme_table").filled(text, read_results(results)) == text


def test_files_that_the_results_name_are_there():
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    named = re.findall(r"`(?:python )?((?:benchmarks|experiments)/[\w./-]+\.\w+)", text)
    assert named and all((ROOT / name).is_file() for name in named)


def test_messages_of_the_troubleshooting_are_said_by_the_program():
    """What stands between backticks in its headings is in the source; … is what is filled in."""
    source = "".join(p.read_text(encoding="utf-8") for p in ROOT.glob("polyrank/**/*.py"))
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # texts over several lines
    source = re.sub(r"\{[^{}]*\}", "…", source)
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^### `([^`]+)`$", page, flags=re.MULTILINE)
    assert len(messages) > 8 and not [one for one in messages if one not in source]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=[str(page.relative_to(ROOT)) for page in RUN])
def test_the_blocks_of_a_page_run(page, default_zoo, warm_commands, llama, tmp_path):
    """In their order, in one folder, over a tiny base and modules of the default names."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "smollm2").symlink_to(llama)
    done = subprocess.run(
        ["bash", "-c", _script(page)],
        cwd=tmp_path,
        env={**os.environ, "PATH": _path(warm_commands)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def _script(page: Path) -> str:
    """The blocks of a page that are run, as one script."""
    parts = ["set -euo pipefail"]
    for block in blocks(page):
        if block.reason is None and block.language == "bash":
            parts.append(block.text)
        elif block.reason is None and block.language == "python":
            parts.append(f"python - <<'POLYRANK_BLOCK'\n{block.text}POLYRANK_BLOCK")
    return "\n".join(parts)


def _path(*folders: Path) -> str:
    return os.pathsep.join(
        [*map(str, folders), str(Path(sys.executable).parent), os.environ["PATH"]]
    )


EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=[one.stem for one in EXAMPLES])
def test_an_example_is_short(example):
    text = example.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60 and ast.get_docstring(ast.parse(text))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=[one.stem for one in EXAMPLES])
def test_an_example_runs(example, default_zoo, tmp_path):
    needs = re.search(r"^Needs polyrank\[[\w-]+\]: (\w+)", example.read_text(), flags=re.MULTILINE)
    if needs:
        pytest.importorskip(needs[1])
    done = subprocess.run(
        [sys.executable, example, tmp_path], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout


def test_the_page_of_python_has_every_public_name():
    page = (ROOT / "docs/reference/python.md").read_text()
    absent = [name for name in polyrank.__all__ if not re.search(rf"\b{name}\b", page)]
    assert absent == ["__version__"]
