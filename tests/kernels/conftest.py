"""What the tests of kernels share: a choice of the path on a CPU; PTX in Triton's interpreter."""

from types import SimpleNamespace

import numpy as np
import pytest

from polyrank.kernels.cpu import native

from .ptx import interpret

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


@pytest.fixture
def run_ptx(monkeypatch):
    """Let Triton's interpreter run inline PTX; `done` counts how often it did."""
    pytest.importorskip("triton")
    from triton.runtime import interpreter

    seen = SimpleNamespace(done=0)

    def create_inline_asm(builder, text, constraints, values, types, pure, pack):
        seen.done += 1
        outputs = constraints.count("=")
        given = [_registers(value.data, pack) for value in values]
        operands = [register for registers in given for register in registers]
        assert constraints.count(",") + 1 == outputs + len(operands)
        made = interpret(text, outputs, operands)
        (kind,) = types
        result = np.stack(made, axis=1).view(np.float16).reshape(values[0].data.shape)
        handle = interpreter.TensorHandle(result, kind.scalar)
        return SimpleNamespace(get_result=lambda number: handle)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_inline_asm", create_inline_asm)
    return seen


def _registers(data, pack):
    """The 32-bit registers that hold so many numbers at a time, each an array over all of them."""
    data = np.ascontiguousarray(data).reshape(-1, pack)
    return list(data.view(np.uint32).T)
