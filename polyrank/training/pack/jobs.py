"""What is trained on a GPU machine, job by job, and what each leaves behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.modules.adapter.tensors import AdapterModule
from polyrank.training.head.output_head import OutputHead
from polyrank.training.language.trainable_adapter import TrainableAdapter
from polyrank.training.pack.cross_encoder import reranked, scorer, train_cross_encoder
from polyrank.training.pack.languages import Recipe, train_head, train_language
from polyrank.training.pack.late_interaction import start_of_projection, train_late_interaction
from polyrank.training.pack.loaded import Pack, unit
from polyrank.training.pack.masks import train_mask
from polyrank.training.pack.measure import Passages, Project, measured, ndcg_of_one
from polyrank.training.pack.ranking import (
    Questions,
    RankingRecipe,
)

HEAD, SHARED = "head", "shared"
FULL_LATE = "full-late-interaction"
RESERVE = {"late-interaction": 40, FULL_LATE: 40, "cross-encoder": 50, "full": 40}  # s, measuring
PART = 12 << 20  # bytes of one file of tensors
MASK_SIZE = 320_000  # coordinates of a language mask: 1 MB on disk


@dataclass(frozen=True)
class Job:
    """One module to train.

    Attributes:
        name: of what it leaves behind.
        make: 'head', 'language', 'mask', 'late-interaction', 'cross-encoder', 'full' (a
            cross-encoder) or 'full-late-interaction'.
        languages: of the text; of a ranking module those whose adapters it is trained and measured
            with, beside English.
        recipe: of that kind of module.
        needs: names of other jobs that must be done before.
        minutes: the longest that training may take.
        keep: whether its weights come back, or only its figures.
    """

    name: str
    make: str
    languages: tuple[str, ...] = ()
    recipe: Recipe | RankingRecipe | None = None
    needs: tuple[str, ...] = ()
    minutes: float = 1.0
    keep: bool = True


class Bench:
    """Where jobs run: the pack, the folder of results, and what was read once for several jobs.

    Args:
        pack: text and base.
        work: folder that the workers share.
        deadline: of `time.time()`, after which nothing is begun.
    """

    def __init__(self, pack: Pack, work: Path, deadline: float) -> None:
        self.pack, self.work, self.deadline = pack, work, deadline
        self._kept: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    # ------------------------------------------------------------------------- files

    def wait_for(self, name: str) -> bool:
        """Until another worker's job is done; whether it was before the deadline."""
        while not (self.work / f"{name}.json").is_file():
            if time.time() > self.deadline:
                return False
            time.sleep(0.2)
        return True

    def write(self, name: str, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        from safetensors.torch import save_file

        if tensors:
            stored = {}
            for key, value in tensors.items():
                value = value.detach().cpu()
                stored[key] = (value.half() if value.is_floating_point() else value).contiguous()
            for number, part in enumerate(parts_of(stored)):
                save_file(part, self.work / f"{name}.part{number}.tensors")
        partial = self.work / f".{name}.json"
        partial.write_text(json.dumps(facts, indent=1))
        partial.rename(self.work / f"{name}.json")

    def adapter(self, name: str) -> TrainableAdapter:
        """The adapter that another job left."""
        facts = json.loads((self.work / f"{name}.json").read_text())
        return adapter_of(facts, self.tensors(name)).to(self.pack.device)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """What another job left."""
        from safetensors.torch import load_file

        parts = sorted(self.work.glob(f"{name}.part*.tensors"))
        return {key: value for part in parts for key, value in load_file(part).items()}

    def head(self) -> OutputHead:
        config = self.pack.encoder.config
        head = OutputHead(config.hidden_size, config.vocab_size, config.layer_norm_eps)
        tensors = self.tensors(HEAD)
        head.load_state_dict({name: value.float() for name, value in tensors.items()})
        return head.to(self.pack.device).requires_grad_(False)

    # ------------------------------------------------------------------------- development

    def afriqa(self) -> Passages:
        texts = self.pack.texts("development/afriqa_passages")
        passages: Passages = self.once("afriqa", lambda: Passages(self.pack, texts))
        return passages

    def measure_language(
        self, language: str, adapter: AdapterModule | None, tokens: bool = True
    ) -> dict[str, Any]:
        """Own-language questions against English passages, or own sentences against English."""
        pack, found = self.pack, {}
        if language in pack.facts["afriqa"]:
            queries = pack.texts(f"development/afriqa_{language}")
            gold = pack.tables[f"development/afriqa_{language}"]
            passages = self.afriqa()
            found["afriqa"] = measured(pack, passages, queries, gold, adapter, tokens=tokens)
        if language in pack.facts["flores"]:
            english = pack.texts("development/flores_en")
            sentences = pack.texts(f"development/flores_{language}")
            target: Tensor = self.once(
                "flores", lambda: pack.vectors(english, "passage", limit=100)
            )
            mine = pack.vectors(sentences, "query", adapter, 100)
            gold = torch.arange(len(mine), device=pack.device)
            found["flores"] = {"dense": ndcg_of_one(mine @ target.T, gold)}
        return found


def parts_of(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Tensors in parts of at most `PART` bytes, since large files do not come back."""
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        size += tensor.nbytes
        if size > PART and parts[-1]:
            parts.append({})
            size = tensor.nbytes
        parts[-1][name] = tensor
    return parts


def adapter_of(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TrainableAdapter:
    """An adapter from what a job wrote."""
    sizes = facts["sizes"]
    adapter = TrainableAdapter(**sizes)
    names = adapter.state_dict().keys()
    adapter.load_state_dict({name: tensors[name].float() for name in names})
    return adapter


def _sizes(adapter: TrainableAdapter) -> dict[str, Any]:
    return {
        "name": adapter.name,
        "hidden": adapter.hidden,
        "layers": len(adapter.down),
        "width": adapter.width,
        "coupling": adapter.coupling,
        "head": bool(len(adapter.head)),
        "activation": adapter.activation,
    }


def run(job: Job, bench: Bench, seed: int = 13) -> dict[str, Any] | None:
    """Run a job once those that it needs are done.

    Returns:
        Its facts, also written to the work folder; None when the time was up before.
    """
    if not all(bench.wait_for(name) for name in job.needs) or time.time() > bench.deadline:
        return None
    left = bench.deadline - time.time() - RESERVE.get(job.make, 5)
    if left < 10:
        return None
    seconds = min(60 * job.minutes, left)
    started = time.time()
    tensors, facts = _MAKERS[job.make](job, bench, seed, seconds)
    facts = {
        "job": job.name,
        "make": job.make,
        "languages": list(job.languages),
        "recipe": asdict(job.recipe) if job.recipe else {},
        "seed": seed,
        **facts,
        "total seconds": round(time.time() - started, 1),
    }
    bench.write(job.name, facts, tensors if job.keep else {})
    return facts


Made = tuple[dict[str, Tensor], dict[str, Any]]


def _head(job: Job, bench: Bench, seed: int, seconds: float) -> Made:
    head, facts = train_head(bench.pack, job.languages, 4000, seed=seed, seconds=seconds)
    return dict(head.state_dict()), facts


def _language(job: Job, bench: Bench, seed: int, seconds: float) -> Made:
    recipe = job.recipe
    assert isinstance(recipe, Recipe)
    head = bench.head() if recipe.masked else None
    start = bench.adapter(recipe.shared) if recipe.shared else None
    name = job.languages[0] if len(job.languages) == 1 else job.name
    adapter, facts = train_language(
        bench.pack, job.languages, recipe, name, head, start, seed, seconds
    )
    measured_in: Sequence[str] = job.languages if len(job.languages) < 3 else ("rw", "ig", "ak")
    for language in measured_in:
        before = bench.once(f"before {language}", partial(bench.measure_language, language, None))
        after = bench.measure_language(language, adapter.as_module())
        facts[f"development {language}"] = {"before": before, "after": after}
    return dict(adapter.state_dict()), facts | {"sizes": _sizes(adapter)}


def _mask(job: Job, bench: Bench, seed: int, seconds: float) -> Made:
    recipe, (language,) = job.recipe, job.languages
    assert isinstance(recipe, Recipe)
    encoder, differences, facts = train_mask(
        bench.pack, language, recipe, MASK_SIZE, recipe.steps // 2, seed, seconds
    )
    plain = bench.pack.encoder
    before = bench.once(f"before {language}", lambda: bench.measure_language(language, None))
    bench.pack.encoder = encoder  # measured with the mask on its own side's texts alone
    try:
        after = bench.measure_language(language, None)
    finally:
        bench.pack.encoder = plain
    facts[f"development {language}"] = {"before": before, "after": after}
    tensors = {}
    for name, (indices, values) in differences.items():
        tensors[f"{name}.indices"], tensors[f"{name}.values"] = indices.int(), values
    return tensors, facts


def _below(job: Job, bench: Bench) -> dict[str, AdapterModule]:
    return {name: bench.adapter(name).as_module() for name in ("en", *job.languages)}


def _questions(bench: Bench) -> Questions:
    found: Questions = bench.once("questions", lambda: Questions(bench.pack))
    return found


def _late_interaction(job: Job, bench: Bench, seed: int, seconds: float) -> Made:
    recipe, pack, full = job.recipe, bench.pack, job.make == FULL_LATE
    assert isinstance(recipe, RankingRecipe)
    questions = _questions(bench)
    trained_over = {} if full else _below(job, bench)
    below = {name: trained_over.get(name) for name in ("en", *job.languages)}
    start = start_of_projection(pack, recipe.dim)
    untrained = measure_late(bench, None, start, job, below)
    plain = measure_late(bench, None, unit, job, below)
    adapter, project, encoder, facts = train_late_interaction(
        pack, questions, recipe, trained_over, full, seed, seconds
    )
    tensors = {
        "projection.weight": project.weight.detach(),
        "projection.bias": project.bias.detach(),
    }
    tensors |= rounded_differences(encoder, pack.encoder) if full else adapter.state_dict()
    facts |= {"sizes": _sizes(adapter)}
    bench.write(job.name, facts, tensors if job.keep else {})  # measuring may be cut off
    before, pack.encoder = pack.encoder, encoder if full else pack.encoder
    try:
        ranking = None if full else adapter.as_module()
        trained = measure_late(bench, ranking, project, job, below)
    finally:
        pack.encoder = before
    facts["development"] = {"plain": plain, "untrained": untrained, "trained": trained}
    return tensors, facts


@torch.no_grad()
def measure_late(
    bench: Bench,
    ranking: AdapterModule | None,
    project: Project,
    job: Job,
    below: Mapping[str, AdapterModule | None],
) -> dict[str, float]:
    """nDCG@10 of MaxSim, in English and in other languages, each text under its own adapter; for
    these also with no language adapter on any side."""
    pack, found = bench.pack, {}
    en = below.get("en")
    squad = Passages(pack, pack.texts("development/squad_passages"), ranking, project, below=en)
    queries = {"squad en": ("development/squad", "queries", en, squad)}
    texts = pack.texts("development/afriqa_passages")
    routed = Passages(pack, texts, ranking, project, below=en)
    for language in job.languages:
        if language in pack.facts["afriqa"]:
            stored = f"development/afriqa_{language}"
            queries[f"afriqa {language}"] = (stored, "", below[language], routed)
            if language == "rw":
                bare = Passages(pack, texts, ranking, project)
                queries[f"afriqa {language}, no modules"] = (stored, "", None, bare)
    for name, (stored, suffix, adapter, passages) in queries.items():
        asked = pack.texts(f"{stored}_{suffix}" if suffix else stored)
        gold = pack.tables[f"{stored}_positive" if suffix else stored].to(pack.device)
        framed, live, own = pack.framed(*asked.rows(torch.arange(len(asked)), 60), "query")
        hidden = pack.runner(ranking).differentiable(framed, live, language=adapter)
        found[name] = round(ndcg_of_one(passages.maxsim(project(hidden), own), gold), 4)
    return found


def _cross_encoder(job: Job, bench: Bench, seed: int, seconds: float) -> Made:
    recipe, pack = job.recipe, bench.pack
    assert isinstance(recipe, RankingRecipe)
    questions, below, full = _questions(bench), _below(job, bench), job.make == "full"
    adapter, encoder, facts = train_cross_encoder(
        pack, questions, recipe, below, full, seed, seconds
    )
    tensors = dict(adapter.state_dict())
    if full:
        changed = rounded_differences(encoder, pack.encoder)
        tensors = {f"head.{k}": v for k, v in adapter.head.state_dict().items()} | changed
    facts |= {"sizes": _sizes(adapter)}
    bench.write(job.name, facts, tensors if job.keep else {})  # measuring may be cut off
    score = scorer(pack, adapter, encoder if full else pack.encoder, full)
    facts["development"] = measure_cross(bench, score, job, below, full)
    return tensors, facts


@torch.no_grad()
def rounded_differences(encoder: Any, base: Any) -> dict[str, Tensor]:
    """What full fine-tuning changed, in 8 bits a weight with a scale for each row, and put back
    rounded, so that what is measured is what is stored."""
    found, start = {}, base.state_dict()
    for name, parameter in encoder.named_parameters():
        if not name.startswith("encoder."):
            continue
        change = parameter - start[name]
        if change.ndim < 2:
            found[name] = change
            continue
        scale = change.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
        levels = (change / scale).round().to(torch.int8)
        found[f"{name}.levels"], found[f"{name}.scale"] = levels, scale * 1024  # off fp16's floor
        parameter.copy_(start[name] + levels * (scale * 1024).half().float() / 1024)
    return found


@torch.no_grad()
def measure_cross(
    bench: Bench, score: Any, job: Job, below: Mapping[str, AdapterModule], full: bool
) -> dict[str, Any]:
    """Reranking the 20 best of the dense stage; in other languages under several routings."""
    pack, found = bench.pack, {}
    en = None if full else below.get("en")
    queries = pack.texts("development/squad_queries")
    gold = pack.tables["development/squad_positive"]
    passages = bench.once(
        "squad passages", lambda: Passages(pack, pack.texts("development/squad_passages"))
    )
    pooled = pack.vectors(queries, "query", limit=60)
    found["squad en"] = reranked(pack, score, passages, queries, gold, pooled, (en, en))
    for language in job.languages:
        if language not in pack.facts["afriqa"]:
            continue
        module = below[language]
        queries = pack.texts(f"development/afriqa_{language}")
        gold = pack.tables[f"development/afriqa_{language}"]
        pooled = pack.vectors(queries, "query", module, 60)
        routings: dict[str, Any] = {"none": ((en, en), False)}
        if not full:
            routings |= {"query": ((module, module), False), "split": ((module, en), True)}
        for routing, (modules, split) in routings.items():
            found[f"afriqa {language}, {routing}"] = reranked(
                pack, score, bench.afriqa(), queries, gold, pooled, modules, split
            )
    return found


_MAKERS: Mapping[str, Callable[[Job, Bench, int, float], Made]] = {
    "head": _head,
    "language": _language,
    "mask": _mask,
    "late-interaction": _late_interaction,
    FULL_LATE: _late_interaction,
    "cross-encoder": _cross_encoder,
    "full": _cross_encoder,
}
