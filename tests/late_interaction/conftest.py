"""Late-interaction modules with random weights, random texts, and what masks do to an encoder."""

from __future__ import annotations

import copy
import random
import shutil

import pytest

LANGUAGES = ("de", "en", "fi", "ky", "tr", "zh")


@pytest.fixture(scope="session")
def words():
    """Words of four letters: words(random.Random, count)."""

    def make(source, count):
        return " ".join("".join(source.choices("abcdefghij", k=4)) for _ in range(count))

    return make


@pytest.fixture(scope="session")
def texts(words):
    """Documents in six languages, shuffled, of very different lengths."""
    from polyrank.collections.records import Document

    source = random.Random(3)
    found = [
        Document(f"d{i}", words(source, 1 + 2 * (i % 5)), language=LANGUAGES[i % 6])
        for i in range(18)
    ]
    source.shuffle(found)
    return found


@pytest.fixture(scope="session")
def dense():
    """A copy of an encoder + masks, added as full tensors: dense(encoder, *folders of masks)."""
    import torch

    from polyrank.modules.mask.mask_folder import load_mask_module

    def added(encoder, *folders):
        encoder = copy.deepcopy(encoder)
        masks = [load_mask_module(folder).differences for folder in folders]
        with torch.no_grad():
            for name, weight in encoder.named_parameters():
                for mask in masks:
                    if name in mask:
                        weight += mask[name].dense()
        return encoder

    return added


@pytest.fixture
def put_on(monkeypatch):
    """put_on(masked) -> a list that gets the masks' names whenever that encoder puts some on."""

    def watch(masked):
        found, under = [], masked.under

        def counted(masks):
            found.append([folder.name for folder in masks])
            return under(masks)

        monkeypatch.setattr(masked, "under", counted)
        return found

    return watch


@pytest.fixture
def stopped(monkeypatch, as_it_was):
    """stopped(scorer, encoder, work) -> whether the encoder was as before when work() had come to
    the scorer's forward and was stopped there, and whether it was afterwards."""

    def stop(scorer, encoder, work):
        unchanged, found = as_it_was(encoder), []

        def fails(*_):
            found.append(unchanged())
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(scorer, "_forward", fails)
            work()
        return *found, unchanged()

    return stop


@pytest.fixture(scope="module")
def late_zoo(tiny_base, tiny_zoo, randomise):
    """The tiny zoo with the late-interaction modules `li` (an adapter over `en`), and `moved` (a
    full model whose shared weights differ from the base's, over `en`)."""
    for kind, name in (("adapter", "li"), ("full", "moved")):
        save_random_late(tiny_base, kind, name, tiny_zoo, randomise)
    yield tiny_zoo
    for place in ("adapter/li", "full/moved"):  # other tests count what is in the zoo
        shutil.rmtree(tiny_zoo / tiny_base.name / "ranking" / place)


@pytest.fixture(scope="module")
def late_masks(tiny_base, mask_zoo, random_mask, randomise):
    """The zoo of masks with the late-interaction mask `li` (over `en`)."""
    mask = random_mask(tiny_base.model, 200, std=0.05)
    save_random_late(tiny_base, "mask", "li", mask_zoo, randomise, mask=mask)
    yield mask_zoo
    shutil.rmtree(mask_zoo / tiny_base.name / "ranking" / "mask" / "li")


@pytest.fixture(scope="module")
def trained_tokens(tiny_base, late_zoo, randomise):
    """The model that `li` was saved from, as training holds it."""
    return _model(tiny_base, "adapter", "li", late_zoo, randomise)[0]


@pytest.fixture(scope="session")
def xmod_zoo(tiny_xmod, randomise):
    """A zoo with the late-interaction module `li` of the tiny XMOD."""
    from polyrank.base import load_base

    root = tiny_xmod.parent.parent
    save_random_late(load_base(str(tiny_xmod)), "full", "li", root, randomise)
    return root


def _model(base, kind, name, zoo, randomise, over=None):
    import torch

    from polyrank.training.late_interaction.token_model import default_rules, token_model

    rules = default_rules(base, dim=16, query_length=24, document_length=40, augment_to=12)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        model, parent = token_model(base, rules, kind, name, "en", over, 2, zoo)
        randomise(model.model, name, seed=9)
        if model.markers is not None:  # a base for retrieval has prefixes instead
            model.markers.normal_(0.0, 0.3)
        for parameter in model.model.parameters():
            if parameter.requires_grad and kind == "full":
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
            elif parameter.requires_grad:
                parameter.copy_(parameter.half().float())  # as adapters are stored
    return model.eval(), parent


def save_random_late(base, kind, name, zoo, randomise, over=None, mask=None):
    """A late-interaction module with random weights, saved into a zoo over its module `en`."""
    from polyrank.modules.card import ModuleCard
    from polyrank.training.late_interaction.train_late_interaction import save_late_interaction

    model, parent = _model(base, kind, name, zoo, randomise, over)
    card = ModuleCard(
        role="ranking",
        kind=kind,
        name=name,
        language="en",
        base=base.name,
        base_fingerprint=base.fingerprint,
        parent=parent,
        recipe={"model": "late interaction", "command": "none: random weights"},
    )
    save_late_interaction(model, base, zoo / base.name / "ranking" / kind / name, card, mask)
