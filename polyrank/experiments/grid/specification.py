"""What a grid of trainings is: its file, as values, read strictly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from polyrank.errors import UsageError
from polyrank.experiments.grid.students import STUDENTS
from polyrank.experiments.specification import Collection, Task, slug
from polyrank.experiments.yaml_lines import (
    Fields,
    Node,
    check_names,
    each,
    integer_of,
    language_of,
    read_yaml,
    text_of,
)
from polyrank.rerankers.scales import SCALES

TOP = (
    "title",
    "about",
    "data",
    "transfers",
    "backbones",
    "students",
    "losses",
    "seeds",
    "train",
    "evaluate",
)
DATA = ("queries", "passages", "source", "teacher", "teacher_scale", "mine", "questions", "base")
TRAIN = ("kind", "steps", "batch_queries", "negatives", "length", "rate")
EVALUATE = ("source", "pairs", "queries", "depth", "measure")
PART = ("queries", "passages", "language", "share")
RANDOM = "random"


@dataclass(frozen=True)
class Teaching:
    """What every cell learns from.

    Attributes:
        queries, passages: rows and texts, as `train_ranking_module` takes them.
        source: language of the judgements.
        teachers: whose mean scores are distilled; none where the rows have scores.
        scale: of the teachers' scores.
        mine: negatives mined a question by `base` and by BM25; 0 for none.
        questions: how many are learned from, in a seeded order; None for all.
        base: what mines negatives, and what teachers may share; nothing else reads it.
    """

    queries: Path | None
    passages: Path | None
    source: str
    teachers: tuple[str, ...]
    scale: str
    mine: int
    questions: int | None
    base: str

    @property
    def prepares(self) -> bool:
        """Whether anything is mined or scored, by `base` or with it."""
        return bool(self.teachers or self.mine)


@dataclass(frozen=True)
class Part:
    """Rows and passages in one language, and which share of the rows is taken."""

    queries: Path
    passages: Path
    language: str
    share: float = 1.0


@dataclass(frozen=True)
class Transfer:
    """What is learned from, by parts: MultiTACRED's scenarios (arXiv 2305.04582).

    In-language is one part in the language that is tested, cross-language one in another, and
    multi-language that one with a share of the tested language's; a part may be translated.
    """

    name: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Backbone:
    """What a student starts from: a base, as it is or with new random weights."""

    name: str
    base: str
    random: bool = False


@dataclass(frozen=True)
class Cell:
    """One training."""

    transfer: Transfer | None
    backbone: Backbone
    student: str
    loss: str
    seed: int

    @property
    def folder(self) -> str:
        """A name for its files."""
        transfer = [self.transfer.name] if self.transfer is not None else []
        names = [*transfer, self.backbone.name, self.student, self.loss, str(self.seed)]
        return "/".join(map(slug, names))

    @property
    def treatment(self) -> tuple[str, str, str]:
        """What is ranked."""
        return self.transfer.name if self.transfer else "", self.student, self.loss


@dataclass(frozen=True)
class Grid:
    """All of a grid's file.

    Attributes:
        transfers: what is learned from in place of the rows of `teaching`; none for these.
        train: options of every training.
        collection: that is measured, over the `depth` best of BM25, by `measure`.
    """

    path: Path
    title: str
    about: str
    teaching: Teaching
    transfers: tuple[Transfer, ...]
    backbones: tuple[Backbone, ...]
    students: tuple[str, ...]
    losses: tuple[str, ...]
    seeds: tuple[int, ...]
    train: Mapping[str, Any]
    collection: Collection
    depth: int
    measure: str

    def cells(self) -> list[Cell]:
        """Every training, in the order of the file."""
        transfers = self.transfers or (None,)
        axes = (transfers, self.backbones, self.students, self.losses, self.seeds)
        return [Cell(*choice) for choice in product(*axes)]

    def rows(self) -> list[tuple[Path, Path | None]]:
        """Every file that is learned from, with its passages."""
        parts = [part for transfer in self.transfers for part in transfer.parts]
        if parts:
            return [(part.queries, part.passages) for part in parts]
        assert self.teaching.queries is not None  # the file names these or transfers
        return [(self.teaching.queries, self.teaching.passages)]

    def tasks(self) -> list[Task]:
        """Every pair of languages that is measured."""
        return [Task(self.collection, *pair, i) for i, pair in enumerate(self.collection.pairs)]


def read_grid(path: str | Path) -> Grid:
    """Read a grid's file.

    Raises:
        DataError: with file and line: an unknown or missing key, a wrong type, an unknown student,
            loss, kind or measure, or a name that stands twice, also as the name of a file.
    """
    root = read_yaml(path)
    fields = Fields(root, "a grid", TOP)
    found = Fields(fields.node_of("evaluate"), "'evaluate'", EVALUATE)
    students = _students(fields)
    teaching = _teaching(fields.node_of("data"), "transfers" in fields)
    transfers = fields.values.get("transfers")
    return Grid(
        path=Path(path),
        title=fields.required("title"),
        about=fields.text("about") or "",
        teaching=teaching,
        transfers=_transfers(transfers, teaching.source) if transfers else (),
        backbones=_backbones(fields.node_of("backbones")),
        students=students,
        losses=_losses(fields.node_of("losses")),
        seeds=_seeds(fields.node_of("seeds")),
        train=_training(fields.node_of("train"), students),
        collection=_collection(found),
        depth=found.integer("depth", 20) or 20,
        measure=_measure(found),
    )


def _teaching(node: Node, transfers: bool) -> Teaching:
    fields = Fields(node, "'data'", DATA)
    if transfers and ("queries" in fields or "passages" in fields):
        node.wrong("'transfers' name queries and passages; leave them out of 'data'")
    queries = None if transfers else Path(fields.required("queries"))
    passages = fields.text("passages")
    found = Teaching(
        queries,
        Path(passages) if passages else None,
        language_of(fields.values["source"], "source") if "source" in fields else "en",
        fields.texts("teacher") or (),
        fields.choice("teacher_scale", SCALES, "raw") or "raw",
        fields.integer("mine", 0, least=0) or 0,
        fields.integer("questions"),
        fields.text("base", "e5-small") or "e5-small",
    )
    if "teacher_scale" in fields and not found.teachers:
        fields.values["teacher_scale"].wrong("'teacher_scale' is of a 'teacher'; name one")
    if "base" in fields and not found.prepares:
        fields.values["base"].wrong(
            "'base' mines negatives and serves teachers; give 'mine' or 'teacher'"
        )
    return found


def _transfers(node: Node, source: str) -> tuple[Transfer, ...]:
    if not isinstance(node.value, dict) or not node.value:
        node.wrong("'transfers' is a mapping from names to lists of parts")
    check_names(node.value.items())
    return tuple(
        Transfer(name, tuple(_part(name, one, source) for one in each(parts)))
        for name, parts in node.value.items()
    )


def _part(name: str, node: Node, source: str) -> Part:
    fields = Fields(node, f"a part of the transfer {name!r}", PART)
    share = fields.values["share"].value if "share" in fields else 1.0
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        fields.values["share"].wrong(f"'share' is a number above 0 and up to 1, not {share!r}")
    queries, passages = Path(fields.required("queries")), Path(fields.required("passages"))
    language = (
        language_of(fields.values["language"], "language") if "language" in fields else source
    )
    return Part(queries, passages, language, float(share))


def _backbones(node: Node) -> tuple[Backbone, ...]:
    if not isinstance(node.value, dict) or not node.value:
        node.wrong("'backbones' is a mapping from names to bases")
    check_names(node.value.items())
    found = []
    for name, value in node.value.items():
        if not isinstance(value.value, dict):
            found.append(Backbone(name, text_of(value, name)))
            continue
        fields = Fields(value, f"the backbone {name!r}", ("base", "start"))
        start = fields.choice("start", ("pretrained", RANDOM), "pretrained")
        found.append(Backbone(name, fields.required("base"), start == RANDOM))
    return tuple(found)


def _students(fields: Fields) -> tuple[str, ...]:
    if "students" not in fields:
        return ("cross-encoder",)
    found = [(text_of(one, "students"), one) for one in each(fields.values["students"])]
    for name, node in found:
        if name not in STUDENTS:
            node.wrong(f"unknown student {name!r}; use one of {', '.join(STUDENTS)}")
    check_names(found)
    return tuple(name for name, _ in found)


def _losses(node: Node) -> tuple[str, ...]:
    """Losses by their canonical names."""
    from polyrank.training.losses import parse_loss

    found = []
    for one in each(node):
        try:
            found.append((parse_loss(text_of(one, "losses")).name, one))
        except UsageError as error:
            one.wrong(str(error))
    check_names(found)
    return tuple(name for name, _ in found)


def _seeds(node: Node) -> tuple[int, ...]:
    found = [(integer_of(one, "seeds", 0), one) for one in each(node)]
    check_names((str(seed), one) for seed, one in found)
    return tuple(seed for seed, _ in found)


def _training(node: Node, students: tuple[str, ...]) -> dict[str, Any]:
    """Options of training, with a kind that every student can be of."""
    from polyrank.training.kinds import part_of

    fields = Fields(node, "'train'", TRAIN)
    found: dict[str, Any] = {"kind": fields.text("kind", "full")}
    for student in students:
        try:
            part_of(found["kind"], STUDENTS[student].role)
        except UsageError as error:
            fields.values.get("kind", node).wrong(str(error))
    for key in ("steps", "batch_queries", "negatives", "length"):
        if key in fields:
            found[key] = fields.integer(key)
    if "rate" in fields:
        rate = fields.values["rate"].value
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
            fields.values["rate"].wrong(f"'rate' is a number above 0, such as 1.0e-4, not {rate!r}")
        found["rate"] = float(rate)
    return found


def _measure(fields: Fields) -> str:
    """A measure by its canonical name; one of lists in several languages has no use here."""
    from polyrank.evaluation.measures import LanguageMeasure, parse_measure

    name = fields.text("measure", "nDCG@10") or ""
    try:
        measure = parse_measure(name)
    except UsageError as error:
        fields.values["measure"].wrong(str(error))
    if isinstance(measure, LanguageMeasure):
        fields.values["measure"].wrong(f"{name!r} is of lists in several languages, not of pairs")
    return str(measure)


def _collection(fields: Fields) -> Collection:
    pairs = []
    for pair in each(fields.node_of("pairs")):
        tags = [language_of(tag, "pairs") for tag in each(pair)]
        if len(tags) != 2:
            pair.wrong("a pair is [query language, document language]")
        pairs.append((tags[0], tags[1]))
        if pairs[-1] in pairs[:-1]:
            pair.wrong("this pair of languages stands twice; leave one out")
    source = fields.required("source")
    return Collection(source, source, tuple(pairs), fields.integer("queries"))
