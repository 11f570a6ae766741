"""What may stand at a key of the configuration file: how it is read, with the line that is wrong, and how it is shown.

A record is a frozen dataclass whose fields say what they hold (`item`). Reading collects every problem before it
refuses, so that a person corrects a file once and not once per mistake. Pure.
"""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field
from datetime import time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import partial
from types import NoneType
from typing import Any, ClassVar, get_args, get_type_hints

from babel import Locale, UnknownLocaleError
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
NUMBER = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
DURATION = re.compile(
    r"P(?=[0-9T])(?:(?P<weeks>[0-9]{1,6})W|(?:(?P<days>[0-9]{1,6})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,8})H)?(?:(?P<minutes>[0-9]{1,8})M)?(?:(?P<seconds>[0-9]{1,10}(?:\.[0-9]{1,6})?)S)?)?)"
)
LONGEST_DURATION = timedelta(days=3660)
# What is the same text wherever in YAML it stands, and to readers of YAML 1.1 too, who take yes and no for booleans;
# true, null and numbers get their quotes from the emitter.
ORDINARY = re.compile(r"(?!(?i:yes|no|on|off|y|n)$)\w(?:[\w ./()+-]*[\w.)])?")
SLUG = re.compile(r"[-a-zA-Z0-9_]+")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a file, and the line (from 1) that has it."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


class RefusedError(Exception):
    """The file is not taken as it is; `problems` are in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class Kind(ABC):
    """What stands at a key."""

    @abstractmethod
    def read(self, node: Node) -> Any:
        """Return the value. Raises RefusedError."""

    def show(self, value: Any) -> Any:
        """Return the value as YAML writes it."""
        return value


@dataclass(frozen=True)
class Named:
    """The name of a key in the file, where it is not the field's."""

    name: str


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
        return Problem(self.lines.get(key) or self.lines.get(key.partition(".")[0]) or self.lines.get("", 1), text)


@dataclass(frozen=True)
class Key:
    """A key of a record. `default` makes the value that a key left out has."""

    name: str
    attribute: str
    kind: Kind
    nullable: bool
    default: Callable[[], Any] | None


def keys_of(record: type[Record]) -> tuple[Key, ...]:
    """Return the keys of a record in the order in which the file has them."""
    hints = get_type_hints(record, include_extras=True)
    return tuple(_key(one, hints[one.name]) for one in dataclasses.fields(record) if one.name != "lines")


def _key(declared: dataclasses.Field[Any], hint: Any) -> Key:
    kind, *named = hint.__metadata__
    default: Callable[[], Any] | None = None
    if declared.default_factory is not MISSING:
        default = declared.default_factory
    elif declared.default is not MISSING:
        default = partial(_same, declared.default)
    return Key(
        name=named[0].name if named else declared.name,
        attribute=declared.name,
        kind=kind,
        nullable=NoneType in get_args(hint.__origin__),
        default=default,
    )


def _same(value: Any) -> Any:
    return value


class One(Kind):
    """A mapping."""

    def __init__(self, record: type[Record]) -> None:
        self.record = record

    def read(self, node: Node) -> Record:
        if not isinstance(node, MappingNode):
            raise _refused(node, f"a {self.record.called} is written as keys and values, not as {_what(node)}")
        keys = {key.name: key for key in keys_of(self.record)}
        values: dict[str, Any] = {}
        lines = {"": line_of(node)}
        problems: list[Problem] = []
        for key_node, value_node in node.value:
            name = key_node.value if isinstance(key_node, ScalarNode) else "?"
            if name not in keys:
                problems.append(Problem(line_of(key_node), f"unknown key {unknown(name, keys)} of a {self._called}"))
            elif name in lines:
                problems.append(Problem(line_of(key_node), f"“{name}” is already on line {lines[name]}"))
            else:
                lines[name] = line_of(key_node)
                lines |= _lines_below(name, value_node)
                try:
                    values[keys[name].attribute] = _value(keys[name], value_node)
                except RefusedError as error:
                    problems += error.problems
        missing = [f"“{key.name}”" for key in keys.values() if key.default is None and key.name not in lines]
        if missing:
            problems.append(Problem(line_of(node), f"the {self._called} lacks {', '.join(missing)}"))
        if problems:
            raise RefusedError(problems)
        return self.record(lines=lines, **values)

    @property
    def _called(self) -> str:
        return self.record.called

    def show(self, value: Record) -> CommentedMap:
        shown = CommentedMap()
        for key in keys_of(type(value)):
            held = getattr(value, key.attribute)
            if key.default is None or held != key.default():
                shown[key.name] = None if held is None else key.kind.show(held)
        if value.on_one_line:
            shown.fa.set_flow_style()
        return shown


class Many(Kind):
    """A list of mappings."""

    def __init__(self, record: type[Record], *, at_least: int = 0) -> None:
        self.one, self.at_least = One(record), at_least

    def read(self, node: Node) -> tuple[Record, ...]:
        if not isinstance(node, SequenceNode):
            raise _refused(node, f"here stands a list of {self.one.record.called} entries, not {_what(node)}")
        if len(node.value) < self.at_least:
            raise _refused(node, f"at least one {self.one.record.called} is needed")
        return tuple(_each(node.value, self.one))

    def show(self, value: tuple[Record, ...]) -> list[CommentedMap]:
        return [self.one.show(record) for record in value]


class Texts(Kind):
    """A list of different texts."""

    def __init__(self, text: Kind) -> None:
        self.text = text

    def read(self, node: Node) -> tuple[str, ...]:
        if not isinstance(node, SequenceNode):
            raise _refused(node, f"here stands a list such as [one, two], not {_what(node)}")
        texts = _each(node.value, self.text)
        twice = [
            Problem(line_of(one), f"“{text}” is twice in the list")
            for index, (one, text) in enumerate(zip(node.value, texts, strict=True))
            if text in texts[:index]
        ]
        if twice:
            raise RefusedError(twice)
        return tuple(texts)

    def show(self, value: tuple[str, ...]) -> CommentedSeq:
        shown = CommentedSeq(map(_text, value))
        shown.fa.set_flow_style()
        return shown


class TextPairs(Kind):
    """A mapping from texts to texts."""

    def __init__(self, text: Kind) -> None:
        self.text = text

    def read(self, node: Node) -> dict[str, str]:
        if not isinstance(node, MappingNode):
            raise _refused(node, f"here stands a mapping such as {{ours: theirs}}, not {_what(node)}")
        names = _each([key for key, _ in node.value], self.text)
        values = _each([value for _, value in node.value], self.text)
        twice = [
            Problem(line_of(key), f"“{name}” is given twice")
            for index, ((key, _), name) in enumerate(zip(node.value, names, strict=True))
            if name in names[:index]
        ]
        if twice:
            raise RefusedError(twice)
        return dict(zip(names, values, strict=True))

    def show(self, value: dict[str, str]) -> CommentedMap:
        shown = CommentedMap({_text(name): _text(text) for name, text in value.items()})
        shown.fa.set_flow_style()
        return shown


class Text(Kind):
    """A text; `check` returns what is wrong with it, if anything."""

    def __init__(
        self, longest: int, *, empty: bool = False, check: Callable[[str], str | None] = lambda _: None
    ) -> None:
        self.longest, self.empty, self.check = longest, empty, check

    def read(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise _refused(node, f"here stands a text, not {_what(node)}")
        text: str = node.value
        if _tag(node) != "str":
            raise _refused(node, f"“{text}” is read as {_what(node)}: write a text, in quotes")
        if not self.empty and not text.strip():
            raise _refused(node, "the text is empty")
        if len(text) > self.longest:
            raise _refused(node, f"the text has {len(text)} characters; at most {self.longest} are kept")
        if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
            raise _refused(node, "the text has a character in it that cannot be stored")
        if wrong := self.check(text):
            raise _refused(node, wrong)
        return text

    def show(self, value: str) -> str:
        return _text(value)


class Slug(Text):
    """A short name for machines."""

    def __init__(self, longest: int) -> None:
        super().__init__(longest, check=self._wrong)

    @staticmethod
    def _wrong(text: str) -> str | None:
        return None if SLUG.fullmatch(text) else f"“{text}”: only a-z, A-Z, 0-9, - and _ are taken here"


class Choice(Text):
    """One of a few words, or of many that are not worth listing."""

    def __init__(self, known: Iterable[str], *, listed: bool = True) -> None:
        self.known, self.listed = frozenset(known), listed
        super().__init__(100, check=self._wrong)

    def _wrong(self, text: str) -> str | None:
        return None if text in self.known else f"unknown: {unknown(text, self.known, listed=self.listed)}"


class LocaleName(Text):
    """A language and country such as pt_BR."""

    def __init__(self) -> None:
        super().__init__(20, check=self._wrong)

    @staticmethod
    def _wrong(text: str) -> str | None:
        try:
            Locale.parse(text)
        except (UnknownLocaleError, ValueError):
            return f"“{text}” is not a locale such as pt_BR"
        return None


class Flag(Kind):
    """true or false."""

    def read(self, node: Node) -> bool:
        if _tag(node) != "bool":
            raise _refused(node, f"write true or false, not {_what(node)}")
        return bool(node.value.lower() == "true")


class Id(Kind):
    """An id of Kommo's."""

    def read(self, node: Node) -> int:
        if _tag(node) != "int" or not INTEGER.fullmatch(node.value) or int(node.value) < 1:
            raise _refused(node, f"here stands an id of Kommo's, a number such as 11672895, not {_what(node)}")
        return int(node.value)


class Score(Kind):
    """0 to 100, with at most two decimals."""

    def read(self, node: Node) -> Decimal:
        if _tag(node) in ("int", "float") and NUMBER.fullmatch(node.value):
            score = Decimal(node.value)
            if 0 <= score <= 100 and score == round(score, 2):
                return score
        raise _refused(node, "a score lies between 0 and 100, with at most two decimals")

    def show(self, value: Decimal) -> int | float:
        return int(value) if value == int(value) else float(value)


class Value(Kind):
    """What a lead's attribute is compared with: a text, a number, true or false, or a list of these."""

    def read(self, node: Node) -> Any:
        if isinstance(node, SequenceNode):
            return _each(node.value, self)
        if isinstance(node, MappingNode):
            raise _refused(node, "a value is a text, a number, true, false, or a list of these")
        tag = _tag(node)
        if tag == "bool":
            return Flag().read(node)
        if tag in ("int", "float") and NUMBER.fullmatch(node.value):
            return int(node.value) if INTEGER.fullmatch(node.value) else float(node.value)
        return Text(1000).read(node)

    def show(self, value: Any) -> Any:
        if isinstance(value, str):
            return _text(value)
        if not isinstance(value, list):
            return value
        shown = CommentedSeq(map(self.show, value))
        shown.fa.set_flow_style()
        return shown


class Duration(Kind):
    """A length of time in ISO 8601 (PT2S, PT30M, P2D), above zero. Years and months have no fixed length."""

    def read(self, node: Node) -> timedelta:
        found = DURATION.fullmatch(node.value) if isinstance(node, ScalarNode) else None
        if found is None:
            raise _refused(node, f"“{_shown(node)}” is not a duration such as PT30M, PT24H or P2D")
        parts = {name: Decimal(text) for name, text in found.groupdict().items() if text}
        seconds = parts.pop("seconds", Decimal(0))
        length = timedelta(**{name: int(number) for name, number in parts.items()})
        length += timedelta(microseconds=int(seconds * 1_000_000))
        if not timedelta() < length <= LONGEST_DURATION:
            raise _refused(node, f"a duration lies above zero and below ten years; “{node.value}” does not")
        return length

    def show(self, value: timedelta) -> str:
        """Return it in hours, minutes and seconds; three whole days and more in days, as people say it."""
        seconds, micro = divmod(value // timedelta(microseconds=1), 1_000_000)
        if not micro and seconds % 86_400 == 0 and seconds >= 3 * 86_400:
            return f"P{seconds // 86_400}D"
        parts = [
            f"{seconds // 3600}H" if seconds >= 3600 else "",
            f"{seconds % 3600 // 60}M" if seconds % 3600 >= 60 else "",
        ]
        fraction = f".{micro:06}".rstrip("0") if micro else ""
        rest = f"{seconds % 60}{fraction}S" if seconds % 60 or micro else ""
        return f"PT{''.join(parts)}{rest}"


class Clock(Kind):
    """A time of day, "20:00"."""

    def read(self, node: Node) -> time:
        found = CLOCK.fullmatch(node.value) if isinstance(node, ScalarNode) else None
        if found is None:
            raise _refused(node, f'“{_shown(node)}” is not a time of day such as "20:00"')
        hour, minute, second = (int(part or 0) for part in found.groups())
        return time(hour, minute, second)

    def show(self, value: time) -> str:
        # In quotes: older readers take 20:00 for a number to the base of sixty.
        return _in_quotes(value.isoformat("seconds" if value.second else "minutes"))


def unknown(name: str, known: Iterable[str], *, listed: bool = True) -> str:
    """Return the name in quotes with the nearest known one, or with all of them."""
    words = sorted(known)
    near = get_close_matches(name, words, n=1)
    if near:
        return f"“{name}”, did you mean “{near[0]}”?"
    return f"“{name}” (there are: {', '.join(words) or 'none'})" if listed else f"“{name}”"


def _text(text: str) -> str:
    """Return a text in a style that keeps it: an ordinary one as it is, several lines as a block, else in quotes."""
    if ORDINARY.fullmatch(text):
        return text
    lines = text.split("\n")
    if len(lines) == 1 or not (lines[0] and lines[-1]):
        return _in_quotes(text)
    # What becomes of spaces at the ends of lines depends on where the block stands.
    if not all(line.isprintable() and line == line.strip() for line in lines):
        return _in_quotes(text)
    block: str = LiteralScalarString(text)
    return block


def _in_quotes(text: str) -> str:
    quoted: str = DoubleQuotedScalarString(text)
    return quoted


def line_of(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _value(key: Key, node: Node) -> Any:
    if _tag(node) != "null":
        return key.kind.read(node)
    if not key.nullable:
        raise _refused(node, f"“{key.name}” has no value: give one or leave the key out")
    return None


def _each(nodes: Iterable[Node], kind: Kind) -> list[Any]:
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


def _lines_below(name: str, node: Node) -> dict[str, int]:
    if isinstance(node, SequenceNode):
        return {f"{name}.{index}": line_of(one) for index, one in enumerate(node.value)}
    if isinstance(node, MappingNode):
        return {f"{name}.{key.value}": line_of(key) for key, _ in node.value if isinstance(key, ScalarNode)}
    return {}


def _tag(node: Node) -> str:
    """Return what YAML takes a scalar for: str, int, float, bool, null or something else."""
    return str(node.tag).rpartition(":")[2] if isinstance(node, ScalarNode) else ""


def _what(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    words = {"int": "a number", "float": "a number", "bool": "true or false", "null": "nothing", "timestamp": "a date"}
    return words.get(_tag(node), f"“{_shown(node)}”")


def _shown(node: Node) -> str:
    text = node.value if isinstance(node, ScalarNode) else _what(node)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _refused(node: Node, text: str) -> RefusedError:
    return RefusedError([Problem(line_of(node), text)])
