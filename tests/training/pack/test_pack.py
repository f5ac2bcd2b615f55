"""From text to modules of the zoo, by way of a pack, as on a GPU machine."""

import copy
import time

import pytest
import torch

from polyrank.encoders.routed import RoutedEncoder, query_lengths
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.mask.mask_folder import load_mask_module
from polyrank.training.pack import masks as making_masks
from polyrank.training.pack.cross_encoder import paired
from polyrank.training.pack.jobs import FULL_LATE, Bench, Job, run
from polyrank.training.pack.languages import Recipe
from polyrank.training.pack.late_interaction import TokenProjection
from polyrank.training.pack.loaded import Pack
from polyrank.training.pack.masks import largest
from polyrank.training.pack.ranking import RankingRecipe
from polyrank.training.pack.run import pack_up
from polyrank.training.pack.unpack import Returned, Unpacking, changed

SHORT = Recipe(steps=3, pairs=8, sequences=4, width=4, coupling=4)
RANKING = RankingRecipe(steps=2, queries=4, negatives=1, width=4, dim=32, half=False, pairs=4)


@pytest.fixture(scope="module")
def pack(pack_folder):
    return Pack(pack_folder, "cpu")


@pytest.fixture(scope="module")
def pieces(pack_folder):
    import numpy as np

    return np.load(pack_folder / "pieces.npy")


def originals(ids, live, pieces):
    """Ids of the pack as those of the base, padding left out."""
    return [
        [int(pieces[i]) for i in row[real].tolist()] for row, real in zip(ids, live, strict=True)
    ]


def test_texts_are_framed_as_the_tokenizer_does(pack, packed_base, pieces, words):
    index = [0, 7, 3]
    texts = pack.texts("pairs/rw").rows(torch.tensor(index), 50)
    ids, live, own = pack.framed(*texts, "query")
    for number, row, text in zip(index, originals(ids, live, pieces), own, strict=True):
        expected = packed_base.tokenizer(f"query: {words(number)}")["input_ids"]
        assert row == expected
        bare = packed_base.tokenizer(words(number), add_special_tokens=False)["input_ids"]
        assert int(text.sum()) == len(bare)


def test_pairs_are_framed_as_the_tokenizer_does(pack, packed_base, pieces, words):
    index = [4, 0, 9]
    queries = pack.texts("squad/queries").rows(torch.tensor(index), 50)
    passages = pack.texts("squad/passages").rows(torch.tensor(index), 50)
    ids, live, second = paired(pack, queries, passages)
    texts = [(f"query: {words(n)[:6]}", f"passage: t {words(n)}") for n in index]
    encoded = packed_base.tokenizer(texts, padding=True)
    for row, side, expected, start in zip(
        originals(ids, live, pieces),
        second,
        encoded["input_ids"],
        query_lengths(encoded),
        strict=True,
    ):
        assert row == [i for i in expected if i != packed_base.tokenizer.pad_token_id]
        assert int(side.int().argmax()) == start


def test_the_largest_are_kept_exactly():
    kept = largest({"a": torch.tensor([[1.0, -5.0], [0.5, 2.0]]), "b": torch.tensor([3.0, 0.1])}, 3)
    assert kept["a"].tolist() == [[False, True], [False, True]]
    assert kept["b"].tolist() == [True, False]


@pytest.fixture(scope="module")
def returned(pack, tmp_path_factory):
    work, output = (tmp_path_factory.mktemp(name) for name in ("work", "output"))
    bench = Bench(pack, work, time.time() + 1000)
    jobs = [
        Job("head", "head", ("rw",), minutes=0.05),
        Job("en", "language", ("en",), SHORT),
        Job("rw", "language", ("rw",), SHORT.but(masked=0.1, tokens=0.3), needs=("head",)),
        Job("mask-rw", "mask", ("rw",), SHORT),
        Job("squad", "cross-encoder", ("rw",), RANKING, needs=("en", "rw")),
        Job("squad-li", "late-interaction", ("rw",), RANKING.but(parallel=0.5)),
        Job("full-li", FULL_LATE, ("rw",), RANKING.but(rate=1e-2, half=True)),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polyrank.training.pack.jobs.MASK_SIZE", 50)
        patch.setattr(making_masks, "RATE", 1e-2)
        for job in jobs:
            assert run(job, bench) is not None, job.name
    assert pack_up(work, output) == len(jobs)
    return Returned(output)


@pytest.fixture(scope="module")
def zoo(returned, pack_folder, text, packed_base, tmp_path_factory):
    root = tmp_path_factory.mktemp("zoo")
    unpacking = Unpacking(returned, pack_folder, text, packed_base, root, "a machine")
    unpacking.head()
    unpacking.language("en")
    unpacking.language("rw")
    unpacking.mask("mask-rw")
    unpacking.ranking("squad", "squad", late=False)
    unpacking.ranking("squad-li", "squad-li", late=True)
    unpacking.full_late("full-li", "squad-li", root)
    return root / packed_base.name


def test_an_adapter_computes_as_it_did_in_the_pack(pack, returned, zoo, packed_base, pieces):
    from polyrank.training.pack.jobs import adapter_of

    trained = adapter_of(returned.facts["rw"], returned.tensors["rw"])
    framed, live, _ = pack.framed(*pack.texts("pairs/rw").rows(torch.tensor([2]), 50), "query")
    there = pack.runner(trained.as_module()).differentiable(framed, live)
    module = load_adapter_module(zoo / "language/adapter/rw")
    ids = torch.tensor(originals(framed, live, pieces))
    here = RoutedEncoder(packed_base.model, [], module)(ids, torch.ones_like(ids))
    torch.testing.assert_close(here, there[:, : ids.shape[1]], atol=1e-5, rtol=1e-4)


def test_late_interaction_computes_as_it_did_in_the_pack(
    pack, returned, zoo, packed_base, pieces, words
):
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.training.pack.jobs import adapter_of

    tensors = dict(returned.tensors["squad-li"])
    project = TokenProjection(*(tensors.pop(f"projection.{p}").float() for p in ("weight", "bias")))
    ranking = adapter_of(returned.facts["squad-li"], tensors).as_module()
    below = adapter_of(returned.facts["rw"], returned.tensors["rw"]).as_module()
    framed, live, own = pack.framed(*pack.texts("pairs/rw").rows(torch.tensor([2]), 50), "query")
    there = project(pack.runner(ranking).differentiable(framed, live, language=below))[own]
    model = LateInteraction(packed_base, "squad-li", zoo=zoo.parent, device="cpu")
    (here,) = model.encode_queries([words(2)], language="rw")
    # this vocabulary has the blank before the first word as a piece, which is of the prefix here
    torch.testing.assert_close(here, there[1:], atol=1e-3, rtol=1e-2)  # stored in fp16


def test_full_fine_tuning_computes_as_it_did_in_the_pack(
    pack, returned, zoo, packed_base, pieces, words
):
    from polyrank.late_interaction.model import LateInteraction

    tensors = dict(returned.tensors["full-li"])
    project = TokenProjection(*(tensors.pop(f"projection.{p}").float() for p in ("weight", "bias")))
    encoder = copy.deepcopy(pack.encoder)
    encoder.load_state_dict(changed(encoder.state_dict(), tensors))
    framed, live, own = pack.framed(*pack.texts("pairs/rw").rows(torch.tensor([2]), 50), "query")
    there = project(encoder(framed, live.long()).last_hidden_state)[own]
    model = LateInteraction(packed_base, "squad-li", "full", zoo=zoo.parent, device="cpu")
    (here,) = model.encode_queries([words(2)], language="rw")
    torch.testing.assert_close(here, there[1:], atol=1e-3, rtol=1e-2)  # stored in fp16
    plain = LateInteraction(packed_base, "squad-li", zoo=zoo.parent, device="cpu")
    assert not torch.allclose(plain.encode_queries([words(2)], language="rw")[0], here, atol=1e-3)


def test_a_mask_has_the_coordinates_it_was_asked_for(zoo):
    assert len(load_mask_module(zoo / "language/mask/rw")) == 50


def test_the_cards_say_how_and_on_what(zoo, packed_base):
    card = load_adapter_module(zoo / "language/adapter/rw").card
    assert card.base_fingerprint == packed_base.fingerprint
    assert card.recipe["command"] == "make gpu-train"
    assert [source.name for source in card.data] == ["made up (sentence pairs)", "made up"]
    assert "after afriqa dense" in card.figures
    ranking = load_adapter_module(zoo / "ranking/adapter/squad").card
    assert ranking.parent.name == "en" and ranking.prefixes == ("query: ", "passage: ")


def test_the_head_is_the_packs_spread_over_the_vocabulary(returned, zoo, pieces, packed_base):
    from polyrank.training.head.head_folder import read_head_card
    from polyrank.training.head.output_head import load_head

    head, stored = load_head(zoo / "head"), returned.tensors["head"]["bias"].float()
    assert len(head.bias) == packed_base.model.config.vocab_size
    torch.testing.assert_close(head.bias[torch.from_numpy(pieces).long()], stored)
    assert read_head_card(zoo / "head").base == packed_base.name


def test_a_job_is_not_begun_without_time(pack, tmp_path):
    soon = Bench(pack, tmp_path, time.time() + 8)
    assert run(Job("rw", "language", ("rw",), SHORT), soon) is None
    waiting = Job("rw", "language", ("rw",), SHORT, needs=("absent",))
    assert run(waiting, Bench(pack, tmp_path, time.time() + 0.3)) is None


def test_the_same_seed_gives_the_same_adapter(pack):
    from polyrank.training.pack.languages import train_language

    one, two = (train_language(pack, ["rw"], SHORT, "rw")[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
