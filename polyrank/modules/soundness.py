"""Whether a module folder can be trusted: plain files, as its card says, and nothing that runs.

Needs no torch.
"""

from __future__ import annotations

import re
from pathlib import Path

from polyrank.errors import ModuleError
from polyrank.modules.card import CARD_FILE, ModuleCard, read_card

ALLOWED = (".safetensors", ".json", ".txt", ".md")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
_FILE = re.compile(r"[A-Za-z0-9][\w.\-+]*")
_FOLDER = re.compile(r"[\w][\w.\-+]*")


def check_names(card: ModuleCard, source: object) -> ModuleCard:
    """Return the card unless it names a file or a place that no module may have.

    Raises:
        ModuleError: a pickle, another kind of file, or a name that leads out of the folder.
    """
    if not all(_FOLDER.fullmatch(part) for part in card.full_name.split("/")):
        raise ModuleError(
            f"{source}: the name {card.full_name!r} is not a plain path of folders.\n"
            "Do not use this module."
        )
    if not card.files:
        raise ModuleError(
            f"{source} lists no files, so none can be verified.\nSave the module again."
        )
    for name in card.files:
        if not _FILE.fullmatch(name) or name.lower() == CARD_FILE:
            raise ModuleError(
                f"{source}: {name!r} is not a plain file name; a module's files lie in its own "
                "folder.\nDo not use this module."
            )
        check_suffix(name, source)
    return card


def check_suffix(name: str, source: object) -> None:
    """Raise ModuleError for a file that is a pickle, or none of the kinds a module is made of."""
    suffix = Path(name).suffix.lower()
    if suffix in PICKLES:
        raise ModuleError(
            f"{source}: '{name}' may be a pickle, which can run code when it is opened; a module "
            "of polyrank holds safetensors.\nIt was not opened. If you know its author, convert "
            "it with:  polyrank zoo import"
        )
    if suffix not in ALLOWED:
        raise ModuleError(
            f"{source}: '{name}' is not a file of a module; those end in {', '.join(ALLOWED)}.\n"
            "Do not use this module, or take that file out and save it again."
        )


def check_folder(folder: str | Path) -> ModuleCard:
    """Check everything that can be checked without the base: the card, each file's sha256, that
    all are plain files, and that each `.safetensors` is whole.

    Raises:
        ModuleError: the first thing that is wrong, and what to do.
    """
    folder = Path(folder)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_symlink():
            raise ModuleError(
                f"{path} is a symbolic link (to {path.readlink()}); a module's files are plain "
                f"files.\nIf you trust it, copy what it points to:  cp -rL {folder} COPY"
            )
        if path.suffix.lower() in PICKLES:
            check_suffix(path.name, folder)
    card = check_names(read_card(folder), folder / CARD_FILE)
    for name in card.files:
        if name.endswith(".safetensors"):
            check_safetensors(folder / name)
    return card


def check_safetensors(path: Path) -> None:
    """Raise ModuleError unless the file's header is sound and its tensors fill it exactly."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as tensors:
            names = list(tensors.keys())
    except (SafetensorError, OSError) as error:
        raise ModuleError(
            f"{path} is not a whole safetensors file ({error}).\n"
            "It was not used. Fetch it again, or "
            "tell whoever made the module."
        ) from error
    if not names:
        raise ModuleError(f"{path} holds no tensors.\nFetch or train the module again.")
    if (bad := _not_finite(path)) is not None:
        raise ModuleError(
            f"{path}: the tensor '{bad}' holds values that are not finite.\n"
            "It was not used. Tell whoever made the module."
        )


# Bits of the exponent, all set where a value is infinite or no number, by dtype in the header.
_EXPONENT = {"F64": ("<u8", 0x7FF0 << 48), "F32": ("<u4", 0x7F800000), "F16": ("<u2", 0x7C00),
             "BF16": ("<u2", 0x7F80)}  # fmt: skip
_BLOCK = 1 << 22  # values that are looked at together


def _not_finite(path: Path) -> str | None:
    """The first tensor that holds an infinity or NaN, told from its bits; NumPy has no bfloat16."""
    import json

    import numpy as np

    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    for name, about in header.items():
        if name == "__metadata__" or about["dtype"] not in _EXPONENT:
            continue
        width, bits = _EXPONENT[about["dtype"]]
        first, end = about["data_offsets"]
        count = (end - first) // np.dtype(width).itemsize
        if not count:
            continue
        values = np.memmap(path, width, "r", 8 + size + first, (count,))
        mask = values.dtype.type(bits)
        if any((values[n : n + _BLOCK] & mask == mask).any() for n in range(0, count, _BLOCK)):
            return str(name)
    return None
