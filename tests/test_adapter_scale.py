"""`benchmarks/adapter_scale.py`: a part of an adapter, against the same by the training's own."""

import importlib.util
from pathlib import Path

import pytest
import torch

from polyrank.modules.card import read_card
from polyrank.rerankers.pooled_vectors import PooledVectors

PATH = Path(__file__).parent.parent / "benchmarks" / "adapter_scale.py"


@pytest.fixture(scope="module")
def adapter_scale():
    spec = importlib.util.spec_from_file_location("adapter_scale", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_part_lies_between_the_base_alone_and_the_whole(
    adapter_scale, carded_base, tiny_zoo, tmp_path
):
    whole = tiny_zoo / carded_base.name / "language/adapter/tr"

    def vectors(zoo, routing="split"):
        model = PooledVectors(carded_base, "none", routing=routing, zoo=zoo, device="cpu")
        return torch.cat(model.encode_queries(["abc def hij"], "tr"))

    def of(factor):
        place = tmp_path / str(factor)
        folder = place / carded_base.name / "language/adapter/tr"
        adapter_scale.scaled(whole, folder, factor, {"nDCG@10 at scale": factor})
        card = read_card(folder)  # its files are what it says
        assert card.recipe["scale"] == factor and card.figures["nDCG@10 at scale"] == factor
        return vectors(place)

    base, all_of_it = vectors(tiny_zoo, "none"), vectors(tiny_zoo)
    assert torch.allclose(of(0.0), base, atol=1e-5)
    assert torch.allclose(of(1.0), all_of_it, atol=1e-5)
    little = of(0.01)
    assert not torch.allclose(little, base, atol=1e-6)
    assert (little - base).norm() < 0.1 * (all_of_it - base).norm()
