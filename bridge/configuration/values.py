"""The single values of the configuration file: how each is read, and how it is shown. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

from babel import Locale, UnknownLocaleError
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from bridge.configuration.file_problems import described, excerpt, refused, tag_of, unknown
from bridge.configuration.records import Kind, read_each

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


class Text(Kind):
    """A text; `check` returns what is wrong with it, if anything."""

    def __init__(
        self, longest: int, *, empty: bool = False, check: Callable[[str], str | None] = lambda _: None
    ) -> None:
        self.longest, self.empty, self.check = longest, empty, check

    def words(self) -> str:
        return f"text of at most {self.longest} characters"

    def read(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise refused(node, f"here stands a text, not {described(node)}")
        text: str = node.value
        if tag_of(node) != "str":
            raise refused(node, f"“{text}” is read as {described(node)}: write a text, in quotes")
        if not self.empty and not text.strip():
            raise refused(node, "the text is empty")
        if len(text) > self.longest:
            raise refused(node, f"the text has {len(text)} characters; at most {self.longest} are kept")
        if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
            raise refused(node, "the text has a character in it that cannot be stored")
        if wrong := self.check(text):
            raise refused(node, wrong)
        return text

    def show(self, value: str) -> str:
        return styled(value)


class Slug(Text):
    """A short name for machines."""

    def __init__(self, longest: int) -> None:
        super().__init__(longest, check=self._wrong)

    def words(self) -> str:
        return "short name"

    @staticmethod
    def _wrong(text: str) -> str | None:
        return None if SLUG.fullmatch(text) else f"“{text}”: only a-z, A-Z, 0-9, - and _ are taken here"


class Choice(Text):
    """One of a few words, or of many that are not worth listing."""

    def __init__(self, known: Iterable[str], *, listed: bool = True) -> None:
        self.known, self.listed = frozenset(known), listed
        super().__init__(100, check=self._wrong)

    def words(self) -> str:
        return f"one of {', '.join(f'`{word}`' for word in sorted(self.known))}" if self.listed else "a known name"

    def _wrong(self, text: str) -> str | None:
        return None if text in self.known else f"unknown: {unknown(text, self.known, listed=self.listed)}"


class LocaleName(Text):
    """A language and country such as pt_BR."""

    def __init__(self) -> None:
        super().__init__(20, check=self._wrong)

    def words(self) -> str:
        return "locale such as `pt_BR`"

    @staticmethod
    def _wrong(text: str) -> str | None:
        try:
            Locale.parse(text)
        except (UnknownLocaleError, ValueError):
            return f"“{text}” is not a locale such as pt_BR"
        return None


class Flag(Kind):
    """true or false."""

    def words(self) -> str:
        return "`true` or `false`"

    def read(self, node: Node) -> bool:
        if tag_of(node) != "bool":
            raise refused(node, f"write true or false, not {described(node)}")
        return bool(node.value.lower() == "true")


class Id(Kind):
    """An id of Kommo's."""

    def words(self) -> str:
        return "an id of Kommo's"

    def read(self, node: Node) -> int:
        if tag_of(node) != "int" or not INTEGER.fullmatch(node.value) or int(node.value) < 1:
            raise refused(node, f"here stands an id of Kommo's, a number such as 11672895, not {described(node)}")
        return int(node.value)


class Score(Kind):
    """0 to 100, with at most two decimals."""

    def words(self) -> str:
        return "0 to 100"

    def read(self, node: Node) -> Decimal:
        if tag_of(node) in ("int", "float") and NUMBER.fullmatch(node.value):
            score = Decimal(node.value)
            if 0 <= score <= 100 and score == round(score, 2):
                return score
        raise refused(node, "a score lies between 0 and 100, with at most two decimals")

    def show(self, value: Decimal) -> int | float:
        return int(value) if value == int(value) else float(value)


class Share(Kind):
    """0 to 1, with at most four decimals."""

    def words(self) -> str:
        return "0 to 1"

    def read(self, node: Node) -> Decimal:
        if tag_of(node) in ("int", "float") and NUMBER.fullmatch(node.value):
            share = Decimal(node.value)
            if 0 <= share <= 1 and share == round(share, 4):
                return share
        raise refused(node, "a share lies between 0 and 1, with at most four decimals")

    def show(self, value: Decimal) -> int | float:
        return int(value) if value == int(value) else float(value)


class Value(Kind):
    """What a lead's attribute is compared with: a text, a number, true or false, or a list of these."""

    def words(self) -> str:
        return "text, number, `true`, `false`, or a list of these"

    def read(self, node: Node) -> Any:
        if isinstance(node, SequenceNode):
            return read_each(node.value, self)
        if isinstance(node, MappingNode):
            raise refused(node, "a value is a text, a number, true, false, or a list of these")
        tag = tag_of(node)
        if tag == "bool":
            return Flag().read(node)
        if tag in ("int", "float") and NUMBER.fullmatch(node.value):
            return int(node.value) if INTEGER.fullmatch(node.value) else float(node.value)
        return Text(1000).read(node)

    def show(self, value: Any) -> Any:
        if isinstance(value, str):
            return styled(value)
        if not isinstance(value, list):
            return value
        shown = CommentedSeq(map(self.show, value))
        shown.fa.set_flow_style()
        return shown


class Duration(Kind):
    """A length of time in ISO 8601 (PT2S, PT30M, P2D), above zero. Years and months have no fixed length."""

    def words(self) -> str:
        return "duration such as `PT30M`"

    def read(self, node: Node) -> timedelta:
        found = DURATION.fullmatch(node.value) if isinstance(node, ScalarNode) else None
        if found is None:
            raise refused(node, f"“{excerpt(node)}” is not a duration such as PT30M, PT24H or P2D")
        parts = {name: Decimal(text) for name, text in found.groupdict().items() if text}
        seconds = parts.pop("seconds", Decimal(0))
        length = timedelta(**{name: int(number) for name, number in parts.items()})
        length += timedelta(microseconds=int(seconds * 1_000_000))
        if not timedelta() < length <= LONGEST_DURATION:
            raise refused(node, f"a duration lies above zero and below ten years; “{node.value}” does not")
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

    def words(self) -> str:
        return 'time of day such as `"20:00"`'

    def read(self, node: Node) -> time:
        found = CLOCK.fullmatch(node.value) if isinstance(node, ScalarNode) else None
        if found is None:
            raise refused(node, f'“{excerpt(node)}” is not a time of day such as "20:00"')
        hour, minute, second = (int(part or 0) for part in found.groups())
        return time(hour, minute, second)

    def show(self, value: time) -> str:
        # In quotes: older readers take 20:00 for a number to the base of sixty.
        return in_quotes(value.isoformat("seconds" if value.second else "minutes"))


def styled(text: str) -> str:
    """Return a text in a style that keeps it: an ordinary one as it is, several lines as a block, else in quotes."""
    if ORDINARY.fullmatch(text):
        return text
    lines = text.split("\n")
    if len(lines) == 1 or not (lines[0] and lines[-1]):
        return in_quotes(text)
    # What becomes of spaces at the ends of lines depends on where the block stands.
    if not all(line.isprintable() and line == line.strip() for line in lines):
        return in_quotes(text)
    block: str = LiteralScalarString(text)
    return block


def in_quotes(text: str) -> str:
    quoted: str = DoubleQuotedScalarString(text)
    return quoted
