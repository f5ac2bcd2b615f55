"""The layout in which sentence-transformers 6 saves ColBERT models, written here as it writes it,
gives the scores that it gives.

SCORES are those of sentence-transformers 6.2.0 (transformers 5.4.0, torch 2.13.0, CPU), which does
not fit beside our transformers, over the folders of `write`:

    model = MultiVectorEncoder(folder, device="cpu")
    model.similarity(model.encode_query(QUERIES), model.encode_document(DOCUMENTS))

Saved again by it, a folder has the same files with the same settings, and a card.
"""

from __future__ import annotations

import json

import pytest
import torch

from polyrank.errors import ModuleError
from polyrank.late_interaction.model import LateInteraction

QUERIES = ["ab c", "a b c d e f g h i j k l m"]
DOCUMENTS = ["ab c, de.", "x y z", "b . , b", "a b c d e f g h i j k l m n o p"]

FORMS = {
    # as it starts: no markers, no expansion, no skip-list, and lengths of the tokenizer
    "plain": ({}, {"document": "", "query": ""}, []),
    "fixed": (
        {
            "document_length": 12,
            "query_expansion": {
                "strategy": "fixed", "attend": False, "token": None, "length": 10,
            },
        },
        {"document": "[D] ", "query": "[Q] "},
        [".", ",", "§"],  # the last is not a token
    ),
    "min": (
        {
            "query_length": 12,
            "document_length": 12,
            "query_expansion": {"strategy": "min", "attend": True, "token": None, "length": 8},
        },
        {"document": "[D] ", "query": "[Q] "},
        [".", ","],
    ),
}  # fmt: skip
SCORES = {
    "plain": [[4.95841, 4.51355, 4.37114, 4.34879], [14.26862, 13.8183, 14.44797, 14.98562]],
    "fixed": [[9.91408, 9.45586, 9.56156, 9.67729], [9.69753, 9.55153, 9.79827, 9.98473]],
    "min": [[7.84264, 7.40365, 7.48028, 7.55389], [11.62723, 11.53838, 11.73856, 11.99684]],
}
VECTORS = {  # of each text, which are scored
    "plain": ([5, 15], [9, 5, 6, 18]),
    "fixed": ([10, 10], [8, 6, 5, 12]),
    "min": ([8, 12], [8, 6, 5, 12]),
}


def numbers(shape, which):
    """Values from −½ to ½ that follow from integers alone, on every machine and version."""
    x = torch.arange(torch.Size(shape).numel(), dtype=torch.int64) + which * 100_003 + 1
    mixed = (x * x * 31 + x * 17) % 1_000_003
    return (mixed.double() / 1_000_003 - 0.5).float().view(shape)


def put(path, record):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record))


def write(folder, form):
    """A model of two layers in that layout; its folder."""
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel, BertTokenizerFast

    reading, prompts, words = FORMS[form]
    folder.mkdir()
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    entries += [*(f"##{letter}" for letter in letters), ".", ","]
    (folder / "vocab.txt").write_text("\n".join(entries) + "\n")
    tokenizer = BertTokenizerFast.from_pretrained(folder, model_max_length=64)
    markers = [prompt for prompt in ("[Q] ", "[D] ") if prompt in prompts.values()]
    tokenizer.add_special_tokens({"additional_special_tokens": markers})
    tokenizer.save_pretrained(folder)
    for name in ("vocab.txt", "special_tokens_map.json", "added_tokens.json"):
        (folder / name).unlink(missing_ok=True)
    put(folder / "tokenizer_config.json", {
        "backend": "tokenizers", "cls_token": "[CLS]", "do_lower_case": True,
        **({"extra_special_tokens": markers} if markers else {}), "is_local": True,
        "mask_token": "[MASK]", "model_max_length": 64, "pad_token": "[PAD]",
        "sep_token": "[SEP]", "strip_accents": None, "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer", "unk_token": "[UNK]",
    })  # fmt: skip
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, type_vocab_size=2,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for which, (name, weight) in enumerate(sorted(model.named_parameters())):
            drawn = numbers(weight.shape, which)
            small = {"LayerNorm.weight": 1 + 0.1 * drawn, "bias": 0.1 * drawn}
            found = (value for end, value in small.items() if name.endswith(end))
            weight.copy_(next(found, drawn))
    model.save_pretrained(folder)
    put(folder / "sentence_bert_config.json", {
        "transformer_task": "feature-extraction",
        "modality_config": {
            "text": {"method": "forward", "method_output_name": "last_hidden_state"}
        },
        "module_output_name": "token_embeddings", **reading,
    })  # fmt: skip
    put(folder / "config_sentence_transformers.json", {
        "__version__": {
            "pytorch": "2.13.0+cpu", "sentence_transformers": "6.2.0", "transformers": "5.4.0"
        },
        "default_prompt_name": None, "model_type": "MultiVectorEncoder", "prompts": prompts,
        "similarity_fn_name": None if form == "plain" else "maxsim",
    })  # fmt: skip
    ours, theirs = (
        "sentence_transformers.base.modules",
        "sentence_transformers.multi_vector_encoder",
    )
    put(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": f"{ours}.transformer.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": f"{ours}.dense.Dense"},
        {"idx": 2, "name": "2", "path": "2_MultiVectorMask",
         "type": f"{theirs}.modules.multi_vector_mask.MultiVectorMask"},
        {"idx": 3, "name": "3", "path": "3_Normalize", "type": f"{ours}.normalize.Normalize"},
    ])  # fmt: skip
    names = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
    put(folder / "1_Dense" / "config.json", {
        "in_features": 16, "out_features": 8, "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity", **names,
    })  # fmt: skip
    save_file({"linear.weight": numbers((8, 16), 99)}, folder / "1_Dense" / "model.safetensors")
    put(folder / "2_MultiVectorMask" / "config.json", {
        "skiplist_words": words, "skiplist_tasks": ["document"], "keep_only_token_ids": None,
    })  # fmt: skip
    put(folder / "3_Normalize" / "config.json", names)
    return folder


@pytest.mark.parametrize("form", list(FORMS))
def test_scores_are_those_of_the_library(form, tmp_path):
    model = LateInteraction(ranking=str(write(tmp_path / "model", form)), device="cpu")
    queries, documents = model.encode_queries(QUERIES), model.encode_documents(DOCUMENTS)
    assert ([len(q) for q in queries], [len(d) for d in documents]) == VECTORS[form]
    for query, expected in zip(QUERIES, SCORES[form], strict=True):
        hits = model.rank(query, DOCUMENTS)
        found = [hit.score for hit in sorted(hits, key=lambda hit: int(hit.document_id))]
        assert found == pytest.approx(expected, abs=2e-5)


def changed(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("2_MultiVectorMask/config.json", {"skiplist_tasks": ["query", "document"]}, "skip-list"),
        ("2_MultiVectorMask/config.json", {"keep_only_token_ids": [7]}, "a list of tokens alone"),
        ("3_Normalize/config.json", {"module_input_name": "sentence_embedding"}, "not of tokens"),
        ("1_Dense/config.json", {"activation_function": "torch.nn.Tanh"}, "activation 'Tanh'"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "meanmaxsim"}, "sums of"),
        ("config_sentence_transformers.json", {"prompts": {"query": "find: "}}, "of one token"),
        ("sentence_bert_config.json", {"processing_kwargs": {"text": {}}}, "processing_kwargs"),
        (
            "sentence_bert_config.json",
            {"query_expansion": {"strategy": "fixed", "length": 10, "token": "[PAD]"}},
            "the mask token",
        ),
    ],
)
def test_what_is_computed_otherwise_is_refused(file, values, message, tmp_path):
    folder = write(tmp_path / "model", "fixed")
    changed(folder / file, **values)
    with pytest.raises(ModuleError, match=message):
        LateInteraction(ranking=str(folder), device="cpu")


@pytest.mark.parametrize("kept", [[0, 1, 2], [0, 1, 1, 2, 3], [0, 2, 1, 3]])
def test_another_chain_is_refused(kept, tmp_path):
    """Without Normalize the scores would be no cosines."""
    folder = write(tmp_path / "model", "fixed")
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([modules[i] for i in kept]))
    with pytest.raises(ModuleError, match="is a chain of Transformer, "):
        LateInteraction(ranking=str(folder), device="cpu")


def test_a_tokenizer_of_transformers_5_without_a_class_of_its_own(tmp_path):
    """It calls its fast tokenizers in general by a name that version 4 does not know."""
    from polyrank.base import load_tokenizer

    folder = write(tmp_path / "model", "fixed")
    expected = load_tokenizer(str(folder))("[Q] ab c")["input_ids"]
    changed(folder / "tokenizer_config.json", tokenizer_class="TokenizersBackend")
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.is_fast and tokenizer("[Q] ab c")["input_ids"] == expected
    assert tokenizer.additional_special_tokens == ["[Q] ", "[D] "]
