"""README and the pages of docs/, taken apart: blocks of code, sentences, links, headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block; `reason` says why it is not run."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, m.start()) + 1, m["language"], m["text"], m["reason"])
        for m in FENCE.finditer(text)
    ]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each `polyrank` or `make` command in a shell text."""
    lines = text.replace("\\\n", " ").splitlines()
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue  # a line of a text between quotes that spans lines
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]  # variables of this command alone
        if words[:3] == ["torchrun", "--no-python", "--nproc-per-node"]:
            words = words[4:]
        if words and words[0] in ("polyrank", "make"):
            yield words


def inline_commands(page: Path) -> Iterator[list[str]]:
    """The same of what stands between backticks in the text."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for code in re.findall(r"`((?:polyrank|make) [^`]+)`", prose):
        yield from commands(code)


def sentences(page: Path) -> Iterator[str]:
    """Sentences of prose: not of code, tables, comments or pictures; a code span is one word."""
    text = FENCE.sub("\n\n", page.read_text(encoding="utf-8"))
    text = re.sub(r"<!--.*?-->|!\[[^]]*\]\([^)]*\)", "", text, flags=re.DOTALL)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "CODE", text)
    for paragraph in re.split(r"\n\s*\n|\n(?=- )", text):
        if paragraph.lstrip().startswith(("|", "#")):
            continue
        words = " ".join(paragraph.split()).removeprefix("- ")
        yield from filter(None, re.split(r"(?<=[.!?])\s+(?=[A-Z*0-9])", words))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Each link to a file of ours: the file, and the anchor or nothing."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|mailto:", target):
            name, _, anchor = target.partition("#")
            yield ((page.parent / name).resolve() if name else page), anchor


def anchors(page: Path) -> set[str]:
    """What MkDocs makes of the headings of a page."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", plain))
    return found
