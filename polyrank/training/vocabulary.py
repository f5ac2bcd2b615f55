"""A SentencePiece vocabulary in the fast-tokenizer format, with the BERT input layout."""

from __future__ import annotations

import io
import random
import unicodedata
from collections.abc import Mapping, Sequence

from transformers import PreTrainedTokenizerFast

from polyrank.errors import UsageError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def normal(text: str) -> str:
    """NFKC and lower case, as the tokenizer normalises before it looks up pieces.

    The dot that lower-casing leaves above a Turkish İ is dropped.
    """
    return " ".join(unicodedata.normalize("NFKC", text).lower().replace("i\u0307", "i").split())


def balanced(text: Mapping[str, Sequence[str]], lines: int, seed: int, power: float = 0.5):
    """A sample of about `lines` lines, each language by its size to `power` (Conneau & Lample
    2019, arXiv 1901.07291, eq. 1), so that small languages get pieces of their own."""
    random_ = random.Random(seed)
    sizes = {language: sum(map(len, rows)) ** power for language, rows in text.items()}
    total = sum(sizes.values())
    for language in sorted(text):
        share = round(lines * sizes[language] / total)
        rows = text[language]
        yield from random_.sample(rows, share) if share < len(rows) else rows


def train_vocabulary(
    text: Mapping[str, Sequence[str]], size: int = 23_000, lines: int = 300_000, seed: int = 13
) -> PreTrainedTokenizerFast:
    """Trains a unigram vocabulary (Kudo 2018, arXiv 1804.10959) over several languages.

    Args:
        text: lines per language.
        size: number of entries, specials included.
        lines: size of the balanced sample that the vocabulary is trained on.
        seed: of the sample.

    Returns:
        A fast tokenizer that writes `[CLS] a [SEP] b [SEP]` with token types 0 and 1.

    Raises:
        UsageError: when the text is too small for so many entries.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(normal(line) for line in balanced(text, lines, seed)),
            model_writer=model,
            model_type="unigram",
            vocab_size=size
            - len(SPECIAL)
            + 3,  # the trainer's own <unk>, <s>, </s> are dropped below
            normalization_rule_name="identity",
            character_coverage=0.9998,
            max_sentence_length=4192,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:  # its only report of a text too small
        raise UsageError(
            f"no vocabulary of {size} entries can be trained on this text: {error}. "
            "Give more text or a smaller --vocabulary"
        ) from error
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [
        (trained.id_to_piece(i), trained.get_score(i))
        for i in range(len(trained))
        if not (trained.is_control(i) or trained.is_unknown(i))
    ]
    return fast_tokenizer(pieces)


def fast_tokenizer(pieces: Sequence[tuple[str, float]]) -> PreTrainedTokenizerFast:
    """Wraps unigram pieces and their log-probabilities as a BERT-like fast tokenizer."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    vocabulary = [(token, 0.0) for token in SPECIAL] + list(pieces)
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=1, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace("i\u0307", "i")]
    )
    # words are cut at white space first: no piece crosses it, and equal words are cached
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=512,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
