"""The card of a module: `polyrank.json` and the README beside its weights. Needs no torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from polyrank.base import Fingerprint, is_for_retrieval
from polyrank.errors import ModuleError
from polyrank.modules.kinds import KINDS
from polyrank.typed_fields import check_types

FORMAT_VERSION = 1
CARD_FILE = "polyrank.json"
ROLES = ("language", "ranking")
LATE_INTERACTION = "late interaction"  # under `model` in the recipe of a ranking module for MaxSim

# Of a module from elsewhere, whose maker did not say on which weights it was trained.
UNVERIFIED = Fingerprint("unverified", "unverified")

_CONTROL = re.compile(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]")
_DEEPEST = 20  # mappings and lists in one another; a recipe has three
_DATASET = re.compile(r"[\w.\-]+(/[\w.\-]+)?")
_METRICS = ("perplexity", "nDCG", "AP", "RR", "MRR", "R@", "P@", "accuracy")


@dataclass(frozen=True)
class Parent:
    """The language module that lay under a ranking module while it was trained."""

    name: str
    language: str
    sha256: str  # of its weights file


@dataclass(frozen=True)
class Data:
    """A source of training data."""

    name: str
    licence: str
    lines: int | None = None  # None where a source's share is unknown


@dataclass(frozen=True)
class ModuleCard:
    """What a module is, what it was made for, and how.

    Attributes:
        role: `language` or `ranking`.
        kind: `adapter`, `mask` or `full` (a fully fine-tuned baseline).
        name: its name in the zoo, e.g. `ky` or `squad`.
        language: normalised tag: the language of the text, or of the judgements.
        base: name of the base.
        base_fingerprint: the weights and vocabulary it was trained on, or `UNVERIFIED`.
        parent: for a ranking module, the language module beneath it, if any.
        recipe: command, hyper-parameters, steps, seed, machine, minutes.
        figures: measured results.
        data: what it was trained on, with licences.
        files: sha256 of every other file in the folder.
        licence: SPDX id of the weights.
    """

    role: str
    kind: str
    name: str
    language: str
    base: str
    base_fingerprint: Fingerprint
    parent: Parent | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[Data, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    licence: str = "apache-2.0"
    format_version: int = FORMAT_VERSION

    @property
    def verified(self) -> bool:
        """Whether it is known on which weights and vocabulary it was trained."""
        return self.base_fingerprint != UNVERIFIED

    @property
    def full_name(self) -> str:
        """Its name in the zoo, e.g. `e5-small/language/adapter/ky`."""
        return f"{slug(self.base)}/{self.role}/{self.kind}/{self.name}"

    @property
    def prefixes(self) -> tuple[str, str]:
        """Of a ranking module: what stood before queries and passages in training, and has to
        wherever it scores; two empty texts for nothing.

        Raises:
            ModuleError: a recipe with something else there.
        """
        found = self.recipe.get("prefixes") or ("", "")
        if not isinstance(found, (list, tuple)) or [type(one) for one in found] != [str, str]:
            raise ModuleError(
                f"the recipe of '{self.full_name}' has the prefixes {found!r}, but must have two "
                "texts: of queries, of passages.\nCorrect the card, or train the module again."
            )
        query, passage = found
        return query, passage

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def slug(base: str) -> str:
    """A base's name as a folder name: a Hub id keeps its owner, a path its last part."""
    if base.startswith((".", "/", "~")) or base.count("/") > 1:
        return Path(base).name
    return base.replace("/", "--")


def from_json(text: str, source: str | Path) -> ModuleCard:
    """Read a card.

    Raises:
        ModuleError: not JSON, an unknown format version, a missing or unknown field, a wrong value.
    """
    try:
        record = json.loads(text)
        version = record.pop("format_version")
        texts = list(_strings(record))
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ModuleError(
            f"{source} is not a module card ({error!r}).\nFetch or train the module again."
        ) from error
    if version != FORMAT_VERSION:
        raise ModuleError(
            f"{source} has format version {version!r}; this polyrank reads {FORMAT_VERSION}.\n"
            "Upgrade polyrank (pip install -U polyrank), or train the module again with this one."
        )
    if (found := _CONTROL.search("".join(texts))) is not None:
        raise ModuleError(
            f"{source} has the control character {found[0]!r} in it, which could steer a terminal."
            "\nDo not use this module."
        )
    try:
        record["base_fingerprint"] = Fingerprint(**record["base_fingerprint"])
        record["parent"] = Parent(**record["parent"]) if record.get("parent") else None
        record["data"] = tuple(Data(**entry) for entry in record.get("data", ()))
        card = ModuleCard(**record)
    except (KeyError, TypeError) as error:
        raise ModuleError(
            f"{source} lacks or misnames a field ({error}).\nFetch or train the module again."
        ) from error
    return validate(card, source)


def _strings(value: Any, depth: int = 0) -> Iterator[str]:
    """Every string in what JSON gave, keys too; ValueError where it is nested beyond reason."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings([*value, *value.values()], depth + 1)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one, depth + 1)


def validate(card: ModuleCard, source: str | Path) -> ModuleCard:
    """Return the card unless a value is out of its range, which raises ModuleError."""
    try:
        check_types(card)
    except TypeError as error:
        raise ModuleError(
            f"{source}: {error}.\nCorrect the card or train the module again."
        ) from None
    for key, allowed in (("role", ROLES), ("kind", KINDS)):
        if getattr(card, key) not in allowed:
            raise ModuleError(
                f"{source}: {key} is {getattr(card, key)!r}, but must be one of "
                f"{', '.join(allowed)}.\nCorrect the card or train the module again."
            )
    for key in ("name", "language", "base"):
        if not getattr(card, key):
            raise ModuleError(f"{source}: '{key}' must not be empty.\nCorrect the card.")
    if "/" in card.name or card.name.startswith("."):
        raise ModuleError(
            f"{source}: the name {card.name!r} is not a plain folder name.\nRename it."
        )
    if any(Path(name).name != name or name in ("", ".", "..") for name in card.files):
        raise ModuleError(
            f"{source}: a module's files lie in its own folder.\nDo not use this module."
        )
    return card


def read_card(folder: str | Path, verify: bool = True) -> ModuleCard:
    """Read a module folder's card and, unless told otherwise, check every file against it.

    Raises:
        ModuleError: no card, a card that cannot be read, a file that is missing or altered.
    """
    folder = Path(folder)
    path = folder / CARD_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ModuleError(
            f"'{folder}' is not a polyrank module: it has no {CARD_FILE}.\nBring a folder of the "
            "adapters library in with:  polyrank zoo import"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModuleError(
            f"{path} cannot be read: {error}.\nFetch or train the module again."
        ) from error
    card = from_json(text, path)
    if verify:
        verify_files(folder, card)
    return card


def verify_files(folder: Path, card: ModuleCard) -> None:
    """Raise ModuleError unless every file the card lists is there with its sha256."""
    if not card.files:
        raise ModuleError(
            f"{folder / CARD_FILE} lists no files, so none can be verified.\nSave the module again."
        )
    again = f"Fetch it, or train it again:  {train_command_of(card)}"
    for name, expected in sorted(card.files.items()):
        path = folder / name
        if not path.is_file():
            raise ModuleError(f"the module '{card.full_name}' lacks its file {path}.\n{again}")
        found = sha256(path)
        if found != expected:
            raise ModuleError(
                f"{path} was altered: its sha256 is {found[:12]}…, but its card says "
                f"{expected[:12]}….\n{again}"
            )


def sha256(path: Path) -> str:
    """The sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_card(folder: Path, card: ModuleCard) -> ModuleCard:
    """Write README.md and polyrank.json beside the weights; return the card with the sha256s."""
    (folder / "README.md").write_text(readme(card), encoding="utf-8")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    files = {name: sha256(folder / name) for name in names if name not in (CARD_FILE, "README.md")}
    card = validate(replace(card, files=files), folder / CARD_FILE)
    (folder / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    return card


def train_command(
    base: str,
    role: str,
    kind: str,
    name: str,
    late: bool = False,
    vectors: bool | None = None,
    architecture: str | None = None,
) -> str:
    """The command that trains such a module, for messages.

    Args:
        late: a ranking module for late interaction.
        vectors: whether the base's vectors are for retrieval: then its language modules learn best
            from sentence pairs. None asks the base's card, where one is found by this name.
        architecture: of a ranking module, where its card names one.
    """
    if role == "language":
        pairs = is_for_retrieval(base) if vectors is None else vectors
        learnt = "--parallel PAIRS.tsv" if pairs else f"--text {name}.txt"
        what = f"train language --base {base} --language {name} --kind {kind} {learnt}"
    else:
        rows = f"--base {base} --queries queries.jsonl --passages passages.jsonl --source en"
        what = f"train ranking {rows} --kind {kind}"
        if architecture is not None:
            what += f" --architecture {architecture}"
        if late:
            what = f"train late-interaction {rows} {KINDS[kind].late_option}"
    return f"polyrank {what} --output ZOO/{slug(base)}/{role}/{kind}/{name}"


def train_command_of(card: ModuleCard, base: str | None = None) -> str:
    """The command that trains a module like this one, for its own base or another."""
    name = card.language if card.role == "language" else card.name
    late = card.recipe.get("model") == LATE_INTERACTION
    architecture = card.recipe.get("architecture")
    return train_command(
        base or card.base, card.role, card.kind, name, late, architecture=architecture
    )


def readme(card: ModuleCard, published: str | None = None) -> str:
    """The README: Hugging Face metadata, then what the module is and how to use it, in words.

    Args:
        card: of the module.
        published: its name on the Hub, `owner/repository[/path][@revision]`, where it is there.
    """
    lines = ["---", *_metadata(card), "---", "", f"# {card.full_name}", "", _sentence(card), ""]
    lines += _usage(card, published)
    if card.recipe:
        lines += ["## Recipe", ""]
        lines += [f"- {key}: `{value}`" for key, value in card.recipe.items()] + [""]
    if card.figures:
        lines += ["## Figures", "", *_bullets(card.figures), ""]
    return "\n".join([*lines, *data_lines(card.data)])


def data_lines(sources: Sequence[Data]) -> list[str]:
    """The section of a README on what something was trained on; empty where nothing is said."""
    if not sources:
        return []
    lines = ["## Data", ""]
    for data in sources:
        counted = f", {data.lines} lines" if data.lines is not None else ""
        lines.append(f"- {data.name}, {data.licence}{counted}")
    return [*lines, ""]


def _metadata(card: ModuleCard) -> list[str]:
    # A JSON string or list of strings is valid YAML, so nothing in a name can break the header.
    def yaml(value: str | list[str]) -> str:
        return json.dumps(value, ensure_ascii=False)

    kind = KINDS[card.kind]
    tags = ["polyrank", card.role, kind.name, *kind.hub_tags]
    lines = [
        f"language: {yaml([card.language.split('-')[0]])}",  # the Hub knows no scripts and regions
        f"base_model: {yaml(card.base)}",
        f"license: {yaml(card.licence.lower())}",
        f"library_name: {kind.library}",
        "pipeline_tag: text-ranking",
        f"tags: {yaml(tags)}",
    ]
    # The Hub takes its own ids there; every source is listed in the text.
    if data := [source.name for source in card.data if _DATASET.fullmatch(source.name)]:
        lines.append(f"datasets: {yaml(data)}")
    words = [str(key).split()[0].rstrip(",") for key in card.figures if str(key).strip()]
    if metrics := [word for word in dict.fromkeys(words) if word.startswith(_METRICS)]:
        lines.append(f"metrics: {yaml(metrics)}")
    return lines


def _sentence(card: ModuleCard) -> str:
    known = card.base_fingerprint if card.verified else "on which weights exactly is not verified"
    made_for = f"the base `{card.base}` ({known})"
    if card.role == "language":
        return f"A language {card.kind} for `{card.language}`, made for {made_for}."
    over = f" over the language module `{card.parent.name}`" if card.parent else ""
    return f"A ranking {card.kind} trained on `{card.language}`{over}, made for {made_for}."


def _usage(card: ModuleCard, published: str | None) -> list[str]:
    """How to use it. A ranking module is pulled when it is named, a language module is not named,
    so it is pulled before and then found by its language."""
    lines, ranking = [], "squad"
    late = card.recipe.get("model") == LATE_INTERACTION
    scorer = "LateInteraction" if late else "Reranker"
    scorer = "load_reranker" if "architecture" in card.recipe else scorer
    if card.role == "ranking":
        ranking = published or card.name
    elif published:
        lines += ["```bash", f"polyrank zoo pull {published}", "```", ""]
    pair = '"en", "en"' if card.role == "ranking" else f'"{card.language}", "en"'
    return [
        *lines,
        *("```python", "import polyrank as pr", ""),
        f'reranker = pr.{scorer}("{card.base}", ranking="{ranking}", kind="{card.kind}")',
        f"hits = reranker.rank(query, passages, {pair})  # of the query, of the passages",
        *("```", ""),
    ]


def _bullets(values: Mapping[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}- {key}", *_bullets(value, indent + "  ")]
        else:
            lines.append(f"{indent}- {key}: {value}")
    return lines
