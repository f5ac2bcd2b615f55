"""Starts a new vocabulary from the word-pieces of an English encoder.

Every new piece becomes a weighted mean of the English pieces that translate it. The weights are
the expected alignment counts of IBM Model 1 (Brown et al. 1993, CL 19(2), §4.1) over sentence
pairs: plain co-occurrence is its first iteration, and the later ones take weight away from
pieces that merely stand in the same sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from transformers import PreTrainedTokenizerFast

TOKENS_PER_SIDE = 48
PAIRS_PER_LANGUAGE = 15_000


def expected_counts(
    source: Sequence[Sequence[int]],
    target: Sequence[Sequence[int]],
    shape: tuple[int, int],
    iterations: int = 4,
) -> sparse.csr_matrix:
    """Expected counts of (target piece, source piece) links under IBM Model 1.

    Args:
        source: token ids of each English side.
        target: token ids of each translation, aligned with `source`.
        shape: (target vocabulary, source vocabulary).
        iterations: of expectation maximisation; 1 gives plain normalised co-occurrence.

    Returns:
        Sparse (target vocabulary, source vocabulary); a row sums to the count of its piece.
    """
    cells, groups, place = [], [], 0
    for english, other in zip(source, target, strict=True):
        e, f = np.asarray(english, np.int64), np.asarray(other, np.int64)
        if not len(e) or not len(f):
            continue
        cells.append((f[:, None] * shape[1] + e[None, :]).ravel())  # every possible link
        groups.append(np.repeat(np.arange(place, place + len(f)), len(e)))
        place += len(f)
    if not cells:
        return sparse.csr_matrix(shape)
    keys, link = np.unique(np.concatenate(cells), return_inverse=True)
    group = np.concatenate(groups)
    column = keys % shape[1]
    t = np.ones(len(keys))  # t(f | e), up to a constant
    for _ in range(iterations):
        p = t[link]
        p /= np.bincount(group, p, place)[group]  # posterior of e for each occurrence of f
        count = np.bincount(link, p, len(keys))
        t = count / np.bincount(column, count, shape[1])[column]
    return sparse.csr_matrix((count, (keys // shape[1], column)), shape=shape)


def surface_vectors(
    pieces: Sequence[str], teacher: PreTrainedTokenizerFast, vectors: Tensor
) -> tuple[Tensor, Tensor]:
    """Vectors of the pieces that an English word-piece spells.

    Returns:
        (vectors (V, H), found (V,) bool). A word that the teacher splits gets its parts' mean.
    """
    table = teacher.get_vocab()
    result, found = (
        torch.zeros(len(pieces), vectors.shape[1]),
        torch.zeros(len(pieces), dtype=torch.bool),
    )
    for row, piece in enumerate(pieces):
        word = piece.removeprefix("▁")
        names = [word] if piece != word or not word.isalnum() else ["##" + word]
        ids = [table[name] for name in names if name in table]
        if not ids and word.isascii():
            parts = teacher(word, add_special_tokens=False)["input_ids"]
            ids = [part for part in parts if part != teacher.unk_token_id]
        if ids:
            result[row], found[row] = vectors[ids].mean(0), True
    return result, found


def initial_embeddings(
    tokenizer: PreTrainedTokenizerFast,
    teacher: PreTrainedTokenizerFast,
    vectors: Tensor,
    pairs: Mapping[str, Sequence[tuple[str, str]]],
    text: Mapping[str, Sequence[str]],
) -> tuple[Tensor, dict[str, int]]:
    """Embeddings (V, H) of a new vocabulary in the space of an English one.

    In this order: specials are copied; pieces seen in English sentences take their surface form;
    pieces of other languages the mean of their translations (both, by count, when seen in both);
    pieces seen in plain text alone the mean of the pieces they stand beside; the rest the mean
    of all.

    Args:
        tokenizer, teacher: of the new and of the English vocabulary.
        vectors: English embeddings, (V_en, H).
        pairs: per language, (text, English).
        text: per language, lines.

    Returns:
        The embeddings, and how many pieces each rule served.
    """
    size, english_size = len(tokenizer), vectors.shape[0]
    pieces = tokenizer.convert_ids_to_tokens(list(range(size)))
    surface, spelled = surface_vectors(pieces, teacher, vectors)

    def ids(tool: PreTrainedTokenizerFast, lines: Sequence[str]) -> list[list[int]]:
        return tool(
            list(lines), add_special_tokens=False, truncation=True, max_length=TOKENS_PER_SIDE
        )["input_ids"]

    links = sparse.csr_matrix((size, english_size))
    english_count = np.zeros(size)
    for language in sorted(pairs):
        chosen = pairs[language][:: max(1, len(pairs[language]) // PAIRS_PER_LANGUAGE)]
        sides = [pair[1] for pair in chosen]
        links = links + expected_counts(
            ids(teacher, sides),
            ids(tokenizer, [pair[0] for pair in chosen]),
            (size, english_size),
        )
        for row in ids(tokenizer, sides):
            np.add.at(english_count, row, 1)
    foreign_count = np.asarray(links.sum(1)).ravel()
    strongest = np.asarray(links.max(axis=1).todense()).ravel()
    links.data[links.data < 0.05 * strongest[np.repeat(np.arange(size), np.diff(links.indptr))]] = 0
    mass = np.maximum(np.asarray(links.sum(1)).ravel(), 1e-9)
    translated = torch.from_numpy((sparse.diags(1 / mass) @ links) @ vectors.numpy()).float()

    # a blend by count; a piece that no English word spells relies on its translations alone
    english = torch.from_numpy(english_count).float() * spelled
    foreign = torch.from_numpy(foreign_count).float()
    share = (english / (english + foreign).clamp_min(1e-9)).unsqueeze(1)
    result = share * surface + (1 - share) * translated
    known = (english + foreign) > 0
    result[~known & spelled] = surface[~known & spelled]
    served = {
        "seen in pairs": int(known.sum()),
        "spelled in English": int((~known & spelled).sum()),
    }
    known = known | spelled

    neighbours, seen = neighbour_means(result, known, tokenizer, text)
    result[~known & seen] = neighbours[~known & seen]
    served["seen in text alone"] = int((~known & seen).sum())
    rest = ~known & ~seen
    result[rest] = result[~rest].mean(0)
    served["never seen"] = int(rest.sum())

    norm = vectors.norm(dim=1).mean()  # averaging shrinks vectors; LayerNorm adds positions to them
    result = result * (norm / result.norm(dim=1, keepdim=True).clamp_min(1e-6))
    for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"):
        result[tokenizer.convert_tokens_to_ids(name)] = vectors[teacher.convert_tokens_to_ids(name)]
    return result, served


def neighbour_means(
    vectors: Tensor,
    known: Tensor,
    tokenizer: PreTrainedTokenizerFast,
    text: Mapping[str, Sequence[str]],
    lines: int = 8_000,
) -> tuple[Tensor, Tensor]:
    """For pieces without a vector, the mean vector of the known pieces in the same sentences.

    Frequent pieces count less (inverse document frequency), as they say little about a sentence.

    Returns:
        (means (V, H), seen (V,) bool).
    """
    size = len(tokenizer)
    total, seen = torch.zeros_like(vectors), torch.zeros(size, dtype=torch.bool)
    for language in sorted(text):
        rows = list(text[language][:lines])
        encoded = tokenizer(rows, add_special_tokens=False, truncation=True, max_length=96)
        row_of = np.repeat(np.arange(len(rows)), [len(r) for r in encoded["input_ids"]])
        column = np.concatenate([np.asarray(r, np.int64) for r in encoded["input_ids"]])
        present = sparse.csr_matrix(
            (np.ones(len(column), np.float32), (row_of, column)), shape=(len(rows), size)
        )
        present.data[:] = 1
        frequency = np.asarray(present.sum(0)).ravel()
        weight = np.log(len(rows) / np.maximum(frequency, 1)) * known.numpy()
        sentence = present @ (weight[:, None] * vectors.numpy())
        sentence /= np.maximum(present @ weight, 1e-6)[:, None]
        total += torch.from_numpy(present.T @ sentence).float()
        seen |= torch.from_numpy(frequency > 0)
    return total, seen
