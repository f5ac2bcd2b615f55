"""A module for a new language from plain text, and what it changes.

    python examples/new_language.py FOLDER [LANGUAGE text.txt STEPS]

The text has a sentence on each line. Without one it learns Turkmen from bundled headlines, for a
few steps. Plain text teaches a base the language; sentence pairs teach retrieval better: see docs/.
"""

import os
import sys
from pathlib import Path

import polyrank as pr

folder = Path(sys.argv[1])
(folder / "zoo").mkdir(parents=True, exist_ok=True)
os.environ["POLYRANK_ZOO"] = os.pathsep.join(
    filter(None, [str(folder / "zoo"), os.environ.get("POLYRANK_ZOO")])
)


def sample() -> list[str]:
    """Turkmen sentences that come with polyrank."""
    texts = pr.load_collection("ntrex", queries="tk", documents="tk").documents.values()
    (folder / "tk.txt").write_text("\n".join(one.text for one in texts), encoding="utf-8")
    return ["tk", str(folder / "tk.txt"), "3"]


language, text, steps = sys.argv[2:] or sample()
cleaned = pr.clean_corpus(text, folder / "clean.txt")
print(f"{cleaned.kept} of {cleaned.lines} lines kept")
card = pr.train_language_module(
    "e5-small",
    language,
    text=folder / "clean.txt",
    output=folder / "zoo" / "e5-small" / "language" / "adapter" / language,
    steps=int(steps),
    batch_size=4,
)
print(f"trained {card.full_name}: {card.recipe['steps']} steps")

# The module is found by its language, as folders of POLYRANK_ZOO are searched first.
reranker = pr.load_reranker("e5-small")
passages = ["Water boils at 100 degrees.", "The river is long."]
for hit in reranker.rank("Suw haçan gaýnaýar?", passages, language, "en"):
    print(f"{hit.score:.3f}  {passages[int(hit.document_id)]}")
