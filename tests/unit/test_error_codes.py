"""The list of error codes is closed: docs/errors.md has each that the code raises, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

# Which argument of these calls is the code.
CODE_AT = dict.fromkeys(("JobError", "DocumentError", "TransientError", "Refusal", "_error"), 0)
CODE_AT |= dict.fromkeys(("Wrong", "BadLine", "Why"), 0)
CODE_AT |= dict.fromkeys(("_bad", "failed"), 1)


def test_documented_and_raised_are_the_same() -> None:
    raised = {
        code
        for folder in ("jobs", "worker", "producer")
        for path in Path(folder).rglob("*.py")
        for code in _codes(ast.parse(path.read_text()))
    }
    documented = set(re.findall(r"^\| `(\w+)`", Path("docs/errors.md").read_text(), re.MULTILINE))
    assert raised == documented


def _codes(tree: ast.Module) -> Iterator[str]:
    """What stands where a code stands, names of the module's constants among it."""
    named = {
        each.targets[0].id: each.value
        for each in tree.body
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    }
    for node in _code_nodes(tree):
        value = named.get(node.id) if isinstance(node, ast.Name) else node
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def _code_nodes(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            position = CODE_AT.get(name)
            if position is not None and len(node.args) > position:
                yield node.args[position]
        if isinstance(node, ast.keyword) and node.arg == "error_code":
            yield node.value
        # Of a `Record`: a code and a message.
        if (
            isinstance(node, ast.keyword)
            and node.arg == "error"
            and isinstance(node.value, ast.Tuple)
        ):
            yield node.value.elts[0]
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield value
