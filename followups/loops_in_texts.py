"""Liquid's loops within bounds: python-liquid counts rounds, and walks to the first of them inside C.

`{% for i in (1..99999999999) offset: 99999999990 %}` would hold the interpreter for minutes, and `reversed` makes a
list of all numbers first; `{% if (1..99999999999) contains "x" %}` compares each. Here a range is cut and asked by
arithmetic, and one with more rounds than a message needs is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from liquid.builtin.expressions import logical
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.tags.for_tag import ForTag
from liquid.builtin.tags.tablerow_tag import TablerowTag
from liquid.exceptions import LoopIterationLimitError


class BoundedLoop(LoopExpression):
    __slots__ = ()

    def _to_iter(self, obj: object, context: Any) -> tuple[Any, int]:
        if isinstance(obj, range):
            return obj, obj.stop - obj.start
        found: tuple[Any, int] = super()._to_iter(obj, context)
        return found

    def _slice(
        self, it: Any, length: int, context: Any, *, limit: int | None, offset: Any
    ) -> tuple[Iterator[Any], int]:
        if not isinstance(it, range):
            found: tuple[Iterator[Any], int] = super()._slice(it, length, context, limit=limit, offset=offset)
            return found
        key = f"{self.identifier}-{self.iterable}"
        start = context.stopindex(key) if offset == "continue" else int(offset or 0)
        first = min(max(start, 0), length)
        last = min(length if limit is None else limit + start, length)
        context.stopindex(key=key, index=last)
        rounds = it[first : max(first, last)]
        most = context.env.loop_iteration_limit
        if rounds.stop - rounds.start > most:
            raise LoopIterationLimitError(f"a loop has at most {most} rounds", token=self.token)
        return iter(rounds[::-1] if self.reversed else rounds), len(rounds)


def _bounded(loop: LoopExpression) -> BoundedLoop:
    return BoundedLoop(
        loop.token,
        loop.identifier,
        loop.iterable,
        limit=loop.limit,
        offset=loop.offset,
        reversed_=loop.reversed,
        cols=loop.cols,
    )


class BoundedFor(ForTag):
    def parse(self, stream: Any) -> Any:
        node: Any = super().parse(stream)
        node.expression = _bounded(node.expression)
        return node


class BoundedTablerow(TablerowTag):
    def parse(self, stream: Any) -> Any:
        node: Any = super().parse(stream)
        node.expression = _bounded(node.expression)
        return node


_of_anything = logical._contains


def _contains(token: Any, left: Any, right: Any) -> bool:
    # Of a whole number Python knows it at once; for anything else it walks the range to its end.
    return False if isinstance(left, range) and not isinstance(right, int) else _of_anything(token, left, right)


# Where Liquid's parser of conditions lets nobody put an expression of their own.
logical._contains = _contains
