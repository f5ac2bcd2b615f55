"""The pickle reader: tensors come out as torch reads them, and nothing else comes in."""

import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from polyrank.errors import ModuleError
from polyrank.zoo.imports.pickles import read_pickle


def archived(path, content):
    """A file as torch.save lays it out, around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
    return path


class Payload:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool]
)
def test_tensors_come_out_as_torch_reads_them(tmp_path, dtype):
    whole = torch.arange(24).reshape(4, 6).to(dtype)
    saved = OrderedDict(a=whole, b=whole.t()[1:3], c=whole[2:, ::2], d=torch.empty(0, dtype=dtype))
    torch.save(saved, tmp_path / "x.bin")
    expected = torch.load(tmp_path / "x.bin", weights_only=True)
    found = read_pickle(tmp_path / "x.bin")
    assert list(found) == list("abcd")
    assert all(torch.equal(found[k], expected[k]) for k in expected)
    assert {t.dtype for t in found.values()} == {dtype}


def test_parameters_and_numpy_integers(tmp_path):
    numbers = [np.int64(2**40), np.int32(-3), 7]
    torch.save({"n": numbers, "p": torch.nn.Parameter(torch.ones(2))}, tmp_path / "x.bin")
    with pytest.raises(pickle.UnpicklingError):  # why there is a reader of our own
        torch.load(tmp_path / "x.bin", weights_only=True)
    found = read_pickle(tmp_path / "x.bin")
    assert found["n"] == [2**40, -3, 7] and all(type(n) is int for n in found["n"])
    assert torch.equal(found["p"], torch.ones(2))


def test_a_scalar_of_numpy_1_is_read(tmp_path):
    torch.save([np.int64(5)], tmp_path / "x.bin")
    with zipfile.ZipFile(tmp_path / "x.bin") as archive:
        content = archive.read("x/data.pkl")
    assert b"numpy._core" in content
    archived(tmp_path / "y.bin", content.replace(b"numpy._core", b"numpy.core"))
    assert read_pickle(tmp_path / "y.bin") == [5]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.mkdir, ("{}",), f"{os.mkdir.__module__}.mkdir"),
        (eval, ("__import__('os').mkdir('{}')",), "builtins.eval"),
        (getattr, ({}, "keys"), "builtins.getattr"),
        (torch.load, ("{}",), "torch.serialization.load"),
    ],
)
def test_a_payload_is_named_and_not_run(tmp_path, function, arguments, named, protocol):
    target = tmp_path / "ran"
    filled = [a.format(target) if isinstance(a, str) else a for a in arguments]
    content = pickle.dumps({"diffs": Payload(function, *filled)}, protocol=protocol)
    path = archived(tmp_path / "x.bin", content)
    named = named.replace("builtins", "__builtin__") if protocol < 3 else named
    with pytest.raises(ModuleError, match=f"asks for '{named}'(.|\n)*Do not use"):
        read_pickle(path)
    assert not target.exists()


def test_a_tensor_cannot_reach_beyond_its_storage(tmp_path):
    torch.save(torch.zeros(4), tmp_path / "x.bin")
    with zipfile.ZipFile(tmp_path / "x.bin") as archive:
        content, data = archive.read("x/data.pkl"), archive.read("x/data/0")
    assert content.count(b"K\x04\x85") == 1  # the size, (4,)
    path = archived(tmp_path / "y.bin", content.replace(b"K\x04\x85", b"K\x40\x85"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", data)
    with pytest.raises(ModuleError, match="cannot be read"):
        read_pickle(path)


def test_what_is_cut_or_old_or_missing(tmp_path):
    torch.save({"x": torch.ones(1000)}, tmp_path / "x.bin")
    content = (tmp_path / "x.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(content[: len(content) // 2])
    torch.save([1], tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    for name, reason in (
        ("cut", "it is cut, or older"),
        ("old", "write it anew"),
        ("no", "missing"),
    ):
        with pytest.raises(ModuleError, match=reason):
            read_pickle(tmp_path / f"{name}.bin")


def test_a_flipped_byte_is_seen(tmp_path):
    torch.save({"x": torch.ones(1000)}, tmp_path / "x.bin")
    content = bytearray((tmp_path / "x.bin").read_bytes())
    content[len(content) // 2] ^= 1  # within the numbers: the archive has a sum over them
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(ModuleError, match="cannot be read"):
        read_pickle(tmp_path / "x.bin")
