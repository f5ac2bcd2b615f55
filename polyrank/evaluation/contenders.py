"""A distilled model, its teacher, and its teacher over the model's vocabulary, as rerankers."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from polyrank.base import Base, fingerprint_of, load_base
from polyrank.errors import ModuleError, UsageError
from polyrank.modules.card import Parent, read_card, sha256
from polyrank.modules.mask.mask_folder import MASK_FILE, load_mask_module, save_mask_module
from polyrank.rerankers.cross_encoder import CrossEncoder, read_classifier
from polyrank.rerankers.distilled_folder import verify
from polyrank.rerankers.mean import MeanReranker
from polyrank.rerankers.modular import ModularReranker
from polyrank.rerankers.pairs import PairScorer
from polyrank.training.distillation.cross_encoders import is_aligned
from polyrank.training.distillation.vocabulary import trim, trim_differences, trimmed_embeddings
from polyrank.zoo.find import find

TEACHER, TRIMMED, STUDENT = "teacher", "teacher, vocabulary cut", "student"


@dataclass(frozen=True, eq=False)
class Contender:
    """A reranker, and what it weighs.

    Attributes:
        weights: what tells whether its scores are the same another time.
        parameters: of the encoder, the head, and the adapters of both languages; a mask adds none.
        megabytes: of its weights and tokenizer on disk (10⁶ bytes), as they are stored, of a Hub
            id in the cache; a teacher over the cut vocabulary as it would be stored likewise.
        folder: what it reads from while it lives, where that is temporary.
    """

    name: str
    reranker: PairScorer | MeanReranker
    weights: tuple[str, ...]
    parameters: int
    megabytes: float
    folder: Any = None


def contenders(
    model: str | Path,
    base: str | None = None,
    ranking: str | None = None,
    fallback: str = "error",
    max_length: int = 256,
    device: str | None = None,
    zoo: str | Path | None = None,
    teacher: str | None = None,
) -> list[Contender]:
    """The teacher of a distilled model, the teacher with its vocabulary, and the model itself.

    Where it learned from several cross-encoders, their mean is the first, called `TEACHER`, and
    each of them follows under its own name, whole and with the vocabulary.

    Args:
        model: a folder that `polyrank distill` wrote.
        base: where the base it was distilled from is; None for the name in the card.
        ranking: the teacher's ranking module; None for the one that the card names.
        fallback: for a language without module: 'error', 'related' or 'none'.
        teacher: the one of several cross-encoders to take as the teacher, as the card names it;
            None takes all.

    Raises:
        UsageError: a folder without a distilled reranker, or a teacher that it did not have.
        ModuleError: a teacher that is missing, or other weights of the base than it was distilled
            from.
    """
    folder = Path(model)
    card = verify(folder) if folder.is_dir() else None
    if card is None or card["form"] == "encoder":
        raise UsageError(
            f"'{model}' is not a reranker that 'polyrank distill' wrote; give its folder"
        )
    whole = load_base(base or card["base"])
    if asdict(whole.fingerprint) != card["fingerprint"]:
        raise ModuleError(
            f"'{model}' was made from other weights than those of the base '{whole.name}' "
            f"({whole.fingerprint}).\nGive the base it was distilled from."
        )
    student = CrossEncoder(folder, max_length=max_length, device=device)
    kept = kept_by(student.tokenizer, whole)
    own = Contender(
        STUDENT, student, (student.identity()["model weights"],), student.parameters, disk(folder)
    )
    told = card["recipe"].get("ranking", {}).get("teacher", {})
    options = {"max_length": max_length, "device": device}
    if judges := told.get("cross-encoders"):
        if ranking is not None:
            raise UsageError(f"'{model}' learned from {', '.join(judges)}, not from a module")
        chosen = judges if teacher is None else [_judge(teacher, judges, folder)]
        return [*_whole(chosen, scale_of(card), whole, kept, options), own]
    if teacher is not None:
        raise UsageError(
            f"'{model}' learned from the modules of its base, not from the cross-encoder "
            f"'{teacher}'.\nLeave --teacher out; --ranking chooses another ranking module."
        )
    name = ranking or told.get("ranking", "squad")
    kind = card["recipe"]["modules"]
    pair = (card["source"], card["target"])
    return [*_modular(whole, kept, kind, name, pair, fallback, zoo, options), own]


def kept_by(tokenizer: Any, base: Base) -> list[int]:
    """Ids in the base's vocabulary of the entries of a trimmed tokenizer, in its order."""
    whole, own = base.tokenizer.get_vocab(), tokenizer.get_vocab()
    return [whole[entry] for entry in sorted(own, key=own.__getitem__)]


# --- a teacher of modules ------------------------------------------------------------------------


def _modular(
    base: Base,
    kept: Sequence[int],
    kind: str,
    ranking: str,
    pair: tuple[str, str],
    fallback: str,
    zoo: str | Path | None,
    options: dict[str, Any],
) -> list[Contender]:
    cut = trim(base, kept)
    built = ModularReranker(base, ranking, kind=kind, fallback=fallback, zoo=zoo, **options)
    used = {  # both ways, so that the modules of both languages are there whatever the routing
        module
        for first, second in (pair, pair[::-1])
        for names in built.composition(first, second).active().values()
        for module in names
    }
    folders = [find(base.name, "ranking", kind, ranking, zoo)]
    folders += [find(base.name, "language", kind, name, zoo) for name in sorted(used)]
    found = []
    for name, body in ((TEACHER, base), (TRIMMED, cut)):
        held: Any = None
        scorer, parts = built, folders
        if body is cut:
            where = zoo
            if kind == "mask":
                held = tempfile.TemporaryDirectory()
                parts = _cut_masks(folders, kept, base, Path(held.name))
                where = held.name
            short = str(parts[0])
            scorer = ModularReranker(
                body, short, kind=kind, fallback=fallback, zoo=where, **options
            )
        beside = sum(_weights(part) for part in parts) if kind == "adapter" else _head(parts[0])
        there = stored(base.folder, getattr(base.model.config, "_commit_hash", None))
        size = disk(there) if body is base else _saved(body, there)
        found.append(
            Contender(
                name,
                scorer,
                (str(fingerprint_of(body.model, body.tokenizer)), *map(_sha256, folders)),
                sum(p.numel() for p in body.model.parameters()) + beside,
                size + sum(disk(part) for part in parts),
                held,
            )
        )
    return found


def _cut_masks(folders: Sequence[Path], kept: Sequence[int], base: Base, root: Path) -> list[Path]:
    """The modules as a zoo of masks for the trimmed base; the ranking mask is the first."""
    ranking, *languages = folders
    written: list[Path] = []
    parents: dict[str, str] = {}  # sha256 of the whole → of the cut one
    for folder in (*languages, ranking):
        mask = load_mask_module(folder)
        card = mask.card if mask.card is not None else read_card(folder)
        if card.parent is not None and card.parent.sha256 in parents:
            whole = card.parent
            card = replace(card, parent=Parent(whole.name, whole.language, parents[whole.sha256]))
        place = root / base.name / card.role / "mask" / card.name
        saved = save_mask_module(trim_differences(mask.differences, kept), place, card, mask.head)
        parents[sha256(folder / MASK_FILE)] = saved.files[MASK_FILE]
        written.append(place)
    return [written[-1], *written[:-1]]


def _sha256(folder: Path) -> str:
    """Of a module's weights."""
    names = ("adapter.safetensors", MASK_FILE)
    return next(sha256(folder / name) for name in names if (folder / name).is_file())


def _weights(folder: Path) -> int:
    """Parameters in an adapter's folder, its head included."""
    return sum(_count(path) for path in folder.glob("*.safetensors"))


def _count(path: Path) -> int:
    with safe_open(path, "pt") as file:
        return sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118


def _head(folder: Path) -> int:
    """Parameters of the head of a ranking mask."""
    head = load_mask_module(folder).head
    linears = head.layers if head is not None else ()
    return sum(w.numel() + (0 if b is None else b.numel()) for w, b in linears)


# --- teachers in one piece -----------------------------------------------------------------------


def scale_of(card: dict[str, Any]) -> str:
    """What was done to each teacher's scores before their mean; older cards say it in words."""
    told = card["recipe"].get("ranking", {}).get("teacher", {})
    in_words = re.match(r"the mean \((raw|min-max|z-score)\) of ", card.get("teacher") or "")
    return str(told.get("scale") or (in_words.group(1) if in_words else "raw"))


def _judge(asked: str, judges: Sequence[str], folder: Path) -> str:
    """The teacher that is meant: by the name in the card, or by the last part of it."""
    found = [name for name in judges if asked in (name, Path(name).name)]
    if len(found) != 1:
        what = "did not learn from" if not found else "learned from several called"
        raise UsageError(
            f"'{folder}' {what} '{asked}'; give as --teacher one of: {', '.join(judges)}"
        )
    return found[0]


def _whole(
    judges: Sequence[str], scale: str, base: Base, kept: Sequence[int], options: dict[str, Any]
) -> list[Contender]:
    if len(judges) == 1:
        return _one_whole(judges[0], TEACHER, TRIMMED, base, kept, options)
    short = [Path(name).name for name in judges]
    shown = short if len(set(short)) == len(short) else judges
    each = [
        _one_whole(
            name, f"{TEACHER} {as_}", f"{TEACHER} {as_}, vocabulary cut", base, kept, options
        )
        for name, as_ in zip(judges, shown, strict=True)
    ]
    members = [found[0] for found in each]
    scorer = MeanReranker(
        [m.reranker for m in members if isinstance(m.reranker, CrossEncoder)], scale
    )
    mean = Contender(
        TEACHER,
        scorer,
        (scale, *(weights for member in members for weights in member.weights)),
        sum(member.parameters for member in members),
        sum(member.megabytes for member in members),
    )
    return [mean, *(one for found in each for one in found)]


def _one_whole(
    name: str,
    called: str,
    called_cut: str,
    base: Base,
    kept: Sequence[int],
    options: dict[str, Any],
) -> list[Contender]:
    """A cross-encoder, and where it has the base's vocabulary, the same with the model's."""
    teacher = CrossEncoder(name, **options)
    there = stored(name, getattr(teacher.model.config, "_commit_hash", None))
    weights = (teacher.identity()["model weights"],)
    found = [Contender(called, teacher, weights, teacher.parameters, disk(there))]
    model, tokenizer = read_classifier(name)
    if not is_aligned(model, tokenizer, base):
        return found  # another vocabulary: there is none to cut
    cut = trim(base, kept).tokenizer
    model.base_model.set_input_embeddings(trimmed_embeddings(model, kept, cut.pad_token_id))
    model.config.vocab_size = len(kept)
    held = tempfile.TemporaryDirectory()
    model.to(precision(there)).save_pretrained(held.name)
    cut.save_pretrained(held.name)
    scorer = CrossEncoder(held.name, **options)
    weights = (scorer.identity()["model weights"],)
    found.append(
        Contender(called_cut, scorer, weights, scorer.parameters, disk(Path(held.name)), held)
    )
    return found


# --- bytes ---------------------------------------------------------------------------------------


def stored(name: str, revision: str | None = None) -> Path:
    """The folder where a model lies that was loaded by this name: its own, or one of the cache.

    Raises:
        ModuleError: a Hub id that the cache lacks.
    """
    from transformers.utils import cached_file

    if (there := Path(name).expanduser()).is_dir():
        return there
    try:
        config = cached_file(name, "config.json", revision=revision, local_files_only=True)
    except OSError as error:
        raise ModuleError(
            f"the files of '{name}' are not in the cache of the Hub's client, so their size is "
            f"not known.\nFetch it with 'hf download {name} --local-dir DIR' and give DIR."
        ) from error
    return Path(str(config)).parent


def disk(folder: Path) -> float:
    """MB (10⁶ bytes) of the weights and the tokenizer in a folder, as stored."""
    weights = [*folder.rglob("*.safetensors")] or [*folder.glob("pytorch_model*.bin")]
    return sum(file.stat().st_size for file in [*weights, *folder.glob("tokenizer*.json")]) / 1e6


def precision(folder: Path) -> torch.dtype:
    """The precision of the weights in a folder; fp32 for pickles, which are not opened for this."""
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                if (dtype := opened.get_tensor(name).dtype).is_floating_point:
                    return dtype  # type: ignore[no-any-return]
    return torch.float32


def _saved(base: Base, like: Path) -> float:
    """MB of a base if it were saved in the precision of the checkpoint in the folder `like`."""
    bytes_each = torch.empty((), dtype=precision(like)).element_size()
    with tempfile.TemporaryDirectory() as folder:
        base.tokenizer.save_pretrained(folder)
        size = sum(p.numel() for p in base.model.parameters()) * bytes_each / 1e6
        return size + disk(Path(folder))
