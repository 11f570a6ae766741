"""The mappings and lists of the configuration file: how each is read, and how it is shown. Pure."""

from __future__ import annotations

from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bridge.configuration.file_problems import Problem, RefusedError, described, line_of, refused, tag_of, unknown
from bridge.configuration.records import Key, Kind, Record, keys_of, read_each
from bridge.configuration.values import styled


class One(Kind):
    """A mapping."""

    def __init__(self, record: type[Record]) -> None:
        self.record = record

    def words(self) -> str:
        return f"[{self._called}](#{self._called.replace(' ', '-')})"

    def read(self, node: Node) -> Record:
        if not isinstance(node, MappingNode):
            raise refused(node, f"a {self.record.called} is written as keys and values, not as {described(node)}")
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
            content = getattr(value, key.attribute)
            if key.default is None or content != key.default():
                shown[key.name] = None if content is None else key.kind.show(content)
        if value.on_one_line:
            shown.fa.set_flow_style()
        return shown


class Many(Kind):
    """A list of mappings."""

    def __init__(self, record: type[Record], *, at_least: int = 0) -> None:
        self.entry, self.at_least = One(record), at_least

    def words(self) -> str:
        return f"list of {self.entry.words()}"

    def read(self, node: Node) -> tuple[Record, ...]:
        if not isinstance(node, SequenceNode):
            raise refused(node, f"here stands a list of {self.entry.record.called} entries, not {described(node)}")
        if len(node.value) < self.at_least:
            raise refused(node, f"at least one {self.entry.record.called} is needed")
        return tuple(read_each(node.value, self.entry))

    def show(self, value: tuple[Record, ...]) -> list[CommentedMap]:
        return [self.entry.show(record) for record in value]


class Texts(Kind):
    """A list of different texts."""

    def __init__(self, text: Kind) -> None:
        self.text = text

    def words(self) -> str:
        return f"list of: {self.text.words()}"

    def read(self, node: Node) -> tuple[str, ...]:
        if not isinstance(node, SequenceNode):
            raise refused(node, f"here stands a list such as [one, two], not {described(node)}")
        texts = read_each(node.value, self.text)
        twice = [
            Problem(line_of(child), f"“{text}” is twice in the list")
            for index, (child, text) in enumerate(zip(node.value, texts, strict=True))
            if text in texts[:index]
        ]
        if twice:
            raise RefusedError(twice)
        return tuple(texts)

    def show(self, value: tuple[str, ...]) -> CommentedSeq:
        shown = CommentedSeq(map(styled, value))
        shown.fa.set_flow_style()
        return shown


class TextPairs(Kind):
    """A mapping from texts to texts."""

    def __init__(self, text: Kind) -> None:
        self.text = text

    def words(self) -> str:
        return "mapping from text to text"

    def read(self, node: Node) -> dict[str, str]:
        if not isinstance(node, MappingNode):
            raise refused(node, f"here stands a mapping such as {{ours: theirs}}, not {described(node)}")
        names = read_each([key for key, _ in node.value], self.text)
        values = read_each([value for _, value in node.value], self.text)
        twice = [
            Problem(line_of(key), f"“{name}” is given twice")
            for index, ((key, _), name) in enumerate(zip(node.value, names, strict=True))
            if name in names[:index]
        ]
        if twice:
            raise RefusedError(twice)
        return dict(zip(names, values, strict=True))

    def show(self, value: dict[str, str]) -> CommentedMap:
        shown = CommentedMap({styled(name): styled(text) for name, text in value.items()})
        shown.fa.set_flow_style()
        return shown


def _value(key: Key, node: Node) -> Any:
    if tag_of(node) != "null":
        return key.kind.read(node)
    if not key.nullable:
        raise refused(node, f"“{key.name}” has no value: give one or leave the key out")
    return None


def _lines_below(name: str, node: Node) -> dict[str, int]:
    if isinstance(node, SequenceNode):
        return {f"{name}.{index}": line_of(child) for index, child in enumerate(node.value)}
    if isinstance(node, MappingNode):
        return {f"{name}.{key.value}": line_of(key) for key, _ in node.value if isinstance(key, ScalarNode)}
    return {}
