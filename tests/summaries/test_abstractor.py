"""What a model writes of a marked article, and its likelihood, token by token."""

from __future__ import annotations

import pytest
import torch

from polyrank.errors import ModuleError, UsageError
from polyrank.summaries.abstractor import Abstractor, marked
from polyrank.summaries.likelihood import Likelihood, length_normalised

TEXT, UNITS = "Water boils. The river is long. Ice.", ((0, 12), (13, 31), (32, 36))


def test_a_plan_is_marked():
    assert marked(TEXT, UNITS, (0, 2)) == "<e>Water boils.</e> The river is long. <e>Ice.</e>"
    assert marked(TEXT, UNITS, ()) == TEXT


def test_length_normalisation_by_hand():
    values = torch.tensor([[-1.0, -3.0], [-2.0, -9.0]])
    real = torch.tensor([[True, True], [True, False]])
    assert length_normalised(values, real, 1.0).tolist() == [-2.0, -2.0]
    assert length_normalised(values, real, 0.0).tolist() == [-4.0, -2.0]
    assert length_normalised(values, real, 2.0).tolist() == [-1.0, -2.0]


def test_likelihoods_are_sums_over_tokens(bart):
    """The decoder is run for each token by itself."""
    likelihood = Likelihood(str(bart), alpha=0.5, device="cpu")
    model, tokenizer = likelihood.model, likelihood.tokenizer
    summaries = ["water", "the river is long", "ice"]
    source = tokenizer(TEXT, return_tensors="pt").input_ids
    expected = []
    for summary in summaries:
        ids = tokenizer(summary).input_ids
        total, begun = 0.0, [model.config.decoder_start_token_id]
        for token in ids:
            with torch.inference_mode():
                logits = model(source, decoder_input_ids=torch.tensor([begun])).logits[0, -1]
            total += float(logits.log_softmax(dim=0)[token])
            begun.append(token)
        expected.append(total / len(ids) ** 0.5)
    assert likelihood(TEXT, summaries) == pytest.approx(expected, abs=1e-4)
    assert not likelihood.notebook.notes


def test_what_is_cut_is_counted_once(bart):
    """Each word is a token; the model reads 64."""
    likelihood = Likelihood(str(bart), device="cpu")
    fits, longer = " ".join(["water"] * 64), " ".join(["water"] * 65)
    likelihood(fits, ["ice", fits])
    assert not likelihood.notebook.notes
    likelihood(longer, ["ice"] * 9 + [longer] * 2)
    assert list(likelihood.notebook.notes.items()) == [
        (f"articles cut to the 64 tokens that {bart} reads", 1),
        (f"summaries cut to the 64 tokens that {bart} reads", 2),
    ]
    writer = Abstractor(str(bart), tokens=2, device="cpu")
    writer("water " * 90, ((0, 5), (6, 11)), [(0,), (1,), (0, 1), (0,), (1,)])
    assert writer.notebook.notes.total() == 1


def test_each_plan_gives_the_beams_of_its_own_source(bart):
    writer = Abstractor(str(bart), per_plan=2, beams=3, tokens=7, device="cpu")
    writer.model.generation_config.forced_eos_token_id = None
    plans = [(0,), (1, 2), (0, 1), (2,), (0, 1, 2)]  # more than a batch
    found = writer(TEXT, UNITS, plans)
    assert [len(one) for one in found] == [2] * 5
    for plan, written in zip(plans, found, strict=True):
        source = writer.tokenizer(marked(TEXT, UNITS, plan), return_tensors="pt").input_ids
        with torch.inference_mode():
            made = writer.model.generate(
                source, num_beams=3, num_return_sequences=2, max_new_tokens=7, length_penalty=1.0,
                output_scores=True, return_dict_in_generate=True,
            )  # fmt: skip
        texts = writer.tokenizer.batch_decode(made.sequences, skip_special_tokens=True)
        assert [one.text for one in written] == [text.strip() for text in texts]
        # with α = 1 and sums over all that was generated, this is what the search itself orders by
        assert [w.score for w in written] == pytest.approx(made.sequences_scores.tolist(), abs=1e-4)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(ModuleError, match="the summariser '.*no' cannot be read"):
        Abstractor(str(tmp_path / "no"))
    for alpha in (-1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=f"--length-penalty is {alpha}"):
            Likelihood("any", alpha=alpha)
