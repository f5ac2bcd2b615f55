"""TREC files: runs `qid Q0 docid rank score tag` and qrels `qid 0 docid relevance`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from polyrank.collections import jsonl
from polyrank.collections.files import holds_json_lines, numbered_lines, writing
from polyrank.collections.records import Judgement, Run, ScoredDocument, as_run, ranked
from polyrank.collections.run_lines import TREC, line_format
from polyrank.errors import DataError, UsageError

_WORDS = re.compile(r"[^ \t\r\n\v\f]+").findall
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")


def read_run(path: str | Path) -> Run:
    """A whole run, ranked by score with ties by document id; the file's rank column is ignored.

    `.jsonl` and `.jsonl.gz` are read as JSONL, anything else as TREC.

    Raises:
        DataError: for a malformed line, a score that is not a finite number, or a (query, document)
            pair that occurs twice.
    """
    return as_run(unique(numbered_run(path), path))


def iter_run(path: str | Path) -> Iterator[ScoredDocument]:
    """A run line by line in the file's order, holding nothing; repeated pairs are not detected.

    Raises:
        DataError: as `read_run`, when the line is reached.
    """
    return (hit for _, hit in numbered_run(path))


def write_run(
    run: Run | Iterable[ScoredDocument],
    path: str | Path,
    tag: str = "polyrank",
    details: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> None:
    """Write a run, complete or not at all; JSONL by suffix, else TREC, gzip by `.gz`.

    Ranks count from 1, scores have nine digits (fp32 survives), ties are broken by document id.

    Args:
        details: query id → document id → further fields of JSON lines.

    Raises:
        UsageError: for an id that TREC cannot hold (whitespace or empty), a score that is not
            finite, or a pair that occurs twice.
    """
    grouped = run if isinstance(run, dict) else as_run(run)
    layout = line_format(path)
    if layout is TREC:
        check_words(tag)
    with writing(path) as file:
        for query_id, hits in grouped.items():
            seen: set[str] = set()
            for rank, hit in enumerate(ranked(hits), start=1):
                if not math.isfinite(hit.score):
                    raise UsageError(f"{query_id} {hit.document_id}: the score is {hit.score}")
                if hit.document_id in seen:
                    raise UsageError(f"{query_id} {hit.document_id}: the pair occurs twice")
                seen.add(hit.document_id)
                if layout is TREC:
                    check_words(hit.query_id, hit.document_id)
                said = (details or {}).get(query_id, {}).get(hit.document_id)
                file.write(layout.write(hit, rank, tag, said))


def read_qrels(path: str | Path) -> list[Judgement]:
    """TREC qrels (four columns) or a BEIR table (three columns under a header); lines that begin
    with '#' are comments.

    Raises:
        DataError: for a malformed line, or a pair that is judged twice.
    """
    return list(iter_qrels(path))


def iter_qrels(path: str | Path) -> Iterator[Judgement]:
    """`read_qrels` line by line; repeated pairs are found all the same."""
    return (judgement for _, judgement in numbered_qrels(path))


def numbered_qrels(path: str | Path) -> Iterator[tuple[int, Judgement]]:
    """(line number, judgement); see `iter_qrels`."""
    first: dict[tuple[str, str], int] = {}
    for number, line in numbered_lines(path):
        tabbed = line.split("\t")
        if number == 1 and tabbed[0].strip() in ("query-id", "query_id", "qid"):
            continue
        fields = _fields(line, path, number)
        if fields[0].startswith("#") and not (len(fields) == 4 and _INTEGER.fullmatch(fields[3])):
            continue  # a comment
        judgement = _judgement(tabbed, fields, path, number)
        pair = judgement.query_id, judgement.document_id
        if pair in first:
            reason = f"query {pair[0]} and document {pair[1]} are judged on line {first[pair]} too"
            raise DataError(path, number, reason)
        first[pair] = number
        yield number, judgement
    if not first:
        raise DataError(path, None, "a header without judgements")


def _judgement(tabbed: list[str], fields: list[str], path: str | Path, number: int) -> Judgement:
    """Three tab-separated cells are BEIR's; four words are TREC's."""
    if len(tabbed) == 3:
        query_id, document_id, value = (cell.strip() for cell in tabbed)
    elif len(fields) == 4:
        query_id, _, document_id, value = fields
    else:
        reason = (
            f"{len(fields)} fields; qrels have 4 (qid 0 docid relevance) "
            "or 3 between tabs (query-id corpus-id score)"
        )
        raise DataError(path, number, reason)
    if not query_id or not document_id:
        raise DataError(path, number, "an empty id")
    if not _INTEGER.fullmatch(value):  # int() would take 1_0 and the digits of every script
        raise DataError(path, number, f"the relevance {value!r} is not an integer")
    return Judgement(query_id, document_id, int(value))


def numbered_run(path: str | Path) -> Iterator[tuple[int, ScoredDocument]]:
    """(line number, scored document) in the file's order; see `iter_run`."""
    parse: Callable[[str, str | Path, int], ScoredDocument]
    parse = jsonl.parse_scored if holds_json_lines(path) else _parse_trec
    return ((number, parse(line, path, number)) for number, line in numbered_lines(path))


def unique(
    numbered: Iterable[tuple[int, ScoredDocument]], path: str | Path
) -> Iterator[ScoredDocument]:
    """The scored documents; a pair that occurs twice raises DataError with both lines."""
    first: dict[tuple[str, str], int] = {}
    for number, hit in numbered:
        line = first.setdefault((hit.query_id, hit.document_id), number)
        if line != number:
            reason = f"query {hit.query_id} has document {hit.document_id} on line {line} too"
            raise DataError(path, number, reason)
        yield hit


def _fields(line: str, path: str | Path, number: int) -> list[str]:
    """The words between blanks and tabs; other white space, such as U+00A0, belongs to an id."""
    for character, name in (("\0", "a NUL byte"), ("\ufeff", "a byte-order mark")):
        if character in line:
            reason = f"{name} inside the file, as in concatenated or damaged files; remove it"
            raise DataError(path, number, reason)
    if "\r" in line.rstrip("\r\n"):
        reason = "several fields of lines that end as on old Macs; save the file with line feeds"
        raise DataError(path, number, reason)
    return _WORDS(line)


def _parse_trec(line: str, path: str | Path, number: int) -> ScoredDocument:
    fields = _fields(line, path, number)
    if len(fields) != 6 and not _is_tagged_in_words(fields):
        reason = f"{len(fields)} fields; a TREC run has 6 (qid Q0 docid rank score tag)"
        if len(fields) > 6:
            reason += "; ids with spaces need a JSONL run"
        raise DataError(path, number, reason)
    return ScoredDocument(fields[0], fields[2], jsonl.finite(fields[4], path, number))


def _is_tagged_in_words(fields: list[str]) -> bool:
    """Whether more than six words are those of a run whose tag has spaces, as some tools write. Two
    lines that were glued together have their second word twice, and are not."""
    usual = len(fields) > 6 and _INTEGER.fullmatch(fields[3]) is not None and _is_number(fields[4])
    return usual and fields[1] not in fields[5:]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def check_words(*words: str) -> None:
    """Refuse ids, or a tag, that a TREC run cannot hold.

    Raises:
        UsageError: one that is empty or has whitespace.
    """
    for word in words:
        if not word or any(map(str.isspace, word)):
            raise UsageError(
                f"{word!r} is empty or has whitespace, which a TREC run cannot hold; "
                "write JSON lines instead, with --output NAME.jsonl or --json"
            )
