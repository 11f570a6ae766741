"""Of transactions that wait for each other PostgreSQL lets one go, which has done nothing: it can be tried again.

Whoever takes several people at once takes them as they come; who takes all leads of one person, by their ids. No one
order serves both without one more statement for each batch, so they do meet now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

P = ParamSpec("P")
R = TypeVar("R")

# PostgreSQL's code for it.
DEADLOCK = "40P01"
# Of several that wait for each other at the same moment, somebody gets through.
TRIES = 5


def is_deadlock(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) == DEADLOCK


def tried_again(work: Callable[P, R]) -> Callable[P, R]:
    """Let a transaction that was let go of be tried again; part of another one is that one's to try again."""

    @wraps(work)
    def trying(*args: P.args, **kwargs: P.kwargs) -> R:
        for left in reversed(range(TRIES)):
            try:
                return work(*args, **kwargs)
            except OperationalError as error:
                if not left or connection.in_atomic_block or not is_deadlock(error):
                    raise
        raise AssertionError

    return trying
