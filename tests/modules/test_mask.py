"""Mask files: what is written comes back; what is broken is refused and runs nothing."""

import json
import math
import os
import pickle
import random
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from polyrank.errors import ModuleError
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.card import ModuleCard
from polyrank.modules.mask.mask_folder import (
    MASK_FILE,
    indices_of,
    load_mask_module,
    read_mask,
    save_mask_module,
    steps_of,
)
from polyrank.modules.mask.sparse import SparseDifference

HEAD = Head(((torch.ones(4, 3), torch.zeros(4)), (torch.ones(1, 4), None)))


def difference(shape, positions, values):
    return SparseDifference(tuple(shape), torch.tensor(positions), torch.tensor(values))


def about(shapes):
    """Metadata of a mask of such shapes, in JSON."""
    return {"mask": f'{{"shapes": {shapes}}}'}


DIFFERENCES = {
    "a.weight": difference(
        (40, 50), [0, 1, 255, 256, 512, 1999], [1.0, -0.5, 2.0, 0.25, 8.0, -4.0]
    ),
    "b.bias": difference((7,), [3], [0.125]),
}


@pytest.fixture
def card(tiny_base):
    return ModuleCard("ranking", "mask", "squad", "en", tiny_base.name, tiny_base.fingerprint)


@pytest.fixture
def folder(card, tmp_path):
    save_mask_module(DIFFERENCES, tmp_path / "squad", card, HEAD)
    return tmp_path / "squad"


def test_what_is_written_comes_back(folder):
    module = load_mask_module(folder)
    assert (module.name, len(module)) == ("squad", 7)
    for name, expected in DIFFERENCES.items():
        found = module.differences[name]
        assert found.shape == expected.shape
        assert found.indices.tolist() == expected.indices.tolist()
        assert found.values.tolist() == expected.values.tolist()  # exact in fp16
    assert [None if b is None else b.tolist() for _, b in module.head.layers] == [[0.0] * 4, None]
    assert module.head.activation == "tanh" and module.head.layers[0][0].shape == (4, 3)


def test_positions_by_hand():
    """Gaps 1, 1, 254, 1, 256 and 1487 = 5 * 255 + 212; 255 means: go on."""
    positions = DIFFERENCES["a.weight"].indices
    steps = steps_of(positions)
    assert steps.tolist() == [1, 1, 254, 1, 255, 1, *[255] * 5, 212]
    assert indices_of(steps).tolist() == positions.tolist()
    assert steps_of(torch.tensor([254])).tolist() == [255, 0]


def test_random_positions_come_back():
    generator = torch.Generator().manual_seed(1)
    for share in (1.0, 0.3, 0.01, 0.0005, 0.0):
        positions = (torch.rand(100_000, generator=generator) < share).nonzero().squeeze(1)
        assert torch.equal(indices_of(steps_of(positions)), positions)


def test_a_file_with_plain_positions_is_read(tmp_path):
    """As DESIGN has it: int64 `indices`, no matter what wrote them."""
    wanted = DIFFERENCES["a.weight"]
    tensors = {"a.weight.indices": wanted.indices, "a.weight.values": wanted.values}
    save_file(tensors, tmp_path / MASK_FILE, about('{"a.weight": [40, 50]}'))
    differences, head = read_mask(tmp_path / MASK_FILE)
    assert torch.equal(differences["a.weight"].indices, wanted.indices) and head is None


def test_the_same_mask_is_the_same_bytes(card, tmp_path):
    head = Head(((torch.ones(1, 4), torch.ones(1)),), "tanh")
    for turn in range(8):
        save_mask_module(DIFFERENCES, tmp_path / str(turn), card, head)
    assert len({(tmp_path / str(turn) / MASK_FILE).read_bytes() for turn in range(8)}) == 1


def test_unchanged_tensors_are_left_out(card, tmp_path):
    empty = SparseDifference((3,), torch.empty(0, dtype=torch.int64), torch.empty(0))
    save_mask_module({"a.weight": DIFFERENCES["a.weight"], "c": empty}, tmp_path / "m", card)
    assert list(load_mask_module(tmp_path / "m").differences) == ["a.weight"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (difference((9,), [3, 3], [1.0, 1.0]), "do not increase"),
        (difference((9,), [5, 3], [1.0, 1.0]), "do not increase"),
        (difference((9,), [3, 9], [1.0, 1.0]), "do not increase within its 9"),
        (difference((9,), [3, 4], [1.0, float("nan")]), "not finite"),
        (difference((9,), [3, 4], [1.0, 1e6]), "not finite torch.float16"),
        (difference((9,), [3, 4], [1.0]), "not one value"),
    ],
)
def test_what_could_not_be_read_is_not_written(card, tmp_path, broken, reason):
    with pytest.raises(ModuleError, match=reason):
        save_mask_module({"a": broken}, tmp_path / "m", card)
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_is_no_mask(tiny_zoo, tiny_base):
    with pytest.raises(ModuleError, match="adapter, not a mask"):
        load_mask_module(tiny_zoo / tiny_base.name / "language" / "adapter" / "en")


# --- broken and hostile files --------------------------------------------------------------------


def rewrite(folder, tensors=None, metadata=None):
    """The file again, with some tensors or metadata exchanged; None takes one away."""
    from safetensors import safe_open

    path = folder / MASK_FILE
    with safe_open(path, "pt") as file:
        header = file.metadata()
    kept = {**load_file(path), **(tensors or {})}
    header = {**header, **(metadata or {})}
    save_file(
        {k: v for k, v in kept.items() if v is not None},
        path,
        {k: v for k, v in header.items() if v is not None},
    )
    return path


BYTES = torch.uint8
BROKEN_TENSORS = {
    "no positions": {"a.weight.steps": None},
    "no values": {"a.weight.values": None},
    "neither": {"b.bias.steps": None, "b.bias.values": None},
    "too many positions": {"b.bias.steps": torch.tensor([1, 1], dtype=BYTES)},
    "a position twice": {
        "b.bias.steps": torch.tensor([1, 0], dtype=BYTES),
        "b.bias.values": torch.ones(2),
    },
    "a position before the first": {"b.bias.steps": torch.tensor([0], dtype=BYTES)},
    "a position after the last": {"b.bias.steps": torch.tensor([8], dtype=BYTES)},
    "a gap that does not end": {"b.bias.steps": torch.tensor([4, 255], dtype=BYTES)},
    "only gaps that do not end": {"b.bias.steps": torch.tensor([255] * 9, dtype=BYTES)},
    "steps of numbers": {"b.bias.steps": torch.tensor([4.0])},
    "steps past 2^63": {"b.bias.steps": torch.tensor([2**62, 2**62, 2**62])},
    "steps in two dimensions": {"b.bias.steps": torch.tensor([[4]], dtype=BYTES)},
    "values in two dimensions": {"b.bias.values": torch.ones(1, 1)},
    "a value that is none": {"b.bias.values": torch.tensor([float("nan")])},
    "an infinite value": {"b.bias.values": torch.tensor([float("inf")])},
    "values of integers": {"b.bias.values": torch.tensor([1])},
    "values in eight bits": {"b.bias.values": torch.tensor([1.0]).to(torch.float8_e4m3fn)},
    "a tensor too many": {"c.values": torch.ones(1)},
    "positions twice": {"b.bias.indices": torch.tensor([3])},
    "a head without number": {"head.x.weight": torch.ones(1, 1)},
    "a head with a number of its own": {"head.².weight": torch.ones(1, 1)},
    "a head's part without layer": {"head.weight": torch.ones(1)},
    "a head with a hole": {"head.7.weight": torch.ones(1, 4)},
    "a head of biases": {"head.0.weight": None},
    "a head in one dimension": {"head.1.weight": torch.ones(4)},
    "a head that does not fit": {"head.1.weight": torch.ones(1, 5)},
    "a bias that does not fit": {"head.0.bias": torch.ones(5)},
    "a head of nothing": {"head.1.weight": torch.ones(0, 4)},
    "a head of integers": {"head.1.weight": torch.ones(1, 4, dtype=torch.int64)},
    "a head that is not a number": {"head.1.weight": torch.full((1, 4), float("nan"))},
}
BROKEN_METADATA = {
    "no metadata": {"mask": None},
    "no shapes": {"mask": "{}"},
    "no object": {"mask": "[]"},
    "no JSON": about("{"),
    "a list": about("[]"),
    "a number": about("1"),
    "nothing": about("null"),
    "a shape that is a word": about('{"a.weight": "40"}'),
    "a shape of words": about('{"a.weight": ["40", "50"]}'),
    "a negative shape": about('{"a.weight": [-40, -50]}'),
    "a broken shape": about('{"a.weight": [40.0, 50.0]}'),
    "a shape of truth values": about('{"a.weight": [true, 2000]}'),
    "a huge shape": about(f'{{"a.weight": [{2**62}, 4]}}'),
    "an endless number": about(f'{{"a.weight": [{"9" * 6000}]}}'),
    "endless brackets": about("[" * 100_000),
    "a small shape": about('{"a.weight": [4], "b.bias": [7]}'),
    "a shape of no tensor": about('{"a.weight": [40, 50], "b.bias": [7], "c": [1]}'),
    "another activation": {"mask": '{"shapes": {}, "activation": "__import__(1)"}'},
    "an activation of another kind": {"mask": '{"shapes": {}, "activation": {}}'},
}


@pytest.mark.parametrize("tensors", BROKEN_TENSORS.values(), ids=BROKEN_TENSORS)
def test_broken_tensors_are_refused(folder, tensors):
    with pytest.raises(ModuleError, match="Fetch or train"):
        read_mask(rewrite(folder, tensors))


@pytest.mark.parametrize("metadata", BROKEN_METADATA.values(), ids=BROKEN_METADATA)
def test_broken_metadata_is_refused(folder, metadata):
    with pytest.raises(ModuleError, match="Fetch or train"):
        read_mask(rewrite(folder, metadata=metadata))


def test_a_pickle_with_a_payload_runs_nothing(folder, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    for content in (pickle.dumps(Payload()), pickle.dumps({"diffs": {}, "abs": {}})):
        (folder / MASK_FILE).write_bytes(content)
        with pytest.raises(ModuleError, match="cannot be read as safetensors"):
            read_mask(folder / MASK_FILE)
    torch.save({"diffs": Payload()}, folder / MASK_FILE)
    with pytest.raises(ModuleError, match="cannot be read as safetensors"):
        read_mask(folder / MASK_FILE)
    assert not (tmp_path / "owned").exists()


def test_a_file_cut_anywhere_is_refused(folder):
    path = folder / MASK_FILE
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ModuleError):
            read_mask(path)
    path.unlink()
    with pytest.raises(ModuleError):
        read_mask(path)


def test_flipped_bits_are_refused(folder):
    """The card's sha256 finds every flip; without it the reader gives a sound mask or refuses."""
    path = folder / MASK_FILE
    whole = path.read_bytes()
    source = random.Random(5)
    refused = 0
    for _ in range(600):
        damaged = bytearray(whole)
        for _ in range(source.choice((1, 1, 2, 8))):
            damaged[source.randrange(len(damaged))] ^= 1 << source.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            differences, _ = read_mask(path)
        except ModuleError:
            refused += 1
            continue
        for found in differences.values():
            assert (found.indices.diff() > 0).all() and found.values.isfinite().all()
            assert not found.beyond(math.prod(found.shape))
    assert refused > 100
    path.write_bytes(bytes([whole[0], *whole[1:-1], whole[-1] ^ 1]))
    with pytest.raises(ModuleError, match="was altered"):
        load_mask_module(folder)


def test_a_header_that_names_a_tensor_twice(folder):
    path = folder / MASK_FILE
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = f'{{"a.values": {json.dumps(entry)}, "a.values": {json.dumps(entry)}}}'.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    with pytest.raises(ModuleError):
        read_mask(path)


def test_a_language_mask_needs_no_head(card, tmp_path):
    language = replace(card, role="language", name="ky", language="ky")
    save_mask_module(DIFFERENCES, tmp_path / "ky", language)
    assert load_mask_module(tmp_path / "ky").head is None
