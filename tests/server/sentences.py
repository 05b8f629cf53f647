"""The sentences that the service says to people, as its code has them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import differnet

__all__ = ["places", "sentences", "split"]

_PACKAGE = Path(differnet.__file__).parent
# Where each string that is a sentence is said to people; elsewhere in the server, what problems are made of.
_WHOLE = (
    "server/collecting/collecting.py",
    "server/products",
    "server/reviewing",
    "images/read.py",
    "training/remarks.py",
)
# Of the protocol of other programs, which the page does not speak.
_NOT_OF_THE_PAGE = ("server/wire/tensors.py", "server/routes/inference.py")
_VALUE = re.compile(r"\{[^{}]*\}")


def sentences() -> set[str]:
    """All of them, with ``{}`` for what is put in."""
    found: set[str] = set()
    for file in sorted(_PACKAGE.rglob("*.py")):
        name = file.relative_to(_PACKAGE).as_posix()
        if name.startswith(("server/", *_WHOLE)) and name not in _NOT_OF_THE_PAGE:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for text in _all_of(tree) if name.startswith(_WHOLE) else _of_problems(tree):
                found |= set(split(text))
    return found


def split(text: str) -> list[str]:
    """One by one."""
    return re.split(r"(?<=\.) (?=[A-Z{])", text)


def places(text: str) -> str:
    """With ``{}`` in place of names."""
    return _VALUE.sub("{}", text)


def _of_problems(tree: ast.Module) -> Iterator[str]:
    constants = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
            told = node.args[1]
            yield from _texts(constants.get(told.id, told) if isinstance(told, ast.Name) else told)


def _all_of(tree: ast.Module) -> Iterator[str]:
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        joined = isinstance(node, ast.JoinedStr) and not any(isinstance(part, ast.JoinedStr) for part in node.values)
        if (joined or (isinstance(node, ast.Constant) and id(node) not in inner)) and id(node) not in described:
            for text in _texts(node):
                if re.match(r" ?[A-Z{]", text) and text.endswith(".") and " " in text:
                    yield text.strip()


def _texts(node: ast.AST) -> list[str]:
    """What a string may be: one text for each way through its conditions."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    if isinstance(node, ast.JoinedStr):
        parts = [_texts(part) if isinstance(part, ast.Constant) else ["{}"] for part in node.values]
        return ["".join(chosen) for chosen in product(*parts)]
    return []
