"""The reference of the configuration file, every key of it, made from the file's description. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from bridge.configuration import document
from bridge.configuration.records import Key, Record, keys_of
from bridge.configuration.structures import Many, One

HEAD = """\
# The configuration file, key by key

Written by `manage.py bridge_config reference` from the description that reads, checks and writes the file
(`bridge/configuration/document.py`), and compared with it by a test: nothing here is typed by hand.

`manage.py bridge_config export FILE` writes the whole of it, `manage.py bridge_config import FILE [--dry-run]` brings
it into force, all or nothing. A key that is left out has its default; Kommo's ids alone stay as they are bound. `null`
may stand where a key may be empty. Unknown keys, unknown references and contradictions are refused with their line.
Examples: [playbooks](../playbooks).
"""
USUALLY = "`{stage}`, if there is such a stage"


def markdown() -> str:
    """Return the reference, in Markdown."""
    return "\n".join([HEAD, *(line for record in _records(document.Configuration) for line in _section(record))])


def _records(record: type[Record]) -> Iterator[type[Record]]:
    """Yield a record and what stands in it, each once, the outer ones first."""
    yield record
    for key in keys_of(record):
        kind = key.kind.entry if isinstance(key.kind, Many) else key.kind
        if isinstance(kind, One):
            yield from _records(kind.record)


def _section(record: type[Record]) -> Iterator[str]:
    yield f"## {record.called}"
    yield ""
    yield "| key | what stands there | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for key in keys_of(record):
        empty = " or `null`" if key.nullable else ""
        yield f"| `{key.name}` | {key.kind.words()}{empty} | {_default(key)} | {key.meaning} |"
    yield ""


def _default(key: Key) -> str:
    if key.default is None:
        return "has to be given"
    value = key.default()
    if value == document.USUAL:
        return USUALLY.format(stage=document.VERDICTS[key.attribute])
    if value is None or value == "" or value == () or value == {} or isinstance(value, Record):
        return "none"
    return f"`{_plain(key.kind.show(value))}`"


def _plain(shown: object) -> str:
    if isinstance(shown, bool):
        return "true" if shown else "false"
    if isinstance(shown, (list, CommentedSeq)):
        return f"[{', '.join(map(_plain, shown))}]"
    if isinstance(shown, (dict, CommentedMap)):
        return f"{{{', '.join(f'{name}: {_plain(value)}' for name, value in shown.items())}}}"
    return str(shown)
