"""The shape of the configuration file: the whole of what staff edit, as frozen values, and to and from YAML. Pure.

The file is the whole truth: a key that is left out means its default. Only Kommo's ids are different: one that is left
out stays as the database has it. What nearly every pipeline has in common need not be written, and is not exported:

- the stages won and lost, last in the list (`without: [won]` where a pipeline really has none);
- their ids in Kommo, 142 and 143 in every pipeline;
- the stages of the three verdicts, when they are called `qualified`, `disqualified` and `qualifying`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from decimal import Decimal
from io import StringIO
from typing import Annotated, Any, ClassVar
from zoneinfo import available_timezones

import holidays
import phonenumbers
from django.utils import translation
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from bridge.configuration.problems import Problem, RefusedError
from bridge.configuration.records import Named, Record
from bridge.configuration.structures import Many, One, TextPairs, Texts
from bridge.configuration.values import Choice, Clock, Duration, Flag, Id, LocaleName, Score, Slug, Text, Value
from followups import models as followups
from followups.schedule import WEEKDAYS
from followups.texts import BrokenTextError
from followups.texts import check as check_text
from leads import models as leads
from leads.models.pipeline import usual_opt_out_words
from leads.names import name_key

LARGEST_FILE = 1024 * 1024
# Kommo's own, the same in every pipeline.
STATUS_IDS = {"won": 142, "lost": 143}
# What a verdict's stage is called unless the file says otherwise.
VERDICTS = {"qualified_stage": "qualified", "disqualified_stage": "disqualified", "undecided_stage": "qualifying"}
USUAL = "(usual)"


def _text_of_step(text: str) -> str | None:
    # Names are asked of what is new alone (contradictions.unknown_names): what held long ago must be read all the same.
    with translation.override("en"):
        try:
            check_text(text)
        except BrokenTextError as error:
            return f"the text cannot be rendered: {error}"
    return None


@dataclass(frozen=True, kw_only=True)
class Stage(Record):
    called: ClassVar[str] = "stage"
    on_one_line: ClassVar[bool] = True

    key: Annotated[str, Slug(60)]
    name: Annotated[str, Text(200)]
    kind: Annotated[str, Choice(leads.Stage.Kind.values)] = "open"
    # No automatic move goes from one of two stages of one rank to the other.
    same_rank_as_previous: Annotated[bool, Flag()] = False
    reachable_from_anywhere: Annotated[bool, Flag()] = False
    protected: Annotated[bool, Flag()] = False
    pauses_agent: Annotated[bool, Flag()] = False
    tells_staff: Annotated[bool, Flag()] = True
    always_visit: Annotated[bool, Flag()] = False
    on_reply: Annotated[str | None, Slug(60)] = None
    loss_reason: Annotated[str, Text(200, empty=True)] = ""
    kommo_status_id: Annotated[int | None, Id()] = None

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.key,)


USUAL_ENDS = {
    "won": Stage(key="won", name="GANHO", kind="won"),
    "lost": Stage(key="lost", name="PERDIDO", kind="lost"),
}


@dataclass(frozen=True, kw_only=True)
class StageMapping(Record):
    """`decide: nothing` leaves the card where it is."""

    called: ClassVar[str] = "stage mapping"
    on_one_line: ClassVar[bool] = True

    conversation_stage: Annotated[str, Text(200)]
    move_to: Annotated[str | None, Slug(60)] = None
    decide: Annotated[str | None, Choice(["qualification", "nothing"])] = None
    only_if: Annotated[str, Choice(leads.StageMapping.OnlyIf.values)] = "always"

    @property
    def identity(self) -> tuple[Any, ...]:
        return (name_key(self.conversation_stage),)


@dataclass(frozen=True, kw_only=True)
class Criterion(Record):
    called: ClassVar[str] = "criterion"
    on_one_line: ClassVar[bool] = True

    field: Annotated[str, Text(100)]
    operator: Annotated[str, Choice(leads.Criterion.Operator.values)]
    value: Annotated[Any, Value()] = None
    flows: Annotated[tuple[str, ...], Texts(Text(200))] = ()
    required: Annotated[bool, Flag()] = False
    disqualifies: Annotated[bool, Flag()] = False

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.field, self.operator)


@dataclass(frozen=True, kw_only=True)
class Qualification(Record):
    called: ClassVar[str] = "qualification"

    min_score: Annotated[Decimal | None, Score()] = None
    qualified_stage: Annotated[str | None, Slug(60)] = USUAL
    disqualified_stage: Annotated[str | None, Slug(60)] = USUAL
    undecided_stage: Annotated[str | None, Slug(60)] = USUAL
    criteria: Annotated[tuple[Criterion, ...], Many(Criterion)] = ()


@dataclass(frozen=True, kw_only=True)
class Field(Record):
    called: ClassVar[str] = "field"
    on_one_line: ClassVar[bool] = True

    attribute: Annotated[str, Text(100)]
    kommo_field: Annotated[str, Text(200)]
    type: Annotated[str, Choice(leads.FieldMapping.Type.values)]
    options: Annotated[dict[str, str], TextPairs(Text(200))] = field(default_factory=dict)
    kommo_field_id: Annotated[int | None, Id()] = None

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.attribute,)


@dataclass(frozen=True, kw_only=True)
class Tag(Record):
    called: ClassVar[str] = "tag"
    on_one_line: ClassVar[bool] = True

    attribute: Annotated[str, Text(100)]
    template: Annotated[str, Text(100)]

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.template,)


@dataclass(frozen=True, kw_only=True)
class Step(Record):
    """One of `delay` (after our last message) and `before` (the meeting)."""

    called: ClassVar[str] = "step"

    delay: Annotated[timedelta | None, Duration()] = None
    before: Annotated[timedelta | None, Duration()] = None
    text: Annotated[str, Text(4000, check=_text_of_step)]
    template_id: Annotated[str, Text(200, empty=True)] = ""
    max_lateness: Annotated[timedelta | None, Duration()] = None
    weekdays: Annotated[tuple[str, ...], Texts(Choice(WEEKDAYS))] = ()
    # Left out where the hours would move it to another moment.
    only_on_time: Annotated[bool, Flag()] = False


@dataclass(frozen=True, kw_only=True)
class Sequence(Record):
    called: ClassVar[str] = "sequence"

    slug: Annotated[str, Slug(60)]
    name: Annotated[str, Text(200, empty=True)] = ""
    is_active: Annotated[bool, Flag(), Named("active")] = True
    starts_on: Annotated[str, Choice(followups.Sequence.StartsOn.values)]
    steps: Annotated[tuple[Step, ...], Many(Step)] = ()
    give_up_after: Annotated[timedelta | None, Duration()] = None
    give_up_stage: Annotated[str | None, Slug(60)] = None
    stop_stages: Annotated[tuple[str, ...], Texts(Slug(60))] = ()

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.slug,)


@dataclass(frozen=True, kw_only=True)
class QuietHours(Record):
    """When no message goes out, on the wall clock of the lead, and the days on which messages do."""

    called: ClassVar[str] = "quiet_hours"
    on_one_line: ClassVar[bool] = True

    quiet_from: Annotated[time | None, Clock(), Named("from")] = None
    quiet_to: Annotated[time | None, Clock(), Named("to")] = None
    sending_weekdays: Annotated[tuple[str, ...], Texts(Choice(WEEKDAYS)), Named("weekdays")] = WEEKDAYS


@dataclass(frozen=True, kw_only=True)
class Holidays(Record):
    """Whose holidays are kept, by ISO codes: {country: BR, state: PE}."""

    called: ClassVar[str] = "holidays"
    on_one_line: ClassVar[bool] = True

    holidays_country: Annotated[str, Choice(holidays.list_supported_countries(), listed=False), Named("country")]
    holidays_subdivision: Annotated[str, Text(10, empty=True), Named("state")] = ""


@dataclass(frozen=True, kw_only=True)
class Pipeline(Record):
    called: ClassVar[str] = "pipeline"

    slug: Annotated[str, Slug(50)]
    name: Annotated[str, Text(200)]
    kommo_pipeline_id: Annotated[int | None, Id()] = None
    is_default: Annotated[bool, Flag(), Named("default")] = False
    locale: Annotated[str, LocaleName()] = "pt_BR"
    time_zone: Annotated[str, Choice(available_timezones(), listed=False)] = "America/Sao_Paulo"
    phone_region: Annotated[str, Choice(phonenumbers.SUPPORTED_REGIONS, listed=False)] = "BR"
    meeting_stage: Annotated[str | None, Slug(60)] = None
    handoff_stage: Annotated[str | None, Slug(60)] = None
    stages: Annotated[tuple[Stage, ...], Many(Stage, at_least=1)]
    without: Annotated[tuple[str, ...], Texts(Choice(STATUS_IDS))] = ()
    stage_mappings: Annotated[tuple[StageMapping, ...], Many(StageMapping)] = ()
    qualification: Annotated[Qualification | None, One(Qualification)] = None
    flows: Annotated[tuple[str, ...], Texts(Text(200))] = ()
    fields: Annotated[tuple[Field, ...], Many(Field)] = ()
    tags: Annotated[tuple[Tag, ...], Many(Tag)] = ()
    sequences: Annotated[tuple[Sequence, ...], Many(Sequence)] = ()
    quiet_hours: Annotated[QuietHours, One(QuietHours)] = field(default_factory=QuietHours)
    holidays: Annotated[Holidays | None, One(Holidays)] = None
    # Between its follow-ups and those of other pipelines to the same phone.
    followup_distance: Annotated[timedelta | None, Duration()] = timedelta(hours=1)
    opt_out_words: Annotated[tuple[str, ...], Texts(Text(100))] = tuple(usual_opt_out_words())
    handoff_max: Annotated[timedelta | None, Duration()] = None
    chat_reply_pauses: Annotated[bool, Flag()] = True
    handoff_note: Annotated[bool, Flag()] = True
    handoff_task: Annotated[str, Text(200, empty=True)] = "Assumir o atendimento deste lead"
    handoff_task_within: Annotated[timedelta, Duration()] = timedelta(hours=1)

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.slug,)


@dataclass(frozen=True, kw_only=True)
class Configuration(Record):
    called: ClassVar[str] = "configuration"

    pipelines: Annotated[tuple[Pipeline, ...], Many(Pipeline, at_least=1)]


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
    stages = [replace(one, kommo_status_id=one.kommo_status_id or STATUS_IDS.get(one.kind)) for one in pipeline.stages]
    for kind, usual in USUAL_ENDS.items():
        if kind not in pipeline.without and all(kind not in (one.kind, one.key) for one in stages):
            stages.append(replace(usual, kommo_status_id=STATUS_IDS[kind], lines={"": pipeline.lines.get("stages", 1)}))
    qualification = pipeline.qualification
    if qualification:
        keys = {one.key for one in stages}
        said = {name: getattr(qualification, name) for name in VERDICTS}
        usual_stages: dict[str, Any] = {
            name: (VERDICTS[name] if VERDICTS[name] in keys else None) for name, stage in said.items() if stage == USUAL
        }
        qualification = replace(qualification, **usual_stages)
    absent = tuple(kind for kind in STATUS_IDS if all(one.kind != kind for one in stages))
    # What contradicts itself stays, to be refused with its line.
    absent += tuple(kind for kind in pipeline.without if kind not in absent)
    return replace(pipeline, stages=tuple(stages), qualification=qualification, without=absent)


def shorten(pipeline: Pipeline) -> Pipeline:
    """Leave out what `complete` fills in."""
    stages = [
        replace(one, kommo_status_id=None) if one.kommo_status_id == STATUS_IDS.get(one.kind) else one
        for one in pipeline.stages
    ]
    short = replace(pipeline, stages=tuple(stages))
    for without_ends in (("won", "lost"), ("lost",), ("won",)):
        usual = [USUAL_ENDS[kind] for kind in without_ends]
        fewer = replace(pipeline, stages=tuple(one for one in stages if one not in usual))
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
            replace(one, flows=tuple(sorted(one.flows, key=pipeline.flows.index)))
            for one in pipeline.qualification.criteria
        ),
    )
    sequences = tuple(
        replace(one, stop_stages=tuple(sorted(one.stop_stages, key=places.__getitem__))) for one in pipeline.sequences
    )
    return replace(pipeline, qualification=qualification, sequences=sequences)


def _compose(data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
        return YAML().compose(text)
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
