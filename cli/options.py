"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.composition.routing import ROUTINGS
from polyrank.index.analysis import ANALYSES
from polyrank.index.first_stages import FIRST_STAGES
from polyrank.modules.card import ROLES
from polyrank.modules.kinds import KINDS, language_kinds
from polyrank.rerankers.llm.scorers import SCORERS
from polyrank.runs.fusion import NORMALISATIONS
from polyrank.translation.presets import PRESETS

from .choices import Choice

FALLBACKS = ("error", "related", "none")  # as in composition/plan.py, which is slow to load


class Kind(Choice, names=KINDS):
    """Of a module."""


class LanguageKind(Choice, names=language_kinds()):
    """Of a language module."""


class Role(Choice, names=ROLES):
    """Of a module."""


class Routing(Choice, names=ROUTINGS):
    """Which tokens see which language module."""


class Fallback(Choice, names=FALLBACKS):
    """What a language without a module gets."""


class Normalise(Choice, names=NORMALISATIONS):
    """How the scores of two runs are made comparable."""


class FirstStage(Choice, names=FIRST_STAGES):
    """What searches before reranking."""


FIRST_STAGE_DEFAULT = (
    "else modular; dense where a language has no module, or the base is not for retrieval"
)


class ScorerName(Choice, names=SCORERS):
    """How a language model scores."""


class Analysis(Choice, names=ANALYSES):
    """What the tokens of BM25 are."""


class Translation(Choice, names=PRESETS):
    """What is translated before it is searched."""


CollectionName = Annotated[
    str | None,
    typer.Option(
        "--collection",
        help="A name of 'polyrank collections list': bundled, a folder, irds:ID, clef:FOLDER.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option("--split", help="With --collection: which of its queries, such as dev."),
]
QueriesFile = Annotated[
    Path | None, typer.Option("--queries", help="Queries in a .jsonl or .tsv file.")
]
DocumentsFile = Annotated[
    Path | None, typer.Option("--documents", help="Documents in a .jsonl or .tsv file.")
]
QueryLanguage = Annotated[
    str | None, typer.Option(help="Language of the queries, such as ky; else it is identified.")
]
DocumentLanguage = Annotated[
    str | None, typer.Option(help="Language of the documents, such as en; else it is identified.")
]
Base = Annotated[str, typer.Option(help=f"The base: '{DEFAULT_BASE}', a Hub id or a folder.")]
Ranking = Annotated[str, typer.Option(help="The ranking module: a name of the zoo or a folder.")]
RankingOrNone = Annotated[
    str | None,
    typer.Option(
        "--ranking",
        help="The ranking module: a name of the zoo or a folder; 'none' for late interaction over "
        "the base alone. By default squad-li over a base for retrieval, none where it is absent, "
        "and squad over other bases.",
    ),
]
KindOption = Annotated[Kind, typer.Option("--kind", help="The kind of the modules.")]
RankingKindOption = Annotated[
    Kind | None,
    typer.Option("--ranking-kind", help="The kind of the ranking module, where it is another."),
]
RoutingOption = Annotated[
    Routing | None,
    typer.Option(
        "--routing",
        help="Which tokens see which language module; else split for adapters, document for masks.",
    ),
]
FallbackOption = Annotated[
    Fallback,
    typer.Option(
        "--fallback", help="For a language without a module: stop, its nearest relative, or none."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A model in place of modules: a folder of 'polyrank distill', a cross-encoder of "
        "Hugging Face with one logit, or with --scorer a language model.",
    ),
]
Scorer = Annotated[
    ScorerName | None,
    typer.Option(
        "--scorer",
        help="With --model: how a language model scores; 'polyrank prompts list' says more.",
    ),
]
PromptName = Annotated[
    str | None,
    typer.Option("--prompt", help="With --scorer: a name of 'polyrank prompts list', or a file."),
]
Window = Annotated[
    int | None, typer.Option(min=1, help="With --scorer: documents in one prompt; else 20.")
]
Step = Annotated[
    int | None, typer.Option(min=1, help="With --scorer: how far the window moves; else 10.")
]
EngineURL = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="URL",
        help="With --scorer: an OpenAI-compatible server that runs --model, such as "
        "http://127.0.0.1:8000/v1.",
    ),
]
Retriever = Annotated[
    Path | None,
    typer.Option(
        help="With --first-stage dense, modular or fused: search by the vectors of this "
        "dot-product module ('polyrank train ranking --architecture dot-product')."
    ),
]
ScorerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--scorer-option",
        metavar="NAME=VALUE",
        help="With --scorer: another of its options, such as tokenizer=FOLDER or repeats=3.",
    ),
]
WITH_SCORER = ("prompt", "window", "step", "engine", "scorer-option")
WITH_MODEL = ("ranking", "kind", "ranking-kind", "routing", "fallback")  # that --model decides
Interpolate = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Mix with the first stage: weight of the reranker, such as 0.5; else 1.",
    ),
]
NormaliseOption = Annotated[
    Normalise | None,
    typer.Option(
        "--normalise",
        help="With --interpolate: how scores are made alike within a query; else min-max.",
    ),
]
MaxLength = Annotated[int, typer.Option(help="Tokens of a query-document pair.", min=16)]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        "--dtype",
        help="fp32 (default), bf16, fp16, int8 on a CPU, or auto: the fastest here that loses at "
        "most .005 nDCG@10 in any language, as measured.",
    ),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; else the best there is.")]
Depth = Annotated[int, typer.Option(help="Candidates per query.", min=1)]
Limit = Annotated[int | None, typer.Option(help="Only the first so many queries.", min=1)]
Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0, max=2**32 - 1)]
AnalysisOption = Annotated[
    Analysis,
    typer.Option(
        "--analysis",
        help="Tokens of BM25: words; stems where there is a stemmer; sub-words of the base.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Score by the workers of this Ray cluster; 'local' starts some here.",
    ),
]
RayWorkers = Annotated[
    int | None, typer.Option(min=1, help="With --ray: how many; else one per GPU, or per CPU.")
]
Half = Annotated[
    bool,
    typer.Option(
        "--half",
        help="Store a whole model in fp16, where its scores stay the same to 2 % of their "
        "deviation; else in fp32.",
    ),
]


class Missing(Choice, names=("error", "skip")):
    """What becomes of documents that the collection lacks."""


MissingJudged = Annotated[
    Missing,
    typer.Option(
        "--missing-judged",
        help="With --collection: judged documents that it lacks: stop, or skip and count.",
    ),
]
ExcludeSelf = Annotated[
    bool,
    typer.Option(
        "--exclude-self",
        help="Leave out a candidate whose id is its query's, as "
        "where queries are documents themselves.",
    ),
]
Translate = Annotated[
    Translation,
    typer.Option(
        "--translate",
        help="Search and rerank translations: of the queries into the documents' language, of the "
        "documents into the queries', or the queries as humans translated them (gold).",
    ),
]
TranslatorName = Annotated[
    str | None,
    typer.Option(
        "--translator",
        help="An http(s) address that speaks LibreTranslate's protocol, a sequence-to-sequence "
        "model's folder or Hub id, memory:FILE, parallel:COLLECTION or lexicon:COLLECTION.",
    ),
]
Memory = Annotated[
    Path | None,
    typer.Option(
        "--memory", help="Keep this translator's translations here, and ask for no text twice."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for machines.")]
