"""Turns what came back from a GPU machine into modules of a zoo, with their cards.

    python -m polyrank.training.pack.unpack --results OUT --pack gpu_pack --text TEXT --zoo ZOO

Every module is written under the name of its job, those of `--only` alone if that is given. A full
model is written under `--full` only, since it is too large to be bundled.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.base import DEFAULT_BASE, Base, load_base
from polyrank.modules.card import LATE_INTERACTION, Data, ModuleCard, Parent, write_card
from polyrank.modules.full import save_full_module
from polyrank.modules.mask.mask_folder import save_mask_module
from polyrank.modules.mask.sparse import SparseDifference
from polyrank.modules.projection import Projection, TokenRules, save_projection
from polyrank.progress import note
from polyrank.training.head.head_folder import HeadCard, save_head_folder
from polyrank.training.head.output_head import OutputHead
from polyrank.training.language.trainable_adapter import TrainableAdapter, save_trained_adapter
from polyrank.training.pack.jobs import FULL_LATE, HEAD, adapter_of

MINED = "the base's 20 nearest, BM25's 5"
COMMAND = "make gpu-train"  # what the cards quote; with `make gpu-pack` before, `gpu-unpack` after


class Returned:
    """What came back: facts of every job, and the tensors of those that have some."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load

        self.facts: dict[str, dict[str, Any]] = json.loads((folder / "results.json").read_text())
        self.failed: Mapping[str, str] = self.facts.pop("failed", {})  # type: ignore[assignment]
        scales = folder / "scales.json"  # of `scale`, where it was run
        self.scales = json.loads(scales.read_text()) if scales.is_file() else {}
        self.tensors: dict[str, dict[str, Tensor]] = {}
        for path in sorted(folder.glob("modules-*.tar")):
            with tarfile.open(path) as archive:
                for member in archive.getmembers():
                    file = archive.extractfile(member)
                    if file is not None and member.name.endswith(".tensors"):
                        name = Path(member.name).stem.split(".part")[0]
                        self.tensors.setdefault(name, {}).update(load(file.read()))


class Unpacking:
    """Writes modules.

    Args:
        returned: from the GPU machine.
        pack: the pack that was sent there.
        text: the folder of training text, for sources and licences.
        base: that the modules are for.
        root: the zoo.
        machine: in words, for the cards.
    """

    def __init__(
        self, returned: Returned, pack: Path, text: Path, base: Base, root: Path, machine: str
    ) -> None:
        self.returned, self.pack, self.text = returned, pack, text
        self.base, self.root, self.machine = base, root, machine
        facts = json.loads((pack / "facts.json").read_text())
        if tuple(facts["fingerprint"]) != (base.fingerprint.weights, base.fingerprint.vocabulary):
            raise SystemExit(f"the pack was made for another base than {base.name}")

    def sources(self, language: str, with_text: bool) -> tuple[Data, ...]:
        """What a language's module was trained on."""
        if language == "en":
            return (Data("English sides of the sentence pairs of all languages", "as theirs"),)
        found = []
        for line in (self.text / "pairs.sources.tsv").read_text().splitlines():
            tag, name, licence, count = line.split("\t")
            if tag == language:
                found.append(Data(f"{name} (sentence pairs)", licence, int(count)))
        return (*found, *(self.plain(language) if with_text else ()))

    def plain(self, language: str) -> list[Data]:
        """The sources of a language's monolingual text."""
        path = self.text / f"text/{language}.sources.tsv"
        lines = path.read_text().splitlines() if path.is_file() else []
        columns = [line.split("\t") for line in lines]
        return [Data(name, licence) for name, licence in columns]

    def recipe(self, name: str) -> dict[str, Any]:
        facts = self.returned.facts[name]
        kept = ("steps", "seconds", "pairs", "tokens seen, padding included", "full steps", "k")
        return {
            "command": COMMAND,
            "objective": objective(facts["recipe"]),
            **{key: value for key, value in facts["recipe"].items() if key != "steps"},
            **{key: facts[key] for key in kept if key in facts},
            "loss at first and last": [facts["loss at first"], facts["loss at last"]],
            "seed": facts["seed"],
            "machine": self.machine,
            "precision": "tf32" if facts["make"] in ("language", "mask", "head") else "bf16",
        }

    def figures(self, name: str) -> dict[str, Any]:
        """Development figures, as the card shows them."""
        facts = self.returned.facts[name]
        found: dict[str, Any] = {
            key: facts[key] for key in ("perplexity before", "perplexity after") if key in facts
        }
        for key, value in facts.items():
            if key.startswith("development"):
                found |= flat(value)
        return found | {"measured on": "development data, by the training run itself"}

    def card(self, role: str, kind: str, name: str, language: str, job: str) -> ModuleCard:
        return ModuleCard(
            role=role,
            kind=kind,
            name=name,
            language=language,
            base=self.base.name,
            base_fingerprint=self.base.fingerprint,
            recipe=self.recipe(job),
            figures=self.figures(job),
        )

    # ---------------------------------------------------------------------------- modules

    def head(self) -> None:
        """The masked-language head, its bias spread over the whole vocabulary."""
        tensors, facts = self.returned.tensors[HEAD], self.returned.facts[HEAD]
        config = self.base.model.config
        head = OutputHead(config.hidden_size, config.vocab_size, config.layer_norm_eps)
        pieces = torch.from_numpy(np.load(self.pack / "pieces.npy").astype(np.int64))
        seen = tensors["bias"].float()
        state = {name: value.float() for name, value in tensors.items() if name != "bias"}
        state["bias"] = torch.full((config.vocab_size,), float(seen.min()))
        state["bias"][pieces] = seen  # what the text never used is as rare as its rarest piece
        head.load_state_dict(state)
        texts = {source.name: source for tag in facts["languages"] for source in self.plain(tag)}
        card = HeadCard(
            self.base.name,
            self.base.fingerprint,
            recipe=self.recipe(HEAD) | {"languages": facts["languages"]},
            figures=self.figures(HEAD),
            data=tuple(texts[name] for name in sorted(texts)),
        )
        save_head_folder(head, self.root / self.base.name / "head", card)

    def language(self, job: str, language: str | None = None) -> None:
        """Write a language adapter, as much of it as `scales.json` says.

        Args:
            language: of the module, if not the one that the job was for.
        """
        facts = self.returned.facts[job]
        language = language or facts["languages"][0]
        adapter = adapter_of(facts, self.returned.tensors[job])
        adapter.name = language
        scale = self.returned.scales.get(language)
        if scale is not None:
            adapter = adapter.scaled(scale["factor"])
        card = self.card("language", "adapter", language, language, job)
        recipe, figures, data = dict(card.recipe), dict(card.figures), list[Data]()
        for trained in facts["languages"]:
            data += self.sources(trained, bool(facts["recipe"]["masked"]))
        if scale is not None:
            recipe["scale"] = scale["factor"]
            figures = {"whole: " + key: value for key, value in figures.items()}
            for factor, value in scale["nDCG@10"].items():
                figures[f"nDCG@10 at scale {factor}"] = round(value, 4)
            figures["scale chosen on"] = scale["on"]
        if facts["languages"] != [language]:
            recipe["pairs of"] = facts["languages"]
        card = replace(card, recipe=recipe, figures=figures, data=tuple(data))
        save_trained_adapter(adapter, self._folder("language", "adapter", language), card)

    def mask(self, job: str) -> None:
        (language,) = self.returned.facts[job]["languages"]
        shapes = self.base.model.state_dict()
        tensors, differences = self.returned.tensors[job], {}
        for key in tensors:
            if key.endswith(".indices"):
                name = key.removesuffix(".indices")
                differences[name] = SparseDifference(
                    tuple(shapes[name].shape),
                    tensors[key].long(),
                    tensors[f"{name}.values"].float(),
                )
        card = replace(
            self.card("language", "mask", language, language, job),
            data=self.sources(language, False),
        )
        save_mask_module(differences, self._folder("language", "mask", language), card)

    def ranking(self, job: str, name: str, late: bool) -> None:
        facts, tensors = self.returned.facts[job], dict(self.returned.tensors[job])
        weight, bias = (tensors.pop(f"projection.{part}", None) for part in ("weight", "bias"))
        facts["sizes"]["name"] = name
        adapter: TrainableAdapter = adapter_of(facts, tensors)
        english = self._folder("language", "adapter", "en") / "adapter.safetensors"
        parent = Parent("en", "en", hashlib.sha256(english.read_bytes()).hexdigest())
        card = self.card("ranking", "adapter", name, "en", job)
        base = self.base.card
        recipe = {
            **card.recipe,
            "prefixes": [base.query_prefix, base.passage_prefix],
            "mined": MINED,
        }
        data = [Data("SQuAD 1.1 train", "CC-BY-SA-4.0")]
        if facts["recipe"]["parallel"]:
            lines = Counter[tuple[str, str]]()
            for language in facts["languages"]:
                for source in self.sources(language, False):
                    lines[source.name, source.licence] += source.lines or 0
            data += [Data(*source, count) for source, count in sorted(lines.items())]
        if late:
            recipe = {"model": LATE_INTERACTION, **recipe}
        card = replace(card, recipe=recipe, parent=parent, data=tuple(data))
        folder = self._folder("ranking", "adapter", name)
        save_trained_adapter(adapter, folder, card)
        if late and weight is not None and bias is not None:
            rules = self.rules(weight.shape[0])
            save_projection(Projection(rules, weight.float(), bias.float()), folder)
            write_card(folder, card)

    def rules(self, dim: int) -> TokenRules:
        """How texts become token vectors under this base: prefixes, no markers, no filling."""
        return TokenRules(
            query_marker=None,
            document_marker=None,
            dim=dim,
            augment_to=0,
            specials=False,
            query_prefix=self.base.card.query_prefix,
            document_prefix=self.base.card.passage_prefix,
        )

    def full(self, job: str, folder: Path) -> None:
        """The base with what full fine-tuning changed, and its head."""
        from transformers import AutoModelForSequenceClassification

        tensors = self.returned.tensors[job]
        model = AutoModelForSequenceClassification.from_pretrained(self.base.folder, num_labels=1)
        state = changed(model.base_model.state_dict(), tensors)
        head = {k.removeprefix("head."): v.float() for k, v in tensors.items() if "head." in k}
        save_full_encoder(model, state, head, self, job, folder)

    def full_late(self, job: str, name: str, root: Path) -> None:
        """The base with what full fine-tuning changed, and the projection of token vectors."""
        from transformers import AutoModel

        tensors = dict(self.returned.tensors[job])
        weight, bias = (tensors.pop(f"projection.{part}").float() for part in ("weight", "bias"))
        model = AutoModel.from_pretrained(self.base.folder)
        model.load_state_dict(changed(model.state_dict(), tensors))
        card = self.card("ranking", "full", name, "en", job)
        base = self.base.card
        recipe = {
            "model": LATE_INTERACTION,
            **card.recipe,
            "prefixes": [base.query_prefix, base.passage_prefix],
            "mined": MINED,
        }
        card = replace(card, recipe=recipe, data=(Data("SQuAD 1.1 train", "CC-BY-SA-4.0"),))
        folder = root / self.base.name / "ranking" / "full" / name
        save_full_module(model, self.base.tokenizer, folder, card)
        save_projection(Projection(self.rules(len(weight)), weight, bias), folder)
        write_card(folder, card)

    def _folder(self, role: str, kind: str, name: str) -> Path:
        return self.root / self.base.name / role / kind / name


def changed(start: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with the differences of `jobs.rounded_differences` added."""
    state = dict(start)
    for key, value in tensors.items():
        name = key.removesuffix(".levels")
        if key.endswith(".levels"):
            state[name] = state[name] + value.float() * tensors[f"{name}.scale"].float() / 1024
        elif not key.startswith("head.") and not key.endswith(".scale"):
            state[name] = state[name] + value.float()
    return state


def save_full_encoder(
    model: Any,
    state: Mapping[str, Tensor],
    head: Mapping[str, Tensor],
    unpacking: Unpacking,
    job: str,
    folder: Path,
) -> None:
    """Write a full ranking model: `<s>` → dense, tanh → one logit, as BERT's pooler does."""
    model.base_model.load_state_dict(state)
    with torch.no_grad():
        model.bert.pooler.dense.weight.copy_(head["0.weight"])
        model.bert.pooler.dense.bias.copy_(head["0.bias"])
        model.classifier.weight.copy_(head["1.weight"])
        model.classifier.bias.copy_(head["1.bias"])
    card = unpacking.card("ranking", "full", "squad", "en", job)
    save_full_module(model, unpacking.base.tokenizer, folder, card)


def objective(recipe: Mapping[str, Any]) -> str:
    """The losses of a recipe in words."""
    words = {
        "distance": "sentence distance",
        "contrast": "sentence contrast",
        "tokens": "token contrast",
        "masked": "masked language modelling",
        "parallel": "translation pairs",
    }
    terms = [f"{recipe[key]:g} × {word}" for key, word in words.items() if recipe.get(key)]
    return " + ".join(terms) or "cross-entropy of the right passage"


def flat(value: Any, prefix: str = "") -> dict[str, float]:
    """Nested figures as one level: {'before afriqa dense': .53, …}."""
    if not isinstance(value, dict):
        return {prefix.strip(): round(float(value), 4)}
    found: dict[str, float] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{prefix} {key}")
    return found


def main() -> None:
    """Write every module that came back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="what the GPU machine wrote")
    parser.add_argument("--pack", type=Path, default=Path("gpu_pack"), help="what was sent there")
    parser.add_argument("--text", type=Path, required=True, help="folder of the training text")
    parser.add_argument("--zoo", type=Path, default=Path("adapters_zoo"), help="zoo to write into")
    parser.add_argument("--base", default=DEFAULT_BASE)
    parser.add_argument("--full", type=Path, help="folder for full models, which are large")
    parser.add_argument("--machine", default="one NVIDIA H100 80GB HBM3")
    parser.add_argument("--only", help="names of jobs, with commas between; default all")
    parser.add_argument(
        "--name", action="append", default=[], metavar="JOB=NAME", help="of a ranking module"
    )
    options = parser.parse_args()
    names = dict(pair.split("=", 1) for pair in options.name)
    returned = Returned(options.results)
    base = load_base(options.base)
    unpacking = Unpacking(returned, options.pack, options.text, base, options.zoo, options.machine)
    chosen = options.only.split(",") if options.only else list(returned.facts)
    for language, scale in returned.scales.items():
        if scale["factor"] == 0:
            note(f"{language}: no part of its adapter helps, so none is written")
            chosen = [name for name in chosen if name != scale["job"]]
        elif scale["job"] != language:  # the adapter of another language, or of many
            unpacking.language(scale["job"], language)
            note(f"{language}: written, from '{scale['job']}'")
    order = {"head": 0, "language": 1}
    for job in sorted(chosen, key=lambda name: order.get(returned.facts[name]["make"], 2)):
        facts = returned.facts[job]
        if job not in returned.tensors:
            note(f"{job}: figures alone came back")
            continue
        make = facts["make"]
        if make == "head":
            unpacking.head()
        elif make == "language":
            unpacking.language(job)
        elif make == "mask":
            unpacking.mask(job)
        elif make in ("full", FULL_LATE):
            if options.full is None:
                note(f"{job}: left out; give --full DIR to write it")
                continue
            if make == FULL_LATE:
                unpacking.full_late(job, names.get(job, job), options.full)
            else:
                unpacking.full(job, options.full)
        else:
            unpacking.ranking(job, names.get(job, job), late=make == "late-interaction")
        note(f"{job}: written")


if __name__ == "__main__":
    main()
