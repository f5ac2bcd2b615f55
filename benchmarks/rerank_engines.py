"""One engine that scores pairs, in a process of its own, for `benchmarks/rerank.py`.

Imports polyrank for its own engines alone, so that peers run in another environment.
Reads a line of JSON for each request: {"query": …, "documents": [[text, language], …]}; writes one:
{"scores": …, "wall": …, "cpu": …, "peak_mb": …}. The first line it writes is about loading.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LENGTH = 256
Request = dict[str, Any]
Score = Callable[[Request], list[float]]


def polyrank(precision: str) -> Callable[[str], Score]:
    def load(model: str) -> Score:
        from polyrank.collections.records import Document, Query
        from polyrank.rerankers.load import load_reranker

        name = {"composition": "e5-small/ranking/adapter/squad"}.get(model, model)
        reranker: Any = load_reranker(name, precision=precision, max_length=LENGTH)

        def score(request: Request) -> list[float]:
            query = Query("q", request["query"], request["language"])
            pairs = [
                (query, Document(str(i), text, "", language))
                for i, (text, language) in enumerate(request["documents"])
            ]
            return list(reranker.score(pairs))

        return score

    return load


def sentence_transformers(
    prepare: Callable[[str], tuple[str, dict[str, Any]]],
) -> Callable[[str], Score]:
    def load(model: str) -> Score:
        from sentence_transformers import CrossEncoder
        from torch import nn

        folder, options = prepare(model)
        encoder = CrossEncoder(folder, max_length=LENGTH, device="cpu", **options)

        def score(request: Request) -> list[float]:
            pairs = [(request["query"], text) for text, _ in request["documents"]]
            scores = encoder.predict(pairs, activation_fn=nn.Identity(), show_progress_bar=False)
            return [float(one) for one in scores]

        return score

    return load


def as_it_is(model: str) -> tuple[str, dict[str, Any]]:
    return model, {}


def onnx(model: str) -> tuple[str, dict[str, Any]]:
    return model, {"backend": "onnx", "model_kwargs": {"provider": "CPUExecutionProvider"}}


def onnx_int8(model: str) -> tuple[str, dict[str, Any]]:
    folder, file = quantised(model)
    kwargs = {"file_name": f"onnx/{file.name}", "provider": "CPUExecutionProvider"}
    return folder, {"backend": "onnx", "model_kwargs": kwargs}


def openvino(model: str) -> tuple[str, dict[str, Any]]:
    return model, {"backend": "openvino"}


def openvino_int8(model: str) -> tuple[str, dict[str, Any]]:
    """8-bit weights, activations rounded as they come; static rounding would need data fetched."""
    return model, {"backend": "openvino", "model_kwargs": {"load_in_8bit": True}}


def quantised(model: str) -> tuple[str, Path]:
    """A copy of the model, and in it its ONNX form in 8 bits, as the library exports it."""
    from sentence_transformers import CrossEncoder, export_dynamic_quantized_onnx_model

    folder = tempfile.mkdtemp(prefix=f"{Path(model).name}-onnx-int8-")
    shutil.copytree(model, folder, dirs_exist_ok=True)
    export_dynamic_quantized_onnx_model(CrossEncoder(folder, backend="onnx"), "avx2", folder)
    return folder, next(Path(folder, "onnx").glob("*avx2.onnx"))


def rerankers(model: str) -> Score:
    import torch
    from rerankers import Reranker

    ranker = Reranker(model, model_type="cross-encoder", device="cpu", dtype=torch.float32)

    def score(request: Request) -> list[float]:
        texts = [text for text, _ in request["documents"]]
        found = ranker.rank(query=request["query"], docs=texts, doc_ids=list(range(len(texts))))
        return [one.score for one in sorted(found.results, key=lambda one: one.doc_id)]

    return score


def flashrank(model: str) -> Score:
    """FlashRank's engine on our weights: they stand where one of its own models would."""
    import numpy as np
    from flashrank import Ranker, RerankRequest
    from flashrank.Config import model_file_map

    name = "ms-marco-MiniLM-L-12-v2"
    source, file = quantised(model)
    cache = Path(tempfile.mkdtemp())
    shutil.copytree(source, cache / name)
    shutil.copy(file, cache / name / model_file_map[name])
    ranker = Ranker(model_name=name, cache_dir=str(cache), max_length=LENGTH)
    run = ranker.session.run  # it leaves token types out where all are zero; a BERT asks for them
    ranker.session = SimpleNamespace(
        run=lambda names, given: run(
            names, {"token_type_ids": np.zeros_like(given["input_ids"]), **given}
        )
    )

    def score(request: Request) -> list[float]:
        texts = [{"id": i, "text": text} for i, (text, _) in enumerate(request["documents"])]
        found = ranker.rerank(RerankRequest(query=request["query"], passages=texts))
        return [float(one["score"]) for one in sorted(found, key=lambda one: one["id"])]

    return score


OURS = ("polyrank fp32", "polyrank int8")
ENGINES: dict[str, Callable[[str], Score]] = {
    "polyrank fp32": polyrank("fp32"),
    "polyrank int8": polyrank("int8"),
    "sentence-transformers": sentence_transformers(as_it_is),
    "sentence-transformers onnx": sentence_transformers(onnx),
    "sentence-transformers onnx int8": sentence_transformers(onnx_int8),
    "sentence-transformers openvino": sentence_transformers(openvino),
    "sentence-transformers openvino int8": sentence_transformers(openvino_int8),
    "rerankers": rerankers,
    "flashrank": flashrank,
}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(name: str, model: str, threads: int) -> None:
    answers = os.fdopen(os.dup(1), "w")  # libraries print to standard output
    os.dup2(2, 1)

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    start, before = time.perf_counter(), time.process_time()
    try:
        import torch

        torch.set_num_threads(threads)
        score = ENGINES[name](model)
    except Exception as error:  # any library may be missing or refuse: that is the result
        return answer({"error": f"{type(error).__name__}: {str(error).splitlines()[:1]}"})
    answer({"wall": time.perf_counter() - start, "cpu": time.process_time() - before})
    for line in sys.stdin:
        start, before = time.perf_counter(), time.process_time()
        scores = score(json.loads(line))
        spent = {"wall": time.perf_counter() - start, "cpu": time.process_time() - before}
        answer({"scores": scores, **spent, "peak_mb": peak()})
    return None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
