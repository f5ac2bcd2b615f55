"""A translator whose translations are kept in a file: no text is asked for twice, nor after a
kill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from polyrank.locks import locked
from polyrank.progress import bar
from polyrank.translation.memory import entries
from polyrank.translation.translator import Translator, translated

CHUNK = 64  # texts between two writes


class Kept:
    """Asks a translator for what the file lacks, and writes it as it comes.

    Args:
        translator: that is asked.
        path: JSON lines of `source`, `target`, `text`, `translation`, as `memory:FILE` reads them;
            one file is for one translator.
    """

    def __init__(self, translator: Translator, path: str | Path) -> None:
        self.translator, self.path = translator, Path(path)
        if self.path.is_file():
            _drop_cut_line(self.path)
        self._known = dict(entries(self.path)) if self.path.is_file() else {}

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations."""
        lacking = [text for text in texts if (source, target, text) not in self._known]
        if lacking:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path), bar("translating", len(lacking)) as drawn:
                for start in range(0, len(lacking), CHUNK):
                    chunk = lacking[start : start + CHUNK]
                    self._ask(chunk, source, target)
                    drawn.advance(len(chunk))
        return [self._known[source, target, text] for text in texts]

    def _ask(self, texts: Sequence[str], source: str, target: str) -> None:
        answers = translated(self.translator, texts, source, target)
        with self.path.open("a", encoding="utf-8") as file:
            for text, answer in zip(texts, answers, strict=True):
                row = {"source": source, "target": target, "text": text, "translation": answer}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                self._known[source, target, text] = answer


def _drop_cut_line(path: Path) -> None:
    """Remove a last line that a kill cut."""
    with path.open("rb+") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
