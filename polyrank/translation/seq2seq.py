"""A translator that is a Hugging Face sequence-to-sequence model: NLLB, M2M100, mBART, Marian."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.notes import Notebook

BATCH = 16
TIMES, SPARE = 2, 32  # tokens of a translation: so many times those of the longest text, and more
ADVICE = (
    "Give a folder or Hub id of a sequence-to-sequence model with safetensors, such as "
    "facebook/nllb-200-distilled-600M, or the address of a server."
)


class Seq2Seq:
    """Translates with beam search as the model's own generation settings say.

    `notebook` counts the texts that were longer than the model reads, and the translations that
    did not end within twice the tokens of the longest text beside them.

    Args:
        model: a folder or Hub id with safetensors; no code of its own is run.
        batch: texts at a time; they are sorted by length.
        device: by default a GPU when there is one.

    Raises:
        ModuleError: a model that cannot be read.
    """

    def __init__(self, model: str, batch: int = BATCH, device: str | None = None) -> None:
        from polyrank.base import device_of
        from polyrank.base.seq2seq import load_seq2seq

        self.model, self.tokenizer = load_seq2seq(model, "translator", ADVICE)
        self.name, self.batch = model, batch
        self.notebook = Notebook()
        self.model = self.model.to(device_of(device)).eval()

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations; a text is cut to what the model reads, and counted in `notebook`.

        Raises:
            UsageError: a language that the model does not have.
        """
        start = self._languages(source, target)
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        answers = [""] * len(texts)
        for first in range(0, len(order), self.batch):
            places = order[first : first + self.batch]
            said = self._batch([texts[place] for place in places], start)
            for place, answer in zip(places, said, strict=True):
                answers[place] = answer
        return answers

    def _batch(self, texts: list[str], start: int | None) -> list[str]:
        import torch

        from polyrank.base.seq2seq import positions, reads

        longest = reads(self.model, self.tokenizer)
        lengths = [len(ids) for ids in self.tokenizer(texts, verbose=False)["input_ids"]]
        self.notebook.add(
            "cut", f"texts cut to the {longest} tokens that {self.name} reads, before translation",
            sum(length > longest for length in lengths),
        )  # fmt: skip
        inputs = self.tokenizer(
            texts, padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )
        inputs.pop("token_type_ids", None)
        forced = {} if start is None else {"forced_bos_token_id": start}
        room = min(TIMES * min(max(lengths), longest) + SPARE, positions(self.model) - 1)
        with torch.inference_mode():
            written = self.model.generate(
                **inputs.to(self.model.device), **forced, max_new_tokens=room
            )
        self._count_unended(written, room)
        said: list[str] = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [text.strip() for text in said]

    def _count_unended(self, written: Any, room: int) -> None:
        """Note the translations that filled their room.

        Args:
            written: token ids, (B, 1 + tokens), with the start, which may be the end's id too.
            room: the most tokens there can be; some models force an end at the last.
        """
        import torch

        eos = self.model.generation_config.eos_token_id  # None, an id or several
        ends = torch.as_tensor([] if eos is None else eos).to(written)
        ended = torch.isin(written[:, 1:room], ends).any(dim=1)  # (B,)
        unended = 0 if written.shape[1] <= room else int((~ended).sum())
        self.notebook.add("other", f"translations of {self.name} stopped before their end", unended)

    def _languages(self, source: str, target: str) -> int | None:
        """Tell the tokenizer the source; the first token of the target, None where it has none."""
        if not hasattr(self.tokenizer, "src_lang"):
            return None  # of one pair of languages, such as a Marian
        known = self.tokenizer.get_vocab()
        special = [code for code in self.tokenizer.all_special_tokens if code in known]
        self.tokenizer.src_lang = bare(code_of(source, special))
        return int(known[code_of(target, special)])


def code_of(language: str, known: Collection[str]) -> str:
    """How a model spells a language: 'ky' is kir_Cyrl for NLLB, __ky__ for M2M100, ky_KG for mBART.

    Args:
        known: the model's special tokens.

    Raises:
        UsageError: none of them is that language.
    """
    import langcodes

    tag = tags.normalise(language)
    full = langcodes.get(tag).maximize()
    short, script = tag.split("-")[0], full.script
    wanted = [tag, short, f"{full.to_alpha3()}_{script}", f"{short}_{full.territory}"]
    for code in wanted:
        for form in (code, f"__{code}__"):
            if form in known:
                return form
    near = sorted(code for code in known if code.strip("_").startswith(f"{short}_"))
    if near:
        return near[0]
    raise UsageError(
        f"the translator has no language '{language}' (looked for {', '.join(wanted)}); it has "
        f"{', '.join(sorted(bare(code) for code in known)[:20])} …\nUse another --translator."
    )


def bare(code: str) -> str:
    """A code without the underscores that M2M100 puts around it."""
    return code[2:-2] if code.startswith("__") and code.endswith("__") else code
