"""Several processes give the update of one: what they share and gather, and whole trainings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from polyrank.errors import UsageError
from polyrank.training.loop import processes

GRADIENTS = """
import sys, torch
from torch import nn
from polyrank.training.loop import processes
from polyrank.training.loop.processes import gather, share, shared_mean

processes.start()
torch.manual_seed(0)
model, idle = nn.Linear(3, 2), nn.Linear(1, 1)
rows, counted = torch.randn(5, 3), torch.tensor([1, 0, 2, 0, 4])  # 5 rows: shares of 2 and 3
own, times = model(share(rows)), share(counted)[:, None]
every = gather(own)
in_batch = (every @ every.T).log_softmax(1).diagonal().mean()
uneven = shared_mean((own * times).sum() / times.sum().clamp(min=1), times.sum())
loss = in_batch + uneven
loss.backward()
both = nn.ModuleList([model, idle])
processes.add_gradients(both)
assert idle.weight.grad is None
if processes.is_main():
    torch.save([loss.detach(), every.detach(), model.weight.grad, model.bias.grad], sys.argv[1])
"""


def launch(script, *arguments, count=2):
    """Run a script in so many processes."""
    start = [sys.executable]
    if count > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*start, str(script), *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def test_losses_and_gradients_are_those_of_one_process(tmp_path):
    """A softmax over all rows, and a mean over other numbers of items in each process."""
    (tmp_path / "script.py").write_text(GRADIENTS)
    for count in (1, 2):
        done = launch(tmp_path / "script.py", tmp_path / str(count), count=count)
        assert done.returncode == 0, done.stderr
    for alone, shared in zip(*(torch.load(tmp_path / name) for name in ("1", "2")), strict=True):
        assert torch.allclose(alone, shared, atol=1e-6)


@pytest.fixture
def pretend(monkeypatch):
    """pretend(rank, count): to be one of several processes, without talking to the others."""

    def be(rank, count):
        monkeypatch.setattr(processes, "together", lambda: count > 1)
        monkeypatch.setattr(processes, "rank", lambda: rank)
        monkeypatch.setattr(processes, "count", lambda: count)

    return be


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_row_is_in_one_share(pretend, count):
    from polyrank.training.ranking.ranking_loss import own_lists

    mask = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]], dtype=torch.bool)
    batch = {
        "pairs": {"input_ids": torch.arange(8)[:, None]},
        "teacher_pairs": {"other": {"input_ids": torch.arange(8)[:, None]}},
        "mask": mask,
        "teacher": torch.arange(12.0).view(4, 3),
    }
    parts, rows = [], []
    for rank in range(count):
        pretend(rank, count)
        own = own_lists(batch)
        assert own["mask"].sum() == len(own["pairs"]["input_ids"])
        assert torch.equal(own["pairs"]["input_ids"], own["teacher_pairs"]["other"]["input_ids"])
        parts.append(own)
        rows.append(processes.share({"a": mask})["a"])
    assert torch.equal(
        torch.cat([part["pairs"]["input_ids"] for part in parts])[:, 0], torch.arange(8)
    )
    assert torch.equal(torch.cat([part["teacher"] for part in parts]), batch["teacher"])
    assert torch.equal(torch.cat(rows), mask)


def test_a_batch_smaller_than_the_processes_is_refused(pretend):
    pretend(0, 3)
    with pytest.raises(
        UsageError, match="a batch of 2 cannot be shared by 3 processes; take larger"
    ):
        processes.share(torch.zeros(2, 1))


def test_only_the_main_process_writes_and_speaks(pretend, capsys):
    pretend(1, 2)
    with processes.one_voice():
        print("not said", file=sys.stderr)
    assert capsys.readouterr().err == "" and not processes.is_main()


def test_a_trainer_sees_no_launcher(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with processes.unlaunched():
        assert "WORLD_SIZE" not in os.environ and "LOCAL_RANK" not in os.environ
    assert os.environ["WORLD_SIZE"] == "2"


# ----------------------------------------------------------------------------- whole trainings

TRAININGS = """
import json, sys
import polyrank as pr
from polyrank.training.distillation.recipe import General, Task
from polyrank.training.loop.sparsity import Sparsity

given = json.loads(sys.argv[1])
base, text, pairs, rows, out = (given[k] for k in ("base", "text", "pairs", "rows", "out"))
text_of = {"steps": 4, "batch_size": 5, "length": 24, "rate": 1e-2}
of = {"steps": 4, "batch_queries": 4, "negatives": 2, "mine": 2, "rate": 3e-3, "over": ""}
li = {"dim": 16, "query_length": 12, "document_length": 40, "train_length": 40, "augment_to": 8}
pr.train_head(base, text, f"{out}/head", **{**text_of, "rate": 2e-3})
pr.train_language_module(
    base, "de", text, f"{out}/language", parallel=pairs,
    loss="align+tokens+0.1*mlm+0.1*tlm", **text_of,
)
pr.train_language_module(
    base, "de", text, f"{out}/language-mask", kind="mask",
    sparsity=Sparsity(300, full_steps=3, l1=0.1, iterations=2), **text_of,
)
for name, kind, loss in (
    ("pointwise", "adapter", "pointwise"), ("mask", "mask", "pointwise+infonce")
):
    pr.train_ranking_module(base, *rows, f"{out}/{name}", kind=kind, loss=loss, length=64, **of)
pr.train_late_interaction(base, *rows, f"{out}/late", chunk=2, average=1, **of, **li)
pr.distill_bilingual(
    base, "en", "ky", (text, text), f"{out}/distilled", queries=rows[0], passages=rows[1],
    teacher=given["judge"], factor=3, fallback="none",
    general=General(steps=3, batch_size=3, length=16),
    task=Task(
        steps=3, batch_queries=2, negatives=2, length=48, mine=2, loss="margin_mse+pointwise"
    ),
)
"""


@pytest.fixture(scope="module")
def trained(tiny_mlm, text_file, pairs_file, judgements, tmp_path_factory):
    """Folders of the same trainings, by one process and by two, over a base without dropout (of
    which the units that are dropped depend on the number of processes)."""
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    root = tmp_path_factory.mktemp("processes")
    base = root / "tiny-calm" / "base"
    shutil.copytree(tiny_mlm, base)
    config = json.loads((base / "config.json").read_text())
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps({**config, **quiet}))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        judge = AutoModelForSequenceClassification.from_config(
            AutoConfig.from_pretrained(base, num_labels=1)
        )
    judge.save_pretrained(root / "judge")
    AutoTokenizer.from_pretrained(base).save_pretrained(root / "judge")
    (root / "script.py").write_text(TRAININGS)
    given = {
        "base": str(base), "text": str(text_file), "pairs": str(pairs_file),
        "rows": [str(path) for path in judgements], "judge": str(root / "judge"),
    }  # fmt: skip
    for count in (1, 2):
        out = json.dumps({**given, "out": str(root / str(count))})
        done = launch(root / "script.py", out, count=count)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("phase 1: held-out distance") == 1  # said once
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["head", "language", "language-mask", "pointwise", "mask", "late", "distilled"]
)
def test_two_processes_train_what_one_does(trained, name):
    alone, shared = trained / "1" / name, trained / "2" / name
    files = sorted(path.relative_to(alone) for path in alone.rglob("*.safetensors"))
    assert files and not (trained / "2" / f"{name}.work").exists()
    for file in files:
        one, two = load_file(alone / file), load_file(shared / file)
        assert one.keys() == two.keys()
        for tensor, value in one.items():
            if tensor.endswith("key.bias"):  # softmax ignores it: its gradient is 0 and rounding,
                continue  # which AdamW makes steps of the whole rate
            assert torch.allclose(value.double(), two[tensor].double(), atol=2e-4), tensor
    card = next(path for path in shared.glob("*.json") if "recipe" in path.read_text())
    assert '"processes": 2' in card.read_text()
