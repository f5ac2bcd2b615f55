"""Folders as the neighbours write them, over the tiny bases."""

import pytest


@pytest.fixture
def library(tiny_folder, adapter_model, randomise):
    """A model of the `adapters` library with `ky`, `en` (invertible), and the ranker `marco`."""
    model = adapter_model(tiny_folder)
    for seed, name in enumerate(("ky", "en")):
        model.add_adapter(name, config="seq_bn_inv")
        randomise(model, name, seed)
    model.add_adapter("marco", config="seq_bn")
    model.add_classification_head("marco", num_labels=1, layers=2)
    randomise(model, "marco", 7)
    return model


@pytest.fixture
def saved(library, tmp_path):
    """saved("ky") -> its folder as the library writes it by default, in .bin."""

    (tmp_path / "theirs").mkdir()

    def save(name, **options):
        library.save_adapter(str(tmp_path / "theirs" / name), name, **options)
        return tmp_path / "theirs" / name

    return save
