"""CLEF's ad hoc collections of 2000 to 2003, from a folder as licensees have them.

    FOLDER/documents/LANG/…   newspapers in SGML, at any depth, plain or .gz
    FOLDER/topics/…LANG…      a file per language: Top-DE03.txt, de.xml, …_SWAHILI.txt
    FOLDER/qrels/…LANG…       TREC judgements per language of the documents: 2003/qrels_german

LANG is a tag (`de`) or an English name (`german`), of a folder or in a file's name, in any case.
`docs` or `collections` may stand for `documents`, `queries` for `topics`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from polyrank.collections.cards import CLEAN, CollectionCard, tags
from polyrank.collections.clef_topics import CODES, YEARS, Topic, read_topics, topic_number
from polyrank.collections.collection_source import (
    Need,
    Pairs,
    Selection,
    Source,
    counted,
    folder_needs,
    starts_with,
)
from polyrank.collections.records import Collection, Document, Judgement, Query
from polyrank.collections.sgml import Assumed, iter_documents
from polyrank.collections.trec import numbered_qrels
from polyrank.errors import DataError, LanguageError, UsageError
from polyrank.languages.tags import normalise, usual_script

PREFIX = "clef:"
CLEF_URL = "https://catalog.elda.org/en-us/repository/browse/ELRA-E0008/"
CLEF_LICENCE = "ELRA evaluation licence, for a fee (ELRA-E0008)"
SPLITS = (*YEARS, "all")
NAMES = {
    "english": "en", "german": "de", "french": "fr", "italian": "it", "spanish": "es",
    "dutch": "nl", "finnish": "fi", "swedish": "sv", "russian": "ru", "swahili": "sw",
    "somali": "so", "chinese": "zh", "japanese": "ja", "portuguese": "pt",
}  # fmt: skip
ROOMS = {
    "documents": ("documents", "docs", "collections", "collection"),
    "topics": ("topics", "queries"),
    "qrels": ("qrels", "judgements", "judgments"),
}
LEGACY = "windows-1252"


def read_clef(
    folder: str | Path,
    queries: str | None = None,
    documents: str | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> Collection:
    """CLEF topics over newspapers (Braschler and Peters 2004, Information Retrieval 7).

    The query is title and description; its id is the number (`C141` is `141`), with `.LANG` behind
    it when topics of all languages are taken. Topics without a relevant document in the documents'
    language are left out, as in CLEF's own evaluation. All documents are held in memory.

    Args:
        folder: see this module.
        queries, documents: languages; None for all that there are.
        split: the campaign, `2000` to `2003` (topics 1–40, 41–90, 91–140, 141–200), or `all`;
            None is 2003.
        limit: at most this many queries per language.

    Raises:
        UsageError: for a language that is not there, with those that are, or a split without
            topics.
        DataError: for a file that is not as it should be, a document id that occurs twice, or a
            relevant document that is not there.
    """
    folder, assumed = Path(folder), Assumed()
    judged = _Judged(folder, queries, documents, split, assumed)
    corpus: dict[str, Document] = {}
    places: dict[str, str] = {}
    for tag, path in _documents(folder, documents):
        legacy = LEGACY if usual_script(tag) == "Latn" else None
        for one in iter_documents(path, legacy, assumed):
            if one.id in corpus:
                raise DataError(path, one.line, f"document {one.id} is also at {places[one.id]}")
            corpus[one.id] = Document(one.id, one.text, one.title, tag)
            places[one.id] = f"{path}:{one.line}"
    del places
    judged.check(corpus)
    asked: dict[str, Query] = {}
    for tag, topics in judged.topics.items():
        for number, topic in islice(topics.items(), limit):
            identity = f"{number}.{tag}" if queries is None else str(number)
            asked[identity] = Query(identity, topic.text, tag)
    qrels = [j for j in judged.qrels if j.query_id in asked]
    return Collection(f"clef:{folder}", corpus, asked, qrels, CLEF_LICENCE, assumed.notes())


def clef_judgements(
    folder: str | Path,
    queries: str | None = None,
    documents: str | None = None,
    split: str | None = None,
) -> list[Judgement]:
    """The judgements alone; no document is read. Errors as `read_clef`."""
    return _Judged(Path(folder), queries, documents, split, Assumed()).qrels


class _Judged:
    """Topics and judgements of the languages and the campaign."""

    def __init__(
        self,
        folder: Path,
        queries: str | None,
        documents: str | None,
        split: str | None,
        assumed: Assumed,
    ) -> None:
        if split not in (None, *SPLITS):
            raise UsageError(f"clef: has no split {split!r}; it has {', '.join(SPLITS)}")
        self.where: dict[str, str] = {}  # a relevant document → its first judgement
        rows = list(self._rows(folder, documents))
        year = split or "2003"
        relevant = {number for number, _, relevance in rows if relevance > 0}
        self.topics: dict[str, dict[int, Topic]] = {}
        for tag, topics in _topics(folder, queries, assumed).items():
            of_year = {n: t for n, t in topics.items() if year == "all" or t.year == year}
            if not of_year:
                there = sorted({t.year or "other" for t in topics.values()})
                raise UsageError(
                    f"{folder} has no topics of {year} in {tag}; it has {', '.join(there)} "
                    "(--split)"
                )
            self.topics[tag] = {n: t for n, t in of_year.items() if n in relevant}
            if without := len(of_year) - len(self.topics[tag]):
                assumed.said.append(
                    f"{without} topics in {tag} have no relevant document and were left out"
                )
        self.qrels = [
            Judgement(f"{number}.{tag}" if queries is None else str(number), document_id, relevance)
            for number, document_id, relevance in rows
            for tag, topics in self.topics.items()
            if number in topics
        ]

    def _rows(self, folder: Path, documents: str | None) -> Iterator[tuple[int, str, int]]:
        first: dict[tuple[int, str], str] = {}
        for path in _qrels(folder, documents):
            for line, judgement in numbered_qrels(path):
                number = topic_number(judgement.query_id)
                if number is None:
                    reason = f"the topic number {judgement.query_id!r} is not like C141"
                    raise DataError(path, line, reason)
                pair, here = (number, judgement.document_id), f"{path}:{line}"
                if first.setdefault(pair, here) != here:
                    reason = (
                        f"topic {pair[0]} and document {pair[1]} are also judged at {first[pair]}"
                    )
                    raise DataError(path, line, reason)
                if judgement.relevance > 0:
                    self.where.setdefault(judgement.document_id, here)
                yield number, judgement.document_id, judgement.relevance

    def check(self, corpus: dict[str, Document]) -> None:
        """Every relevant document of the topics is there."""
        wanted = {j.document_id for j in self.qrels if j.relevance > 0}
        absent = [i for i in self.where if i in wanted and i not in corpus]
        if absent:
            path, _, line = self.where[absent[0]].rpartition(":")
            raise DataError(
                path, int(line),
                f"document {absent[0]} is judged relevant but not among the documents, as "
                f"{len(absent)} of {len(wanted)} relevant ones; is a newspaper missing?",
            )  # fmt: skip


def _documents(folder: Path, language: str | None) -> Iterator[tuple[str, Path]]:
    """(language, file) of the newspapers, in the order of their names."""
    room = _room(folder, "documents")
    there: dict[str, list[Path]] = {}
    for entry in sorted(room.iterdir()):
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        if (tag := _named(entry.name)) is None:
            raise DataError(entry, None, "its name is not a language; name it like de or german")
        files = [path for path in sorted(entry.rglob("*")) if _is_newspaper(path)]
        there.setdefault(tag, []).extend(files)
    for tag in _chosen(folder, "documents", language, list(there)):
        if not there[tag]:
            raise DataError(room, None, f"no file for {tag}")
        yield from ((tag, path) for path in there[tag])


def _is_newspaper(path: Path) -> bool:
    """Not what lies beside newspapers: a DTD, a README, hidden files."""
    name = path.name.lower()
    if not path.is_file() or name.startswith((".", "readme")) or name.endswith(".dtd"):
        return False
    if name.endswith((".zip", ".tar", ".tgz", ".tar.gz", ".z", ".7z")):
        raise DataError(path, None, "an archive; unpack it (single files may stay .gz)")
    return True


def _topics(folder: Path, language: str | None, assumed: Assumed) -> dict[str, dict[int, Topic]]:
    """Language → number → topic; a language's topics may stand in several files."""
    room = _room(folder, "topics")
    there: dict[str, dict[int, Topic]] = {}
    assumed_in: dict[str, Assumed] = {}
    at: dict[tuple[str, int], str] = {}
    for path in _files(room):
        named = _language_of(path, room)
        # Only a tag with a Latin script says that an old encoding is likely.
        legacy = None if named and usual_script(named) != "Latn" else LEGACY
        doubts = Assumed()
        tagged, topics = read_topics(path, legacy, doubts)
        if tagged and named not in (None, tagged) and CODES.get(_code(path, room)) != tagged:
            reason = f"tags in {tagged} in a file that is named for {named}; rename the file"
            raise DataError(path, None, reason)
        tag = tagged or named
        if tag is None:
            raise DataError(path, None, "no language in its name or tags; name it like de.xml")
        for number, topic in topics.items():
            here = f"{path}:{topic.line}"
            if at.setdefault((tag, number), here) != here:
                reason = f"topic {number} in {tag} is also at {at[tag, number]}"
                raise DataError(path, topic.line, reason)
        there.setdefault(tag, {}).update(topics)
        assumed_in.setdefault(tag, Assumed()).add(doubts)
    chosen = _chosen(folder, "topics", language, list(there))
    for tag in chosen:
        assumed.add(assumed_in[tag])
    return {tag: dict(sorted(there[tag].items())) for tag in chosen}


def _qrels(folder: Path, language: str | None) -> list[Path]:
    room = _room(folder, "qrels")
    there: dict[str, list[Path]] = {}
    for path in _files(room):
        if (tag := _language_of(path, room)) is None:
            raise DataError(path, None, "no language in its name; name it like qrels_german")
        there.setdefault(tag, []).append(path)
    tags = _chosen(folder, "judgements of documents", language, list(there))
    return [path for tag in tags for path in there[tag]]


def _chosen(folder: Path, what: str, language: str | None, there: list[str]) -> list[str]:
    if language is None and there:
        return sorted(there)
    tag = normalise(language) if language else None
    if tag is None or tag not in there:
        raise UsageError(
            f"{folder} has no {what} in {tag or 'any language'}; "
            f"it has {', '.join(sorted(there)) or 'none'}"
        )
    return [tag]


def _room(folder: Path, what: str) -> Path:
    """The folder of documents, topics or judgements, by any of its names."""
    if not folder.is_dir():
        raise DataError(folder, None, "folder not found")
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and entry.name.lower() in ROOMS[what]:
            return entry
    raise DataError(
        folder, None,
        f"no folder {' or '.join(ROOMS[what])} here; a CLEF folder has documents/LANG/, topics/ "
        "and qrels/ ('polyrank collections info clef:FOLDER')",
    )  # fmt: skip


def _files(room: Path) -> list[Path]:
    files = [path for path in sorted(room.rglob("*")) if _is_newspaper(path)]
    if not files:
        raise DataError(room, None, "no file in this folder")
    return files


def _language_of(path: Path, room: Path) -> str | None:
    """The language that the folders or the name of a file tell.

    A folder's name, an English name among the words, the whole name as a tag, or the only word
    that is a code of a language of CLEF.
    """
    parts = path.relative_to(room).parts
    for part in reversed(parts[:-1]):
        if not part.isdigit() and (tag := _named(part)):
            return tag
    stem = parts[-1].removesuffix(".gz").partition(".")[0]
    words = [word.lower() for word in re.findall(r"[A-Za-z]+", parts[-1])]
    names = {NAMES[word] for word in words if word in NAMES}
    codes = (
        names
        or {tag for tag in {_named(stem)} if tag}
        or {word for word in words if word in NAMES.values()}
    )
    if len(codes) > 1:
        shown = ", ".join(sorted(codes))
        raise DataError(path, None, f"its name may mean {shown}; put it into a folder like de/")
    return next(iter(codes), None)


def _code(path: Path, room: Path) -> str:
    """The first word of a file's name, or of its folder, that is one of CLEF's old codes."""
    words = re.findall(r"[a-z]+", str(path.relative_to(room)).lower())
    return next((word for word in words if word in CODES), "")


def _named(name: str) -> str | None:
    """The tag of a language's English name or two-letter code; longer codes are words too."""
    if name.lower() in NAMES:
        return NAMES[name.lower()]
    if not re.fullmatch(r"[A-Za-z]{2}([-_][A-Za-z]{4})?", name):
        return None
    try:
        return normalise(name)
    except LanguageError:
        return None


def _read(selection: Selection) -> Collection:
    folder = selection.name.removeprefix(PREFIX)
    return read_clef(
        folder, selection.queries, selection.documents, selection.split, selection.limit
    )


def _judgements(selection: Selection) -> list[Judgement]:
    folder = selection.name.removeprefix(PREFIX)
    return clef_judgements(folder, selection.queries, selection.documents, selection.split)


def _needs(name: str, pairs: Pairs) -> list[Need]:
    return folder_needs(Path(name.removeprefix(PREFIX)))


def _counts(name: str) -> dict[str, Any] | None:
    return None if _needs(name, ()) else counted(_read(Selection(name)))


CARD = CollectionCard(
    "clef:FOLDER", "CLEF 2000–2003 ad hoc: topics over newspapers of 1994 and 1995", "clef",
    tags("de en es fi fr it nl ru so sv sw"), tags("de en es fi fr it nl ru sv"),
    (60, None), CLEF_LICENCE, CLEF_URL, 0,
    "2003 (topics 141–200); 2000, 2001, 2002 or all by --split", CLEAN,
    "Braschler and Peters 2004, Information Retrieval 7",
    "from its publisher, as a folder with documents/LANG/ (SGML at any depth, plain or .gz), "
    "topics/ (a file per language, such as Top-DE03.txt) and qrels/ (such as qrels_german); "
    "LANG is a tag or an English name",
    "polyrank rerank --collection clef:FOLDER --query-language de --document-language fi "
    "--run first.trec --output reranked.trec",
)  # fmt: skip
SOURCE = Source(
    "clef",
    (CARD.name,),
    (CARD,),
    takes=starts_with(PREFIX),
    read=_read,
    judgements=_judgements,
    needs=_needs,
    counts=_counts,
)
