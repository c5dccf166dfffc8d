"""The list of error codes is closed: docs/errors.md has each that the code raises, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

# Which argument of these calls is the code.
CODE_AT = {"JobError": 0, "DocumentError": 0, "TransientError": 0, "_bad": 1, "_failed": 1}


def test_documented_and_raised_are_the_same() -> None:
    raised = {
        code
        for folder in ("jobs", "worker", "producer")
        for path in Path(folder).rglob("*.py")
        for code in _codes(ast.parse(path.read_text()))
    }
    documented = set(re.findall(r"^\| `(\w+)`", Path("docs/errors.md").read_text(), re.MULTILINE))
    assert raised == documented


def _codes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            position = CODE_AT.get(node.func.id)
            if position is not None and len(node.args) > position:
                yield from _constant(node.args[position])
        if isinstance(node, ast.keyword) and node.arg == "error_code":
            yield from _constant(node.value)
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield from _constant(value)


def _constant(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
