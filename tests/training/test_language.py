"""Language adapters: learn, resume to the same bytes, leave the base alone, apply the inverse."""

from __future__ import annotations

import pytest
import torch

from polyrank.errors import DataError, Interrupted, UsageError
from polyrank.modules.adapter_folder import load_adapter_module


def train(base, text, output, **options):
    from polyrank.training.language import train_language_module

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


def test_an_interrupted_run_ends_with_the_same_bytes(tiny_mlm, text_file, tmp_path, monkeypatch):
    from polyrank.training import language, steps

    train(tiny_mlm, text_file, tmp_path / "whole" / "de")

    class Killed(Exception):
        pass

    def killed(self, model, batch):
        if self.calls == 4:
            raise Killed
        self.calls += 1
        return LOSS(self, model, batch)

    LOSS = language.LanguageLoss.__call__
    with monkeypatch.context() as patch:
        patch.setattr(language.LanguageLoss, "calls", 0, raising=False)
        patch.setattr(language.LanguageLoss, "__call__", killed)
        patch.setattr(steps.Schedule, "save_every", 2)
        patch.setattr(language, "Schedule", lambda **kw: steps.Schedule(**{**kw, "save_every": 2}))
        with pytest.raises(Killed):
            train(tiny_mlm, text_file, tmp_path / "halves" / "de")
    assert not (tmp_path / "halves" / "de").exists()
    train(tiny_mlm, text_file, tmp_path / "halves" / "de", resume=True)
    one, two = (tmp_path / name / "de" / "adapter.safetensors" for name in ("whole", "halves"))
    assert one.read_bytes() == two.read_bytes()


def test_pairs_add_an_objective(tiny_mlm, text_file, pairs_file, tmp_path):
    card = train(tiny_mlm, text_file, tmp_path / "de", parallel=pairs_file)
    assert card.recipe["objective"] == "MLM + TLM + alignment" and card.recipe["pairs"] == 40


def test_the_head_is_the_base_s_own(tiny_mlm, tmp_path):
    """The library's conversion forgets the bias of the output embeddings."""
    from transformers import AutoModelForMaskedLM

    from polyrank.training.language_model import adapter_model

    static = AutoModelForMaskedLM.from_pretrained(tiny_mlm)
    torch.nn.init.normal_(static.get_output_embeddings().bias)
    static.save_pretrained(tmp_path)
    ids = torch.randint(5, 40, (2, 7))
    with torch.no_grad():
        expected = static.eval()(ids).logits
        assert torch.allclose(adapter_model(str(tmp_path)).eval()(ids).logits, expected, atol=1e-5)


def test_the_head_sees_the_inverse(tiny_mlm):
    """Logits at single tokens equal those of the library's whole-sequence forward pass."""
    from polyrank.training.language_model import MaskedHead, adapter_config, adapter_model

    model = adapter_model(str(tiny_mlm)).eval()
    model.add_adapter("de", config=adapter_config(2))
    for name, parameter in model.named_parameters():
        if ".de." in name:
            torch.nn.init.normal_(parameter, std=0.3)
    model.set_active_adapters("de")
    ids = torch.randint(5, 40, (2, 7))
    with torch.no_grad():
        expected = model(ids).logits
        hidden = model.base_model(ids).last_hidden_state
        actual = MaskedHead(model)(hidden.reshape(14, -1)).reshape(expected.shape)
        forgetful = model.heads["default"]((hidden,))[0]
    assert torch.allclose(actual, expected, atol=1e-5)
    assert not torch.allclose(forgetful, expected, atol=1e-2)


def test_a_resume_with_other_settings_is_refused(tiny_mlm, text_file, tmp_path):
    from polyrank.training.steps import begin

    begin(tmp_path / "work", {"steps": 5, "rate": 0.1}, resume=False)
    begin(tmp_path / "work", {"steps": 5, "rate": 0.1}, resume=True)
    with pytest.raises(UsageError, match="steps was 5, is 6"):
        begin(tmp_path / "work", {"steps": 6, "rate": 0.1}, resume=True)
    begin(tmp_path / "work", {"steps": 6}, resume=False)  # anew


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    from polyrank.training.steps import last_checkpoint

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
    with pytest.raises(UsageError, match="no masked-language head"):
        train(tiny_bert, text_file, tmp_path / "de")


def test_ctrl_c_says_how_to_go_on(tiny_mlm, text_file, tmp_path, monkeypatch):
    from polyrank.training import language, steps

    def stopped_at(call):
        calls = iter(range(1, call + 1))
        whole = language.LanguageLoss.__call__

        def loss(self, model, batch):
            if next(calls) == call:
                raise KeyboardInterrupt
            return whole(self, model, batch)

        return loss

    monkeypatch.setattr(
        language, "Schedule", lambda **kw: steps.Schedule(**{**kw, "save_every": 2})
    )
    for call, where in ((1, "the beginning"), (4, "step 2")):
        with monkeypatch.context() as patch:
            patch.setattr(language.LanguageLoss, "__call__", stopped_at(call))
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
