"""Rows of JSON lines in another language: training data, queries, documents, with marked spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from polyrank.errors import UsageError
from polyrank.translation.marked import Failure, Marked, Span, translate_marked
from polyrank.translation.translator import Translator

Row = Mapping[str, Any]
FIELDS = ("title", "text")
CHUNK = 64  # rows that are held at a time


@dataclass(frozen=True)
class Failed:
    """A row that is left out, for a human to mend."""

    row: Row
    failure: Failure

    def record(self) -> dict[str, Any]:
        """The row, with what the translator gave and what is wrong with it."""
        return {**self.row, "given": self.failure.given, "reason": self.failure.reason}


@dataclass(frozen=True)
class RowTranslation:
    """How rows are translated.

    Attributes:
        translator: see `polyrank.translation.translator`.
        source, target: languages.
        fields: texts, or lists of texts, that are translated; a row may lack some, but not all.
        marked: the one of them that a row's `spans` are in: pairs of characters, the first and the
            one after the last.
        back: whether the translation is translated back, and that is what is kept.
    """

    translator: Translator
    source: str
    target: str
    fields: tuple[str, ...] = FIELDS
    marked: str = "text"
    back: bool = False

    def __call__(self, rows: Iterable[Row]) -> Iterator[dict[str, Any] | Failed]:
        """Each row translated, in order, or why it failed."""
        waiting = iter(rows)
        while chunk := list(islice(waiting, CHUNK)):
            yield from self._chunk(chunk)

    def check(self, row: Row) -> None:
        """Refuse a row that cannot be translated as it is asked for.

        Raises:
            UsageError: none of the fields, one that is no text or list of texts, or spans that are
                no pairs of numbers, or are in a field that is not translated.
        """
        own = [field for field in self.fields if field in row]
        if not own:
            wanted = " or ".join(f"'{field}'" for field in self.fields)
            raise UsageError(
                f"row {_name(row)} has no field {wanted}; it has {', '.join(sorted(row))}"
            )
        if _spans(row) and self.marked not in own:
            raise UsageError(
                f"the spans of row {_name(row)} are in '{self.marked}', which it lacks or which is "
                "not translated; they would be those of the old text. Name the field that they "
                "are in with --marked, and translate it with --field"
            )
        for field in own:
            _items(row, field, self.marked)

    def _chunk(self, rows: Sequence[Row]) -> list[dict[str, Any] | Failed]:
        for row in rows:
            self.check(row)
        items = [(i, field) for i, row in enumerate(rows) for field in self.fields if field in row]
        texts = [_items(rows[i], field, self.marked) for i, field in items]
        found = iter(self._translated([text for own in texts for text in own]))
        ended = {"language": self.source if self.back else self.target}
        made: list[dict[str, Any] | Failed] = [{**row, **ended} for row in rows]
        for (i, field), own in zip(items, texts, strict=True):
            results = [next(found) for _ in own]
            new = made[i]
            if isinstance(new, Failed):
                continue
            failures = [result for result in results if isinstance(result, Failure)]
            if failures:
                made[i] = Failed(rows[i], failures[0])
                continue
            whole = [result for result in results if isinstance(result, Marked)]
            new[field] = [w.text for w in whole] if isinstance(new[field], list) else whole[0].text
            if field == self.marked and "spans" in new:
                new["spans"] = [list(span) for span in whole[0].spans]
        return made

    def _translated(self, items: Sequence[Marked]) -> list[Marked | Failure]:
        there = translate_marked(self.translator, items, self.source, self.target)
        if not self.back:
            return there
        whole = [one for one in there if isinstance(one, Marked)]
        again = iter(translate_marked(self.translator, whole, self.target, self.source))
        return [next(again) if isinstance(one, Marked) else one for one in there]


def _items(row: Row, field: str, marked: str) -> list[Marked]:
    """The texts of a field, with a row's spans where it is the marked one.

    Raises:
        UsageError: a field that is no text or list of texts, or spans that are no pairs of numbers.
    """
    value = row[field]
    texts = value if isinstance(value, list) and field != marked else [value]
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"the field '{field}' of row {_name(row)} is {value!r}, not a text")
    if field != marked:
        return [Marked(text) for text in texts]
    return [Marked(value, _spans(row))]


def _spans(row: Row) -> tuple[Span, ...]:
    """A row's spans; none where it has no such field.

    Raises:
        UsageError: no pairs of numbers.
    """
    spans = row.get("spans", [])
    if not isinstance(spans, list | tuple) or not all(map(_is_span, spans)):
        raise UsageError(
            f"the spans of row {_name(row)} are {spans!r}; give pairs of characters, [[0, 4], …]"
        )
    return tuple((start, end) for start, end in spans)


def _is_span(value: Any) -> bool:
    pair = isinstance(value, list | tuple) and len(value) == 2
    return pair and all(type(place) is int for place in value)


def _name(row: Row) -> str:
    return repr(row.get("_id", row.get("id", dict(row))))[:80]
