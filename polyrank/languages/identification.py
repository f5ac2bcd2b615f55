"""Training and measuring the language identifier that `polyrank.languages.tags.identify` uses."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from polyrank.collections.files import open_text
from polyrank.errors import DataError, PolyrankError
from polyrank.languages.tags import clean, normalise, script, usual_script

Lines = Mapping[str, "Path | Sequence[str]"]


@dataclass(frozen=True)
class IdentifierRecipe:
    """What decides the model, together with the text.

    `temperature` balances languages: n lines count as n ** temperature, scaled so that the largest
    language has `lines`; no line is seen more than `repeats` times an epoch. `cutoff` is how many
    words and n-grams the compressed model keeps, at least 256; 0 leaves it uncompressed (`.bin`).
    """

    dimension: int = 32
    minn: int = 1
    maxn: int = 5
    bucket: int = 400_000
    epochs: int = 5
    rate: float = 0.5
    loss: str = "softmax"
    temperature: float = 0.3
    lines: int = 6000
    repeats: int = 3
    cutoff: int = 60_000
    seed: int = 13


def train_identifier(
    text: Lines, output: str | Path, recipe: IdentifierRecipe = IdentifierRecipe()
) -> dict[str, int]:
    """Train fastText to tell languages apart and write it compressed (Joulin et al. 2016).

    arXiv 1607.01759 for the classifier, 1612.03651 for the compression: feature selection,
    retraining, product quantisation of vectors and norms. One thread, so that the same text and
    recipe give the same file.

    Args:
        text: per language a text file (one line each, `.gz` too) or lines.
        output: the `.ftz` file to write.
        recipe: settings.

    Returns:
        Lines seen an epoch, per label. A label is the language and, where it is not its usual one,
        the script of the line (`uz-Cyrl`); scripts with less than 5 % of a language's lines are
        dropped as noise.

    Raises:
        DataError: when a language has no line with letters.
        LanguageError: for an unknown language.
    """
    chosen = _balance(_by_label(text), recipe)
    rows = [f"__label__{label} {line}" for label, lines in chosen.items() for line in lines]
    random.Random(recipe.seed).shuffle(rows)
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        training = Path(folder, "train.txt")
        training.write_text("\n".join(rows) + "\n", encoding="utf-8")
        partial = Path(folder, "lid.ftz")
        _in_a_fresh_process(training, partial, recipe)
        Path(output).write_bytes(partial.read_bytes())
    return {label: len(lines) for label, lines in chosen.items()}


def _in_a_fresh_process(training: Path, output: Path, recipe: IdentifierRecipe) -> None:
    """Runs `_fit` in an interpreter of its own.

    With one thread fastText 0.9.3 draws only the first tenth of its matrix and leaves the rest as
    malloc gives it: zeros for 32 MB and more in a new process, which glibc then maps afresh, but
    garbage, other results and NaN where freed memory is given out again.
    """
    code = "import sys; from polyrank.languages.identification import _fit; _fit(*sys.argv[1:])"
    words = [str(training), str(output), json.dumps(asdict(recipe))]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    if done.returncode:
        raise PolyrankError(f"fastText could not train the identifier:\n{done.stderr[-500:]}")


def _fit(training: str, output: str, recipe_json: str) -> None:
    """Trains on a file of labelled lines and writes the model."""
    import fasttext

    recipe = IdentifierRecipe(**json.loads(recipe_json))
    bucket = max(recipe.bucket, 2**25 // (4 * recipe.dimension) + 1)  # a matrix of 32 MB or more
    model = fasttext.train_supervised(
        training,
        dim=recipe.dimension,
        minn=recipe.minn,
        maxn=recipe.maxn,
        bucket=bucket,
        epoch=recipe.epochs,
        lr=recipe.rate,
        loss=recipe.loss,
        minCount=2,
        seed=recipe.seed,
        thread=1,
        verbose=0,
    )
    if recipe.cutoff:
        model.quantize(
            training, cutoff=recipe.cutoff, retrain=True, qnorm=True, thread=1, verbose=0
        )
    model.save_model(output)


def _by_label(text: Lines) -> dict[str, list[str]]:
    """Cleaned lines under their label; minor scripts of a language are left out."""
    labelled: dict[str, list[str]] = defaultdict(list)
    for tag in sorted(text):
        source, by_script = text[tag], defaultdict(list)
        lines: Iterable[str] = open_text(source) if isinstance(source, Path) else source
        for line in lines:
            cleaned = clean(line)
            if cleaned:
                by_script[script(line)].append(cleaned)
        total = sum(map(len, by_script.values()))
        for written, kept in by_script.items():
            label = label_of(tag, written)
            if label is not None and len(kept) >= 0.05 * total:
                labelled[label] += kept
        if not total:
            raise DataError(source if isinstance(source, Path) else tag, None, "no line of text")
    return dict(labelled)


def label_of(tag: str, written: str) -> str | None:
    """The identifier's label of a language written in a script; None without a script."""
    language = normalise(tag).split("-")[0]
    if written in ("Zyyy", "Zzzz"):
        return None
    if written == "Hani" and usual_script(language) in ("Hans", "Hant"):
        return language
    return normalise(f"{language}-{written}") if written != "Hani" else None


def _balance(labelled: dict[str, list[str]], recipe: IdentifierRecipe) -> dict[str, list[str]]:
    """Sample each label to lines × (n / largest n) ** temperature, repeating small ones."""
    largest = max(map(len, labelled.values()))
    chosen = {}
    for label in sorted(labelled):
        lines = labelled[label]
        generator = random.Random(f"{recipe.seed} {label}")
        share = (len(lines) / largest) ** recipe.temperature
        wanted = min(round(recipe.lines * share), recipe.repeats * len(lines))
        whole, rest = divmod(max(wanted, 1), len(lines))
        chosen[label] = lines * whole + generator.sample(lines, rest)
    return chosen


Predict = Callable[[str], "str | None"]


def accuracy(predict: Predict, lines: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Share of each language's lines that `predict` names as `same`; empty languages are left out.

    Args:
        predict: text → tag or None.
        lines: per language, its test lines.
    """
    return {
        tag: sum(same(predict(line), tag) for line in texts) / len(texts)
        for tag, texts in lines.items()
        if texts
    }


# Codes that name the same language for this purpose, or a macrolanguage of it.
_ALIKE = {"nb": "no", "sh": "sr"}


def same(guess: str | None, truth: str) -> bool:
    """Whether a guess names the language, apart from script and region; `nb` is `no`, `sh` `sr`."""
    if guess is None:
        return False
    a, b = (tag.split("-")[0] for tag in (guess, truth))
    return _ALIKE.get(a, a) == _ALIKE.get(b, b)


def confusions(predict: Predict, lines: Mapping[str, Sequence[str]], top: int = 20) -> Counter:
    """The most common (truth, guess) pairs among the wrong answers."""
    wrong = Counter(
        (tag, guess)
        for tag, texts in lines.items()
        for guess in map(predict, texts)
        if not same(guess, tag)
    )
    return Counter(dict(wrong.most_common(top)))
