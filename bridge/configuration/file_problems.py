"""What is wrong with a configuration file, and on which line. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a file, and the line (from 1) that has it."""

    line: int
    text: str
    # The record it is about, and which of its keys: a page leads to the box.
    about: Any = field(default=None, compare=False, repr=False)
    key: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


class RefusedError(Exception):
    """The file is not taken as it is; `problems` are in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def line_of(node: Node) -> int:
    """Return the line of the file (from 1) that a node begins on."""
    return int(node.start_mark.line) + 1


def tag_of(node: Node) -> str:
    """Return what YAML takes a scalar for: str, int, float, bool, null or something else."""
    return str(node.tag).rpartition(":")[2] if isinstance(node, ScalarNode) else ""


def described(node: Node) -> str:
    """Return what a node is, in a person's words: “a mapping”, “a number”, or its text."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    words = {"int": "a number", "float": "a number", "bool": "true or false", "null": "nothing", "timestamp": "a date"}
    return words.get(tag_of(node), f"“{excerpt(node)}”")


def excerpt(node: Node) -> str:
    """Return a node's text, cut to what fits into a sentence."""
    text = node.value if isinstance(node, ScalarNode) else described(node)
    return text if len(text) <= 60 else f"{text[:59]}…"


def refused(node: Node, text: str) -> RefusedError:
    """Return the refusal of what stands at one node."""
    return RefusedError([Problem(line_of(node), text)])


def unknown(name: str, known: Iterable[str], *, listed: bool = True) -> str:
    """Return the name in quotes with the nearest known one, or with all of them."""
    words = sorted(known)
    near = get_close_matches(name, words, n=1)
    if near:
        return f"“{name}”, did you mean “{near[0]}”?"
    return f"“{name}” (there are: {', '.join(words) or 'none'})" if listed else f"“{name}”"
