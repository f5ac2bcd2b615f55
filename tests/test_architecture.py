"""The imports: one way, top to bottom, without circles; and kinds are asked of their table."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIERS = (
    ("cli", "server"),
    (
        "experiments",
        "evaluation",
        "training",
        "summaries",
        "pipeline",
        "scale_out",
        "neighbours",
        "doctor",
    ),
    ("index", "runs", "rerankers", "late_interaction"),
    ("encoders", "composition"),
    ("zoo", "modules", "kernels", "corpus", "translation"),
    ("base", "collections", "languages"),
    (
        "machine",
        "progress",
        "notes",
        "errors",
        "locks",
        "network",
        "http_client",
        "installed",
        "typed_fields",
    ),
)
HEIGHT = {room: -height for height, rooms in enumerate(TIERS) for room in rooms}
KINDS = {"adapter", "mask", "full"}
OF_KINDS = ("polyrank/modules/kinds.py", *(f"polyrank/modules/{kind}/" for kind in sorted(KINDS)))

# What still has to change. These lists only shrink: a line that no longer applies must be removed.
UPWARD: set[tuple[str, str]] = set()
CIRCLES: set[frozenset[str]] = set()
COMPARING: set[str] = set()


@cache
def trees() -> dict[str, tuple[Path, ast.Module]]:
    """Module name → its path and syntax tree; `cli` is installed as `polyrank.cli`."""
    found = {}
    for path in sorted([*ROOT.glob("polyrank/**/*.py"), *ROOT.glob("cli/**/*.py")]):
        parts = [p for p in path.relative_to(ROOT).with_suffix("").parts if p != "__init__"]
        name = ".".join(parts if parts[0] == "polyrank" else ["polyrank", *parts])
        found[name] = path, ast.parse(path.read_text(encoding="utf-8"))
    return found


def statements(tree: ast.AST):
    """All nodes but those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node
            yield from statements(node)


def imports(name: str) -> set[str]:
    """The modules of ours that one imports, at its top or inside a function."""
    path, tree = trees()[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in statements(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            names = {f"{start}.{alias.name}" for alias in node.names}
            found |= {one if one in trees() else start for one in names}
    return (found & set(trees())) - {name}


def height(name: str) -> int:
    return HEIGHT[name.split(".")[1]]


def test_no_import_goes_up():
    rooms = [name for name in trees() if name != "polyrank"]
    arrows = {(name, other) for name in rooms for other in imports(name) if other != "polyrank"}
    assert {(one, two) for one, two in arrows if height(two) > height(one)} == UPWARD


def test_no_files_import_each_other_in_a_circle():
    graph = {name: imports(name) for name in trees()}
    reached = {name: set(others) for name, others in graph.items()}
    grown = True
    while grown:  # the transitive closure
        grown = False
        for others in reached.values():
            more = set().union(*(reached[other] for other in others)) - others
            grown = grown or bool(more)
            others |= more
    circles = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in trees()
        if name in reached[name]
    }
    assert circles == CIRCLES


def about_kinds(node: ast.AST) -> bool:
    """Whether a comparison or a table treats kinds by their names."""
    if isinstance(node, ast.Dict):
        keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
        return keys <= KINDS and len(keys) > 1
    if not isinstance(node, ast.Compare):
        return False
    parts = list(ast.walk(node))
    constants = {part.value for part in parts if isinstance(part, ast.Constant)}
    members = {part.attr for part in parts if isinstance(part, ast.Attribute)}
    names = members | {part.id for part in parts if isinstance(part, ast.Name)}
    asked = any("kind" in name.lower() for name in names)
    return asked and bool(KINDS & {*map(str, constants), *members})


def test_nobody_else_asks_for_a_kind_by_name():
    found = {
        str(path.relative_to(ROOT))
        for path, tree in trees().values()
        if any(map(about_kinds, ast.walk(tree)))
    }
    assert {name for name in found if not name.startswith(OF_KINDS)} == COMPARING
