"""One writer for one output: who is refused, what is said, and what a killed process leaves."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from polyrank.errors import UsageError
from polyrank.locks import lock_file, locked

HOLDING = """
import sys, time
from polyrank.locks import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of `out.trec`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, tmp_path / "out.trec"], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_another_process_is_refused_and_named(holder, tmp_path):
    with pytest.raises(UsageError) as refused, locked(tmp_path / "out.trec"):
        pass
    message = str(refused.value)
    assert f"id {holder.pid} on {os.uname().nodename}, since 20" in message
    assert "out.trec" in message and "choose another output" in message


def test_a_link_leads_to_the_same_lock(holder, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "out.trec")
    with pytest.raises(UsageError, match="another process"), locked(tmp_path / "link"):
        pass


def test_a_killed_holder_locks_nobody_out(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock_file(tmp_path / "out.trec").exists()  # it stays, and holds nothing
    with locked(tmp_path / "out.trec"):
        pass
    assert not list(tmp_path.iterdir())


def test_who_waits_gets_it_when_it_is_free(tmp_path, held, capsys):
    got = threading.Event()

    def wait():
        with locked(tmp_path / "m", wait=True):
            got.set()

    thread = threading.Thread(target=wait)
    with held(tmp_path / "m"):
        thread.start()
        assert not got.wait(0.3)
    thread.join(10)
    assert got.is_set() and capsys.readouterr().err.count("waiting for") == 1


def test_a_thread_may_ask_again_and_another_may_not(tmp_path):
    refused = []

    def other():
        try:
            with locked(tmp_path / "out"):
                pass
        except UsageError as error:
            refused.append(error)

    with locked(tmp_path / "out"):
        with locked(tmp_path / "out"):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_nothing_is_left_behind(tmp_path):
    with locked(tmp_path / "new" / "folder" / "out"):
        assert (tmp_path / "new" / "folder").is_dir()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{", "7", '{"process": "x"}', '{"process": null}', "\0"])
def test_a_lock_that_does_not_say_who_holds_it(tmp_path, held, content):
    with held(tmp_path / "out") as path:
        path.write_text(content)
        with pytest.raises(UsageError, match="by another process"), locked(tmp_path / "out"):
            pass


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"), locked(tmp_path / "file" / "out"):
        pass
