"""Some instructions of PTX over arrays, after NVIDIA's PTX ISA, for Triton's interpreter.

Only the instructions that polyrank's kernels use, on 32-bit registers.
"""

import re

import numpy as np

_INSTRUCTION = re.compile(r"([a-z0-9]+)(?:\.[bu]32|\.f16x2)?\s+(.*)")


def interpret(text, outputs, inputs):
    """Registers $0 … of the outputs, after the text; inputs are uint32 arrays of one length."""
    size = len(inputs[0])
    registers = {f"${n}": np.zeros(size, np.uint32) for n in range(outputs)}
    registers |= {f"${n}": array for n, array in enumerate(inputs, outputs)}

    def value(name):
        return registers[name] if name in registers else np.uint32(int(name, 0))

    for statement in text.strip().strip("{}").split(";"):
        statement = statement.strip()
        if not statement or statement.startswith(".reg"):
            continue
        name, operands = _INSTRUCTION.fullmatch(statement).groups()
        target, *sources = operands.split(", ")
        registers[target] = _DO[name](*map(value, sources)) + np.zeros(size, np.uint32)
    return [registers[f"${n}"] for n in range(outputs)]


def _prmt(a, b, selector):
    """Four bytes of eight; the highest bit of a selector's digit asks for a byte of its sign."""
    both = a.astype(np.uint64) | b.astype(np.uint64) << np.uint64(32)
    result = np.zeros_like(a)
    for number in range(4):
        digit = selector >> np.uint32(4 * number) & np.uint32(15)
        byte = both >> (digit & np.uint32(7)).astype(np.uint64) * np.uint64(8) & np.uint64(255)
        sign = np.where(byte >> np.uint64(7), np.uint64(255), np.uint64(0))
        picked = np.where(digit >> np.uint32(3), sign, byte).astype(np.uint32)
        result |= picked << np.uint32(8 * number)
    return result


def _lop3(a, b, c, table):
    """Any function of three bits: bit 4 a + 2 b + c of the table."""
    result = np.zeros_like(a)
    for number in range(8):
        if int(table) >> number & 1:
            parts = [x if number >> place & 1 else ~x for x, place in ((a, 2), (b, 1), (c, 0))]
            result |= parts[0] & parts[1] & parts[2]
    return result


def _sub(a, b):
    """Both halves as fp16."""
    halves = [np.stack([x]).T.view(np.float16) for x in np.broadcast_arrays(a, b)]
    return (halves[0] - halves[1]).view(np.uint32)[:, 0]


_DO = {
    "mov": lambda a: a,
    "xor": lambda a, b: a ^ b,
    "sub": _sub,
    "shr": lambda a, by: a >> by,
    "shl": lambda a, by: a << by,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "prmt": _prmt,
    "lop3": _lop3,
}
