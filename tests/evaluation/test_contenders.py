"""A distilled model beside its teacher, whole and with the model's vocabulary."""

import json

import pytest

import polyrank as pr
from polyrank.errors import ModuleError, UsageError
from polyrank.evaluation.contenders import STUDENT, TEACHER, TRIMMED, contenders
from polyrank.training.distillation.distil import General, Task

WORDS = ["ice", "melts", "every", "year", "cats", "sleep", "stars", "are", "far", "away"]
PASSAGES = ["ice melts every year", "cats sleep", "stars are far away"]


@pytest.fixture
def distilled(tiny_base, tiny_folder, tmp_path):
    """distilled(**options) -> the folder of a student that learned for a step."""
    text = tmp_path / "text.txt"
    text.write_text("\n".join(" ".join(WORDS[i:] + WORDS[:i]) for i in range(10)) * 3 + "\n")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"query": p.split()[0], "pos": [p], "neg": [n]}) + "\n"
            for p, n in zip(PASSAGES, PASSAGES[1:] + PASSAGES[:1], strict=True)
        )
    )

    def run(**options):
        pr.distill_bilingual(
            str(tiny_folder), "en", "ky", (text, text), tmp_path / "small", queries=rows, factor=3,
            general=General(steps=1, batch_size=2, length=16),
            task=Task(steps=1, batch_queries=2, negatives=1, length=48, mine=0), **options,
        )  # fmt: skip
        return tmp_path / "small"

    return run


@pytest.mark.parametrize("kind", ["adapter", "mask"])
def test_modules(kind, distilled, tiny_base, tiny_zoo, mask_zoo, tiny_folder):
    zoo = tiny_zoo if kind == "adapter" else mask_zoo
    folder = distilled(kind=kind, zoo=zoo)
    beside = {c.name: c for c in contenders(folder, str(tiny_folder), zoo=zoo)}
    assert list(beside) == [TEACHER, TRIMMED, STUDENT]
    languages = {"query_language": "ky", "document_language": "en"}
    scores = {
        name: {h.document_id: h.score for h in c.reranker.rank("melts", PASSAGES, **languages)}
        for name, c in beside.items()
    }
    assert scores[TRIMMED] == pytest.approx(scores[TEACHER], abs=1e-5)
    assert scores[STUDENT] == {
        h.document_id: h.score for h in pr.CrossEncoder(folder).rank("melts", PASSAGES)
    }
    card = json.loads((folder / "distilled.json").read_text())
    assert card["recipe"]["ranking"]["teacher"] == {"ranking": "squad"}
    gone = card["vocabulary"]["entries before"] - card["vocabulary"]["entries"]
    assert gone > 0
    assert beside[TEACHER].parameters - beside[TRIMMED].parameters == 32 * gone
    assert beside[STUDENT].parameters == card["parameters"]
    if kind == "adapter":  # as the reranker itself counts what it has used
        assert beside[TEACHER].reranker.size()[0] == beside[TEACHER].parameters
    else:  # a mask adds nothing but the head
        head = 32 * 32 + 32 + 32 + 1
        encoder = sum(p.numel() for p in tiny_base.model.parameters())
        assert beside[TEACHER].parameters == encoder + head
    assert beside[STUDENT].megabytes < beside[TRIMMED].megabytes < beside[TEACHER].megabytes
    assert len({c.weights for c in beside.values()}) == 3


def test_a_folder_of_an_earlier_version_is_read(distilled, tiny_zoo, tiny_folder):
    """Its card names no ranking module and no precision, and its weights are fp32."""
    from transformers import AutoModelForSequenceClassification

    from polyrank.modules.card import sha256

    folder = distilled(zoo=tiny_zoo)
    before = pr.CrossEncoder(folder).rank("melts", PASSAGES)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32")
    model.save_pretrained(folder)
    card = json.loads((folder / "distilled.json").read_text())
    del card["stored"], card["recipe"]["ranking"]["teacher"]
    card["files"] = {name: sha256(folder / name) for name in card["files"]}
    (folder / "distilled.json").write_text(json.dumps(card))
    after = pr.CrossEncoder(folder).rank("melts", PASSAGES)
    assert [h.score for h in after] == pytest.approx([h.score for h in before], abs=1e-6)
    beside = contenders(folder, str(tiny_folder), zoo=tiny_zoo)
    assert [c.name for c in beside] == [TEACHER, TRIMMED, STUDENT]


def write_judge(base, folder, seed=5, dtype="float32"):
    """A cross-encoder with random weights over a base's vocabulary; its folder."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = AutoConfig.from_pretrained(base, num_labels=1)
        model = AutoModelForSequenceClassification.from_config(config)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def judge(tiny_folder, tmp_path):
    return write_judge(tiny_folder, tmp_path / "judge")


def test_a_cross_encoder(distilled, judge, tiny_folder):
    folder = distilled(teacher=judge, fallback="none")
    beside = {c.name: c for c in contenders(folder, str(tiny_folder))}
    scores = {
        name: {h.document_id: h.score for h in c.reranker.rank("melts", PASSAGES)}
        for name, c in beside.items()
    }
    assert list(scores) == [TEACHER, TRIMMED, STUDENT]
    assert scores[TRIMMED] == pytest.approx(scores[TEACHER], abs=1e-5)
    with pytest.raises(UsageError, match="not from a module"):
        contenders(folder, str(tiny_folder), ranking="squad")
    card = json.loads((folder / "distilled.json").read_text())
    card["fingerprint"]["weights"] = "0" * 12
    (folder / "distilled.json").write_text(json.dumps(card))
    with pytest.raises(ModuleError, match="other weights"):
        contenders(folder, str(tiny_folder))
    with pytest.raises(UsageError, match="not a reranker that"):
        contenders(judge)


def scored(contender):
    return {h.document_id: h.score for h in contender.reranker.rank("melts", PASSAGES)}


@pytest.mark.parametrize("scale", ["raw", "min-max"])
def test_several_cross_encoders(scale, distilled, judge, tiny_folder, tmp_path):
    """The mean that the model learned, each teacher beside it; or the one that was asked for."""
    other = write_judge(tiny_folder, tmp_path / "other", seed=6)
    folder = distilled(teacher=[judge, other], teacher_scale=scale, fallback="none")
    beside = {c.name: c for c in contenders(folder, str(tiny_folder))}
    assert list(beside) == [
        *(TEACHER, "teacher judge", "teacher judge, vocabulary cut"),
        *("teacher other", "teacher other, vocabulary cut", STUDENT),
    ]
    mean, one, two = (beside[name] for name in (TEACHER, "teacher judge", "teacher other"))
    assert mean.parameters == one.parameters + two.parameters
    assert mean.megabytes == one.megabytes + two.megabytes
    assert mean.reranker.size()[1] == 4 * mean.parameters
    columns = [scored(one), scored(two)]
    if scale == "min-max":
        columns = [
            {i: (s - min(c.values())) / (max(c.values()) - min(c.values())) for i, s in c.items()}
            for c in columns
        ]
    expected = {i: (columns[0][i] + columns[1][i]) / 2 for i in columns[0]}
    assert scored(mean) == pytest.approx(expected, abs=1e-6)

    asked = contenders(folder, str(tiny_folder), teacher="other")
    assert [c.name for c in asked] == [TEACHER, TRIMMED, STUDENT]
    assert scored(asked[0]) == scored(two)
    with pytest.raises(UsageError, match="did not learn from 'third'; give as --teacher one of: "):
        contenders(folder, str(tiny_folder), teacher="third")


def test_the_scale_in_a_card_of_before():
    from polyrank.evaluation.contenders import scale_of

    card = {"recipe": {"ranking": {"teacher": {"cross-encoders": ["a", "b"]}}}}
    assert (
        scale_of({**card, "teacher": "the mean (z-score) of cross-encoder 'a', 'b'"}) == "z-score"
    )
    assert scale_of({**card, "teacher": "cross-encoder 'a'"}) == "raw"


def test_a_teacher_of_the_hub_weighs_what_its_files_do(
    distilled, tiny_folder, tmp_path, monkeypatch
):
    """Also where they are fp16, and computed in fp32."""
    from huggingface_hub import constants
    from transformers.utils import hub

    revision = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "models--org--judge"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(revision)
    there = cached / "snapshots" / revision
    write_judge(tiny_folder, there, dtype="float16")
    monkeypatch.setattr(hub, "TRANSFORMERS_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = distilled(teacher="org/judge", fallback="none")
    teacher, cut, _ = contenders(folder, str(tiny_folder))
    files = [there / "model.safetensors", *there.glob("tokenizer*.json")]
    assert teacher.megabytes == sum(file.stat().st_size for file in files) / 1e6
    weights = (there / "model.safetensors").stat().st_size
    assert 2 * teacher.parameters < weights < 2.5 * teacher.parameters  # two bytes each
    assert cut.megabytes < teacher.megabytes  # and it would be stored alike
    assert scored(cut) == pytest.approx(scored(teacher), abs=1e-5)


@pytest.fixture
def bench(tiny_folder, polyrank, tmp_path):
    """bench(folder, *options) -> what the verb gave, over two queries and three documents."""
    (tmp_path / "q.tsv").write_text("q1\tice\nq2\tcats\n")
    (tmp_path / "d.tsv").write_text("".join(f"d{i}\t{t}\n" for i, t in enumerate(PASSAGES)))

    def run(folder, *options):
        command = ["bench", folder, "--queries", tmp_path / "q.tsv", "--base", tiny_folder]
        command += ["--documents", tmp_path / "d.tsv", "--first-stage", "bm25", "--passes", "1"]
        return polyrank(*command, "--depth", 3, *options)

    return run


def test_the_verb(distilled, judge, bench):
    folder = distilled(teacher=judge, fallback="none")
    result = bench(folder)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("| reranker | parameters | MB on disk | in memory | pairs/s |")
    assert [line.split(" | ")[0] for line in lines[2:5]] == [
        f"| {name}" for name in (TEACHER, TRIMMED, STUDENT)
    ]
    assert "loyalty to teacher" in lines[-1]
    refused = bench(folder, "--teacher", "nobody")
    assert refused.exit_code == 2 and "did not learn from 'nobody'" in refused.stderr


def test_the_verb_with_several_teachers(distilled, judge, bench, tiny_folder, tmp_path):
    other = write_judge(tiny_folder, tmp_path / "other", seed=6)
    folder = distilled(teacher=[judge, other], fallback="none")
    result = bench(folder)
    assert result.exit_code == 0, result.stderr
    assert f"'teacher' is the mean (raw) of {judge}, {other}" in result.stderr
    rows = [line.split(" | ") for line in result.stdout.splitlines()[2:8]]
    assert [row[0].removeprefix("| ") for row in rows][0::3] == [TEACHER, "teacher other"]
    assert rows[0][6].strip() == "-" and rows[1][6].strip() != "-"  # loyalty is to the mean
