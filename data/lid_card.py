"""Trains the bundled language identifier, measures it beside lid.176, and writes its card."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from statistics import mean

from polyrank.data.lid_text import training_text

from polyrank.collections.files import open_text, writing
from polyrank.errors import LanguageError
from polyrank.languages.identification import (
    IdentifierRecipe,
    accuracy,
    confusions,
    train_identifier,
)
from polyrank.languages.tags import identify, normalise

Lines = dict[str, list[str]]
Predict = Callable[[str], "str | None"]

RECIPE = IdentifierRecipe()
HELD_OUT = 100  # lines of a language for the test, and as many to choose settings on
# Wikipedia's own codes in lid.176: its `als` is Alemannic, which ISO calls gsw.
PEER_CODES = {"als": "gsw", "no": "nb", "bh": "bho", "eml": "egl"}


def build(source: Path, output: Path, recipe: IdentifierRecipe = RECIPE) -> None:
    """Train on `source`, write `lid.ftz`, `measured.json` and `README.md` into `output`."""
    train, _, test = split(training_text(source))
    model = output / "lid.ftz"
    seen = train_identifier(train, model, recipe)
    ours = cache(partial(_named, model))  # asked twice: for accuracy and for confusions
    peer = peer_predictor(source / "lid" / "lid.176.ftz")
    labels = sorted(seen)
    known = {tag.split("-")[0] for tag in labels} & _peer_languages(source)
    sets = {"held-out": test, "NTREX": ntrex(source), "SIB-200": sib(source)}
    measured = {name: measure(ours, peer, lines, known) for name, lines in sets.items()}
    for name, part in measured.items():
        print(name, json.dumps(part["macro"]))
    with writing(output / "measured.json") as file:
        file.write(json.dumps({"recipe": vars(recipe), "sets": measured}, indent=1) + "\n")
    (output / "README.md").write_text(card(measured, seen, recipe, model.stat().st_size), "utf-8")


def split(text: Mapping[str, list[str]]) -> tuple[Lines, Lines, Lines]:
    """Training, development and test lines: a tenth each of the last two, 100 at most."""
    held = {tag: min(len(lines) // 10, HELD_OUT) for tag, lines in text.items()}
    return (
        {tag: lines[2 * held[tag] :] for tag, lines in text.items()},
        {tag: lines[: held[tag]] for tag, lines in text.items()},
        {tag: lines[held[tag] : 2 * held[tag]] for tag, lines in text.items()},
    )


def ntrex(source: Path) -> Lines:
    """Every NTREX sentence, by normalised language; regional variants are left out."""
    lines: Lines = {}
    for path in sorted((source / "ntrex").glob("*.tsv.gz")):
        code = path.name.removesuffix(".tsv.gz")
        if code not in ("eng-GB", "eng-US", "eng-IN", "fra-CA", "spa-MX", "por-BR", "gsw-ZH"):
            lines[normalise(code)] = [line.split("\t")[2] for line in open_text(path)]
    return lines


def sib(source: Path) -> Lines:
    """Every SIB-200 (FLORES) sentence, by normalised language."""
    return {
        normalise(path.name.removesuffix(".tsv.gz")): [
            line.split("\t")[1] for line in open_text(path)
        ]
        for path in sorted((source / "eval" / "sib200_flores").glob("*_*.tsv.gz"))
    }


def _named(model: Path, text: str) -> str | None:
    return identify([text], model)[0].language


def peer_predictor(path: Path) -> Predict:
    """lid.176 as it is meant to be used: the raw line, its best label."""
    from fasttext.FastText import _FastText

    loaded = _FastText(str(path)).f

    def predict(text: str) -> str | None:
        found = loaded.predict(" ".join(text.split()) + "\n", 1, 0.0, "strict")
        return _peer_tag(found[0][1]) if found else None

    return predict


def _peer_tag(label: str) -> str:
    code = label.removeprefix("__label__")
    try:
        return normalise(PEER_CODES.get(code, code))
    except LanguageError:
        return code


def _peer_languages(source: Path) -> set[str]:
    from fasttext.FastText import _FastText

    labels = _FastText(str(source / "lid" / "lid.176.ftz")).f.getLabels("strict")[0]
    return {_peer_tag(label).split("-")[0] for label in labels}


def measure(ours: Predict, peer: Predict, lines: Lines, known: set[str]) -> dict:
    """Accuracy per language of both, and the mean over the languages both know."""
    own, other = accuracy(ours, lines), accuracy(peer, lines)
    both = [tag for tag in own if tag.split("-")[0] in known]
    return {
        "macro": {
            "languages": len(both),
            "polyrank": mean(own[tag] for tag in both),
            "lid.176": mean(other[tag] for tag in both),
        },
        "accuracy": {tag: [own[tag], other[tag]] for tag in sorted(own)},
        "confusions": [[a, b, n] for (a, b), n in confusions(ours, lines).items()],
        "known": sorted(both),
    }


def card(measured: dict, seen: dict[str, int], recipe: IdentifierRecipe, size: int) -> str:
    """The README of the model, in Markdown."""
    macro = "\n".join(
        f"| {name} | {m['languages']} | {m['polyrank']:.4f} | {m['lid.176']:.4f} |"
        for name, m in ((name, part["macro"]) for name, part in measured.items())
    )
    tags = sorted({tag for part in measured.values() for tag in part["accuracy"]})
    labels = {label.split("-")[0] for label in seen}
    rows = "\n".join(
        f"| {tag} | " + " | ".join(_cell(measured[name], tag) for name in measured) + " |"
        for tag in tags
        if tag.split("-")[0] in labels or any(tag in p["known"] for p in measured.values())
    )
    settings = ", ".join(f"{key} {value}" for key, value in vars(recipe).items())
    return CARD.format(
        labels=len(seen), tags=" ".join(sorted(seen)), size=f"{size:,}", macro=macro, rows=rows,
        settings=settings,
    )  # fmt: skip


def _cell(part: dict, tag: str) -> str:
    own, other = part["accuracy"].get(tag, (None, None))
    if own is None:
        return "–"
    return f"{own:.3f} / {other:.3f}" if tag in part["known"] else f"{own:.3f} / –"


CARD = """\
---
license: cc-by-sa-4.0
library_name: fasttext
tags: [language-identification]
---

# The language identifier

`lid.ftz` ({size} bytes): a fastText classifier over words and character n-grams that names
{labels} labels: a language, and its script where that is not the usual one. `polyrank detect` and
`polyrank.languages.tags.identify` use it; the latter allows only languages of the text's script.

{tags}

## Accuracy, beside lid.176

Same lines, same run, mean over the languages that both know. `nb` and `no` count as one, and so do
scripts and regions of a language; lid.176 sees the raw line.

| lines | languages | polyrank | lid.176.ftz |
|---|---:|---:|---:|
{macro}

*held-out*: at most 100 lines per language from the sources of the training text, mostly short
Tatoeba sentences; lid.176 was trained on Tatoeba and has probably seen many of them. *NTREX* (news,
1,997 sentences a language) and *SIB-200* (FLORES, Wikimedia, 1,004) are other domains; neither was
used to train or to choose settings. The lead comes from languages that lid.176 knows badly (Somali,
Swahili, Uzbek, Kyrgyz, Nynorsk, Afrikaans); on English, German, Russian and Turkish lid.176 is up
to two points better.

## Limits

Many languages have a thousand short training sentences or fewer (Tatoeba): close relatives are
confused (Bosnian and Croatian, Malay and Indonesian, Serbian and Croatian), names and short texts
mislead. Yoruba and Swiss German are poor outside the training domain: see the table. Dari counts as
Persian. A language not listed above is named as a relative of it, or `None` when its script is
unknown.

## Accuracy per language

polyrank / lid.176; – where there are no lines or lid.176 does not know the language.

| language | held-out | NTREX | SIB-200 |
|---|---|---|---|
{rows}

`measured.json` has these figures and the most common confusions.

## How it was made

    python -m polyrank.data.build lid --source DIR --output adapters_zoo/lid

one thread, so the same source gives the same file. Settings: {settings}; chosen on held-out lines
that are neither training nor test.

Training text, by licence: Common Voice sentences (CC0), TICO-19 (CC0), Tatoeba (CC BY 2.0 FR, LASER
v1), HornMT (CC BY 4.0), XED subtitles (CC BY 4.0), AfriQA (CC BY 4.0), Mintaka (CC BY 4.0), Global
Voices (CC BY 3.0), X-WMT (MIT), OLDI seed, Wikipedia and Universal Dependencies (CC BY-SA),
Indian parallel corpora (CC BY-SA 3.0).
"""
