"""The table of tiles: every entry fits, and lengths fall into few buckets."""

import os
import subprocess
import sys

import pytest
import torch

from polyrank.kernels.triton.configuration import (
    adapter_tile,
    adapter_tokens,
    bytes_tile,
    documents_each,
    fits,
    maxsim_tile,
    power_of_two,
    scatter_tile,
    sum_tile,
)


def test_power_of_two():
    assert [power_of_two(n) for n in (0, 1, 2, 3, 32, 33)] == [1, 1, 2, 4, 32, 64]


def test_lengths_fall_into_few_buckets():
    tiles = {maxsim_tile("sm_90", 2, 128, 128, length, False) for length in range(1, 2000)}
    assert len(tiles) == 3  # 16, 32 and 64 tokens a step: three things to compile, ever


@pytest.mark.parametrize("architecture", ["sm_100", "sm_90", "sm_80", "other"])
@pytest.mark.parametrize("bytes_each", [2, 4])
@pytest.mark.parametrize("width", [64, 128, 256])
def test_a_tile_fits_in_shared_memory(architecture, bytes_each, width):
    room = {"sm_100": 227, "sm_90": 227, "sm_80": 163, "other": 99}[architecture] * 1024
    for rows in (16, 32, 64, 128):
        for winners in (False, True):
            chosen = maxsim_tile(architecture, bytes_each, width, rows, 10_000, winners)
            numbers = width * (chosen.rows + chosen.stages * chosen.tokens)
            assert numbers * bytes_each <= room, (rows, winners)


def test_documents_of_a_program():
    assert documents_each(1, 10_000) == 1  # a single tile of queries
    assert documents_each(64, 32) == 1  # few programs as it is
    assert documents_each(64, 256) == 8
    assert documents_each(16, 10**6) == 16


def test_tiles_of_the_documents_gradient():
    assert [scatter_tile(128, rows).rows for rows in (5, 32, 1024)] == [16, 32, 64]
    for width in (128, 256):
        chosen = scatter_tile(width, 1024)
        # A sum of fp32 beside what else a thread of 255 registers holds.
        assert chosen.tokens * width / (32 * chosen.warps) <= 64
        staged = chosen.stages * chosen.rows * width + chosen.tokens * chosen.rows
        assert 2 * staged <= 99 * 1024


def test_what_the_kernels_take():
    half, double = torch.ones(1, 128).half(), torch.ones(1, 128).double()
    assert fits(half, half.float())
    assert not fits(half, double)
    assert not fits(torch.ones(1, 257), torch.ones(1, 257))


@pytest.mark.parametrize("architecture", ["sm_100", "sm_90", "sm_80", "other"])
@pytest.mark.parametrize("bytes_each", [2, 4])
def test_tiles_of_the_other_kernels_fit(architecture, bytes_each):
    room = {"sm_100": 227, "sm_90": 227, "sm_80": 163, "other": 99}[architecture] * 1024
    for rows in (16, 32, 64, 128, 1000):  # 8 bits, 128 wide: bytes as they lie and widened
        for kernel in ("int8", "residual", "residual-4"):
            chosen = bytes_tile(kernel, architecture, bytes_each, rows, 10_000)
            numbers = 128 * (chosen.rows + chosen.tokens) * bytes_each
            assert numbers + chosen.stages * chosen.tokens * 128 <= room, rows
    for rank in (16, 64, 128, 256):
        for tokens in {adapter_tokens(architecture, n, 10) for n in (1, 200, 5000)}:
            chosen = adapter_tile(architecture, bytes_each, tokens, rank)
            assert chosen.tokens == tokens
            numbers = chosen.stages * chosen.rows * (tokens + rank) + tokens * rank
            assert numbers * bytes_each <= room, (rank, tokens)


def test_every_kernel_compiles_for_few_lengths_only():
    assert len({bytes_tile("int8", "sm_90", 2, 64, n) for n in range(1, 2000)}) == 3  # 16, 32, 64
    assert {adapter_tokens("sm_90", n, 10) for n in range(0, 20_000, 10)} == {16, 32, 64}
    assert len({sum_tile("sm_80", 2, n) for n in range(2000)}) == 2


_COMPILE = """
import re, subprocess, sys
from dataclasses import replace
import torch, triton
from triton.backends.nvidia.compiler import get_ptxas
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from polyrank.kernels import routed_adapter
from polyrank.kernels.codecs import compressed, int8, residual, residual_scoring
from polyrank.kernels.triton import int8_kernel, maxsim_backward, maxsim_forward
from polyrank.kernels.triton import residual_kernel, routed_adapter_kernel
from polyrank.kernels.contract import Layout, Problem

TYPES = {torch.float32: "*fp32", torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.bool: "*i1",
         torch.int64: "*i64", torch.int32: "*i32", torch.int8: "*i8", torch.uint8: "*u8"}

def compile_it(kernel, programs, tensors, sizes, constants, warps, stages):
    "What would be launched, as the compiler for a Hopper GPU takes it."
    kinds = [None if t is None else TYPES[t.dtype] for t in tensors] + ["i32"] * len(sizes)
    kinds += [None] * len(constants)
    values = [*tensors, *sizes, *constants]
    assert len(values) == len(kernel.arg_names), kernel
    signature = {n: k or "constexpr" for n, k in zip(kernel.arg_names, kinds)}
    fixed = {(i,): v for i, (k, v) in enumerate(zip(kinds, values)) if k is None}
    aligned = {(i,): [["tt.divisibility", 16]] for i, t in enumerate(tensors) if t is not None}
    source = ASTSource(kernel, signature, fixed, aligned)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32),
                          options=dict(num_warps=warps, num_stages=stages))
    assert made.metadata.shared <= 227 * 1024, made.metadata
    file = sys.argv[1] + "/kernel"
    open(file + ".ptx", "w").write(made.asm["ptx"])
    call = [get_ptxas(90).path, "-v", "--gpu-name=sm_90a", file + ".ptx", "-o", file + ".cubin"]
    said = subprocess.run(call, capture_output=True, text=True, check=True).stderr
    (spilled,) = re.findall(r"(\\d+) bytes spill stores", said)
    assert int(spilled) <= 16, (kernel, spilled, constants)
    print(kernel.fn.__module__, made.metadata.shared, made.asm["ptx"].count("wgmma.mma_async"),
          made.asm["ptx"].count("mma.sync"))

plain, both = [maxsim_forward, maxsim_backward], [routed_adapter_kernel]
for module in (*plain, *both, int8_kernel, residual_kernel):
    module.launch = compile_it
for module in (*plain, *both, compressed, routed_adapter):
    module.architecture = lambda device: "sm_90"
for module in (int8_kernel, residual_kernel):
    module.takes_ptx = lambda tiled: tiled.columns.dtype == torch.float16

half = dict(dtype=torch.bfloat16)
queries, documents = torch.ones(4 * 32, 128, **half), torch.ones(3 * 180, 128, **half)
offsets = torch.arange(4) * 180
problem = Problem(Layout(4, 32), Layout(3, 180, offsets, torch.ones(540).bool()), 3)
for winners in (False, True):
    maxsim_forward.forward(queries, documents, problem, winners)
    maxsim_forward.forward(queries.float(), documents.float(), problem, winners)
for own in (False, True):
    lists = replace(problem, own=own, documents=Layout(12 if own else 3, 180))
    met = torch.ones(lists.documents.count * 180, 128, **half)
    winners = torch.ones(lists.columns, 128, dtype=torch.int32).t()
    maxsim_backward.backward(torch.ones(4, 3), queries, met, winners, lists, (True, True))
maxsim_backward.weighted_sum(documents, torch.arange(9), torch.ones(9), torch.tensor([0, 3, 9]))
for dtype in (torch.float16, torch.float32):
    asked = torch.ones(4, 32, 128, dtype=dtype)
    int8_kernel.score(asked, int8.encode_int8(documents, offsets), torch.ones(540).bool())
    for bits in (1, 2, 4, 8):
        buckets = torch.linspace(-1, 1, 2**bits)
        codec = residual.ResidualCodec(torch.ones(5, 128), buckets[1:], buckets)
        packed = residual_scoring.pack_documents(codec, *codec.encode(documents), offsets)
        residual_kernel.score(asked, packed, None)
    linear = lambda out, into: (torch.ones(out, into, dtype=dtype), torch.ones(out, dtype=dtype))
    stack = routed_adapter.stack_adapters([(linear(96, 384), linear(384, 96))], "gelu")
    tokens = torch.ones(200, 384, dtype=dtype)
    assignment = routed_adapter.assign(torch.zeros(200, dtype=torch.int64), 1)
    routed_adapter_kernel.add_adapters(tokens, tokens.clone(), stack, assignment)
"""


@pytest.mark.slow
def test_every_kernel_compiles_for_hopper_without_one(tmp_path):
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, "-c", _COMPILE, str(tmp_path)],
        env={**os.environ, "TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    made = [line.split() for line in done.stdout.splitlines()]
    assert len(made) == 4 + 2 * 2 + 1 + 2 * (1 + 4 + 1)
    forward = [int(line[2]) for line in made if line[0].endswith("maxsim_forward")]
    assert min(forward[::2]) > 0, "no tensor cores"  # those in half precision
