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
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import BertForMaskedLM, PreTrainedTokenizerFast

from polyrank.errors import UsageError
from polyrank.training.base_batches import Batches, Objective
from polyrank.training.base_loss import JointLoss
from polyrank.training.base_student import load_teacher, student_of, teacher_folder
from polyrank.training.sentence_retrieval import read_development, sentence_retrieval
from polyrank.training.steps import Schedule, begin, digest, fit
from polyrank.training.text import read_lines, read_pairs
from polyrank.training.vocabulary import train_vocabulary
from polyrank.training.word_translation import initial_embeddings

USUAL = Objective()


def train_base(
    pairs: str | Path,
    text: str | Path,
    output: str | Path,
    teacher: str | None = None,
    vocabulary: int = 23_000,
    steps: int = 900,
    objective: Objective = USUAL,
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
    teacher_tokenizer, teacher_model = load_teacher(source)
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
