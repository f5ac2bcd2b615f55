"""Options that several trainings share, and what is made from them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.errors import DataError, UsageError
from polyrank.rerankers.scales import SCALES
from polyrank.training.examples.forms import AUTO, FORMS
from polyrank.training.kinds import kinds_for, part_of
from polyrank.training.kinds.contract import LANGUAGE, RANKING
from polyrank.training.loop.sparsity import CANDIDATES

if TYPE_CHECKING:
    from polyrank.modules.card import Data


def choice(names: Iterable[str]) -> dict[str, Any]:
    """Of an option: one of some names of the library."""
    known = list(names)

    def name(text: str) -> str:
        if text not in known:
            raise typer.BadParameter(f"'{text}' is not one of {', '.join(known)}")
        return text

    return {"parser": name, "metavar": f"[{'|'.join(known)}]"}


def usual_rates(role: str) -> str:
    """The peak learning rate of each kind, as in 'adapter 5e-4, mask 1e-4'."""
    rates = {kind: part_of(kind, role).rate for kind in kinds_for(role)}
    return ", ".join(f"{kind} {rate:.0e}".replace("e-0", "e-") for kind, rate in rates.items())


Output = Annotated[Path, typer.Option(help="Folder to write.")]
Steps = Annotated[int, typer.Option(min=1, help="Optimizer steps.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Reduction = Annotated[int, typer.Option(min=1, help="Base width over adapter width.")]
Source = Annotated[str, typer.Option(help="Language of the judgements.")]
BatchQueries = Annotated[int, typer.Option(min=1, help="Questions a step.")]
Negatives = Annotated[int, typer.Option(min=1, help="Negatives a question.")]
LanguageKind = Annotated[str, typer.Option(**choice(kinds_for(LANGUAGE)), help="What to train.")]
RankingKind = Annotated[
    str,
    typer.Option(
        **choice(kinds_for(RANKING)), help="An adapter, a mask, or all parameters (full)."
    ),
]
LanguageRate = Annotated[
    float | None, typer.Option(min=0, help=f"Peak learning rate; else {usual_rates(LANGUAGE)}.")
]
RankingRate = Annotated[
    float | None, typer.Option(min=0, help=f"Peak learning rate; else {usual_rates(RANKING)}.")
]
Mine = Annotated[
    int, typer.Option(min=0, help="Negatives mined a question, by BM25 and by the base each.")
]
K = Annotated[
    float | None,
    typer.Option(
        "--k",
        min=0,
        help="Mask: coordinates to keep, or a share below 1; else as many as an adapter of "
        "--reduction has parameters.",
    ),
]
FullSteps = Annotated[
    int | None, typer.Option(min=1, help="Mask: steps of the phase that finds them; else --steps.")
]
L1 = Annotated[float, typer.Option(min=0, help="Mask: pull to the base.")]
FreezeNorms = Annotated[
    bool, typer.Option("--freeze-norms/--move-norms", help="Mask: leave LayerNorms out or not.")
]
Candidates = Annotated[
    str,
    typer.Option(
        **choice(CANDIDATES),
        help="Mask: all of the encoder, or its layers without embeddings.",
    ),
]
Iterations = Annotated[int, typer.Option(min=1, help="Mask: rounds of finding and training.")]
Loss = Annotated[
    str,
    typer.Option(
        help="A loss, or a weighted sum such as infonce+0.5*margin_mse or kl(temperature=2); "
        "'polyrank train losses' lists them."
    ),
]
Rows = Annotated[
    str, typer.Option(help="JSON lines: _id, text, pos, neg, answers; or another project's rows.")
]
Passages = Annotated[
    Path | None,
    typer.Option(help="JSON lines: _id, title, text; or .tsv. Not needed where rows carry texts."),
]
RowsForm = Annotated[
    str,
    typer.Option(
        "--rows",
        **choice((AUTO, *FORMS)),
        help="Form of --queries; recognised by its first line.",
    ),
]
QueryTexts = Annotated[
    Path | None, typer.Option(help="Rows of margin-tsv: the queries, .tsv or .jsonl.")
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="Rows of datasets: our columns=theirs, such as query=question,pos=answer,neg=n1+n2."
    ),
]
Teacher = Annotated[
    list[str] | None,
    typer.Option(
        help="A cross-encoder to distil, several times for their mean: a ranking module "
        "(squad, mask/squad), its folder, a file of 'polyrank compose', or any of Hugging Face "
        "with one logit (folder or Hub id); else scores in the rows."
    ),
]
TeacherScale = Annotated[
    str,
    typer.Option(**choice(SCALES), help="What is done to each teacher's scores of a query first."),
]
Sources = Annotated[
    Path | None, typer.Option(help="TSV of name and licence of the data, for the card.")
]


def columns_of(text: str | None) -> dict[str, str]:
    """'query=question,pos=answer' as a mapping."""
    found = {}
    for part in filter(None, (text or "").split(",")):
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not equals or not theirs:
            raise UsageError(f"--columns has '{part}'; write query=question,pos=answer")
        found[ours] = theirs
    return found


def sources_of(path: Path | None) -> tuple[Data, ...]:
    """A TSV of name and licence, for the card."""
    from polyrank.collections.files import numbered_lines
    from polyrank.modules.card import Data

    if path is None:
        return ()
    found = []
    for number, line in numbered_lines(path):
        columns = line.split("\t")
        if len(columns) != 2:
            raise DataError(path, number, "expected a name and a licence with a tab between")
        found.append(Data(columns[0], columns[1]))
    return tuple(found)
