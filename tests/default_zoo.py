"""A tiny random base under the default base's name, with the modules that verbs name by default.

Like the base that it stands in for, it is a BERT with XLM-R's layout `<s> q </s></s> d </s>`, and a
base for retrieval whose texts get prefixes; its tokens are letters, and a forward of it takes
milliseconds.
"""

from __future__ import annotations

import hashlib
import string

# Those of the shipped experiment; examples name some of them.
LANGUAGES = {"de", "en", "es", "fi", "ky", "ru", "sw", "tr", "ug", "zh"}
LETTERS = (
    string.ascii_lowercase + string.digits + ".,?!-'" + "çğıöşüабвгдеёжзийклмнңоөпрстуүфхцчшщъыьэюя"
)


def write_base(folder) -> None:
    """A random BERT of 2 layers and width 128, with a masked-language head; reads 512 letters."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    from polyrank.base.card import BaseCard, write_base_card

    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = [(token, 0.0) for token in [*specials, "▁", *LETTERS]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.1,
        pad_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        BertForMaskedLM(config).save_pretrained(folder)
    write_base_card(BaseCard("query: ", "passage: ", vectors=True), folder)


def write_modules(base, root, adapter_model, save_random, save_random_mask) -> None:
    """Adapters and masks: a language module each, and `squad` over `en`.

    What is bundled for the base that this one stands in for does not fit it, so no language of a
    bundled module is left out.
    """
    from polyrank.modules.card import Parent
    from polyrank.zoo import list_modules

    bundled = [one for one in list_modules(base.name, "language") if one.source == "bundled"]
    tags = sorted(LANGUAGES | {one.card.language for one in bundled})
    model = adapter_model(base.folder)
    for seed, tag in enumerate(tags):
        model.add_adapter(tag, config="seq_bn_inv")
        save_random(model, tag, base, root, role="language", language=tag, seed=seed)
        save_random_mask(base, root, "language", tag, seed, language=tag)
    model.add_adapter("squad", config="seq_bn")
    model.add_classification_head("squad", num_labels=1, layers=2)
    parent = Parent("en", "en", _sha256(root, base, "adapter"))
    save_random(model, "squad", base, root, role="ranking", parent=parent, seed=100)
    parent = Parent("en", "en", _sha256(root, base, "mask"))
    save_random_mask(base, root, "ranking", "squad", 100, parent=parent)


def _sha256(root, base, kind) -> str:
    weights = root / base.name / "language" / kind / "en" / f"{kind}.safetensors"
    return hashlib.sha256(weights.read_bytes()).hexdigest()
