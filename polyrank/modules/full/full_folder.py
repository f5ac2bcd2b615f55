"""The usual baseline: a base with all its parameters fine-tuned for ranking, and no modules.

The folder is a Hugging Face sequence-classification checkpoint with one logit, plus the card. Its
weights are fp32 or fp16, and computed in fp32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyrank.base.trusted import refuse_code
from polyrank.errors import ModuleError
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.card import ModuleCard, write_card
from polyrank.modules.folder import replaced
from polyrank.modules.interaction import has_interaction
from polyrank.modules.kind import Loaded
from polyrank.modules.multi_view import is_multi_view
from polyrank.modules.projection import is_late_interaction

PREFIXES = "polyrank_prefixes"  # in a classifier's config.json


def with_prefixes(config: Any, prefixes: tuple[str, str]) -> None:
    """Let a classifier's config say what is put before queries and passages, if anything is."""
    if any(prefixes):
        setattr(config, PREFIXES, list(prefixes))


def prefixes_of(config: Any) -> tuple[str, str]:
    """What a classifier's config says of prefixes; two empty texts where it says nothing.

    Raises:
        ModuleError: it says something else than two texts.
    """
    found = getattr(config, PREFIXES, ["", ""])
    if not isinstance(found, list) or [type(one) for one in found] != [str, str]:
        raise ModuleError(
            f"'{PREFIXES}' in the model's config.json is {found!r}, but must be two texts.\n"
            "Correct it, or remove it to score without prefixes."
        )
    query, passage = found
    return query, passage


def save_full_module(
    model: Any, tokenizer: Any, folder: str | Path, card: ModuleCard
) -> ModuleCard:
    """Write a fine-tuned model; the folder is written aside and then renamed.

    Args:
        model: an `AutoModelForSequenceClassification` with one label.
        tokenizer: of its base.
        folder: where to; an existing module there is replaced.
        card: without `files`, which are filled in.
    """
    with replaced(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        return write_card(temporary, card)


def load_full_module(folder: str | Path) -> tuple[Any, Head]:
    """The encoder of a fine-tuned model, and its head in fp32.

    Raises:
        ModuleError: a checkpoint that is neither BERT- nor RoBERTa-like, or has several logits.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    refuse_code(folder)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, trust_remote_code=False, dtype=torch.float32
        ).eval()
    except (OSError, ValueError, TypeError) as error:
        raise ModuleError(
            f"the model in '{folder}' cannot be read: {error}\nFetch or train the module again."
        ) from error
    if model.config.num_labels != 1:
        raise ModuleError(
            f"the model in '{folder}' has {model.config.num_labels} outputs, but a ranker has "
            "one.\nTrain one with:  polyrank train ranking --kind full --queries queries.jsonl "
            "--passages passages.jsonl --output ZOO/BASE/ranking/full/NAME"
        )
    return model.base_model, head_of(model)


def loaded(folder: str | Path) -> Loaded:
    """A fine-tuned model as an encoder takes it; one that scores by its vectors has no head."""
    if is_late_interaction(folder) or is_multi_view(folder) or has_interaction(folder):
        return Loaded(encoder=load_full_encoder(folder))
    encoder, head = load_full_module(folder)
    return Loaded(head, encoder=encoder)


def load_full_encoder(folder: str | Path) -> Any:
    """The fine-tuned encoder of a module that scores by its vectors, in fp32 and without any head.

    Raises:
        ModuleError: a folder that holds no encoder.
    """
    import torch
    from transformers import AutoModel

    refuse_code(folder)
    try:
        return AutoModel.from_pretrained(
            folder, add_pooling_layer=False, dtype=torch.float32, trust_remote_code=False
        ).eval()
    except (OSError, ValueError, TypeError) as error:
        raise ModuleError(
            f"the encoder in '{folder}' cannot be read: {error}\nFetch or train the module again."
        ) from error


def head_of(model: Any) -> Head:
    """The two linear maps over the first token, with tanh between them."""
    return Head(
        tuple((n.weight.detach().float(), n.bias.detach().float()) for n in head_linears(model))
    )


def head_linears(model: Any) -> tuple[Any, Any]:
    """BERT's pooler and classifier, or the two layers of RoBERTa's head.

    Raises:
        ModuleError: a sequence classifier of another layout.
    """
    if getattr(model.base_model, "pooler", None) is not None:
        return model.base_model.pooler.dense, model.classifier
    if hasattr(model.classifier, "out_proj"):
        return model.classifier.dense, model.classifier.out_proj
    raise ModuleError(
        f"a {type(model).__name__} has no ranking head that polyrank knows.\n"
        "Use a BERT or XLM-R checkpoint."
    )
