"""Every verb that writes: its output is locked, is no input, and replaces nothing of others."""

import inspect
import os
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import pytest
import typer
from polyrank.cli.app import app
from polyrank.cli.verb import BOTH, LANGUAGES, OUTPUTS
from typer.models import ArgumentInfo

from polyrank.modules.card import CARD_FILE


class Param(NamedTuple):
    """A parameter of a verb."""

    name: str
    type: Any
    required: bool
    option: str | None  # None: an argument


def verbs(group=app, name=""):
    """(full name, parameters) of every verb."""
    for command in group.registered_commands:
        yield f"{name} {command.name}", list(params(command.callback))
    for sub in group.registered_groups:
        yield from verbs(sub.typer_instance, f"{name} {sub.name}")


def params(function):
    hints = get_type_hints(function, include_extras=True)
    for name, param in inspect.signature(function).parameters.items():
        plain, *infos = get_args(hints[name]) or [hints[name]]
        option = f"--{name.rstrip('_').replace('_', '-')}"
        if any(isinstance(info, ArgumentInfo) for info in infos):
            option = None
        types = [one for one in (*get_args(plain), plain) if one is not type(None)]
        yield Param(name, types[0], param.default is param.empty, option)


WRITING = [
    (name, found, output.name)
    for name, found in verbs()
    for output in found
    if output.name in OUTPUTS
]
READING = [
    (name, found, output, param.name)
    for name, found, output in WRITING
    for param in found
    if param.type is Path and param.name not in (*OUTPUTS, *BOTH)
]


def call(name, found, **given):
    """A call with those parameters, and something for the others that are required."""
    words = name.split()
    for param in found:
        value = given.get(param.name)
        if value is None and param.required and param.type is not typer.Context:
            value = next(iter(param.type)).value if issubclass(param.type, Enum) else "1"
            value = "sw" if param.name in LANGUAGES else value
        if value is not None:
            words += [value] if param.option is None else [param.option, value]
    return words


def test_the_verbs_that_write_are_found():
    names = {name for name, *_ in WRITING}
    assert {" rerank", " search", " distill", " compose"} <= names
    assert {f" train {one}" for one in ("language", "ranking", "head", "labels")} <= names
    assert len(WRITING) > 14 and len(READING) > 30


@pytest.mark.parametrize(("name", "found", "output"), WRITING, ids=lambda x: str(x)[-20:])
def test_two_processes_do_not_write_one_output(name, found, output, polyrank, tmp_path, held):
    with held(tmp_path / "out"):
        refused = polyrank(*call(name, found, **{output: tmp_path / "out"}))
    assert refused.exit_code == 2 and "written by another process" in refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "found", "output", "read"), READING, ids=lambda x: str(x)[-20:])
def test_an_output_is_no_input(name, found, output, read, polyrank, tmp_path):
    file = tmp_path / "given"
    file.write_text("mine\n")
    (tmp_path / "link").symlink_to(file)
    for written in (file, tmp_path / "link"):
        refused = polyrank(*call(name, found, **{output: written, read: file}))
        assert refused.exit_code == 2 and "is read, and would be overwritten" in refused.stderr
    assert file.read_text() == "mine\n"


def test_two_outputs_are_two_files(polyrank, tmp_path):
    text, out = tmp_path / "a.txt", tmp_path / "out"
    text.write_text("a line\n")
    refused = polyrank("corpus", "clean", f"en={text}", "--output", out,
                       "--rejected", out)  # fmt: skip
    assert refused.exit_code == 2 and "are both" in refused.stderr and not out.exists()


@pytest.mark.parametrize("verb", ["rerank", "search"])
def test_only_a_run_is_replaced_by_a_run(verb, source, tiny, polyrank, files):
    for name in ("queries.jsonl", "qrels.txt", "notes.txt"):
        mine = files / name
        before = mine.read_bytes() if mine.exists() else b"my notes\n"
        mine.write_bytes(before)
        options = ["--collection", "ntrex", "--first-stage", "bm25", "--output", mine]
        refused = polyrank(verb, *options, "--query-language", "tr", "--document-language", "en")
        assert refused.exit_code == 2 and "is not a run; not overwritten" in refused.stderr
        assert mine.read_bytes() == before


def test_a_composition_is_replaced_when_asked(tiny, polyrank, tmp_path):
    plan = tmp_path / "c.json"
    asked = ["compose", *tiny, "--output", plan, "--document-language", "en", "--query-language"]
    assert polyrank(*asked, "tr").exit_code == 0
    first = plan.read_bytes()
    assert polyrank(*asked, "tr").exit_code == 0  # the same again
    refused = polyrank(*asked, "ky")
    assert refused.exit_code == 2 and "--overwrite" in refused.stderr
    assert plan.read_bytes() == first
    assert polyrank(*asked, "ky", "--overwrite").exit_code == 0
    assert plan.read_bytes() != first


def test_modules_are_not_replaced(tiny, tiny_zoo, polyrank, tmp_path):
    name = f"{tiny[1]}/language/adapter/ky"
    out = tmp_path / "ky"
    assert polyrank("zoo", "export", name, "--output", out).exit_code == 0
    again = polyrank("zoo", "export", name, "--output", out)
    assert again.exit_code == 2 and "exists already" in again.stderr
    zoo = tmp_path / "zoo"
    bring = ["zoo", "import", out, "--language", "ky", "--base", tiny[1], "--zoo", zoo]
    assert polyrank(*bring).exit_code == 0
    card = zoo / name / CARD_FILE
    stamp = card.stat().st_mtime_ns
    again = polyrank(*bring)
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    assert card.stat().st_mtime_ns == stamp
    assert polyrank(*bring, "--overwrite").exit_code == 0 and card.stat().st_mtime_ns > stamp
    over = polyrank(
        "zoo", "export", name, "--output", zoo / name
    )  # a module, of whoever trained it
    assert over.exit_code == 2 and card.exists()


def test_a_module_that_is_being_imported(tiny, polyrank, tmp_path, held):
    name = f"{tiny[1]}/language/adapter/ky"
    out, zoo = tmp_path / "ky", tmp_path / "zoo"
    polyrank("zoo", "export", name, "--output", out)
    with held(zoo / name):
        refused = polyrank("zoo", "import", out, "--language", "ky", "--zoo", zoo, *tiny)
    assert refused.exit_code == 2 and "written by another process" in refused.stderr


def test_a_full_disk_leaves_no_part_of_a_composition(tiny, polyrank, tmp_path, monkeypatch):
    """The kind: whatever is written aside is removed when it cannot be written."""
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    pair = ["--query-language", "tr", "--document-language", "en"]
    refused = polyrank("compose", *tiny, *pair, "--output", tmp_path / "c.json")
    assert refused.exit_code == 2 and "make room" in refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_real_processes_on_one_rerank(source, tiny, polyrank, files):
    """Started together, and with --resume: one writes, and the file is as of one alone."""
    polyrank("search", *source, *tiny, "--no-rerank", "--output", files / "first.trec")
    arguments = ["rerank", *source, *tiny, "--run", files / "first.trec", "--output"]
    polyrank(*arguments, files / "whole.trec")
    command = [str(Path(sys.executable).parent / "polyrank"), *map(str, arguments)]
    command.append(str(files / "out.trec"))
    both = [
        subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True)
        for more in ([], ["--resume"])
    ]
    told = [process.communicate()[1] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes[0] == 0, told  # the other is refused, or came when the first was done
    assert (files / "out.trec").read_bytes() == (files / "whole.trec").read_bytes()
    assert not (files / "out.trec.resume.json").exists()
