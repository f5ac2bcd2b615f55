"""Trains a language's module: an adapter on a frozen base, or a mask of its weights.

Adapter: MAD-X (Pfeiffer et al. 2020, arXiv 2005.00052): a bottleneck after each feed-forward block
and an invertible adapter after the embeddings, whose inverse runs before the output embeddings. It
is trained in polyrank's own engine and stored in the format of the `adapters` library.

Mask: LT-SFT (`polyrank.training.loop.lottery_ticket`). The masked-language head and its output
embeddings are frozen, as for an adapter, because no ranking uses them.

What either is trained for is a sum of losses (`language_objective`): masked language modelling on
plain text, and with sentence pairs alignment to the frozen base's English.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import Base, device_of, load_base
from polyrank.errors import DataError, UsageError
from polyrank.languages import tags
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.card import Data, ModuleCard, read_card
from polyrank.modules.mask.mask_folder import save_mask_module
from polyrank.modules.mask.sparse import Differences
from polyrank.progress import note
from polyrank.training.head.head_folder import BaseHead, head_of
from polyrank.training.language.language_batches import Batches, blocks, encode_pairs
from polyrank.training.language.language_loss import LanguageLoss
from polyrank.training.language.language_model import adapter_size, adapter_width
from polyrank.training.language.language_objective import Objective, parse_objective
from polyrank.training.language.masked_output import MaskedOutput, perplexity
from polyrank.training.language.sentence_pairs import (
    Pair,
    SentenceEncoder,
    SentencePairs,
    accuracy,
    held_out_pairs,
)
from polyrank.training.language.students import AdapterStudent, Encoding, Frozen, MaskStudent
from polyrank.training.language.text import held_out, read_lines, read_pairs
from polyrank.training.language.trainable_adapter import TrainableAdapter, save_trained_adapter
from polyrank.training.loop.checks import check_length, check_mask_token, check_name
from polyrank.training.loop.lottery_ticket import Sparsity, train_sparse
from polyrank.training.loop.stack import language_below
from polyrank.training.loop.steps import Schedule, begin, digest, fit

PUBLISHED = Sparsity(l1=0.1, freeze_norms=True)
REDUCTION = 8  # of an e5-small: a bottleneck of 48, under a megabyte in fp16
RATES = {"adapter": 1e-3, "mask": 5e-4}


def train_language_module(
    base: str,
    language: str,
    text: str | Path | None,
    output: str | Path,
    kind: str = "adapter",
    parallel: str | Path | None = None,
    loss: str | None = None,
    steps: int = 300,
    batch_size: int = 32,
    length: int = 96,
    rate: float | None = None,
    reduction: int | None = None,
    start: str | Path | None = None,
    head: str | Path | None = None,
    sparsity: Sparsity = PUBLISHED,
    seed: int = 13,
    resume: bool = False,
    zoo: str | Path | None = None,
    data: Sequence[Data] = (),
    command: str = "",
) -> ModuleCard:
    """Trains one language's module.

    Args:
        base: 'e5-small', a Hub id or a folder.
        language: tag of the text.
        text: file, one sentence a line, gzipped or not; None to learn from pairs alone.
        output: module folder to write; `<output>.work` holds checkpoints until the end.
        kind: 'adapter' or 'mask'.
        parallel: file of `language <tab> text <tab> English`.
        loss: a sum of `language_objective.LOSSES`, such as 'align+0.1*mlm'; None takes 'mlm'
            without pairs, 'align' without text, and 'align+0.1*mlm' with both.
        steps, batch_size, length: optimizer steps, sequences and pairs a step, tokens a sequence.
        rate: peak learning rate; None takes 1e-3 for an adapter, 5e-4 for a mask.
        reduction: of an adapter, width of the base over width of the bottlenecks and of what is
            inside the invertible adapter; None takes 8, or that of `start`.
        start: of an adapter, the language adapter to start from: a name of the zoo or a folder.
        head: folder of a masked-language head; None takes the base's own, else the zoo's.
        sparsity: of a mask; without k it keeps as many coordinates as an adapter of that
            reduction has parameters. Frozen LayerNorms and an L1 pull of 0.1 are as published.
        resume: continue from the last checkpoint.
        zoo: a folder in which `start` and the head are searched first.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.

    Returns:
        The card as written, with held-out perplexity, and how many held-out sentences find their
        English, before and after: whichever the loss is about.

    Raises:
        UsageError: another kind, a loss that does not fit, or a base without masked-language head.
        DataError: text or pairs that are missing or too few.
        ModuleError: a module to start from, or a head, that is missing or of another base.
    """
    if kind not in RATES:
        raise UsageError(f"a language module is an adapter or a mask, not '{kind}'")
    if start is not None and kind != "adapter":
        raise UsageError("a mask cannot start from a module; leave out --start")
    objective = parse_objective(loss, text is not None, parallel is not None)
    if head is not None and not objective.masked:
        raise UsageError(f"the loss '{objective}' hides no tokens; leave out --head")
    language, output = tags.normalise(language), Path(output)
    check_name(output.name)
    lines = _lines(text) if text is not None else []
    pairs = _pairs(parallel, language) if parallel is not None else []
    loaded = load_base(base)
    check_length(length, loaded)
    if loaded.card.vectors and not objective.aligned:
        note(
            f"'{objective}' alone moves a language away from where the base for retrieval "
            f"'{loaded.name}' puts its translations; give sentence pairs with --parallel to keep "
            "retrieval"
        )
    adapter, begun = _adapter(loaded, output.name, reduction, start, seed, zoo)
    if sparsity.k is None:
        sparsity = replace(sparsity, k=adapter_size(loaded, reduction or REDUCTION))
    own_head = None
    if objective.masked:
        check_mask_token(loaded)
        own_head = head_of(loaded, head, zoo)
    schedule = Schedule(steps=steps, rate=rate or RATES[kind], seed=seed)
    options = asdict(sparsity)
    if kind == "adapter":
        options = {"reduction": loaded.model.config.hidden_size // adapter.width, **begun}
    settings = {
        "base": str(loaded.fingerprint),
        "kind": kind,
        "language": language,
        "loss": str(objective),
        "steps": steps,
        "batch size": batch_size,
        "length": length,
        "rate": schedule.rate,
        **options,
        "head": own_head and own_head.name,
        "seed": seed,
        "text": digest(*(path for path in (text, parallel) if path is not None)),
    }
    work = Path(f"{output}.work")
    begin(work, settings, resume)

    torch.manual_seed(seed)
    device = device_of(None)
    encoder = loaded.model.requires_grad_(False).to(device)
    frozen = Frozen(encoder)
    learnt = _Learnt.of(lines, pairs, objective, loaded, batch_size, length, seed)
    measured = _Measured(learnt, own_head, objective, loaded, device, length, seed)
    before = measured(frozen, frozen)
    if learnt.aligned is not None:
        longest = max(steps, sparsity.full_steps or 0 if kind == "mask" else 0)
        learnt.aligned.prepare(frozen, longest, work / "targets.safetensors", device)
    batches = Batches(
        learnt.sequences,
        learnt.aligned,
        learnt.pairs if "translation" in objective else [],
        loaded.tokenizer,
        batch_size,
        length,
        seed,
    )
    teacher = frozen if "tokens" in objective else None
    function = LanguageLoss(objective, measured.output, teacher)
    differences: Differences | None = None
    student: AdapterStudent | MaskStudent
    if kind == "adapter":
        student = AdapterStudent(encoder, adapter.to(device))
        facts = fit(student, batches, function, schedule, work / "checkpoints", resume)
    else:
        student = MaskStudent(copy.deepcopy(encoder))
        differences, facts = train_sparse(
            student, batches, function, schedule, sparsity, work, resume
        )
    after = measured(student.eval(), frozen)
    for name in before:
        note(f"{language}: held-out {name} {before[name]} -> {after[name]}")

    card = ModuleCard(
        role="language",
        kind=kind,
        name=output.name,
        language=language,
        base=loaded.name,
        base_fingerprint=loaded.fingerprint,
        recipe={
            "command": command,
            "objective": str(objective),
            "batch_size": batch_size,
            "length": length,
            "rate": schedule.rate,
            **options,
            **({"head": own_head.name} if own_head else {}),
            "lines": len(lines),
            "pairs": len(pairs),
            "tokens seen": int(student.seen),
            **facts,
        },
        figures={
            **{
                f"{name} {when}": figures[name]
                for name in before
                for when, figures in (("before", before), ("after", after))
            },
            **measured.sizes(),
        },
        data=tuple(data),
    )
    if differences is None:
        model_type = loaded.model.config.model_type
        written = save_trained_adapter(adapter.cpu(), output, card, model_type=model_type)
    else:
        written = save_mask_module(differences, output, card)
    shutil.rmtree(work)
    return written


@dataclass(frozen=True)
class _Learnt:
    """What is learnt from, and what is held out.

    Attributes:
        sequences, unseen: of masked language modelling, (N, L); None without.
        held_lines: how many lines `unseen` is made of.
        pairs, held_pairs: of sentences.
        aligned: the pairs of each step; None where no loss aligns.
    """

    sequences: Tensor | None
    unseen: Tensor | None
    held_lines: int
    pairs: list[Pair]
    held_pairs: list[Pair]
    aligned: SentencePairs | None

    @classmethod
    def of(
        cls,
        lines: list[str],
        pairs: list[Pair],
        objective: Objective,
        base: Base,
        size: int,
        length: int,
        seed: int,
    ) -> _Learnt:
        held, seen = held_out(lines, seed) if lines else ([], [])
        sequences, unseen = (
            blocks(some, base.tokenizer, length) if some else None for some in (seen, held)
        )
        held_pairs, pairs = held_out_pairs(pairs, seed)
        aligned = None
        if objective.aligned:
            encoder = SentenceEncoder(base, length)
            aligned = SentencePairs(pairs, encoder, size, seed, "tokens" in objective)
        return cls(sequences, unseen, len(held), pairs, held_pairs, aligned)


class _Measured:
    """Perplexity and accuracy on what is held out: whichever the objective is about."""

    def __init__(
        self,
        learnt: _Learnt,
        head: BaseHead | None,
        objective: Objective,
        base: Base,
        device: Any,
        length: int,
        seed: int,
    ) -> None:
        self.learnt, self.tokenizer, self.seed, self.device = learnt, base.tokenizer, seed, device
        self.encoder = SentenceEncoder(base, length)
        self.pairs = learnt.held_pairs if objective.aligned else []
        self.output = None
        if head is not None:
            parts = [rows for rows in (learnt.sequences, learnt.unseen) if rows is not None]
            if "translation" in objective:
                parts.append(encode_pairs(learnt.pairs, base.tokenizer, length)["input_ids"])
            used = torch.unique(torch.cat([rows.flatten() for rows in parts]))
            self.output = MaskedOutput(head.head.to(device), head.words.to(device), used)

    def __call__(self, encode: Encoding, frozen: Encoding) -> dict[str, float]:
        found = {}
        if self.output is not None and self.learnt.unseen is not None:
            unseen = self.learnt.unseen
            found["perplexity"] = perplexity(encode, self.output, unseen, self.tokenizer, self.seed)
        if self.pairs:
            shares = accuracy(encode, frozen, self.encoder, self.pairs, self.device)
            found |= {f"accuracy {name}": share for name, share in shares.items()}
        return found

    def sizes(self) -> dict[str, int]:
        """Of what it is measured on."""
        found: dict[str, int] = {}
        if self.output is not None and self.learnt.unseen is not None:
            found |= {"held-out lines": self.learnt.held_lines, "pieces": len(self.output)}
        if self.pairs:
            found["held-out pairs"] = len(self.pairs)
        return found


def _adapter(
    base: Base,
    name: str,
    reduction: int | None,
    start: str | Path | None,
    seed: int,
    zoo: str | Path | None,
) -> tuple[TrainableAdapter, Mapping[str, Any]]:
    """A new adapter, or one like that to start from, and what the card says of that."""
    config = base.model.config
    width = adapter_width(base, reduction or REDUCTION)
    if start is None:
        layers = config.num_hidden_layers
        new = TrainableAdapter(name, config.hidden_size, layers, width, width, seed=seed)
        return new, {}
    folder = language_below(base, "adapter", str(start), zoo)
    adapter = TrainableAdapter.of(load_adapter_module(folder), name)
    if reduction is not None and adapter.width != width:
        raise UsageError(
            f"--reduction {reduction} makes bottlenecks of {width}, but those of '{start}' have "
            f"{adapter.width}; leave it out to keep the sizes of --start"
        )
    card = read_card(folder)
    about = {"name": card.full_name, "sha256": card.files["adapter.safetensors"]}
    return adapter, {"start": about}


def _lines(text: str | Path) -> list[str]:
    lines = read_lines(text)
    if len(lines) < 2:
        raise DataError(text, None, "only one line; some are held out to measure perplexity on")
    return lines


def _pairs(path: str | Path, language: str) -> list[Pair]:
    """The pairs of one language, of which there must be some."""
    by_language = read_pairs(path)
    pairs = [
        pair
        for tag, rows in by_language.items()
        if tags.normalise(tag) == language
        for pair in rows
    ]
    if not pairs:
        raise DataError(
            path, None, f"no pair is in '{language}'; there are {', '.join(sorted(by_language))}"
        )
    return pairs
