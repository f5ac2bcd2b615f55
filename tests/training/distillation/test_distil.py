"""Both phases on a tiny base: the folder, resuming, and bad input."""

import pytest
import torch

import polyrank as pr
from polyrank.errors import ModuleError, UsageError
from polyrank.training.distillation.distil import General, Task
from polyrank.training.losses import parse_loss

PHASE_1 = General(steps=3, batch_size=2, length=16)


@pytest.fixture
def distil(tiny_bert, text_file, judgements, tiny_zoo_bert, tmp_path):
    """distil(name, student, **options) -> the folder."""

    def run(name, student="full", **options):
        task = Task(student=student, steps=3, batch_queries=2, negatives=2, length=48, mine=2)
        queries, passages = judgements
        output = tmp_path / name
        settings = {"factor": 3, "queries": queries, "passages": passages, **options}
        pr.distill_bilingual(
            str(tiny_bert), "en", "ky", (text_file, text_file), output,
            general=PHASE_1, task=task, fallback="none", zoo=tiny_zoo_bert, **settings,
        )  # fmt: skip
        return output

    return run


@pytest.fixture
def stopped(distil, monkeypatch):
    """stopped(name): what a stop leaves between the phases."""
    from polyrank.training.distillation import distil as module

    def stop(*_, **__):
        raise KeyboardInterrupt

    def run(name):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(module, "ranking_lesson", stop)
            distil(name)

    return run


@pytest.fixture
def tiny_zoo_bert(tiny_bert, adapter_model, save_random, tmp_path):
    """A ranking adapter over no language module."""
    from polyrank.base import load_base

    base, model = load_base(str(tiny_bert)), adapter_model(tiny_bert)
    model.add_adapter("squad", config="seq_bn")
    model.add_classification_head("squad", num_labels=1, layers=2)
    save_random(model, "squad", base, tmp_path / "zoo", role="ranking", seed=3)
    return tmp_path / "zoo"


@pytest.mark.parametrize("student", ["full", "mask", "adapter"])
def test_the_folder_scores(distil, student):
    folder = distil("small", student)
    hits = pr.CrossEncoder(folder).rank("ice melts", ["ice melts every year", "cats sleep"])
    assert len(hits) == 2 and (folder / "README.md").is_file()
    weights = folder / (
        "ranking/adapter.safetensors" if student == "adapter" else "model.safetensors"
    )
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(ModuleError, match="altered"):
        pr.CrossEncoder(folder)


def test_a_full_student_needs_no_polyrank(distil):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = distil("small")
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)("ice melts", "cats sleep", return_tensors="pt")
    with torch.no_grad():
        wanted = float(model(**inputs).logits)
    (hit,) = pr.CrossEncoder(folder).rank("ice melts", ["cats sleep"])
    assert hit.score == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("student", ["full", "mask", "adapter"])
def test_weights_are_kept_in_half_the_size(distil, student):
    import json

    from safetensors.torch import load_file

    folder = distil("small", student)
    for path in folder.rglob("*.safetensors"):
        assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    stored = json.loads((folder / "distilled.json").read_text())["stored"]
    assert (stored["dtype"], stored["compared"]) == ("float16", "scores")
    assert 0 < stored["difference"] <= 0.02
    assert "computed in fp32" in (folder / "README.md").read_text()
    reader = pr.CrossEncoder(folder)
    assert {p.dtype for p in reader.model.parameters()} == {torch.float32}
    parameters = json.loads((folder / "distilled.json").read_text())["parameters"]
    assert reader.size() == (parameters, 4 * parameters)  # by the trained model's own count


def test_an_encoder_is_kept_in_half_the_size(distil):
    import json

    from safetensors.torch import load_file

    folder = distil("small", queries=None, passages=None)
    assert load_file(folder / "model.safetensors").popitem()[1].dtype == torch.float16
    stored = json.loads((folder / "distilled.json").read_text())["stored"]
    assert (stored["dtype"], stored["compared"]) == ("float16", "states")


def test_resume_gives_the_same_bytes(distil, stopped, tmp_path):
    whole = distil("whole")
    stopped("again")
    assert not (tmp_path / "again").exists()
    again = distil("again", resume=True)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()


def test_a_resume_with_other_settings_is_refused(distil, stopped):
    stopped("again")
    with pytest.raises(UsageError, match="seed was 13, is 14"):
        distil("again", seed=14, resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 2}, "does not divide"),
        ({"layers": "middle"}, "unknown --layers"),
        ({"passages": None}, "give --passages"),
        ({"queries": None}, "go with --queries"),
        ({"kind": "full"}, "adapters or masks"),
    ],
)
def test_bad_options(distil, options, message):
    with pytest.raises(UsageError, match=message):
        distil("bad", **options)


def test_a_model_of_two_logits_is_refused(tiny_bert, tmp_path):
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    BertForSequenceClassification(
        BertConfig.from_pretrained(tiny_bert, num_labels=2)
    ).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    with pytest.raises(ModuleError, match="2 outputs"):
        pr.CrossEncoder(tmp_path)


def test_the_usual_loss_is_there():
    assert parse_loss(Task().loss).needs_teacher
