"""How much of each language adapter to keep, chosen on development data.

    python -m polyrank.training.pack.scale --results OUT --pack gpu_pack

An adapter that was aligned on few sentences of one domain moves its language too far: a part of
the move often finds more. For each adapter and factor, nDCG@10 of dense retrieval is measured, on
AfriQA's questions or, for languages without, on every second FLORES sentence among all English
ones; the best factor is written to OUT/scales.json, with every figure. A language without pairs of
its own may take the adapter of another (`--from sn=shared`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from polyrank.progress import note
from polyrank.training.language.trainable_adapter import TrainableAdapter
from polyrank.training.pack.jobs import adapter_of
from polyrank.training.pack.loaded import Pack
from polyrank.training.pack.measure import ndcg_of_one
from polyrank.training.pack.unpack import Returned

FACTORS = (0.0, 0.25, 0.5, 0.75, 1.0)  # 0 is the base alone
STEP = 2  # every second FLORES sentence is asked


class Development:
    """Development figures of an adapter in its language, with what is searched encoded once."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self._searched: dict[str, Tensor] = {}

    def ndcg(self, language: str, adapter: TrainableAdapter) -> float | None:
        """nDCG@10 of dense retrieval; None for a language without development data."""
        pack, module = self.pack, adapter.as_module()
        if language in pack.facts["afriqa"]:
            name = f"development/afriqa_{language}"
            queries = pack.vectors(pack.texts(name), "query", module, 60)
            return ndcg_of_one(queries @ self.searched("afriqa_passages", 200).T, pack.tables[name])
        if language in pack.facts["flores"]:
            texts = pack.texts(f"development/flores_{language}")
            asked = torch.arange(0, len(texts), STEP)
            queries = pack.vectors(texts, "query", module, 100, index=asked)
            return ndcg_of_one(queries @ self.searched("flores_en", 100).T, asked)
        return None

    def searched(self, name: str, limit: int) -> Tensor:
        if name not in self._searched:
            texts = self.pack.texts(f"development/{name}")
            self._searched[name] = self.pack.vectors(texts, "passage", limit=limit)
        return self._searched[name]


def main() -> None:
    """Measure every adapter at every factor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="what the GPU machine wrote")
    parser.add_argument("--pack", type=Path, default=Path("gpu_pack"), help="what was sent there")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--from", dest="other", action="append", default=[], metavar="LANGUAGE=JOB")
    options = parser.parse_args()
    returned = Returned(options.results)
    development = Development(Pack(options.pack, options.device))
    jobs = {
        facts["languages"][0]: name
        for name, facts in returned.facts.items()
        if facts["make"] == "language" and len(facts["languages"]) == 1 and name in returned.tensors
    }
    jobs |= dict(pair.split("=", 1) for pair in options.other)
    found: dict[str, dict[str, object]] = {}
    for language, job in jobs.items():
        adapter = adapter_of(returned.facts[job], returned.tensors[job])
        figures = {factor: development.ndcg(language, adapter.scaled(factor)) for factor in FACTORS}
        known = {factor: value for factor, value in figures.items() if value is not None}
        if known:
            best = max(known, key=lambda factor: known[factor])
            on = (
                "AfriQA" if language in development.pack.facts["afriqa"] else "FLORES, every second"
            )
            found[language] = {"job": job, "factor": best, "on": on, "nDCG@10": known}
            note(
                f"{language}: {best:g} of '{job}', "
                + ", ".join(f"{factor:g}: {value:.3f}" for factor, value in known.items())
            )
    (options.results / "scales.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
