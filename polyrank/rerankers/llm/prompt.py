"""Prompts as data: a YAML file says what a model is asked, and how its answer reads.

    name            of the prompt; the file is NAME.yaml
    scorer          which scorer uses it, a name of `SCORERS`
    source          the paper or model it follows
    system          the system turn, or nothing
    prefix          of the user's turn, before the documents
    document        what stands for each document
    suffix          of the user's turn, after the documents
    answer          what the model's answer is made to begin with
    instruction     the default of {instruction}
    labels          the answers whose logits are read, the one for relevant first
    identifiers     names of documents: letters, numbers, or a list
    output          a regular expression with the group `answer`, for what is generated
    frame           chat (the model's own template), roles (a template with the roles system, query
                    and document, as sentence-transformers writes), or plain (no template)
    special         with plain: whether the tokenizer adds its own first and last tokens
    document_tokens how many tokens of a document are read, at most
    max_tokens      of an answer
    stop            texts that end an answer
    thinking        whether a model that can think first is left to its template; else it is told
                    not to, where its template knows `enable_thinking`
    lines           keep: line breaks in documents stay; join: they become spaces

Fields in curly brackets are filled in: {query}, {query_language}, {document_language},
{instruction}, {count}, {first}, {last}, {top} and, in `document`, {id}, {text}, {language} and
{score}. A curly bracket itself is written twice.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from polyrank.errors import DataError, UsageError

AROUND = {
    "query", "query_language", "document_language", "instruction", "count", "first", "last", "top"
}  # fmt: skip
WITHIN = AROUND | {"id", "text", "language", "score"}
LETTERS = tuple(string.ascii_uppercase)
FRAMES = ("chat", "roles", "plain")
LINES = ("join", "keep")


@dataclass(frozen=True)
class Prompt:
    """What a model is asked; the attributes are the keys of the file."""

    name: str
    scorer: str
    document: str
    source: str = ""
    system: str = ""
    prefix: str = ""
    suffix: str = ""
    answer: str = ""
    instruction: str = ""
    labels: tuple[str, ...] = ()
    identifiers: str | tuple[str, ...] = ()
    output: str = ""
    frame: str = "chat"
    special: bool = False
    document_tokens: int = 512
    max_tokens: int = 1
    stop: tuple[str, ...] = ()
    thinking: bool = False
    lines: str = "join"

    def hash(self) -> str:
        """Twelve digits that change with anything in the prompt."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def tagged(self) -> bool:
        """Whether what is read of an answer stands between <answer> and </answer>."""
        return re.search(r"(?<!\?P)<answer>", self.output) is not None

    def named(self, count: int) -> tuple[str, ...]:
        """Names for so many documents.

        Raises:
            UsageError: the prompt has fewer names than that.
        """
        if self.identifiers == "numbers":
            return tuple(str(number) for number in range(1, count + 1))
        names = LETTERS if self.identifiers == "letters" else tuple(self.identifiers)
        if count > len(names):
            raise UsageError(
                f"the prompt '{self.name}' names {len(names)} documents, but the window has "
                f"{count}; take a window of {len(names)} or less"
            )
        return names[:count]


def prompt_names() -> list[str]:
    """The prompts that come with polyrank."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in _bundled().iterdir()
        if entry.name.endswith(".yaml")
    )


def load_prompt(name: str | Path | Prompt) -> Prompt:
    """A prompt by its name, or from a YAML file.

    Raises:
        UsageError: neither a bundled name nor a file.
        DataError: a file that does not describe a prompt, with what is wrong.
    """
    if isinstance(name, Prompt):
        return name
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise UsageError(f"there is no file '{name}'; 'polyrank prompts list' shows prompts")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise DataError(path, None, "not UTF-8 text; a prompt is a YAML file") from None
        return _parsed(text, path)
    if str(name) not in prompt_names():
        raise UsageError(
            f"unknown prompt '{name}'; use one of {', '.join(prompt_names())}, or a .yaml file"
        )
    return _bundled_prompt(str(name))


def with_options(prompt: Prompt, **changes: Any) -> Prompt:
    """The prompt with what is not None changed, such as another instruction."""
    return replace(prompt, **{key: value for key, value in changes.items() if value is not None})


@lru_cache(maxsize=64)
def _bundled_prompt(name: str) -> Prompt:
    entry = _bundled() / f"{name}.yaml"
    return _parsed(entry.read_text(encoding="utf-8"), Path(str(entry)))


def _bundled() -> Any:
    return resources.files("polyrank.rerankers.llm") / "prompts"


def _parsed(text: str, path: Path) -> Prompt:
    try:
        row = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise DataError(path, mark.line + 1 if mark else None, f"not YAML: {error}") from error
    return prompt_from(row, path)


def prompt_from(row: Any, path: Path) -> Prompt:
    """A prompt from the keys and values of a file.

    Raises:
        DataError: what does not describe a prompt, with what is wrong.
    """
    if not isinstance(row, dict):
        raise DataError(path, None, "a mapping of keys is expected, with 'document' and 'scorer'")
    known = {f.name for f in fields(Prompt)}
    for key in row:
        if key not in known:
            raise DataError(path, None, f"unknown key '{key}'; use {', '.join(sorted(known))}")
    row = {"name": path.stem, **row}
    for key in ("scorer", "document"):
        if not row.get(key):
            raise DataError(path, None, f"the key '{key}' is missing")
    for key in ("labels", "identifiers", "stop"):
        if isinstance(row.get(key), list):
            row[key] = tuple(str(item) for item in row[key])
    for key in ("max_tokens", "document_tokens"):
        value = row.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise DataError(path, None, f"'{key}' is a whole number, not {value!r}")
    prompt = Prompt(**row)
    _check(prompt, path)
    return prompt


def _check(prompt: Prompt, path: Path) -> None:
    """Only fields that are filled in, and only values that are known."""
    for key, allowed in (
        ("system", AROUND), ("prefix", AROUND), ("suffix", AROUND), ("instruction", set()),
        ("document", WITHIN), ("answer", {"first", "last"}),
    ):  # fmt: skip
        value = getattr(prompt, key)
        if not isinstance(value, str):
            raise DataError(path, None, f"the key '{key}' is not text")
        try:
            found = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
        except ValueError as error:
            raise DataError(path, None, f"'{key}': {error}; write {{{{ for a bracket") from error
        if unknown := found - allowed:
            raise DataError(
                path, None,
                f"'{key}' has the field {{{sorted(unknown)[0]}}}; there are "
                f"{', '.join(sorted(allowed)) or 'none here'}",
            )  # fmt: skip
    if "{text}" not in prompt.document:
        raise DataError(path, None, "'document' lacks the field {text}")
    for key, values in (("frame", FRAMES), ("lines", LINES)):
        if getattr(prompt, key) not in values:
            raise DataError(path, None, f"'{key}' is one of {', '.join(values)}")
    if isinstance(prompt.identifiers, str) and prompt.identifiers not in ("letters", "numbers"):
        raise DataError(path, None, "'identifiers' is letters, numbers or a list")
