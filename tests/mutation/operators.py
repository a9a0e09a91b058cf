"""What is changed in the source, one thing at a time, to see whether a test notices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import parso
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import OPERATOR_PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    Positions = Iterator[tuple[tuple[int, int], tuple[int, int]]]

_OF_COSMIC_RAY: Final = re.compile(
    "AddNot|NumberReplacer|ZeroIterationForLoop|ExceptionReplacer|RemoveDecorator|"
    "Replace(True|False|And|Or|Break|Continue)With.*|ReplaceUnaryOperator_Delete_Not|"
    "ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Mul_Add|Div_Mul)|"
    "ReplaceComparisonOperator_(Is_IsNot|IsNot_Is|(Eq|NotEq|Lt|LtE|Gt|GtE)_(Eq|NotEq|Lt|LtE|Gt|GtE))"
)


class _Ours(Operator):  # type: ignore[misc]
    """An operator of our own."""

    @classmethod
    def examples(cls) -> tuple[()]:
        """None are needed."""
        return ()


class RemoveStatement(_Ours):
    """Do not do it."""

    def mutation_positions(self, node: Any) -> Positions:
        """Each assignment and each call that stands by itself."""
        if _is_statement(node):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Put `pass` in its place."""
        statement = node.children[0]
        node.children[0] = parso.parse(f"{statement.get_first_leaf().prefix}pass")
        return node


class ForceCondition(_Ours):
    """Do it always, or never."""

    def mutation_positions(self, node: Any) -> Positions:
        """Each `if`, twice."""
        if node.type == "if_stmt":
            for _ in range(2):
                yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Put a constant in the place of the condition."""
        node.children[1] = parso.parse((" False", " True")[index])
        return node


class RemoveOperand(_Ours):
    """Do not ask for one of several things."""

    def mutation_positions(self, node: Any) -> Positions:
        """Each operand of an `and`, and of an `or`."""
        if node.type in ("and_test", "or_test"):
            for operand in node.children[::2]:
                yield operand.start_pos, operand.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Take it out, with the operator beside it."""
        before = node.get_first_leaf().prefix
        first = 2 * index - (index > 0)
        del node.children[first : first + 2]
        node.children[0].get_first_leaf().prefix = before
        return node


def _is_statement(node: Any) -> bool:
    if node.type != "simple_stmt":
        return False
    statement = node.children[0]
    is_annotation = statement.type == "expr_stmt" and len(statement.children) == 2
    does_something = statement.type in ("expr_stmt", "atom_expr", "power", "del_stmt")
    return does_something and not is_annotation and node.get_previous_sibling() is not None


class _Provider:
    """Those of cosmic-ray that are worth their time, and our own, by name."""

    def __init__(self, operators: dict[str, type[Operator]]) -> None:
        self._operators = operators

    def __iter__(self) -> Iterator[str]:
        return iter(self._operators)

    def __getitem__(self, name: str) -> type[Operator]:
        return self._operators[name]


def install() -> None:
    """Let cosmic-ray use these, and no others."""
    core = OPERATOR_PROVIDERS["core"]
    chosen = {name: core[name] for name in core if _OF_COSMIC_RAY.fullmatch(name)}
    ours = {one.__name__: one for one in (RemoveStatement, ForceCondition, RemoveOperand)}
    OPERATOR_PROVIDERS.clear()
    OPERATOR_PROVIDERS.update(core=_Provider(chosen), lifecycle=_Provider(ours))
