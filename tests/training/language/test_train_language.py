"""Language adapters: learn, resume to the same bytes, leave the base alone, apply the inverse."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from polyrank.errors import DataError, Interrupted, ModuleError, UsageError
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.adapter.tensors import tensors_of

WHEN = ("before", "after")
EASY = {"batch_size": 8, "rate": 3e-3, "reduction": 2}  # to learn from few pairs


def train(base, text, output, **options):
    from polyrank.training.language.train_language import train_language_module

    sizes = {"steps": 6, "batch_size": 4, "length": 24, "rate": 1e-2}
    return train_language_module(str(base), "de", text, output, **{**sizes, **options})


def test_perplexity_falls_and_the_library_reads_the_module(tiny_mlm, text_file, tmp_path):
    from adapters import AutoAdapterModel

    card = train(tiny_mlm, text_file, tmp_path / "de", steps=60)
    assert card.figures["perplexity after"] < card.figures["perplexity before"]
    module = load_adapter_module(tmp_path / "de")
    assert module.invertible is not None and module.card.language == "de"
    model = AutoAdapterModel.from_pretrained(str(tiny_mlm))
    assert model.load_adapter(str(tmp_path / "de"), use_safetensors=True) == "de"
    assert not (tmp_path / "de.work").exists()


@pytest.mark.parametrize("paired", [False, True])
def test_an_interrupted_run_ends_with_the_same_bytes(
    tiny_mlm, text_file, pairs_file, tmp_path, monkeypatch, paired
):
    from polyrank.training.language import train_language
    from polyrank.training.loop import steps

    more = {"parallel": pairs_file, "loss": "align+tokens+0.1*mlm"} if paired else {}
    whole = train(tiny_mlm, text_file, tmp_path / "whole" / "de", **more)

    class Killed(Exception):
        pass

    def killed(self, model, batch):
        if self.calls == 4:
            raise Killed
        self.calls += 1
        return LOSS(self, model, batch)

    LOSS = train_language.LanguageLoss.__call__
    with monkeypatch.context() as patch:
        patch.setattr(train_language.LanguageLoss, "calls", 0, raising=False)
        patch.setattr(train_language.LanguageLoss, "__call__", killed)
        patch.setattr(steps.Schedule, "save_every", 2)
        patch.setattr(
            train_language, "Schedule", lambda **kw: steps.Schedule(**{**kw, "save_every": 2})
        )
        with pytest.raises(Killed):
            train(tiny_mlm, text_file, tmp_path / "halves" / "de", **more)
    assert not (tmp_path / "halves" / "de").exists()
    card = train(tiny_mlm, text_file, tmp_path / "halves" / "de", resume=True, **more)
    assert card.recipe["tokens seen"] == whole.recipe["tokens seen"]
    one, two = (tmp_path / name / "de" / "adapter.safetensors" for name in ("whole", "halves"))
    assert one.read_bytes() == two.read_bytes()


def test_pairs_add_alignment(tiny_mlm, text_file, pairs_file, tmp_path):
    card = train(tiny_mlm, text_file, tmp_path / "de", parallel=pairs_file)
    assert card.recipe["objective"] == "distance+0.3*contrast+0.1*masked"
    assert card.recipe["pairs"] == 40 and card.figures["held-out pairs"] == 4
    assert card.recipe["tokens seen"] > 6 * 4 * 24  # of the text alone
    shares = [f"accuracy {way} English {when}" for way in ("to", "from") for when in WHEN]
    assert all(0 <= card.figures[name] <= 1 for name in shares)


def test_pairs_alone_need_no_text_and_no_head(tiny_bert, pairs_file, tmp_path):
    from polyrank.base import load_base
    from polyrank.training.language.learnt import pairs_of
    from polyrank.training.language.sentence_pairs import SentenceEncoder
    from polyrank.training.language.students import AdapterStudent, Frozen
    from polyrank.training.language.trainable_adapter import TrainableAdapter

    options = {"parallel": pairs_file, "loss": "distance", "steps": 80, **EASY}
    card = train(tiny_bert, None, tmp_path / "de", **options)
    assert card.recipe["objective"] == "distance" and card.recipe["lines"] == 0
    assert not any("perplexity" in name for name in card.figures)

    base = load_base(str(tiny_bert))
    encoder = SentenceEncoder(base, 24)
    text, english = zip(*pairs_of(pairs_file, "de"), strict=True)
    target = encoder.vectors(Frozen(base.model), english, "query", "cpu")
    adapter = TrainableAdapter.of(load_adapter_module(tmp_path / "de"), "de")
    distances = [
        (encoder.vectors(encode, text, "query", "cpu") - target).square().sum(1).mean()
        for encode in (Frozen(base.model), AdapterStudent(base.model, adapter).eval())
    ]
    assert distances[1] < 0.8 * distances[0]


@pytest.mark.parametrize("loss", ["tokens", "tlm", "0.5*mlm+0.5*tlm+10*distance+tokens"])
def test_every_loss_falls(tiny_mlm, text_file, pairs_file, tmp_path, loss, monkeypatch):
    from polyrank.training.language import train_language

    values = []
    whole = train_language.LanguageLoss.__call__

    def noted(self, model, batch):
        values.append(whole(self, model, batch))
        return values[-1]

    monkeypatch.setattr(train_language.LanguageLoss, "__call__", noted)
    text = text_file if "mlm" in loss else None
    train(tiny_mlm, text, tmp_path / "de", parallel=pairs_file, loss=loss, steps=60, **EASY)
    first, last = (sum(value.item() for value in part) for part in (values[:8], values[-8:]))
    assert last < first


def test_the_base_and_the_head_stay_as_they_are(tiny_mlm, text_file, tmp_path, monkeypatch):
    from polyrank.training.language import train_language
    from polyrank.training.loop import steps

    seen = {}
    for name in ("load_base", "head_of"):
        original = getattr(train_language, name)

        def keep(*args, _original=original, _name=name):
            seen[_name] = _original(*args)
            return seen[_name]

        monkeypatch.setattr(train_language, name, keep)
    before = {}

    def began(*args, **kw):
        parts = {"base": seen["load_base"].model, "head": seen["head_of"].head}
        before.update({k: copy.deepcopy(v.state_dict()) for k, v in parts.items()})
        facts = FIT(*args, **kw)
        for part, module in parts.items():
            now = module.state_dict()
            assert all(torch.equal(value, now[name]) for name, value in before[part].items())
        return facts

    FIT = steps.fit
    monkeypatch.setattr(steps, "fit", began)
    train(tiny_mlm, text_file, tmp_path / "de")
    assert before


def test_an_adapter_starts_from_another(tiny_mlm, text_file, pairs_file, tmp_path):
    first = train(tiny_mlm, text_file, tmp_path / "many", steps=20, reduction=16)
    options = {"parallel": pairs_file, "loss": "align", "rate": 1e-9, "steps": 1}
    card = train(tiny_mlm, None, tmp_path / "de", start=str(tmp_path / "many"), **options)
    assert card.recipe["start"] == {
        "name": first.full_name,
        "sha256": first.files["adapter.safetensors"],
    }
    assert card.recipe["reduction"] == 16
    one, two = (load_adapter_module(tmp_path / name) for name in ("many", "de"))
    for mine, theirs in zip(tensors_of(two), tensors_of(one), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=0)
    with pytest.raises(UsageError, match="leave it out to keep the sizes of --start"):
        train(tiny_mlm, text_file, tmp_path / "x", start=str(tmp_path / "many"), reduction=4)
    with pytest.raises(UsageError, match="--start would be ignored with the kind 'mask'"):
        train(tiny_mlm, text_file, tmp_path / "x", start=str(tmp_path / "many"), kind="mask")


def test_the_head_is_the_base_s_own(tiny_folder, tmp_path):
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

    from polyrank.base import load_base
    from polyrank.training.head.head_folder import head_of

    static = AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(tiny_folder))
    torch.nn.init.normal_(static.get_output_embeddings().bias)
    static.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    ids = torch.randint(5, 30, (2, 7))
    base = load_base(str(tmp_path))
    own = head_of(base)
    with torch.no_grad():
        expected = static.eval()(ids).logits
        actual = own.head(base.model(ids).last_hidden_state, own.words)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
    assert own.name == "its own"


def test_the_head_sees_the_inverse(tiny_mlm, tmp_path):
    """Logits at single tokens equal those of the library's whole-sequence forward pass."""
    from adapters import AutoAdapterModel

    from polyrank.base import load_base
    from polyrank.modules.card import ModuleCard
    from polyrank.training.head.head_folder import head_of
    from polyrank.training.language.students import AdapterStudent
    from polyrank.training.language.trainable_adapter import TrainableAdapter, save_trained_adapter

    base = load_base(str(tiny_mlm))
    adapter = TrainableAdapter("de", 32, 3, width=8, coupling=8)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    card = ModuleCard("language", "adapter", "de", "de", base.name, base.fingerprint)
    save_trained_adapter(adapter, tmp_path / "de", card, torch.float32)
    model = AutoAdapterModel.from_pretrained(str(tiny_mlm)).eval()
    model.load_adapter(str(tmp_path / "de"), use_safetensors=True, set_active=True)
    ids = torch.randint(5, 40, (2, 7))
    student, own = AdapterStudent(base.model, adapter).eval(), head_of(base)
    with torch.no_grad():
        expected = model(ids).logits
        hidden = student({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        actual = own.head(hidden, own.words, None, student.uncouple)
        forgetful = own.head(hidden, own.words)
    assert torch.allclose(actual, expected, atol=1e-4)
    assert not torch.allclose(forgetful, expected, atol=1e-2)


@pytest.mark.parametrize("folder", ["tiny_mlm", "tiny_xlmr"])
def test_of_prefix_and_specials_no_token_is_the_text_s_own(request, folder):
    from polyrank.base import BaseCard, load_base
    from polyrank.training.language.sentence_pairs import SentenceEncoder

    base = load_base(str(request.getfixturevalue(folder)))
    encoder = SentenceEncoder(replace(base, card=BaseCard(passage_prefix="past a ")), 24)
    inputs, own = encoder.inputs(["bc", "b"], "passage")
    decoded = [
        base.tokenizer.decode(row[mine]) for row, mine in zip(inputs["input_ids"], own, strict=True)
    ]
    assert [text.replace(" ", "").replace("##", "") for text in decoded] == ["bc", "b"]


def test_prefixes_are_put_before_sentences_alone(tiny_mlm, pairs_file, text_file, tmp_path):
    """A base whose card gives none learns something else from the same pairs."""
    import shutil

    from polyrank.base.card import BaseCard, write_base_card

    shutil.copytree(tiny_mlm, tmp_path / "base")
    write_base_card(BaseCard(query_prefix="q ", passage_prefix="past "), tmp_path / "base")
    for loss, same in (("align", False), ("tlm", True)):
        weights = []
        for number, base in enumerate((tiny_mlm, tmp_path / "base")):
            output = tmp_path / f"{loss}-{number}" / "de"
            train(base, None, output, parallel=pairs_file, loss=loss, steps=2)
            weights.append((output / "adapter.safetensors").read_bytes())
        assert (weights[0] == weights[1]) is same


def test_a_resume_with_other_settings_is_refused(tiny_mlm, text_file, tmp_path):
    from polyrank.training.loop.run import begin

    begin(tmp_path / "work", {"steps": 5, "rate": 0.1}, resume=False)
    begin(tmp_path / "work", {"steps": 5, "rate": 0.1}, resume=True)
    with pytest.raises(UsageError, match="steps was 5, is 6"):
        begin(tmp_path / "work", {"steps": 6, "rate": 0.1}, resume=True)
    begin(tmp_path / "work", {"steps": 6}, resume=False)  # anew


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    from polyrank.training.loop.steps import last_checkpoint

    assert last_checkpoint(tmp_path) is None
    for name in ("checkpoint-20", "checkpoint-100"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_text("{}")
    (tmp_path / "checkpoint-200").mkdir()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-100")
    assert not (tmp_path / "checkpoint-200").exists()


def test_bad_input_says_what_to_do(tiny_mlm, tiny_bert, text_file, pairs_file, tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "latin.txt").write_bytes("fine\nZ\xfcrich\n".encode("latin-1"))
    with pytest.raises(DataError, match="is empty"):
        train(tiny_mlm, tmp_path / "empty.txt", tmp_path / "de")
    with pytest.raises(DataError, match=r"latin.txt:\d"):
        train(tiny_mlm, tmp_path / "latin.txt", tmp_path / "de")
    with pytest.raises(DataError, match="no pair is in 'de'"):
        (tmp_path / "p.tsv").write_text("sw\tmaji\twater\n")
        train(tiny_mlm, text_file, tmp_path / "de", parallel=tmp_path / "p.tsv")
    with pytest.raises(DataError, match="p.tsv:2: expected language"):
        (tmp_path / "p.tsv").write_text("de\tWasser\twater\nde\tEis\n")
        train(tiny_mlm, text_file, tmp_path / "de", parallel=tmp_path / "p.tsv")
    (tmp_path / "one.txt").write_text("one line\n")
    with pytest.raises(DataError, match="only one line"):
        train(tiny_mlm, tmp_path / "one.txt", tmp_path / "de")
    with pytest.raises(UsageError, match="no masked-language head(.|\n)*polyrank train head"):
        train(tiny_bert, text_file, tmp_path / "de")
    with pytest.raises(UsageError, match="--reduction 5 does not divide(.|\n)*1, 2, 4, 8, 16$"):
        train(tiny_mlm, text_file, tmp_path / "de", reduction=5)
    with pytest.raises(UsageError, match="hides no tokens; leave out --head"):
        train(tiny_bert, None, tmp_path / "de", parallel=pairs_file, head=tmp_path)
    with pytest.raises(ModuleError, match="is not a masked-language head"):
        train(tiny_bert, text_file, tmp_path / "de", head=tmp_path)


def test_ctrl_c_says_how_to_go_on(tiny_mlm, text_file, tmp_path, monkeypatch):
    from polyrank.training.language import train_language
    from polyrank.training.loop import steps

    def stopped_at(call):
        calls = iter(range(1, call + 1))
        whole = train_language.LanguageLoss.__call__

        def loss(self, model, batch):
            if next(calls) == call:
                raise KeyboardInterrupt
            return whole(self, model, batch)

        return loss

    monkeypatch.setattr(
        train_language, "Schedule", lambda **kw: steps.Schedule(**{**kw, "save_every": 2})
    )
    for call, where in ((1, "the beginning"), (4, "step 2")):
        with monkeypatch.context() as patch:
            patch.setattr(train_language.LanguageLoss, "__call__", stopped_at(call))
            with pytest.raises(Interrupted, match=f"with --resume goes on from {where}"):
                train(tiny_mlm, text_file, tmp_path / "de", resume=True)
    assert train(tiny_mlm, text_file, tmp_path / "de", resume=True).recipe["steps"] == 6


def test_json_lines_are_no_plain_text(tiny_mlm, tmp_path):
    path = tmp_path / "sw.jsonl"
    path.write_text('{"_id": "a", "text": "Habari za leo"}\n' * 9)
    with pytest.raises(DataError, match=r"sw.jsonl:1: JSON, where plain text is expected"):
        train(tiny_mlm, path, tmp_path / "sw")
    path.write_text("{braces} are text\nand so is this\n" * 9)
    assert train(tiny_mlm, path, tmp_path / "de", steps=1)
