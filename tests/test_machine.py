"""Threads: as many as others leave free, by arithmetic, and until the verb is done."""

import math
import os

import pytest
import torch

from polyrank import machine
from polyrank.machine import Usage, choose_threads, device_of, free_processors


@pytest.mark.parametrize(
    ("busy", "own", "quota", "free"),
    [
        *((0.0, 0.0, math.inf, 4), (10.0, 10.0, math.inf, 4), (10.0, 0.0, math.inf, 3)),
        *((31.0, 1.0, math.inf, 1), (40.0, 0.0, math.inf, 1)),
        *((10.0, 0.0, 2.0, 2), (10.0, 0.0, 0.5, 1), (20.0, 0.0, 3.0, 2)),  # in a container
    ],
)
def test_free_processors_by_hand(busy, own, quota, free, monkeypatch):
    monkeypatch.setattr(machine, "processors", lambda: 4)  # over ten seconds
    monkeypatch.setattr(machine, "quota", lambda: quota)
    assert free_processors(Usage(5.0, 100.0, 7.0), Usage(15.0, 100.0 + busy, 7.0 + own)) == free


@pytest.fixture
def threads(monkeypatch):
    """Two threads, and one processor free."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "free_processors", lambda before, now: 1)
    yield
    machine.forget_threads()
    torch.set_num_threads(before)


@pytest.mark.parametrize("device", ["cpu", "cpu:0", None])
def test_asked_for_is_what_it_gets(threads, device):
    choose_threads(3)
    device_of(device)
    assert torch.get_num_threads() == 3


def test_fewer_are_taken_and_told_once(threads, capsys):
    choose_threads(None)
    device_of("cpu"), device_of("cpu")
    assert torch.get_num_threads() == 1
    told = capsys.readouterr().err
    assert told.count("1 of 2 threads are taken; 'polyrank --threads 2 VERB'") == 1


def test_a_set_variable_is_obeyed(threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    choose_threads(None)
    device_of("cpu")
    assert torch.get_num_threads() == 2


def test_a_verb_that_used_no_cpu_leaves_nothing_to_those_after_it(threads):
    from polyrank.cli.app import app
    from typer.testing import CliRunner

    assert CliRunner().invoke(app, ["prompts", "list"]).exit_code == 0
    device_of("cpu")
    assert torch.get_num_threads() == 2


def test_what_others_use_is_read(tmp_path, monkeypatch):
    """Ticks of processor 0 and 1; all but idle and iowait are busy. Number 7 is not ours."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  9 9\ncpu0 10 1 5 900 50 2 3 4 0 0\ncpu1 1 0 0 9 9 0 0 0\ncpu7 99 0\n")
    monkeypatch.setattr(machine, "STAT", stat)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert Usage.now().busy == (10 + 1 + 5 + 2 + 3 + 4 + 1) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def cudnn():
    """Attention may be cuDNN's, and is as before afterwards."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    yield
    torch.backends.cuda.enable_cudnn_sdp(before)


def test_cudnn_is_no_choice_for_attention(monkeypatch, cudnn):
    monkeypatch.setattr(machine, "leave_cudnn_out", machine.leave_cudnn_out.__wrapped__)
    device_of("cpu")
    assert torch.backends.cuda.cudnn_sdp_enabled()  # a CPU has nothing to do with it
    device_of("meta")
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.mem_efficient_sdp_enabled()
