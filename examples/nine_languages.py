"""A ColBERT-style index that holds nine languages, and is asked in a tenth.

    python examples/nine_languages.py FOLDER [ARTICLES]

Each article passes through the module of its own language, and so does the question. The index
stands in FOLDER as articles. 'polyrank index --help' has the same on the command line.
"""

import shutil
import sys
from pathlib import Path

import polyrank as pr

LANGUAGES = ("en", "ru", "tr", "zh", "sw", "ky", "am", "ig", "zu")
folder = Path(sys.argv[1])
each = int(sys.argv[2]) if len(sys.argv) > 2 else 8

documents = [
    pr.Document(f"{language}-{one.id}", one.text, one.title, language, one.group or one.id)
    for language in LANGUAGES
    for one in list(
        pr.load_collection("ntrex", queries="en", documents=language).documents.values()
    )[:each]
]
model = pr.LateInteraction("e5-small", ranking="squad-li", document_length=128)
shutil.rmtree(folder / "articles", ignore_errors=True)
index = pr.MultiVectorIndex.build(folder / "articles", documents, model, codec="int8")
print(f"{len(index)} articles in {len(LANGUAGES)} languages")

asked = pr.load_collection("ntrex", queries="rw", documents="en", limit=1)
question = next(iter(asked.queries.values()))
print(question.text)
for languages in (None, ["sw", "zu"]):
    run = index.search([question], depth=5, languages=languages)
    print(f"in {', '.join(languages) if languages else 'all'}:")
    for hit in run[question.id]:
        print(f"  {hit.score:.3f}  {hit.document_id}")
