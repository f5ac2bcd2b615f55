"""A translator whose translations are kept in a file: no text is asked for twice, nor after a
kill."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from polyrank.collections.appended import appended, mended
from polyrank.errors import DataError, UsageError
from polyrank.locks import locked
from polyrank.progress import bar
from polyrank.translation.memory import Entry, Key, entry
from polyrank.translation.translator import Translator, notebook_of, translated

CHUNK = 64  # texts between two writes
Reading: TypeAlias = Callable[[Path, Callable[[str, int], Entry]], list[Entry]]


class Kept:
    """Asks a translator for what the file lacks, and writes it as it comes.

    Args:
        translator: that is asked.
        path: JSON lines of `source`, `target`, `text`, `translation` and `translator`, as
            `memory:FILE` reads them; all of one translator.
        name: of the translator, as the rows have it.

    Raises:
        DataError: a malformed line, or one of another translator; the file is then as it was.
        UsageError: a gzipped file, which cannot be appended to after a kill.
    """

    def __init__(self, translator: Translator, path: str | Path, name: str) -> None:
        self.translator, self.path, self.name = translator, Path(path), name
        self.notebook = notebook_of(translator)
        self._size = -1  # bytes of the file when it was last this one's to write
        if self.path.suffix == ".gz":
            raise UsageError(
                f"{path} is gzipped and cannot be appended to; name a memory in .jsonl"
            )
        self._known = self._read(appended)

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations."""
        if self._lacking(texts, source, target):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path):
                if self._bytes() != self._size:  # others may have written since
                    self._known = self._read(mended)
                self._fill(self._lacking(texts, source, target), source, target)
        return [self._known[source, target, text] for text in texts]

    def _lacking(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        unlike = dict.fromkeys(texts)
        return [text for text in unlike if (source, target, text) not in self._known]

    def _bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _read(self, reading: Reading) -> dict[Key, str]:
        rows = reading(self.path, self._entry) if self.path.exists() else []
        return {row.key: row.translation for row in rows}

    def _entry(self, line: str, number: int) -> Entry:
        """A row of this translator.

        Raises:
            DataError: it is malformed, or another one's.
        """
        row = entry(line, self.path, number)
        if row.translator != self.name:
            whose = f"by '{row.translator}'" if row.translator else "by nobody that is named"
            raise DataError(
                self.path,
                number,
                f"translated {whose}, not by '{self.name}'; give each translator a memory of its "
                f"own, or take this one as it is: --translator memory:{self.path}",
            )
        return row

    def _fill(self, texts: Sequence[str], source: str, target: str) -> None:
        """Ask for texts and append their translations."""
        with bar("translating", len(texts)) as drawn:
            for start in range(0, len(texts), CHUNK):
                chunk = texts[start : start + CHUNK]
                answers = translated(self.translator, chunk, source, target)
                self._append(dict(zip(chunk, answers, strict=True)), source, target)
                drawn.advance(len(chunk))

    def _append(self, answers: dict[str, str], source: str, target: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            for text, answer in answers.items():
                row = {"source": source, "target": target, "text": text, "translation": answer}
                row["translator"] = self.name
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                self._known[source, target, text] = answer
        self._size = self._bytes()
