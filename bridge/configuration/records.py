"""How a part of the configuration file is declared: as a frozen dataclass whose fields say what they hold.

Reading collects every problem before it refuses, so that a person corrects a file once and not once per mistake. Pure.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field
from functools import partial
from types import NoneType
from typing import Any, ClassVar, get_args, get_type_hints

from ruamel.yaml.nodes import Node

from bridge.configuration.file_problems import Problem, RefusedError


class Kind(ABC):
    """What stands at a key."""

    @abstractmethod
    def read(self, node: Node) -> Any:
        """Return the value. Raises RefusedError."""

    @abstractmethod
    def words(self) -> str:
        """Return what may stand there, in a few words of Markdown."""

    def show(self, value: Any) -> Any:
        """Return the value as YAML writes it."""
        return value


@dataclass(frozen=True)
class Named:
    """The name of a key in the file, where it is not the field's."""

    name: str


@dataclass(frozen=True)
class Says:
    """What a key is for, in a sentence: the reference of the file is made from these."""

    meaning: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """A mapping of the file. Its fields are annotated with the kind of what stands at the key of that name.

    A key whose field has a default may be left out; `null` may stand where the field takes None.
    lines: key -> its line; "key.index" and "key.name" -> the line of what stands below; "" -> the line of the whole.
    """

    called: ClassVar[str]
    on_one_line: ClassVar[bool] = False

    lines: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def identity(self) -> tuple[Any, ...]:
        """Return what makes two versions of it the same thing; those without are told apart by their order."""
        return ()

    def problem(self, key: str, text: str) -> Problem:
        """Return a problem at the line of a key, or of the record when it was left out."""
        line = self.lines.get(key) or self.lines.get(key.partition(".")[0]) or self.lines.get("", 1)
        return Problem(line, text, about=self, key=key.partition(".")[0])


@dataclass(frozen=True)
class Key:
    """A key of a record. `default` makes the value that a key left out has."""

    name: str
    attribute: str
    kind: Kind
    nullable: bool
    default: Callable[[], Any] | None
    meaning: str


# What a class says of itself stays; reading it out of its annotations takes longer than reading a part of a file.
_keys: dict[type[Record], tuple[Key, ...]] = {}


def keys_of(record: type[Record]) -> tuple[Key, ...]:
    """Return the keys of a record in the order in which the file has them."""
    if record not in _keys:
        hints = get_type_hints(record, include_extras=True)
        _keys[record] = tuple(
            _key(attribute, hints[attribute.name])
            for attribute in dataclasses.fields(record)
            if attribute.name != "lines"
        )
    return _keys[record]


def _key(declared: dataclasses.Field[Any], hint: Any) -> Key:
    kind, *more = hint.__metadata__
    named = [mark.name for mark in more if isinstance(mark, Named)]
    meanings = [mark.meaning for mark in more if isinstance(mark, Says)]
    default: Callable[[], Any] | None = None
    if declared.default_factory is not MISSING:
        default = declared.default_factory
    elif declared.default is not MISSING:
        default = partial(_same, declared.default)
    return Key(
        name=named[0] if named else declared.name,
        attribute=declared.name,
        kind=kind,
        nullable=NoneType in get_args(hint.__origin__),
        default=default,
        meaning=meanings[0] if meanings else "",
    )


def _same(value: Any) -> Any:
    return value


def read_each(nodes: Iterable[Node], kind: Kind) -> list[Any]:
    """Read every one, and refuse with the problems of all."""
    values: list[Any] = []
    problems: list[Problem] = []
    for node in nodes:
        try:
            values.append(kind.read(node))
        except RefusedError as error:
            problems += error.problems
    if problems:
        raise RefusedError(problems)
    return values
