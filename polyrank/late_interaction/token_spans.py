"""Which characters of a text its token vectors stand for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from polyrank.late_interaction.marked_text import MarkedText, TextRow, padded

Span = tuple[int, int]


def spans_of(
    encoder: MarkedText,
    texts: Sequence[str],
    rows: Sequence[TextRow],
    side: str,
    skipped: Tensor | None,
) -> list[list[Span | None]]:
    """Per text and vector its characters; None for a token that is no text: a marker or a special.

    Args:
        encoder: that made the rows.
        rows: of the texts.
        side: 'query' or 'document'.
        skipped: ids that have no vector.
    """
    rules = encoder.rules
    marker, prefix, length = {
        "query": (rules.query_marker, rules.query_prefix, rules.query_length),
        "document": (rules.document_marker, rules.document_prefix, rules.document_length),
    }[side]
    own = 0 if marker is None else 1
    pad = encoder.tokenizer.pad_token_id or 0
    found = []
    for text, row in zip(texts, rows, strict=True):
        encoding = encoder.tokenizer(
            [prefix + text], truncation=True, max_length=length - own, padding=False
        ).encodings[0]
        spans = [
            None if special else _within(start - len(prefix), end - len(prefix), text)
            for special, (start, end) in zip(
                encoding.special_tokens_mask, encoding.offsets, strict=True
            )
        ]
        spans[1:1] = [None] * own
        spans += [None] * (len(row.ids) - len(spans))  # mask tokens that fill up a query
        device = None if skipped is None else skipped.device
        scored = padded([row], pad, device, skipped)[2][0].tolist()
        found.append([span for span, keep in zip(spans, scored, strict=True) if keep])
    return found


def _within(start: int, end: int, text: str) -> Span | None:
    """A token's characters without the blanks before and after, which some tokenizers count in."""
    start = max(start, 0)
    part = text[start : max(end, 0)]
    stripped = part.strip()
    if not stripped:
        return None
    begin = start + len(part) - len(part.lstrip())
    return begin, begin + len(stripped)
