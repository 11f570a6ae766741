"""The configuration file as YAML, and what it may leave out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from io import StringIO
from itertools import chain
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.reader import ReaderError

from bridge.configuration.document import (
    STATUS_IDS,
    USUAL,
    USUAL_ENDS,
    VERDICTS,
    Configuration,
    Pipeline,
    Qualification,
)
from bridge.configuration.file_problems import Problem, RefusedError
from bridge.configuration.structures import One

LARGEST_FILE = 1024 * 1024


def parse(data: bytes) -> Configuration:
    """Return what the file says, with everything filled in that it may leave out.

    Looks at the shape alone: what the parts say about each other is `contradictions.find`'s. Raises RefusedError.
    """
    if len(data) > LARGEST_FILE:
        raise RefusedError([Problem(1, f"the file has {len(data)} bytes; at most {LARGEST_FILE} are read")])
    node = _compose(data)
    if node is None:
        raise RefusedError([Problem(1, "the file is empty")])
    read = One(Configuration).read(node)
    assert isinstance(read, Configuration)
    return replace(read, pipelines=tuple(complete(pipeline) for pipeline in read.pipelines))


def dump(configuration: Configuration) -> str:
    """Return the file that says this: defaults left out, keys in one order, so that equal ones are equal texts."""
    short = replace(configuration, pipelines=tuple(shorten(pipeline) for pipeline in configuration.pipelines))
    yaml = YAML()
    # Rows stay on their lines: a change of one is a change of one line.
    yaml.width = LARGEST_FILE
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    yaml.dump(One(Configuration).show(short), text)
    return text.getvalue()


def complete(pipeline: Pipeline) -> Pipeline:
    """Fill in what a file may leave out."""
    stages = [
        replace(stage, kommo_status_id=stage.kommo_status_id or STATUS_IDS.get(stage.kind)) for stage in pipeline.stages
    ]
    for kind, usual in USUAL_ENDS.items():
        if kind not in pipeline.without and all(kind not in (stage.kind, stage.key) for stage in stages):
            stages.append(replace(usual, kommo_status_id=STATUS_IDS[kind], lines={"": pipeline.lines.get("stages", 1)}))
    qualification = pipeline.qualification
    if qualification:
        keys = {stage.key for stage in stages}
        verdicts = {name: getattr(qualification, name) for name in VERDICTS}
        usual_stages: dict[str, Any] = {
            name: (VERDICTS[name] if VERDICTS[name] in keys else None)
            for name, stage in verdicts.items()
            if stage == USUAL
        }
        qualification = replace(qualification, **usual_stages)
    absent = tuple(kind for kind in STATUS_IDS if all(stage.kind != kind for stage in stages))
    # What contradicts itself stays, to be refused with its line.
    absent += tuple(kind for kind in pipeline.without if kind not in absent)
    return replace(pipeline, stages=tuple(stages), qualification=qualification, without=absent)


def shorten(pipeline: Pipeline) -> Pipeline:
    """Leave out what `complete` fills in."""
    stages = [
        replace(stage, kommo_status_id=None) if stage.kommo_status_id == STATUS_IDS.get(stage.kind) else stage
        for stage in pipeline.stages
    ]
    short = replace(pipeline, stages=tuple(stages))
    for without_ends in (("won", "lost"), ("lost",), ("won",)):
        usual = [USUAL_ENDS[kind] for kind in without_ends]
        fewer = replace(pipeline, stages=tuple(stage for stage in stages if stage not in usual))
        if complete(fewer) == pipeline:
            short = fewer
            break
    qualification = pipeline.qualification
    if qualification:
        usually = complete(replace(pipeline, qualification=Qualification())).qualification
        same = [name for name in VERDICTS if getattr(qualification, name) == getattr(usually, name)]
        usual_stages: dict[str, Any] = dict.fromkeys(same, USUAL)
        qualification = replace(qualification, **usual_stages)
    return replace(short, qualification=qualification)


def in_order(pipeline: Pipeline) -> Pipeline:
    """Put what is a set into the order in which the database gives it back. Every reference is known to be right."""
    places = {stage.key: place for place, stage in enumerate(pipeline.stages)}
    qualification = pipeline.qualification and replace(
        pipeline.qualification,
        criteria=tuple(
            replace(criterion, flows=tuple(sorted(criterion.flows, key=pipeline.flows.index)))
            for criterion in pipeline.qualification.criteria
        ),
    )
    sequences = tuple(
        replace(sequence, stop_stages=tuple(sorted(sequence.stop_stages, key=places.__getitem__)))
        for sequence in pipeline.sequences
    )
    return replace(pipeline, qualification=qualification, sequences=sequences)


def _compose(data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
        return _bounded(YAML().compose(text))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RefusedError([Problem(line, "the file is not in UTF-8")]) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RefusedError([Problem(line, "there is a control character here")]) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = int(mark.line) + 1 if mark else 1
        raise RefusedError([Problem(where, f"this is not YAML: {error.problem or error.context}")]) from error
    except YAMLError as error:
        raise RefusedError([Problem(1, f"this is not YAML: {error}")]) from error
    except RecursionError as error:
        raise RefusedError([Problem(1, "the file is nested too deeply")]) from error


def _bounded(root: Node | None) -> Node | None:
    """Return what was read unless its aliases (`*name`) say more than any file without them could.

    Each part of a file takes a sign at least. Parts that name parts which name parts grow without bound.
    """
    sizes: dict[int, int] = {}

    def size(node: Node) -> int:
        if id(node) not in sizes:
            # What holds itself is read no deeper than a configuration goes.
            sizes[id(node)] = 0
            sizes[id(node)] = 1 + sum(map(size, _parts(node)))
            if sizes[id(node)] > LARGEST_FILE:
                raise RefusedError([Problem(int(node.start_mark.line) + 1, "aliases (*name) repeat too much here")])
        return sizes[id(node)]

    if root:
        size(root)
    return root


def _parts(node: Node) -> Iterable[Node]:
    if isinstance(node, MappingNode):
        return chain.from_iterable(node.value)
    return node.value if isinstance(node, SequenceNode) else ()
