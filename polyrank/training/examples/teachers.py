"""Teachers: rerankers whose scores of the examples' passages are distilled.

A teacher is a ranking module of the zoo by its name ('squad', 'mask/squad', 'full/squad'; without
the kind, an adapter), a module's folder, a file of `polyrank compose`, or a cross-encoder in one
piece: a folder or Hub id of a Hugging Face sequence classifier of one logit, a ColBERT checkpoint,
the folder of a language model that was trained to rank, or a retriever, 'bm25' or 'dense'.

A module works over the language modules of the examples' language where there are some; a
composition says itself what is active. A module for another base than the student's brings its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from polyrank.base import Base, load_base
from polyrank.collections.records import Document
from polyrank.errors import HubError, ModuleError, UsageError
from polyrank.modules.card import CARD_FILE, ModuleCard, read_card
from polyrank.modules.kinds import DEFAULT_KIND, KINDS
from polyrank.notes import Notes
from polyrank.progress import bar, note
from polyrank.rerankers.base import Request, Reranker
from polyrank.rerankers.identity import stored_weights
from polyrank.rerankers.load import RerankerSpec, load_reranker
from polyrank.rerankers.mean import SCALES, averaged
from polyrank.training.examples.first_stage_teachers import FIRST_STAGE_TEACHERS
from polyrank.training.examples.negatives import Example
from polyrank.training.loop.steps import digest
from polyrank.zoo.find import find
from polyrank.zoo.names import is_hub


def as_names(teacher: str | Sequence[str] | None) -> tuple[str, ...]:
    """None, one or several teachers as a tuple of names."""
    return () if teacher is None else (teacher,) if isinstance(teacher, str) else tuple(teacher)


def check_teachers(teachers: Sequence[str], scale: str, needed: bool, loss: str) -> None:
    """Refuse options that do not fit together, before anything is computed.

    Raises:
        UsageError: an unknown scale, a teacher twice, or one without use; a scale without teachers.
    """
    if scale not in SCALES:
        raise UsageError(f"unknown scale '{scale}' of teachers; use one of {', '.join(SCALES)}")
    if len(set(teachers)) != len(teachers):
        raise UsageError("a teacher is named twice; name each once")
    if teachers and not needed:
        raise UsageError(
            f"the loss {loss} has no use for a teacher; leave --teacher out, or take another loss: "
            "'polyrank train losses' lists them"
        )
    if scale != "raw" and not teachers:
        raise UsageError(f"the scale '{scale}' is of a teacher's scores; leave --teacher-scale out")


def scored_by(
    teachers: Sequence[str],
    examples: Sequence[Example],
    documents: dict[str, Document],
    base: Base,
    work: Path,
    source: str,
    zoo: str | Path | None = None,
    scale: str = "raw",
) -> list[Example]:
    """The examples with the teachers' mean scores of their positives and negatives.

    Args:
        base: the student's, which a teacher of the same base shares.
        work: folder of the caches, one a teacher; what stands there is not scored again.
        source: language of the examples that do not say theirs.
        scale: see `averaged`.

    Raises:
        UsageError: a cache that was made by other weights.
        ModuleError, CompositionError: a teacher that is missing or does not fit.
    """
    columns = columns_of(teachers, examples, documents, base, work, source, zoo)
    return [
        replace(example, teacher=averaged([column[i] for column in columns], scale))
        for i, example in enumerate(examples)
    ]


def columns_of(
    teachers: Sequence[str],
    examples: Sequence[Example],
    documents: dict[str, Document],
    base: Base,
    work: Path,
    source: str,
    zoo: str | Path | None = None,
) -> list[list[tuple[float, ...]]]:
    """Each teacher's scores of each example's candidates; see `scored_by`."""
    return [
        _scores_of(name, examples, documents, base, work / f"teacher-{place}.jsonl", source, zoo)
        for place, name in enumerate(teachers)
    ]


def identities_of(work: Path, count: int) -> list[dict[str, str]]:
    """What the caches in a folder say of their teachers: name and weights."""
    heads = []
    for place in range(count):
        with (work / f"teacher-{place}.jsonl").open(encoding="utf-8") as file:
            heads.append(json.loads(next(file)))
    return heads


def load_teacher(name: str, base: Base, zoo: str | Path | None = None) -> tuple[Reranker, str]:
    """A teacher, and what tells whether its weights are the same another time.

    Raises:
        ModuleError, HubError, CompositionError: it is missing, cannot be read, or does not fit.
    """
    path = Path(name).expanduser()
    if path.is_file():
        from polyrank.composition.saved import read_composition

        saved = read_composition(path)
        same = saved.composition.fingerprint == base.fingerprint
        return load_reranker(saved, base=base if same else None, zoo=zoo), digest(path)
    if _is_whole(path):
        return _in_one_piece(name)
    try:
        folder = _module_folder(name, base.name, zoo)
    except HubError as no_module:
        if not is_hub(name):
            raise
        try:
            return _in_one_piece(name)
        except ModuleError as error:
            raise ModuleError(f"{no_module}\nNor is it a cross-encoder: {error}") from error
    card = read_card(folder)
    own = base if card.base == base.name else load_base(card.base)
    spec = RerankerSpec(base=own, ranking=str(folder), kind=card.kind, fallback="none", zoo=zoo)
    return load_reranker(spec), _files_of(card)


def identity_of(name: str, base: str, zoo: str | Path | None = None) -> str:
    """What tells whether a teacher's weights are the same another time, without loading them.

    Args:
        base: the name of the student's.

    Raises:
        ModuleError, HubError: it is missing or cannot be read.
    """
    path = Path(name).expanduser()
    if name in FIRST_STAGE_TEACHERS:
        return name
    if path.is_file():
        return digest(path)
    if _is_whole(path):
        return stored_weights(name)
    try:
        return _files_of(read_card(_module_folder(name, base, zoo), verify=False))
    except HubError:
        if not is_hub(name):
            raise
        return stored_weights(name)


def _is_whole(path: Path) -> bool:
    return (path / "config.json").is_file() and not (path / CARD_FILE).is_file()


def _module_folder(name: str, base: str, zoo: str | Path | None) -> Path:
    path = Path(name).expanduser()
    first = name.split("/")[0]
    kind, _, short = name.rpartition("/") if first in KINDS else (DEFAULT_KIND, "", name)
    if (path / CARD_FILE).is_file():
        kind, short = read_card(path, verify=False).kind, name if "/" in name else f"./{name}"
    return find(base, "ranking", kind, short, zoo)


def _files_of(card: ModuleCard) -> str:
    return " ".join(f"{file} {card.files[file][:12]}" for file in sorted(card.files))


def _in_one_piece(name: str) -> tuple[Reranker, str]:
    reranker = load_reranker(RerankerSpec(model=name))
    identity = reranker.identity()
    return reranker, identity.get("model weights") or json.dumps(dict(identity), sort_keys=True)


def _scores_of(
    name: str,
    examples: Sequence[Example],
    documents: dict[str, Document],
    base: Base,
    cache: Path,
    source: str,
    zoo: str | Path | None,
) -> list[tuple[float, ...]]:
    """One teacher's scores; each example's is written as it is found."""
    reranker: Reranker
    if name in FIRST_STAGE_TEACHERS:
        reranker = FIRST_STAGE_TEACHERS[name](documents, base)
        weights = json.dumps(dict(reranker.identity()))
    else:
        reranker, weights = load_teacher(name, base, zoo)
    done = _read(cache, {"teacher": name, "weights": weights})
    notes = Notes()
    with cache.open("a", encoding="utf-8") as file, bar("scoring", len(examples)) as drawn:
        for example in examples:
            if example.query.id not in done:
                query = replace(example.query, language=example.query.language or source)
                request = Request(query, tuple(documents[i] for i in example.candidates))
                (ranking,) = reranker.rank_all([request])
                by_id = {hit.document_id: hit.score for hit in ranking.hits}
                scores = [by_id[document.id] for document in request.documents]
                done[example.query.id] = tuple(scores)
                notes += ranking.notes
                file.write(json.dumps({"id": example.query.id, "scores": scores}) + "\n")
                file.flush()
            drawn.advance()
    for line in notes.lines():
        note(f"teacher {name}: {line}")
    return [done[example.query.id] for example in examples]


def _read(cache: Path, head: dict[str, str]) -> dict[str, tuple[float, ...]]:
    """Query id → scores, of whole lines; a line that a kill cut is taken off the file."""
    if not cache.is_file() or b"\n" not in cache.read_bytes():
        cache.write_text(json.dumps(head) + "\n", encoding="utf-8")
        return {}
    whole = cache.read_bytes()
    whole = whole[: whole.rindex(b"\n") + 1]
    cache.write_bytes(whole)
    first, *rows = map(json.loads, whole.decode().split("\n")[:-1])
    if first != head:
        raise UsageError(
            f"{cache} holds scores of another teacher, or of other weights of '{head['teacher']}'; "
            f"start over after:  rm -r {cache.parent}"
        )
    return {row["id"]: tuple(row["scores"]) for row in rows}
