"""What transformers imports for other work than inference stays out, and is there when asked."""

import json
import os
import subprocess
import sys
from contextlib import suppress

import pytest
import torch  # noqa: F401  (before the tests that leave no path to it)

from polyrank.base import deferred
from polyrank.base.deferred import Later

UNNEEDED = ["accelerate", "scipy.optimize", "torch._dynamo", "torch._inductor", "datasets",
            "pandas", "matplotlib", "sklearn", "adapters", "peft", "tensorflow"]  # fmt: skip


def test_a_name_is_found_when_it_is_called_or_read():
    sqrt = Later("math", "sqrt")
    assert sqrt(9.0) == 3.0 and sqrt.__class__ is Later and sqrt.__name__ == "sqrt"


def test_nothing_is_of_a_class_that_was_never_loaded():
    import decimal

    assert isinstance(decimal.Decimal(1), Later("decimal", "Decimal"))  # type: ignore[arg-type]
    assert not isinstance(1, Later("no_such_module", "Absent"))  # type: ignore[arg-type]


@pytest.mark.parametrize("asks", ["transformers.loss", "torch.loss", "transformers"])
def test_only_transformers_modules_get_stand_ins(monkeypatch, asks):
    monkeypatch.setattr(deferred, "DEFERRED", {"this_module"})
    monkeypatch.setattr(sys, "path", [])
    names = {"__name__": asks}
    with deferred.deferred_imports(), suppress(ImportError):
        exec("from this_module import found", names)
    assert isinstance(names.get("found"), Later) == (asks == "transformers.loss")


def test_a_loaded_module_has_no_stand_in(monkeypatch):
    monkeypatch.setattr(deferred, "DEFERRED", {"json"})
    names = {"__name__": "transformers.loss"}
    with deferred.deferred_imports():
        exec("from json import loads", names)
    assert names["loads"] is json.loads


def test_imports_are_as_ever_after_an_error():
    import builtins

    before = builtins.__import__
    with pytest.raises(ValueError), deferred.deferred_imports():
        raise ValueError
    assert builtins.__import__ is before


@pytest.fixture(scope="module")
def after_a_rerank(made_default_zoo):
    """The modules of a fresh interpreter that ranked two texts, and of what came later there."""
    script = """
import json, sys, torch
from polyrank import load_reranker
found = load_reranker("e5-small", fallback="none")
assert len(found.rank("a river", ["a bank", "water"], "en", "en")) == 2
ranked = sorted(sys.modules)
from transformers.loss.loss_for_object_detection import linear_sum_assignment
from transformers.masking_utils import TransformGetItemToIndex
from transformers.modeling_utils import get_balanced_memory
rows, columns = linear_sum_assignment([[1.0, 0.0], [0.0, 1.0]])
with TransformGetItemToIndex():
    pass
assert get_balanced_memory.__code__.co_name == "get_balanced_memory"
doubled = torch.compile(lambda x: 2 * x, backend="eager")(torch.ones(2)).tolist()
print(json.dumps([ranked, rows.tolist(), columns.tolist(), doubled,
                  "accelerate" in sys.modules, "torch._dynamo" in sys.modules]))
"""
    environment = {**os.environ, "POLYRANK_ZOO": str(made_default_zoo)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_rerank_loads_nothing_that_it_does_not_need(after_a_rerank):
    assert not set(UNNEEDED) & set(after_a_rerank[0])


@pytest.mark.slow
def test_what_was_deferred_works_later(after_a_rerank):
    _, rows, columns, doubled, accelerate, compiler = after_a_rerank
    assert (rows, columns, doubled) == ([0, 1], [1, 0], [2.0, 2.0])
    assert accelerate and compiler
