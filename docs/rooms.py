# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which part of the project imports which, as the graph in architecture.md; what imports against the order is named.

python docs/rooms.py           # prints the graph
python docs/rooms.py --write   # puts it into docs/architecture.md
"""

import argparse
import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = "htr_convtext"
SCRIPTS = "scripts"
# A room imports from those before it. Rooms of one line do not import each other.
ORDER = (
    ("configuration",),
    ("decoding",),
    ("language_model",),
    ("generation",),
    ("modeling",),
    ("inference",),
    ("images",),
    ("processing",),
    ("pipeline",),
    (PACKAGE,),
    ("extras", "console"),
    ("pages",),
    ("line_datasets",),
    ("training",),
    ("decoding_folder",),
    ("hub_upload", "export"),
    ("workbench",),
    (SCRIPTS,),
    ("benchmarks",),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
# Inside functions only: save_pretrained copies a file with a model if a relative import names it.
EXCEPTIONS = {("generation", "inference"), ("generation", "pipeline")}
GRAPH = re.compile(r"(?<=```mermaid\ngraph BT\n).*?(?=```)", re.DOTALL)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the graph into docs/architecture.md")
    options = parser.parse_args(arguments)
    wrong = list(wrong_imports(ROOT))
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(GRAPH.sub(graph(ROOT), text), encoding="utf-8")
    else:
        print("graph BT\n" + graph(ROOT), end="")
    sys.exit("\n".join(wrong) or None)


def room_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Every module of the package with its room; a file at the root is a room, or a script."""
    for path in sorted(root.glob("*.py")):
        name = path.stem.removesuffix(f"_{PACKAGE}")
        yield (PACKAGE if name == "__init__" else name if name in RANK else SCRIPTS), path
    for folder in sorted(path.parent for path in root.glob("*/__init__.py")):
        for path in sorted(folder.rglob("*.py")):
            if not path.name.endswith(f"_{PACKAGE}.py"):  # copies of the root's files
                yield folder_room(folder.name, root), path


def folder_room(name: str, root: Path) -> str:
    """A folder's room; where a file at the root is a room of that name, the folder is another."""
    return f"{name}_folder" if (root / f"{name}_{PACKAGE}.py").is_file() else name


def imports(path: Path, root: Path) -> Iterator[tuple[str, int, bool]]:
    """Room, line and whether it is inside a function, of each import of the project's own modules."""
    tree = WithoutTypeChecking().visit(ast.parse(path.read_text(encoding="utf-8")))
    inside = {
        id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        for target in targets(node, path, root):
            yield room_of(target, root), node.lineno, id(node) in inside


class WithoutTypeChecking(ast.NodeTransformer):
    """Drops what only type checkers import: it never runs."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test).endswith("TYPE_CHECKING") else self.generic_visit(node)


def targets(node: ast.AST, path: Path, root: Path) -> Iterator[list[str]]:
    """Names after the package's, from the root down, of what an import statement names."""
    if isinstance(node, ast.Import):
        names = [alias.name.split(".") for alias in node.names]
        yield from (name[1:] for name in names if name[0] == PACKAGE)
    if isinstance(node, ast.ImportFrom):
        module = node.module.split(".") if node.module else []
        if node.level:
            folder = list(path.relative_to(root).parent.parts)
            module = [PACKAGE, *folder[: len(folder) - node.level + 1], *module]
        if module[:1] == [PACKAGE]:
            yield from ([*module[1:], alias.name] for alias in node.names)


def room_of(target: list[str], root: Path) -> str:
    first = target[0] if target else ""
    if first.endswith(f"_{PACKAGE}"):
        return first.removesuffix(f"_{PACKAGE}")
    if (root / first / "__init__.py").is_file() and first:
        return folder_room(first, root)
    if (root / f"{first}.py").is_file():
        return first if first in RANK else SCRIPTS
    return PACKAGE


def wrong_imports(root: Path) -> Iterator[str]:
    """What stands against the order, one line each."""
    for room, path in room_files(root):
        where = path.relative_to(root).as_posix()
        if room not in RANK:
            yield f"{where}: the room {room!r} has no place in the order. Give it one in docs/rooms.py."
            continue
        for other, line, in_function in imports(path, root):
            if other != room and RANK.get(other, len(ORDER)) >= RANK[room]:
                if not (in_function and (room, other) in EXCEPTIONS):
                    yield f"{where}:{line}: {room} must not import {other}, which is not before it in the order."


def graph(root: Path) -> str:
    """Arrows of the graph from a room to those it imports from, without those that others imply."""
    edges: dict[str, set[str]] = defaultdict(set)
    late = set()
    for room, path in room_files(root):
        others = {other for other, *_ in imports(path, root)} - {room}
        late |= {(room, other) for other in others if (room, other) in EXCEPTIONS}
        edges[room] |= {other for other in others if (room, other) not in EXCEPTIONS}
    arrows = [
        (room, other)
        for room in edges
        for other in edges[room]
        if not any(other in reachable(third, edges) for third in edges[room] - {other})
    ]
    lines = [
        f"    {room} --> {other}"
        for room, other in sorted(arrows, key=lambda arrow: [(RANK.get(room, len(ORDER)), room) for room in arrow])
    ]
    lines += [f"    {room} -. inside a function .-> {other}" for room, other in sorted(late)]
    return "\n".join(lines) + "\n"


def reachable(room: str, edges: dict[str, set[str]]) -> set[str]:
    """All that a room imports from, directly or not."""
    found: set[str] = set()
    waiting = [room]
    while waiting:
        new = edges[waiting.pop()] - found
        found |= new
        waiting += new
    return found


if __name__ == "__main__":
    main()
