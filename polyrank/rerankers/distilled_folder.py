"""What distillation leaves: a Hugging Face folder, which needs polyrank only for its adapters.

`distilled.json` says what the folder is; its README says the same in words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from polyrank.base import Fingerprint
from polyrank.errors import ModuleError
from polyrank.modules.card import Data, sha256

CARD = "distilled.json"
RANKING = "ranking"  # the folder of a student's ranking adapter
FORMAT_VERSION = 1


@dataclass(frozen=True)
class DistilledCard:
    """What a distilled model is, and how it came about.

    Attributes:
        form: 'cross-encoder', 'adapter' (an encoder with a ranking adapter in `ranking/`), or
            'encoder' (phase 1 alone).
        source, target: normalised tags.
        base, fingerprint: what it was made from.
        teacher: of phase 2, in words; None without one.
        vocabulary: entries before and after, and coverage by language.
        layers: the teacher layer that each student layer started as.
        parameters: of the whole model.
        recipe: settings, seeds, steps, machine.
        figures: measured results.
        data: what it was trained on, with licences.
        files: sha256 of the other files, by path in the folder.
        stored: the precision of the weights in the files, and by how much it changes the scores;
            the readers compute in fp32.
    """

    form: str
    source: str
    target: str
    base: str
    fingerprint: Fingerprint
    teacher: str | None
    vocabulary: Mapping[str, Any]
    layers: tuple[int, ...]
    parameters: int
    recipe: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[Data, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, Any] = field(default_factory=dict)
    licence: str = "apache-2.0"
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def write_distilled(temporary: Path, name: str, card: DistilledCard) -> DistilledCard:
    """The card and the README beside what is there already; the card with the sha256s."""
    files = {
        str(path.relative_to(temporary)): sha256(path)
        for path in sorted(temporary.rglob("*"))
        if path.is_file()
    }
    card = replace(card, files=files)
    (temporary / "README.md").write_text(_readme(name, card), encoding="utf-8")
    (temporary / CARD).write_text(card.to_json(), encoding="utf-8")
    return card


def verify(folder: Path) -> dict[str, Any] | None:
    """The facts of a distilled folder whose files are as they were written; None for another's.

    Raises:
        ModuleError: a file that is missing or altered, or facts that cannot be read.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files = dict(facts["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModuleError(f"{path} cannot be read: {error!r}.\nDistil the model again.") from error
    for name, expected in sorted(files.items()):
        there = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts or not there.is_file():
            raise ModuleError(f"the model in '{folder}' lacks its file {name}.\nDistil it again.")
        if (found := sha256(there)) != expected:
            raise ModuleError(
                f"{there} was altered: its sha256 is {found[:12]}…, but {CARD} says "
                f"{expected[:12]}….\nDistil or fetch the model again."
            )
    return facts


_FORMS = {
    "cross-encoder": "A cross-encoder: query and passage in, one logit out.",
    "adapter": "An encoder, and in `ranking/` a ranking adapter over it, which no merge can put "
    "into its weights: score with polyrank, as below, or give both to the adapters library.",
    "encoder": "An encoder without a ranking head: give its folder as `--base`.",
}


def _readme(name: str, card: DistilledCard) -> str:
    def yaml(value: Any) -> str:  # JSON is valid YAML
        return json.dumps(value, ensure_ascii=False)

    tags = [card.source.split("-")[0], card.target.split("-")[0]]
    lines = [
        "---",
        f"language: {yaml(list(dict.fromkeys(tags)))}",
        f"base_model: {yaml(card.base)}",
        f"license: {yaml(card.licence)}",
        "library_name: transformers",
        f"pipeline_tag: {'feature-extraction' if card.form == 'encoder' else 'text-ranking'}",
        f"tags: {yaml(['polyrank', 'distillation'])}",
        "---",
        "",
        f"# {name}",
        "",
        f"{_FORMS[card.form]} For `{card.source}` and `{card.target}`, distilled from the base "
        f"`{card.base}` ({card.fingerprint})"
        + (f" and the teacher {card.teacher}." if card.teacher else "."),
        f"{len(card.layers)} layers, {card.vocabulary['entries']} of "
        f"{card.vocabulary['entries before']} vocabulary entries, {card.parameters:,} parameters.",
        *([str(card.stored["note"])] if card.stored else []),
        "",
    ]
    if card.form != "encoder":
        lines += ["```bash", "polyrank rerank --model FOLDER --query QUERY --passages passages.txt"]
        lines += ["```", "", "```python", "import polyrank as pr", ""]
        lines += ['hits = pr.CrossEncoder("FOLDER").rank(query, passages)', "```", ""]
    for title, values in (
        ("Recipe", card.recipe),
        ("Vocabulary", card.vocabulary),
        ("Figures", card.figures),
    ):
        if values:
            lines += [f"## {title}", "", *(f"- {k}: `{v}`" for k, v in values.items()), ""]
    if card.data:
        lines += ["## Data", "", *(f"- {d.name}, {d.licence}" for d in card.data), ""]
    return "\n".join(lines)
