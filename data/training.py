"""Gathers the training text of the bundled modules from a folder of public data sets.

    python -m polyrank.data.training --source DIR --output DIR

reads the public sets that `data/README.md` lists, in the layout given there, and writes
deterministically

- `pairs.tsv.gz`: `language <tab> text <tab> English`, with `pairs.sources.tsv`: language, name,
  licence, pairs;
- `text/<language>.txt.gz`: one sentence a line, with `<language>.sources.tsv`: name, licence;
- `squad/queries.jsonl.gz`, `squad/passages.jsonl.gz`: SQuAD training questions and passages, and
  `squad/development.*`: those of its development set that XQuAD has not;
- `afriqa.measured.tsv`: the AfriQA questions that are kept for development and not trained on;
- `development.tsv.gz`: `index <tab> language <tab> text`, FLORES sentences, for development.

XQuAD and NTREX are not among the sources: they are the test collections. Of AfriQA, questions of
its `dev` split (of Yoruba, which has none, every second one) are measured on, and neither they nor
any question with the same English translation is trained on.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

Pair = tuple[str, str, str, str]  # language, text, English, source

LANGUAGES = """
    en de es fr it fi ru tr ky kk ug sw so ar fa hi zh vi ha tt uz el ro th am om rw ig yo sn lg ln
    rn xh ti mt ckb kmr sah cv zu bem ak
""".split()  # noqa: SIM905
WITHOUT_TEXT = ("zu", "bem", "ak")  # pairs alone

TATOEBA = {
    "deu": "de",
    "spa": "es",
    "fra": "fr",
    "ita": "it",
    "fin": "fi",
    "rus": "ru",
    "tur": "tr",
    "kaz": "kk",
    "uig": "ug",
    "swh": "sw",
    "ara": "ar",
    "pes": "fa",
    "hin": "hi",
    "cmn": "zh",
    "vie": "vi",
    "tat": "tt",
    "uzb": "uz",
    "amh": "am",
    "xho": "xh",
    "kur": "kmr",
    "ell": "el",
    "ron": "ro",
    "tha": "th",
}
_TICO19 = ("ar", "es", "fa", "fr", "ha", "hi", "om", "ru", "rw", "so", "sw", "zh")
TICO19 = {
    code: code for code in ["ar", "es", "fa", "fr", "ha", "hi", "om", "ru", "rw", "so", "sw", "zh"]
} | {"prs": "fa"}
SEED = {"ita_Latn": "it", "spa_Latn": "es", "prs_Arab": "fa", "crh_Latn": "crh"}
BIBLE = {"de_luther1912": "de", "es_rv1909": "es", "zh_cuv_s": "zh", "sw_nt1850": "sw"}
XED = {code: code for code in ["ar", "de", "es", "fi", "fr", "it", "ru", "tr", "vi"]} | {
    "zh-CN": "zh"
}
_STORYBOOK = ("sw", "zu", "xh", "lg", "am", "rw", "yo", "bem", "om", "ha", "so", "ti")
STORYBOOK = {code: code for code in _STORYBOOK} | {
    "ha-ne": "ha",
    "tw-asan": "ak",
    "tw-akua": "ak",
}
AFRIQA = {
    "bem": "bem",
    "hau": "ha",
    "ibo": "ig",
    "kin": "rw",
    "swa": "sw",
    "twi": "ak",
    "yor": "yo",
    "zul": "zu",
}
FLORES = {
    "eng_Latn": "en",
    "deu_Latn": "de",
    "spa_Latn": "es",
    "fra_Latn": "fr",
    "ita_Latn": "it",
    "fin_Latn": "fi",
    "rus_Cyrl": "ru",
    "tur_Latn": "tr",
    "kir_Cyrl": "ky",
    "kaz_Cyrl": "kk",
    "uig_Arab": "ug",
    "swh_Latn": "sw",
    "som_Latn": "so",
    "arb_Arab": "ar",
    "pes_Arab": "fa",
    "hin_Deva": "hi",
    "zho_Hans": "zh",
    "vie_Latn": "vi",
    "hau_Latn": "ha",
    "gaz_Latn": "om",
    "amh_Ethi": "am",
    "sna_Latn": "sn",
    "lug_Latn": "lg",
    "tat_Cyrl": "tt",
    "xho_Latn": "xh",
    "tir_Ethi": "ti",
    "ell_Grek": "el",
    "ron_Latn": "ro",
    "tha_Thai": "th",
}

# where the lines of the monolingual files come from; licences by source below
SOURCES = {
    "en": "common-voice squad oldi-seed tico19 afriqa-passages hornmt",
    "de": "common-voice xed",
    "it": "common-voice xed oldi-seed",
    "fi": "common-voice xed",
    "ru": "common-voice xed tatoeba-cc0 tico19 xwmt",
    "fr": "common-voice xed tico19",
    "es": "common-voice xed oldi-seed tico19",
    "tr": "common-voice xed xwmt",
    "ar": "common-voice xed tico19",
    "hi": "common-voice tico19 indian-parallel",
    "zh": "common-voice tico19",
    "vi": "common-voice viwiki",
    "th": "common-voice",
    "el": "common-voice xed elwiki",
    "ro": "common-voice xed",
    "sw": "common-voice tico19 globalvoices masakhanews",
    "so": "somali-wikipedia tico19 hornmt masakhanews",
    "ky": "common-voice ud-ktmu xwmt",
    "ug": "common-voice ud-udt",
    "fa": "common-voice tico19 oldi-seed",
    "ha": "common-voice tico19 masakhanews",
    "am": "hornmt masakhanews",
    "om": "tico19 hornmt masakhanews",
    "kk": "common-voice xwmt",
    "tt": "common-voice",
    "uz": "common-voice xwmt",
    "rw": "common-voice",
    "ig": "masakhanews",
    "yo": "masakhanews",
    "sn": "masakhanews",
    "lg": "common-voice masakhanews",
    "ln": "masakhanews",
    "rn": "masakhanews",
    "xh": "masakhanews",
    "ti": "masakhanews",
    "mt": "common-voice",
    "ckb": "common-voice",
    "kmr": "common-voice",
    "sah": "common-voice",
    "cv": "common-voice",
}
LICENCES = {
    "common-voice": "CC0-1.0",
    "squad": "CC-BY-SA-4.0",
    "oldi-seed": "CC-BY-SA-4.0",
    "tico19": "CC0-1.0",
    "hornmt": "CC-BY-4.0",
    "afriqa-passages": "CC-BY-SA-4.0",
    "xed": "CC-BY-4.0",
    "globalvoices": "CC-BY-3.0",
    "somali-wikipedia": "CC-BY-SA-4.0",
    "viwiki": "CC-BY-SA-4.0",
    "ud-ktmu": "CC-BY-SA-4.0",
    "ud-udt": "CC-BY-SA-4.0",
    "xwmt": "MIT",
    "indian-parallel": "CC-BY-SA-3.0",
    "tatoeba-cc0": "CC0-1.0",
    "tatoeba": "CC-BY-2.0-FR",
    "elwiki": "CC-BY-SA-4.0",
    "masakhanews": "AFL-3.0",
    "afriqa-questions": "CC-BY-4.0",
    "african-storybook": "CC-BY-4.0",
    "mintaka": "CC-BY-4.0",
    "bible": "public domain",
}


def rows(path: Path) -> Iterator[list[str]]:
    """The tab-separated fields of every line of a gzipped file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield line.rstrip("\n").split("\t")


def joined(
    source: str, english: Path, other: Path, language: str, column: int = 1
) -> Iterator[Pair]:
    """Pairs of two files that share the identifier in their first column."""
    texts = {row[0]: row[column] for row in rows(english)}
    for row in rows(other):
        if row[0] in texts:
            yield language, row[1], texts[row[0]], source


def parallel(source: Path) -> Iterator[Pair]:
    """Every sentence pair of the sources."""
    root = source / "parallel"
    for code, language in TICO19.items():
        english = root / "tico19/en.tsv.gz"
        yield from joined("tico19", english, root / f"tico19/{code}.tsv.gz", language)
    for code, language in SEED.items():
        folder = root / "oldi_seed"
        english = folder / "eng_Latn.tsv.gz"
        yield from joined("oldi-seed", english, folder / f"{code}.tsv.gz", language, column=2)
    for version, language in BIBLE.items():
        english = root / "bible/en_asv1901.tsv.gz"
        yield from joined("bible", english, root / f"bible/{version}.tsv.gz", language)
    for text, swahili in rows(root / "globalvoices.en-sw.tsv.gz"):
        yield "sw", swahili, text, "globalvoices"
    for text, somali, amharic, oromo in list(rows(root / "hornmt.tsv.gz"))[1:]:
        yield "so", somali, text, "hornmt"
        yield "am", amharic, text, "hornmt"
        yield "om", oromo, text, "hornmt"
    for language in ("kk", "ky", "tr", "uz"):  # the other pairs repeat the sentences of en-ky
        for text, other in rows(root / f"xwmt/en-{language}.tsv.gz"):
            yield language, other, text, "xwmt"
    for code, language in XED.items():
        for text, other in rows(root / f"xed/en-{code}.tsv.gz"):
            yield language, other, text, "xed"
    for code, other, text in rows(root / "tatoeba_laser_v1.tsv.gz"):
        if code in TATOEBA:
            yield TATOEBA[code], other, text, "tatoeba"
    header, *questions = rows(root / "mintaka_dev_questions.tsv.gz")
    for language in ("ar", "de", "es", "fr", "hi", "it"):
        column = header.index(language)
        for row in questions:
            yield language, row[column], row[header.index("en")], "mintaka"
    questions_kept = {normal(row["question"]) for row in measured(source)}
    english_kept = {normal(row["question_pivot"]) for row in measured(source)}
    for row in list(rows(root / "afriqa_questions.tsv.gz"))[1:]:
        kept = normal(row[4]) in questions_kept or normal(row[5]) in english_kept
        if row[0] in AFRIQA and not kept:
            yield AFRIQA[row[0]], row[4], row[5], "afriqa-questions"
    for code, _, other, text in list(rows(root / "african_storybook.tsv.gz"))[1:]:
        if code in STORYBOOK:
            yield STORYBOOK[code], other, text, "african-storybook"
    for _, hindi, text in rows(root / "indian_parallel.hi-en.tsv.gz"):
        yield "hi", hindi, text, "indian-parallel"


def normal(text: str) -> str:
    """Letters and digits only, in lower case: texts that differ otherwise are the same question."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


@cache
def measured(source: Path) -> list[dict[str, str]]:
    """The AfriQA questions that are for development, and not trained on."""
    path = source / "eval/afriqa/queries.traindev.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        questions = [json.loads(line) for line in lines]
    return [row for row in questions if is_measured(row["_id"])]


def is_measured(question: str) -> bool:
    """By the id of an AfriQA question, such as `afriqa-zul-train-242`."""
    _, language, split, number = question.split("-")
    return split == "dev" if language != "yor" else int(number) % 2 == 0


def unique(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Drops empty sides and repeated pairs."""
    seen: set[tuple[str, str, str]] = set()
    for language, text, english, source in pairs:
        clean = (language, " ".join(text.split()), " ".join(english.split()))
        if clean[1] and clean[2] and clean not in seen:
            seen.add(clean)
            yield *clean, source


def sentences(source: Path, language: str) -> Iterator[str]:
    """Monolingual lines; English also gets the passages of the ranking data."""
    if language in WITHOUT_TEXT:
        return
    with gzip.open(source / f"mlm/{language}.txt.gz", "rt", encoding="utf-8") as lines:
        yield from (line.strip() for line in lines if line.strip())
    if language == "en":
        path = source / "rerank/squad_train.passages.jsonl.gz"
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from (" ".join(json.loads(line)["text"].split()) for line in lines)


def development(source: Path) -> Iterator[list[str]]:
    """FLORES sentences, the same index in every language."""
    folder = source / "eval/sib200_flores"
    for code, language in FLORES.items():
        for index, text in rows(folder / f"{code}.tsv.gz"):
            yield [index, language, text]


def write(path: Path, lines: Iterable[str]) -> int:
    """Writes lines as gzip without a time stamp, so that the same input gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with (
        path.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as text,
    ):
        for line in lines:
            text.write(line + "\n")
            count += 1
    return count


def main() -> None:
    """Writes the outputs and prints how many lines each language got."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with the public sets")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    pairs = list(unique(parallel(options.source)))
    for name in ("queries", "passages"):
        for there, here in (("squad_train", ""), ("squad_dev_noxquad", "development.")):
            copied = options.output / f"squad/{here}{name}.jsonl.gz"
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes((options.source / f"rerank/{there}.{name}.jsonl.gz").read_bytes())
    (options.output / "squad/sources.tsv").write_text("SQuAD 1.1 train\tCC-BY-SA-4.0\n")
    write(options.output / "pairs.tsv.gz", ("\t".join(pair[:3]) for pair in pairs))
    by_source = Counter((pair[0], pair[3]) for pair in pairs)
    (options.output / "pairs.sources.tsv").write_text(
        "".join(
            f"{language}\t{name}\t{LICENCES[name]}\t{count}\n"
            for (language, name), count in sorted(by_source.items())
        )
    )
    write(
        options.output / "development.tsv.gz",
        ("\t".join(row) for row in development(options.source)),
    )
    (options.output / "afriqa.measured.tsv").write_text(
        "".join(f"{row['_id']}\n" for row in measured(options.source)), encoding="utf-8"
    )
    counts = Counter(pair[0] for pair in pairs)
    for language in LANGUAGES:
        if language in WITHOUT_TEXT:
            print(f"{language}\tno text of its own\t{counts[language]} in pairs")
            continue
        lines = write(
            options.output / f"text/{language}.txt.gz", sentences(options.source, language)
        )
        (options.output / f"text/{language}.sources.tsv").write_text(
            "".join(f"{name}\t{LICENCES[name]}\n" for name in SOURCES[language].split())
        )
        print(f"{language}\t{lines} sentences\t{counts[language]} in pairs")


if __name__ == "__main__":
    main()
