"""The folder that sentence-transformers (5.4 and later) writes for a reranker by label tokens.

    modules.json                     Transformer, then LogitScore
    sentence_bert_config.json        transformer_task: text-generation
    1_LogitScore/config.json         true_token_id, and false_token_id or null
    chat_template.jinja              with the roles system (the instruction), query and document
    config_sentence_transformers.json  prompts, default_prompt_name, activation_fn

The score is logit(true) − logit(false), or logit(true) alone, at the last position. The activation
is not applied here: scores are raw logits.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyrank.base import expanded
from polyrank.errors import ModuleError
from polyrank.rerankers.llm.engines.base import Token
from polyrank.rerankers.llm.prompt import Prompt

LOGIT_SCORE = "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"
TRANSFORMER = "sentence_transformers.base.modules.transformer.Transformer"
ROLES = ("query", "document")


@dataclass(frozen=True)
class LogitScore:
    """What such a folder says beside its weights.

    model: the folder of the weights. true, false: token ids. instructions: name → text.
    """

    model: str
    true: int
    false: int | None
    instructions: dict[str, str]
    default: str | None

    def tokens(self, tokenizer: Any) -> tuple[Token, ...]:
        """The label tokens, the one for relevant first.

        Raises:
            ModuleError: a number that the tokenizer lacks.
        """
        numbers = [self.true] if self.false is None else [self.true, self.false]
        for number in numbers:
            if not 0 <= number < len(tokenizer):
                raise ModuleError(
                    f"the folder '{self.model}' names token {number}, but its tokenizer has "
                    f"{len(tokenizer)}; save model and tokenizer together"
                )
        return tuple(Token(tokenizer.decode([number]), number) for number in numbers)

    def prompt(self, instruction: str | None = None) -> Prompt:
        """The folder's template as a prompt; the instruction is its system turn."""
        default = self.instructions.get(self.default or "", "")
        asked = default if instruction is None else instruction
        return Prompt(
            name="logit-score",
            scorer="label",
            source=self.model if len(Path(self.model).parts) == 1 else Path(self.model).name,
            frame="roles",
            system=asked.replace("{", "{{").replace("}", "}}"),
            document="{text}",
            document_tokens=1_000_000,  # by the model's context alone
            lines="keep",
            thinking=True,  # the template says all
        )


def is_logit_score(folder: str | Path) -> bool:
    """Whether a folder holds such a reranker."""
    try:
        modules = json.loads((expanded(folder) / "modules.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return any(str(m.get("type", "")).endswith(".LogitScore") for m in modules)


def read_logit_score(folder: str | Path) -> LogitScore:
    """What a folder says.

    Raises:
        ModuleError: other modules than these two, no template with the roles, a broken file.
    """
    root = expanded(folder)
    modules = _json(root / "modules.json")
    kinds = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in modules]
    if kinds != ["Transformer", "LogitScore"]:
        raise ModuleError(
            f"'{root}' holds the modules {', '.join(kinds)}; a reranker by label tokens holds "
            "Transformer and LogitScore"
        )
    transformer, scoring = (root / str(module.get("path", "")) for module in modules)
    config = _json(scoring / "config.json")
    if not isinstance(config.get("true_token_id"), int):
        raise ModuleError(f"'{scoring}/config.json' names no true_token_id")
    template = _template(transformer)
    for role in ROLES:
        if f'"{role}"' not in template and f"'{role}'" not in template:
            raise ModuleError(
                f"the chat template in '{transformer}' has no role '{role}', so that it says "
                "nothing of queries and documents.\nSave the model with a template of the roles "
                "system, query and document, or give a prompt with --prompt."
            )
    told = root / "config_sentence_transformers.json"
    settings = _json(told) if told.is_file() else {}
    return LogitScore(
        str(transformer),
        config["true_token_id"],
        config.get("false_token_id"),
        dict(settings.get("prompts") or {}),
        settings.get("default_prompt_name"),
    )


def write_logit_score(
    model: Any,
    tokenizer: Any,
    folder: str | Path,
    true: int,
    false: int | None,
    template: str,
    instructions: dict[str, str] | None = None,
    default: str | None = None,
) -> Path:
    """Write a reranker as sentence-transformers reads it.

    Args:
        model, tokenizer: of transformers.
        folder: must not be there, or be empty.
        template: Jinja, of messages with the roles system, query and document.

    Raises:
        ModuleError: a folder with something in it.
    """
    root = expanded(folder)
    if root.exists() and any(root.iterdir()):
        raise ModuleError(f"'{root}' is not empty; not overwritten")
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.save_pretrained(partial, safe_serialization=True)
    before = tokenizer.chat_template, tokenizer.padding_side
    tokenizer.chat_template, tokenizer.padding_side = template, "left"
    try:
        tokenizer.save_pretrained(partial)
    finally:
        tokenizer.chat_template, tokenizer.padding_side = before
    _write(partial / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": TRANSFORMER},
        {"idx": 1, "name": "1", "path": "1_LogitScore", "type": LOGIT_SCORE},
    ])  # fmt: skip
    text = {"method": "forward", "method_output_name": "logits"}
    _write(partial / "sentence_bert_config.json", {
        "transformer_task": "text-generation",
        "modality_config": {"text": text, "message": {**text, "format": "flat"}},
        "module_output_name": "causal_logits",
    })  # fmt: skip
    (partial / "1_LogitScore").mkdir()
    _write(partial / "1_LogitScore" / "config.json", {
        "true_token_id": true, "false_token_id": false, "module_input_name": "causal_logits",
    })  # fmt: skip
    _write(partial / "config_sentence_transformers.json", {
        "model_type": "CrossEncoder",
        "prompts": instructions or {},
        "default_prompt_name": default,
        "activation_fn": "torch.nn.modules.linear.Identity",
    })  # fmt: skip
    if root.exists():
        root.rmdir()
    partial.rename(root)
    return root


def _template(folder: Path) -> str:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    return str(_json(config).get("chat_template") or "") if config.is_file() else ""


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModuleError(f"'{path}' cannot be read: {error}") from error


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
