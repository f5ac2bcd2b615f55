"""Modules on a hub of your own: publish one, and fetch it on another machine.

    HF_ENDPOINT=https://hub.example.org python examples/private_hub.py FOLDER OWNER/NAME

Without a repository it prints what would be published, checks the module, and puts a copy into a
shared folder, which is enough for a small group. Both ways verify the sha256 of every file.
"""

import os
import shutil
import sys
from pathlib import Path

import polyrank as pr
from polyrank import zoo

MODULE = "e5-small/language/adapter/ky"
folder, repository = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None

for verdict in zoo.verify(MODULE):
    print(verdict.name, verdict.problem or "is whole")

if repository:
    target = f"{repository}/{MODULE.split('/', 1)[1]}"
    print(zoo.push(MODULE, target, private=True))
    pulled = zoo.pull(target)  # on the other machine, with its own token
    print("pulled into", pulled.path)
else:
    plan = zoo.plan(MODULE, f"org/zoo/{MODULE.split('/', 1)[1]}", private=True)
    print(f"would publish to {plan.target}: {', '.join(plan.files)}")
    shared = folder / "shared"
    shutil.copytree(zoo.info(MODULE).path, shared / MODULE)
    # On the other machine: folders in POLYRANK_ZOO are searched before what is bundled.
    found = zoo.info(MODULE, zoo=shared)
    print("shared as", found.path)
    os.environ["POLYRANK_ZOO"] = os.pathsep.join(
        filter(None, [str(shared), os.environ.get("POLYRANK_ZOO")])
    )

reranker = pr.load_reranker("e5-small")
hits = reranker.rank("Суу качан кайнайт?", ["Stars are far.", "Water boils."], "ky", "en")
print([hit.document_id for hit in hits])
