"""An adapter trained in the engine is one of the `adapters` library: same outputs, same format."""

import pytest
import torch

from polyrank.base import load_base
from polyrank.encoders.routed import RoutedEncoder, score
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.card import ModuleCard
from polyrank.training.language.trainable_adapter import TrainableAdapter, save_trained_adapter


@pytest.fixture
def adapter():
    made = TrainableAdapter("ky", hidden=32, layers=3, width=8, coupling=4, head=True, seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0, 0.2, generator=generator)
    return made


def inputs(base):
    encoded = base.tokenizer(["abc de", "f"], padding=True, return_tensors="pt")
    return encoded["input_ids"], encoded["attention_mask"]


def test_the_library_computes_the_same(adapter, tiny_folder, adapter_model, tmp_path):
    base = load_base(str(tiny_folder))
    ids, mask = inputs(base)
    ours = RoutedEncoder(base.model, [adapter.as_module()])
    hidden = ours.differentiable(ids, mask, None, torch.zeros_like(ids))
    card = ModuleCard("language", "adapter", "ky", "ky", base.name, base.fingerprint)
    kind = base.model.config.model_type
    save_trained_adapter(adapter, tmp_path / "ky", card, torch.float32, kind)
    model = adapter_model(tiny_folder)
    model.load_adapter(str(tmp_path / "ky"), use_safetensors=True, set_active=True)
    with torch.no_grad():
        theirs = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
    live = mask.bool()
    torch.testing.assert_close(hidden[live], theirs[live], atol=1e-5, rtol=1e-4)


def test_what_is_read_back_is_what_was_written(adapter, tiny_base, tmp_path):
    card = ModuleCard("ranking", "adapter", "ky", "en", tiny_base.name, tiny_base.fingerprint)
    save_trained_adapter(
        adapter, tmp_path / "m", card, torch.float32, tiny_base.model.config.model_type
    )
    back = load_adapter_module(tmp_path / "m")
    ids, mask = inputs(tiny_base)
    runs = [RoutedEncoder(tiny_base.model, [], m) for m in (adapter.as_module(), back)]
    first, second = (score(run(ids, mask), run.ranking.head) for run in runs)
    torch.testing.assert_close(first, second)


def test_gradients_reach_every_parameter(adapter, tiny_base):
    ids, mask = inputs(tiny_base)
    run = RoutedEncoder(tiny_base.model, [adapter.as_module()])
    tiny_base.model.requires_grad_(False)
    hidden = run.differentiable(ids, mask, None, torch.zeros_like(ids))
    hidden.square().sum().backward()
    without = [n for n, p in adapter.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in without if not name.startswith("head.")] == []


def test_uncouple_undoes_the_coupling(adapter):
    from polyrank.encoders.routed import _nice

    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(1))
    module = adapter.as_module()
    coupled = _nice(x, module.invertible, module.activation)
    torch.testing.assert_close(adapter.uncouple(coupled), x, atol=1e-5, rtol=1e-5)


def test_a_part_of_an_adapter(adapter, tiny_base):
    ids, mask = inputs(tiny_base)
    hidden = {
        factor: RoutedEncoder(tiny_base.model, [], adapter.scaled(factor).as_module())(ids, mask)
        for factor in (0.0, 0.5, 1.0)
    }
    live = mask.bool()
    bare = RoutedEncoder(tiny_base.model, [])(ids, mask)
    whole = RoutedEncoder(tiny_base.model, [], adapter.as_module())(ids, mask)
    torch.testing.assert_close(hidden[0.0][live], bare[live], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(hidden[1.0][live], whole[live])
    distance = [(hidden[factor] - bare)[live].norm() for factor in (0.0, 0.5, 1.0)]
    assert distance[0] < distance[1] < distance[2]
