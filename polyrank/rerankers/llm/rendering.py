"""From a prompt, a query and documents to token ids.

What comes from outside, queries and documents, can never end its own block:

- control tokens of the tokenizer and the prompt's own tags are broken up by a space after their
  first character, also where Unicode normalisation would make them;
- names of documents in square brackets get round ones;
- line breaks become spaces, where the prompt's blocks end with a line (`lines: join`);
- after all that the control tokens of the finished prompt are counted, and must be as many as with
  empty texts.

An instruction in a document ("ignore the above") stays as it is: it is text to judge.

Documents are cut by tokens to `document_tokens`, and further, all to one length, until the prompt
and its answer fit. What stands after a document is never cut. A query is cut to half of the room.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from polyrank.collections.records import Document, Query
from polyrank.errors import PolyrankError, UsageError
from polyrank.rerankers.llm.engines.base import Token
from polyrank.rerankers.llm.prompt import Prompt

Ids = tuple[int, ...]

_TAG = re.compile(r"</?[A-Za-z][\w-]*>")
_FIELD = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Rendered:
    """A prompt as token ids and as text, and how many of its texts were cut."""

    ids: Ids
    text: str = ""
    cut: int = 0


class Renderer:
    """Renders one prompt for one tokenizer.

    Args:
        context: tokens of prompt and answer together.
        document_tokens: of a document that are read; else what the prompt says.
        encoder_decoder: whether answers start in a decoder of their own.
    """

    def __init__(
        self,
        prompt: Prompt,
        tokenizer: Any,
        context: int,
        document_tokens: int | None = None,
        encoder_decoder: bool = False,
    ) -> None:
        self.prompt, self.tokenizer, self.context = prompt, tokenizer, context
        self.document_tokens = document_tokens or prompt.document_tokens
        self.encoder_decoder = encoder_decoder
        self._controls = _controls(tokenizer)
        self._markers = marker_pattern([*self._controls, *_tags(prompt)])
        unknown = (
            tokenizer.unk_token_id
        )  # what cannot be said is not a control token, even if it is
        self._control_ids = frozenset(tokenizer.convert_tokens_to_ids(self._controls)) - {unknown}
        self._empty_controls = lru_cache(maxsize=512)(self._count_empty)

    def render(
        self,
        query: Query,
        documents: Sequence[Document],
        names: Sequence[str] = (),
        scores: Sequence[str] = (),
        answer_tokens: int = 1,
        top: int = 1,
    ) -> Rendered:
        """Token ids of the prompt for a query and some documents.

        Args:
            names: of the documents, where the prompt names them.
            scores: to show, where the prompt shows scores.
            answer_tokens: what to leave free for the answer.

        Raises:
            UsageError: the prompt is too long without any document.
        """
        room = self.context - answer_tokens
        question, cut_query = self._cut(self.safe(query.text), max(1, room // 2))
        texts = [self.safe(document.full_text) for document in documents]
        cuts = [self._cut(text, self.document_tokens) for text in texts]
        lengths = [self._length(text) for text, _ in cuts]
        budget = self.document_tokens
        fields = around(self.prompt, query, documents, question, names, top)
        for _ in range(16):
            shown = [self._cut(text, budget)[0] for text in texts]
            text = self._written(fields, documents, shown, names, scores)
            ids = self._ids(text, self.prompt.special)
            over = len(ids) - room
            if over <= 0:
                self._count(ids, len(documents), names, scores)
                short = sum(length > budget for length in lengths)
                return Rendered(ids, text, int(cut_query) + max(short, sum(c for _, c in cuts)))
            if budget == 0:
                break
            budget = _fair(lengths, sum(min(n, budget) for n in lengths) - over, budget)
        raise UsageError(
            f"query '{query.id}': the prompt '{self.prompt.name}' takes {len(ids)} tokens without "
            f"text of its {len(documents)} documents, but there is room for {room}; take a smaller "
            "window, fewer tokens of answer, or a shorter query"
        )

    def tokens(self, labels: Sequence[str], names: Sequence[str] = ()) -> tuple[Token, ...]:
        """The single tokens that say these labels right after the prompt.

        Raises:
            UsageError: a label that is several tokens here, unknown, or the same token as another.
        """
        found: dict[str, int] = {}
        for label in labels:
            ids = self._after(label, names)
            if ids is None or len(ids) != 1:
                split = self._ids(label, False)
                shown = " ".join(repr(t) for t in self.tokenizer.convert_ids_to_tokens(split))
                raise UsageError(
                    f"the label {label!r} is not a single token for this tokenizer ({shown}), so "
                    f"its logit cannot be read.\nUse other labels in the prompt "
                    f"'{self.prompt.name}' (single letters and 0 to 9 are one token mostly), or "
                    "a scorer that generates."
                )
            (token,) = ids
            if token == self.tokenizer.unk_token_id:
                raise UsageError(
                    f"the label {label!r} is unknown to this tokenizer; use another one in the "
                    f"prompt '{self.prompt.name}'"
                )
            if token in found.values():
                raise UsageError(f"the label {label!r} is the same token as another label")
            found[label] = token
        return tuple(Token(label, token) for label, token in found.items())

    def text(self, query: Query, document: Document) -> str:
        """The whole text of a prompt about one document, neither guarded nor cut, with the first
        token of the tokenizer where the prompt has it."""
        fields = around(self.prompt, query, [document], query.text, (), 1)
        messages = filled(self.prompt, fields, [document], [document.full_text], (), ())
        first = (self.tokenizer.bos_token or "") if self.prompt.special else ""
        return first + self._framed(messages, ())

    def answer(self, text: str, names: Sequence[str] = ()) -> Ids:
        """The tokens that say a text right after the prompt, without an end.

        Args:
            text: what comes after the beginning that the prompt gives an answer.
            names: of the documents in the prompt.
        """
        ids = self._after(text, names)
        return self._ids(text, False) if ids is None else ids

    def safe(self, text: str) -> str:
        """A text from outside, with nothing in it that could end its block."""
        return guarded(text, self.prompt, self._markers)

    def _written(
        self,
        fields: Mapping[str, str],
        documents: Sequence[Document],
        texts: Sequence[str],
        names: Sequence[str],
        scores: Sequence[str],
    ) -> str:
        messages = filled(self.prompt, fields, documents, texts, names, scores)
        return self._framed(messages, names)

    def _framed(self, messages: list[dict[str, str]], names: Sequence[str]) -> str:
        """The turns in the model's own template, and the beginning of the answer."""
        answer = self.prompt.answer.format(
            first=names[0] if names else "", last=names[-1] if names else ""
        )
        if self.prompt.frame == "plain" or not self.tokenizer.chat_template:
            return "\n\n".join(message["content"] for message in messages) + answer
        return self._templated(messages) + answer

    def _templated(self, messages: list[dict[str, str]]) -> str:
        from jinja2.exceptions import TemplateError

        options = {} if self.prompt.thinking else {"enable_thinking": False}

        def apply(turns: list[dict[str, str]]) -> str:
            return str(
                self.tokenizer.apply_chat_template(
                    turns, tokenize=False, add_generation_prompt=True, **options
                )
            )

        try:
            return apply(messages)
        except TemplateError:
            if len(messages) != 2 or messages[0]["role"] != "system":
                raise
        # A model without a system turn gets it at the head of the user's.
        system, user = messages
        return apply([{**user, "content": f"{system['content']}\n\n{user['content']}"}])

    def _ids(self, text: str, special: bool) -> Ids:
        return tuple(self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])

    def _tail_text(self, names: Sequence[str]) -> str:
        """The prompt with empty texts, whose end is that of every prompt."""
        documents = [Document("", "")] * max(1, len(names))
        fields = around(self.prompt, Query("", ""), documents, "", names, 1)
        shown = [""] * len(documents)
        return self._framed(filled(self.prompt, fields, documents, shown, names, ()), names)

    def _after(self, text: str, names: Sequence[str]) -> Ids | None:
        """What a text adds to the tokens of the prompt's end; None where it changes them."""
        tail = "" if self.encoder_decoder else self._tail_text(names)
        before, ids = self._ids(tail, False), self._ids(tail + text, False)
        return ids[len(before) :] if ids[: len(before)] == before else None

    def _length(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _cut(self, text: str, tokens: int) -> tuple[str, bool]:
        """The first tokens of a text, and whether that is less than all of it."""
        if tokens <= 0:
            return "", bool(text)
        if len(text.encode()) <= tokens:  # no tokenizer makes more tokens than bytes
            return text, False
        encoding = self.tokenizer(
            text, add_special_tokens=False, truncation=True, max_length=tokens, verbose=False
        ).encodings[0]
        if not encoding.overflowing:
            return text, False
        return text[: encoding.offsets[-1][1]], True

    def _count(self, ids: Ids, count: int, names: Sequence[str], scores: Sequence[str]) -> None:
        """The control tokens of a prompt are those of the prompt with empty texts.

        Raises:
            PolyrankError: a text made one: a fault of `safe` for this tokenizer.
        """
        found = sum(token in self._control_ids for token in ids)
        if found != self._empty_controls(count, tuple(names)):
            raise PolyrankError(
                f"a text would end its own block in the prompt '{self.prompt.name}': this "
                "tokenizer makes a control token of it.\nPlease report the tokenizer."
            )

    def _count_empty(self, count: int, names: tuple[str, ...]) -> int:
        documents = [Document("", "")] * count
        fields = around(self.prompt, Query("", ""), documents, "", names, 1)
        text = self._written(fields, documents, [""] * count, names, ())
        ids = self._ids(text, self.prompt.special)
        return sum(token in self._control_ids for token in ids)


def around(
    prompt: Prompt,
    query: Query,
    documents: Sequence[Document],
    question: str,
    names: Sequence[str],
    top: int,
) -> dict[str, str]:
    """The fields of a prompt outside its documents."""
    languages = {document.language for document in documents}
    return {
        "query": question,
        "query_language": language_name(query.language),
        "document_language": language_name(languages.pop() if len(languages) == 1 else None),
        "instruction": prompt.instruction,
        "count": str(len(documents)),
        "first": names[0] if names else "",
        "last": names[-1] if names else "",
        "top": str(top),
    }


def filled(
    prompt: Prompt,
    fields: Mapping[str, str],
    documents: Sequence[Document],
    texts: Sequence[str],
    names: Sequence[str],
    scores: Sequence[str],
) -> list[dict[str, str]]:
    """The turns of a prompt: role and content."""
    blocks = [
        prompt.document.format(
            **fields,
            id=names[place] if names else "",
            text=text,
            language=language_name(document.language),
            score=scores[place] if scores else "",
        )
        for place, (document, text) in enumerate(zip(documents, texts, strict=True))
    ]
    system = {"role": "system", "content": prompt.system.format(**fields)}
    first = [system] if prompt.system else []
    if prompt.frame == "roles":
        query = {"role": "query", "content": fields["query"]}
        return [*first, query, {"role": "document", "content": "".join(blocks)}]
    user = prompt.prefix.format(**fields) + "".join(blocks) + prompt.suffix.format(**fields)
    return [*first, {"role": "user", "content": user}]


def turns(
    prompt: Prompt,
    query: Query,
    documents: Sequence[Document],
    names: Sequence[str] = (),
    scores: Sequence[str] = (),
    top: int = 10,
) -> list[dict[str, str]]:
    """The turns of a prompt without any tokenizer, for people to look at."""
    safe = partial(guarded, prompt=prompt, markers=marker_pattern(_tags(prompt)))
    fields = around(prompt, query, documents, safe(query.text), names, top)
    texts = [safe(document.full_text) for document in documents]
    found = filled(prompt, fields, documents, texts, names, scores)
    if prompt.answer:
        found.append({"role": "assistant", "content": prompt.answer})
    return found


def guarded(text: str, prompt: Prompt, markers: re.Pattern[str]) -> str:
    """A text from outside, with nothing in it that could end its block in the prompt."""
    if prompt.lines == "join":
        text = " ".join(text.split())
    for _ in range(4):  # breaking one marker up may, with odd tokenizers, complete another
        plain = _skeleton(text)
        if markers.search(plain) and not markers.search(text):
            text = plain
        broken = markers.sub(lambda match: f"{match.group()[0]} {match.group()[1:]}", text)
        if broken == text:
            break
        text = broken
    if prompt.identifiers:
        text = re.sub(r"\[\s*(\w{1,3})\s*\]", r"(\1)", text)
    return text


def _fair(lengths: Sequence[int], room: int, budget: int) -> int:
    """The greatest length b < budget with Σ min(length, b) ≤ room; 0 where there is none."""
    low, high = 0, max(0, budget - 1)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(n, middle) for n in lengths) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _controls(tokenizer: Any) -> list[str]:
    """Tokens of the tokenizer that are more than text: special ones, and added ones like tags.

    Blanks and single characters that were added are text: nothing could break them up.
    """
    special = set(tokenizer.all_special_tokens)
    return [
        token
        for token in tokenizer.get_added_vocab()
        if len(token.strip()) > 1 and (token in special or not token.strip().isalnum())
    ]


def _tags(prompt: Prompt) -> set[str]:
    """Tags like <document> that the prompt itself, or its answers, are built of."""
    parts = (prompt.system, prompt.prefix, prompt.document, prompt.suffix, prompt.answer,
             prompt.output.replace("\\", ""))  # fmt: skip
    return {tag for part in parts for tag in _TAG.findall(_FIELD.sub("", part))}


def marker_pattern(markers: Iterable[str]) -> re.Pattern[str]:
    """Any of the markers, in small and large letters."""
    longest_first = sorted(set(markers), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)", re.IGNORECASE)


def _skeleton(text: str) -> str:
    """The text as a tokenizer's normalisation may read it: compatible forms, nothing invisible."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Cc") or c == "\n")


@lru_cache(maxsize=512)
def language_name(tag: str | None) -> str:
    """A language's name in English."""
    if tag is None:
        return "an unnamed language"
    from langcodes import Language

    return str(Language.get(tag).display_name())
