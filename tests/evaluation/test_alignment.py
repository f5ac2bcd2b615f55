"""Alignment: similarities by hand, vectors against the model itself, chance."""

import numpy as np
import pytest
import torch

from polyrank.errors import UsageError
from polyrank.evaluation.alignment import alignment, similarity
from polyrank.evaluation.layer_vectors import layer_vectors

TEXTS = ["water boils at a hundred degrees", "a river", "old iron and white salt", "birds at night"]


def test_similarity_by_hand():
    texts = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    found = similarity(texts, np.array([[2.0, 0.0], [0.0, 3.0]], dtype=np.float32))
    assert (found.cosine, found.random) == (1.0, 0.0)
    # Centred: ±(1, -1) / 2 and ±(2, -3) / 2; the others point the other way.
    cosine = 5 / (2 * 13) ** 0.5
    assert found.centred == pytest.approx(cosine) and found.centred_random == pytest.approx(-cosine)
    assert (found.retrieval, found.mutual) == (1.0, 1.0)
    swapped = similarity(texts, texts[::-1])
    assert (swapped.cosine, swapped.random, swapped.retrieval) == (0.0, 1.0, 0.0)


def test_nearest_one_way_only():
    """Centred at (0, 0) on both sides: 0 and 1 both want English 0, which wants 0."""
    texts = np.array([[3.0, 1.0], [3.0, 2.0], [-6.0, -3.0]])
    english = np.array([[3.0, 1.0], [-1.0, 3.0], [-2.0, -4.0]])
    found = similarity(texts, english)
    assert found.retrieval == pytest.approx(2 / 3)
    assert found.mutual == pytest.approx(2 / 3)


def test_one_direction_inflates_the_raw_cosine_only():
    generator = np.random.default_rng(3)
    common = 50 * np.ones(16)
    texts, english = (generator.normal(size=(200, 16)) + common for _ in "ab")
    found = similarity(texts, english)
    assert found.cosine > 0.99 and found.random > 0.99  # not parallel at all
    assert found.centred == pytest.approx(0, abs=0.06)
    assert found.retrieval == pytest.approx(1 / 200, abs=0.015)  # chance


def test_equal_vectors_find_nothing():
    same = np.ones((5, 4))
    found = similarity(same, same)
    assert (found.cosine, found.centred, found.retrieval) == (pytest.approx(1), 0.0, 0.0)


def test_the_base_alone_is_the_model(tiny_base):
    layers = layer_vectors(tiny_base, TEXTS, None)
    inputs = tiny_base.tokenizer(TEXTS[0], return_tensors="pt")
    with torch.inference_mode():
        states = tiny_base.model(**inputs, output_hidden_states=True).hidden_states
    assert len(layers) == len(states)
    for ours, theirs in zip(layers, states, strict=True):
        assert ours[0] == pytest.approx(theirs[0].mean(dim=0).numpy(), abs=1e-5)
    first, last = (layer_vectors(tiny_base, TEXTS, None, pooling=p) for p in ("first", "last"))
    assert first[-1][0] == pytest.approx(states[-1][0, 0].numpy(), abs=1e-5)
    assert last[-1][0] == pytest.approx(states[-1][0, -1].numpy(), abs=1e-5)


def test_an_adapter_acts_as_in_the_adapters_library(
    tiny_base, tiny_zoo, tiny_folder, adapter_model
):
    model = adapter_model(tiny_folder)
    folder = tiny_zoo / tiny_base.name / "language" / "adapter" / "en"
    model.set_active_adapters(model.load_adapter(str(folder), use_safetensors=True))
    model.eval()
    inputs = tiny_base.tokenizer(TEXTS[0], return_tensors="pt")
    with torch.inference_mode():
        expected = model.base_model(**inputs).last_hidden_state[0].mean(dim=0)
    found = layer_vectors(tiny_base, TEXTS, "en", zoo=tiny_zoo)[-1][0]
    assert found == pytest.approx(expected.numpy(), abs=1e-4)


def test_a_mask_acts_and_comes_off_again(tiny_base, mask_zoo):
    before = layer_vectors(tiny_base, TEXTS, None)[-1]
    under = layer_vectors(tiny_base, TEXTS, "en", "mask", zoo=mask_zoo)[-1]
    assert not np.allclose(before, under, atol=1e-4)
    assert (layer_vectors(tiny_base, TEXTS, None)[-1] == before).all()


def test_a_table_sorted_by_need(tiny_base, tiny_zoo):
    pairs = {
        "en": [(text, text) for text in TEXTS],  # aligned with itself
        "so": list(zip(TEXTS, TEXTS[1:] + TEXTS[:1], strict=True)),  # not parallel, no module
    }
    found = alignment(tiny_base, pairs, zoo=tiny_zoo, progress=False)
    assert [row.language for row in found.languages] == ["so", "en"]
    worst, best = found.languages
    assert worst.module is None and best.module is not None
    assert best.mean("cosine") == pytest.approx(1) == best.mean("cosine", module=True)
    assert best.mean("retrieval") == 1.0 and worst.mean("retrieval") == 0.0
    assert "so" in str(found).splitlines()[1] and '"retrieval"' in found.json()


def test_refusals(tiny_base):
    with pytest.raises(UsageError, match="at least two"):
        alignment(tiny_base, {"ky": [("a", "b")]})
    with pytest.raises(UsageError, match="pooling"):
        layer_vectors(tiny_base, TEXTS, None, pooling="max")
