"""What the tests of kernels share: a choice of the path on a CPU."""

import pytest

from polyrank.kernels.cpu import native

PATHS = ["torch", "avx2", "avx512"]


@pytest.fixture
def score_by(monkeypatch):
    """Choose what scores on a CPU, or skip the test where this machine has not got it."""
    best = native.level()

    def choose(path):
        if PATHS.index(path) > best:
            pytest.skip(f"this machine, or this installation, has no kernel for {path}")
        monkeypatch.setattr(native, "level", lambda: PATHS.index(path))

    return choose
