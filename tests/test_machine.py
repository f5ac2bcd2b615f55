"""Threads: as many as others leave free, by arithmetic, and beside a busy process."""

import subprocess
import sys

import pytest
import torch

from polyrank import machine
from polyrank.machine import Usage, choose_threads, device_of, free_processors


@pytest.mark.parametrize(
    ("busy", "own", "free"),
    [(0.0, 0.0, 4), (10.0, 10.0, 4), (10.0, 0.0, 3), (31.0, 1.0, 1), (40.0, 0.0, 1)],
)
def test_free_processors_by_hand(busy, own, free, monkeypatch):
    monkeypatch.setattr(machine, "processors", lambda: 4)  # over ten seconds
    assert free_processors(Usage(5.0, 100.0, 7.0), Usage(15.0, 100.0 + busy, 7.0 + own)) == free


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_asked_for_is_what_it_gets(threads, monkeypatch):
    monkeypatch.setattr(machine, "free_processors", lambda before, now: 1)
    choose_threads(2)
    device_of("cpu")
    assert torch.get_num_threads() == 2


def test_fewer_are_taken_and_told_once(threads, monkeypatch, capsys):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "free_processors", lambda before, now: 1)
    choose_threads(None)
    device_of("cpu"), device_of("cpu")
    assert torch.get_num_threads() == 1
    assert (
        capsys.readouterr().err.count("1 of 2 threads are taken; 'polyrank --threads 2 VERB'") == 1
    )


def test_a_set_variable_is_obeyed(threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(machine, "free_processors", lambda before, now: 1)
    choose_threads(None)
    device_of("cpu")
    assert torch.get_num_threads() == 2


@pytest.mark.skipif(Usage.now() is None, reason="the system does not say")
def test_a_busy_process_is_seen():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        before = Usage.now()
        torch.tensor(0).item()
        busy.poll()
        import time

        time.sleep(0.4)
        now = Usage.now()
        others = (now.busy - before.busy) - (now.own - before.own)
        assert others > 0.1 * (now.at - before.at)
    finally:
        busy.kill()
        busy.wait()
