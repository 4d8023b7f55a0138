"""Small faults to plant in a Python source: each changes one comparison, condition, call, constant or operator.

Texts, annotations, docstrings and `__repr__` are left alone: a test that pins a sentence word by word is no
better than one that does not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["comparison", "condition", "call", "constant", "operator"]
KINDS: tuple[Kind, ...] = ("comparison", "condition", "call", "constant", "operator")

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_UNTOUCHED_FUNCTIONS = {"__repr__"}
_UNTOUCHED_NAMES = {"__slots__", "__all__"}


class Mutant(NamedTuple):
    """One planted fault."""

    kind: Kind
    line: int
    before: str
    after: str
    source: str
    """The whole mutated source."""


def mutants(source: str) -> Iterator[Mutant]:
    """All mutants of a source, in the order of their lines. Each differs from it in one place and compiles."""
    for node, kind, replacement in _sites(ast.parse(source)):
        before = ast.get_source_segment(source, node) or ""
        mutated = _replaced(source, node, replacement)
        yield Mutant(kind, node.lineno, _one_line(before), _one_line(replacement), mutated)


def _sites(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, Kind, str]]:
    for node in _walk(tree):
        match node:
            case ast.Compare(ops=[operator]) if type(operator) in _COMPARISONS:
                yield node, "comparison", f"({_with(node, ops=[_COMPARISONS[type(operator)]()])})"
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if not _is_constant(test):
                yield test, "condition", f"(not ({ast.unparse(test)}))"
            case ast.BoolOp(op=operator):
                other = ast.Or() if isinstance(operator, ast.And) else ast.And()
                yield node, "condition", f"({_with(node, op=other)})"
            case ast.Expr(value=ast.Call() | ast.Await(value=ast.Call())):
                yield node, "call", "pass"
            case ast.Constant(value=bool() as value):
                yield node, "constant", repr(not value)
            case ast.Constant(value=int() as value):
                yield node, "constant", repr(value + 1)
            case ast.BinOp(op=operator) if type(operator) in _OPERATORS and not _is_text(node):
                yield node, "operator", f"({_with(node, op=_OPERATORS[type(operator)]())})"
            case ast.AugAssign(op=operator) if type(operator) in _OPERATORS:
                yield node, "operator", _with(node, op=_OPERATORS[type(operator)]())


def _walk(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """The statements and expressions that run: no annotations, no names of slots, nothing inside an f-string."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr) or _untouched(child):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            yield from _walk(child)


def _untouched(node: ast.AST) -> bool:
    match node:
        case ast.FunctionDef(name=name):
            return name in _UNTOUCHED_FUNCTIONS
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in _UNTOUCHED_NAMES or (isinstance(node.value, ast.Subscript) and name[:1].isupper())
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", None), str) for side in sides)


def _with(node: ast.expr | ast.stmt, **changes: object) -> str:
    fields = dict(ast.iter_fields(node)) | changes
    return ast.unparse(ast.fix_missing_locations(type(node)(**fields)))


def _replaced(source: str, node: ast.expr | ast.stmt, text: str) -> str:
    """The source with the text of a node replaced. Positions of `ast` count bytes."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    lines = source.encode().splitlines(keepends=True)
    head = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    tail = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
    return (head + text.encode() + tail).decode()


def _one_line(text: str) -> str:
    return " ".join(text.split())
