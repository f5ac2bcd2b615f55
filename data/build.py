"""Builds what is bundled from a folder of open data (its layout: `README.md` here).

python -m polyrank.data.build collections --source DIR --output data
python -m polyrank.data.build lid-text --source DIR --output text
python -m polyrank.data.build lid --source DIR --output adapters_zoo/lid
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from polyrank.collections.files import open_text, writing
from polyrank.languages.tags import normalise

XQUAD = ("de", "en", "es", "ru", "tr", "zh")
NTREX = (
    "eng deu fin rus tur zho-CN zho-TW swa kir uig spa fra por pol swe ell ron ukr ind jpn kor tha",
    "aze-Latn tuk bak tgk-Cyrl prs pus urd ben amh orm kin zul wol ibo bem sna-Latn",
)
FLORES = (
    "eng deu spa fin rus tur zho swh kir uig",  # a language module is bundled
    "arb bem ces crh fon hau hin ita kaz lug nld pes sna som tam tat tir twi uzn vie xho yor",
    # these have no other bundled documents
)
UNSPACED = {"zh", "zh-Hant", "ja", "th"}  # sentences are joined without a space


def build_collections(source: Path, output: Path) -> None:
    """Write every bundled collection: texts per language and judgements, all deterministic."""
    _xquad(source / "xquad", output / "xquad")
    _ntrex(source / "ntrex", output / "ntrex")
    _flores(source / "eval" / "sib200_flores", output / "flores")
    _afriqa(source / "eval" / "afriqa", output / "afriqa")


def _xquad(source: Path, output: Path) -> None:
    for tag in XQUAD:
        rows = map(json.loads, open_text(source / f"corpus.{tag}.jsonl.gz"))
        documents = [{"_id": r["_id"], "text": _tidy(r["text"])} for r in rows]
        _write(output / f"corpus.{tag}.jsonl.gz", documents)
        rows = map(json.loads, open_text(source / f"queries.{tag}.jsonl.gz"))
        queries = [{"_id": r["_id"], "text": _tidy(r["text"])} for r in rows]
        _write(output / f"queries.{tag}.jsonl.gz", queries)
    with writing(output / "qrels.tsv") as file:
        for line in open_text(source / "qrels.tsv"):
            file.write(f"{line}\n")


def _ntrex(source: Path, output: Path) -> None:
    """Sentence 0 of a news article is its headline, the query; the rest is the document."""
    ids: list[str] = []
    for code in " ".join(NTREX).split():
        tag = normalise(code)
        rows = (line.split("\t") for line in open_text(source / f"{code}.tsv.gz"))
        articles = {i: [r[2] for r in part] for i, part in groupby(rows, key=itemgetter(0))}
        joint = "" if tag in UNSPACED else " "
        queries = [{"_id": i, "text": s[0]} for i, s in articles.items()]
        documents = [{"_id": i, "text": joint.join(s[1:])} for i, s in articles.items()]
        _write(output / f"queries.{tag}.jsonl.gz", queries)
        _write(output / f"corpus.{tag}.jsonl.gz", documents)
        ids = list(articles)
    with writing(output / "qrels.tsv") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for identity in ids:
            file.write(f"{identity}\t{identity}\t1\n")


def _flores(source: Path, output: Path) -> None:
    """Sentences under `fl` and their index, and split and topic of each."""
    for code in " ".join(FLORES).split():
        (path,) = source.glob(f"{code}_*.tsv.gz")
        rows = (line.split("\t") for line in open_text(path))
        tag = normalise(path.name.removesuffix(".tsv.gz"))
        _write(output / f"corpus.{tag}.jsonl.gz", ({"_id": f"fl{i}", "text": t} for i, t in rows))
    with writing(output / "topics.tsv") as file:
        file.write("id\tsplit\ttopic\n")
        for line in list(open_text(source / "index.tsv"))[1:]:
            file.write(f"fl{line}\n")


def _afriqa(source: Path, output: Path) -> None:
    """Questions per language, their human translations, both pools of passages."""
    for tag in ("en", "fr"):
        rows = map(json.loads, open_text(source / f"passages.{tag}.jsonl.gz"))
        passages = [{"_id": r["_id"], "title": r["title"], "text": r["text"]} for r in rows]
        _write(output / f"corpus.{tag}.jsonl.gz", passages)
    by_language: dict[str, list[dict[str, str]]] = {}
    rows = map(json.loads, open_text(source / "queries.traindev.jsonl.gz"))
    with writing(output / "qrels.tsv") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for row in rows:
            for tag, field in ((row["lang"], "question"), (row["pivot"], "question_pivot")):
                asked = {"_id": row["_id"], "text": row[field]}
                by_language.setdefault(normalise(tag), []).append(asked)
            file.write(f"{row['_id']}\t{row['passage_id']}\t1\n")
    for tag, queries in by_language.items():
        _write(output / f"queries.{tag}.jsonl.gz", queries)


def _tidy(text: str) -> str:
    """Without the byte-order marks that some XQuAD passages start with."""
    return text.replace("\ufeff", "").strip()


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with writing(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_lid_text(source: Path, output: Path) -> None:
    """Write the identifier's training lines, `{language}.txt.gz`."""
    from polyrank.data.lid_text import training_text

    for language, lines in training_text(source).items():
        with writing(output / f"{language}.txt.gz") as file:
            file.writelines(f"{line}\n" for line in lines)


def build_lid(source: Path, output: Path) -> None:
    """Train the identifier, measure it beside its peer, and write `lid.ftz` and its card."""
    from polyrank.data.lid_card import build

    build(source, output)


COMMANDS = {"collections": build_collections, "lid-text": write_lid_text, "lid": build_lid}


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    COMMANDS[options.what](options.source, options.output)


if __name__ == "__main__":
    main()
