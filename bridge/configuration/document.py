"""The shape of the configuration file: the whole of what staff edit, as frozen values. Pure.

The file is the whole truth: a key that is left out means its default. Only Kommo's ids are different: one that is left
out stays as the database has it. What nearly every pipeline has in common need not be written, and is not exported:

- the stages won and lost, last in the list (`without: [won]` where a pipeline really has none);
- their ids in Kommo, 142 and 143 in every pipeline;
- the stages of the three verdicts, when they are called `qualified`, `disqualified` and `qualifying`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import holidays
import phonenumbers
from django.utils import translation

from bridge.configuration.records import Named, Record, Says
from bridge.configuration.structures import Many, One, TextPairs, Texts
from bridge.configuration.values import Choice, Clock, Duration, Flag, Id, LocaleName, Score, Share, Slug, Text, Value
from common.name_spellings import name_key
from followups import models as followups
from followups.schedule import WEEKDAYS
from followups.texts import BrokenTextError
from followups.texts import check as check_text
from followups.time_zone_of_lead import known_zones
from leads import booking_links, served_leads
from leads import models as leads
from leads.models.pipeline import usual_opt_out_words, usual_words_for_nothing

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


def _blank_tag(text: str) -> str | None:
    return "a tag has a name" if text and not text.strip() else None


def _slug_or_nothing(text: str) -> str | None:
    return Slug(50).check(text) if text else None


@dataclass(frozen=True, kw_only=True)
class Stage(Record):
    called: ClassVar[str] = "stage"
    on_one_line: ClassVar[bool] = True

    key: Annotated[str, Slug(60), Says("How everything else names the stage.")]
    name: Annotated[
        str, Text(200), Says("What staff read; Kommo's stage of this name is bound to it by `kommo_connect`.")
    ]
    kind: Annotated[
        str,
        Choice(leads.Stage.Kind.values),
        Says("Whether a lead is won or lost there; automatic moves leave neither."),
    ] = "open"
    # No automatic move goes from one of two stages of one rank to the other.
    same_rank_as_previous: Annotated[
        bool, Flag(), Says("It stands beside the stage before it: no automatic move goes from one to the other.")
    ] = False
    reachable_from_anywhere: Annotated[
        bool, Flag(), Says("Automatic moves may go there from stages further along, too.")
    ] = False
    protected: Annotated[bool, Flag(), Says("Only a person takes a lead out.")] = False
    pauses_agent: Annotated[bool, Flag(), Says("The agent is silent while the lead stands there.")] = False
    tells_staff: Annotated[
        bool,
        Flag(),
        Says(
            "When the agent stops answering there, the seller gets a note and a task; off: it is silent, nothing more."
        ),
    ] = True
    always_visit: Annotated[
        bool,
        Flag(),
        Says("Delivered to Kommo as a step of its own even when the lead has moved on, so that its automations run."),
    ] = False
    on_reply: Annotated[str | None, Slug(60), Says("Where a lead goes who writes from there.")] = None
    loss_reason: Annotated[
        str, Text(200, empty=True), Says("Given to Kommo with a move there; for the stage of kind `lost`.")
    ] = ""
    kommo_status_id: Annotated[int | None, Id(), Says("Kommo's stage; left out, it stays as it is bound.")] = None

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

    conversation_stage: Annotated[
        str,
        Text(200),
        Says("What the agent reports, whatever its case, accents and `_`. The first that matches wins."),
    ]
    move_to: Annotated[str | None, Slug(60), Says("The stage this means. One of `move_to` and `decide` is given.")] = (
        None
    )
    decide: Annotated[
        str | None,
        Choice(["qualification", "nothing"]),
        Says("`qualification` asks the criteria, `nothing` leaves the card where it is."),
    ] = None
    only_if: Annotated[
        str, Choice(leads.StageMapping.OnlyIf.values), Says("`meeting`: only while a meeting is booked.")
    ] = "always"

    @property
    def identity(self) -> tuple[Any, ...]:
        return (name_key(self.conversation_stage),)


@dataclass(frozen=True, kw_only=True)
class Criterion(Record):
    called: ClassVar[str] = "criterion"
    on_one_line: ClassVar[bool] = True

    field: Annotated[
        str, Text(100), Says("The lead's attribute that is held against it; further facts are `custom.<name>`.")
    ]
    operator: Annotated[str, Choice(leads.Criterion.Operator.values), Says("How it is compared.")]
    value: Annotated[Any, Value(), Says("What it is compared with; for those that compare.")] = None
    flows: Annotated[
        tuple[str, ...], Texts(Text(200)), Says("Only for leads who chose one of these flows; left out: for all.")
    ] = ()
    required: Annotated[bool, Flag(), Says("It has to be met for a lead to be qualified.")] = False
    disqualifies: Annotated[
        bool, Flag(), Says("A lead that fails it is disqualified; not knowing is never failing.")
    ] = False

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.field, self.operator)


@dataclass(frozen=True, kw_only=True)
class Qualification(Record):
    called: ClassVar[str] = "qualification"

    min_score: Annotated[
        Decimal | None, Score(), Says("The least score of a qualified lead; below it a lead is disqualified.")
    ] = None
    qualified_stage: Annotated[str | None, Slug(60), Says("Where qualified leads go.")] = USUAL
    disqualified_stage: Annotated[
        str | None, Slug(60), Says("Where disqualified leads go; a verdict that turns is followed from here, too.")
    ] = USUAL
    undecided_stage: Annotated[str | None, Slug(60), Says("Where leads go of whom too little is known.")] = USUAL
    criteria: Annotated[tuple[Criterion, ...], Many(Criterion), Says("What is asked beside the score.")] = ()


@dataclass(frozen=True, kw_only=True)
class Field(Record):
    called: ClassVar[str] = "field"
    on_one_line: ClassVar[bool] = True

    attribute: Annotated[str, Text(100), Says("The lead's attribute that is shown; further facts are `custom.<name>`.")]
    kommo_field: Annotated[str, Text(200), Says("The custom field in Kommo, by its name.")]
    type: Annotated[str, Choice(leads.FieldMapping.Type.values), Says("The field's type in Kommo.")]
    options: Annotated[
        dict[str, str],
        TextPairs(Text(200)),
        Says("Our value -> the option's name in Kommo, where they differ; of `chosen_flow` each is a flow."),
    ] = field(default_factory=dict)
    kommo_field_id: Annotated[int | None, Id(), Says("Kommo's field; left out, it stays as it is bound.")] = None

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.attribute,)


@dataclass(frozen=True, kw_only=True)
class Tag(Record):
    called: ClassVar[str] = "tag"
    on_one_line: ClassVar[bool] = True

    attribute: Annotated[
        str, Text(100), Says("The lead's attribute that is shown; `channel` is by what they last wrote.")
    ]
    template: Annotated[
        str,
        Text(100),
        Says("The tag with `{value}` in it; what stands before it makes the family of tags that the bridge owns."),
    ]

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.template,)


@dataclass(frozen=True, kw_only=True)
class Step(Record):
    """One of `delay` (after our last message) and `before` (the meeting)."""

    called: ClassVar[str] = "step"

    delay: Annotated[
        timedelta | None, Duration(), Says("How long after our last message. One of `delay` and `before` is given.")
    ] = None
    before: Annotated[timedelta | None, Duration(), Says("How long before the meeting.")] = None
    text: Annotated[
        str,
        Text(4000, empty=True, check=_text_of_step),
        Says("What is said, a Liquid template. One of it and `instruction`."),
    ] = ""
    instruction: Annotated[
        str,
        Text(4000, empty=True, check=_text_of_step),
        Says("In place of a text: what the agent is to speak of. It finds the words, and they leave as a text does."),
    ] = ""
    template_id: Annotated[
        str, Text(200, empty=True), Says("The approved WhatsApp template for messages beyond 24 hours.")
    ] = ""
    max_lateness: Annotated[timedelta | None, Duration(), Says("How late it may still go out after an outage.")] = None
    weekdays: Annotated[tuple[str, ...], Texts(Choice(WEEKDAYS)), Says("Only on these days.")] = ()
    # Left out where the hours would move it to another moment.
    only_on_time: Annotated[bool, Flag(), Says("Left out when quiet hours would move it to another time.")] = False


@dataclass(frozen=True, kw_only=True)
class Sequence(Record):
    called: ClassVar[str] = "sequence"

    slug: Annotated[str, Slug(60), Says("How everything else names the sequence.")]
    name: Annotated[str, Text(200, empty=True), Says("What staff read.")] = ""
    is_active: Annotated[bool, Flag(), Named("active"), Says("Whether leads are taken in.")] = True
    starts_on: Annotated[str, Choice(followups.Sequence.StartsOn.values), Says("What begins it.")]
    steps: Annotated[tuple[Step, ...], Many(Step), Says("Its messages, in order.")] = ()
    give_up_after: Annotated[
        timedelta | None,
        Duration(),
        Says("How long nobody has to answer the last message for a lead to be given up on."),
    ] = None
    give_up_stage: Annotated[str | None, Slug(60), Says("Where those go.")] = None
    stop_stages: Annotated[tuple[str, ...], Texts(Slug(60)), Says("Further stages in which it stops.")] = ()

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.slug,)


@dataclass(frozen=True, kw_only=True)
class QuietHours(Record):
    """When no message goes out, on the wall clock of the lead, and the days on which messages do."""

    called: ClassVar[str] = "quiet_hours"
    on_one_line: ClassVar[bool] = True

    quiet_from: Annotated[
        time | None, Clock(), Named("from"), Says("From when no message goes out, on the lead's clock.")
    ] = None
    quiet_to: Annotated[time | None, Clock(), Named("to"), Says("Until when.")] = None
    sending_weekdays: Annotated[
        tuple[str, ...], Texts(Choice(WEEKDAYS)), Named("weekdays"), Says("The days on which messages go out.")
    ] = WEEKDAYS


@dataclass(frozen=True, kw_only=True)
class AgentServes(Record):
    """Whom the agent serves: {only_with_tag: IA, share: 0.1}. Everything that is named must hold."""

    called: ClassVar[str] = "agent_serves"
    on_one_line: ClassVar[bool] = True

    serves_only_with_tag: Annotated[
        str,
        Text(250, empty=True, check=_blank_tag),
        Named("only_with_tag"),
        Says("Only leads whose card has this tag; empty: any."),
    ] = ""
    serves_never_with_tag: Annotated[
        str,
        Text(250, empty=True, check=_blank_tag),
        Named("never_with_tag"),
        Says("No lead whose card has this tag; empty: none is left out."),
    ] = ""
    serves_only_new_leads: Annotated[
        bool, Flag(), Named("only_new_leads"), Says("Only leads who came after this was set.")
    ] = False
    serves_share: Annotated[
        Decimal,
        Share(),
        Named("share"),
        Says("So many of them, by a draw that stays the same for each person: 0.1 is a tenth."),
    ] = served_leads.EVERYBODY


@dataclass(frozen=True, kw_only=True)
class Holidays(Record):
    """Whose holidays are kept, by ISO codes: {country: BR, state: PE}."""

    called: ClassVar[str] = "holidays"
    on_one_line: ClassVar[bool] = True

    holidays_country: Annotated[
        str,
        Choice(holidays.list_supported_countries(), listed=False),
        Named("country"),
        Says(
            "Whose holidays are kept, by its ISO code. In `BR` nudges wait on the customary ones too, such as Carnival."
        ),
    ]
    holidays_subdivision: Annotated[str, Text(10, empty=True), Named("state"), Says("And whose of its states.")] = ""


@dataclass(frozen=True, kw_only=True)
class Pipeline(Record):
    called: ClassVar[str] = "pipeline"

    slug: Annotated[str, Slug(50), Says("How the agent and everything else name the pipeline.")]
    name: Annotated[str, Text(200), Says("What staff read.")]
    kommo_pipeline_id: Annotated[int | None, Id(), Says("Kommo's pipeline; left out, it stays as it is bound.")] = None
    is_default: Annotated[bool, Flag(), Named("default"), Says("Used when the agent names no pipeline.")] = False
    locale: Annotated[
        str, LocaleName(), Says("How amounts are read, and in which language sellers are written to.")
    ] = "pt_BR"
    time_zone: Annotated[str, Choice(known_zones(), listed=False), Says("The clock of its hours.")] = (
        "America/Sao_Paulo"
    )
    phone_region: Annotated[
        str, Choice(phonenumbers.SUPPORTED_REGIONS, listed=False), Says("The country of phones without a code.")
    ] = "BR"
    meeting_stage: Annotated[str | None, Slug(60), Says("Where a booked meeting takes a lead.")] = None
    handoff_stage: Annotated[
        str | None, Slug(60), Says("Where the card goes when the agent asks for a person; left out: it stays.")
    ] = None
    stages: Annotated[
        tuple[Stage, ...],
        Many(Stage, at_least=1),
        Says("Its stages in their order: a new lead starts in the first, automatic moves go down the list."),
    ]
    without: Annotated[
        tuple[str, ...],
        Texts(Choice(STATUS_IDS)),
        Says("Of `won` and `lost`, which it really has not; else they are added by themselves."),
    ] = ()
    stage_mappings: Annotated[
        tuple[StageMapping, ...], Many(StageMapping), Says("What the agent's conversation stages mean.")
    ] = ()
    qualification: Annotated[
        Qualification | None, One(Qualification), Says("When a lead counts as qualified; left out: nobody is judged.")
    ] = None
    flows: Annotated[
        tuple[str, ...], Texts(Text(200)), Says("The solutions a lead can choose, as the agent names them.")
    ] = ()
    fields: Annotated[tuple[Field, ...], Many(Field), Says("Which custom fields in Kommo show what.")] = ()
    tags: Annotated[tuple[Tag, ...], Many(Tag), Says("Which tags show what.")] = ()
    sequences: Annotated[tuple[Sequence, ...], Many(Sequence), Says("Follow-ups and reminders.")] = ()
    quiet_hours: Annotated[QuietHours, One(QuietHours), Says("When no message goes out.")] = field(
        default_factory=QuietHours
    )
    holidays: Annotated[Holidays | None, One(Holidays), Says("Days on which no message goes out.")] = None
    # Between its follow-ups and those of other pipelines to the same phone.
    followup_distance: Annotated[
        timedelta | None,
        Duration(),
        Says("The least time between its follow-ups and those of other pipelines to the same phone."),
    ] = timedelta(hours=1)
    opt_out_words: Annotated[
        tuple[str, ...], Texts(Text(100)), Says("A lead who writes exactly one of these gets no follow-up ever again.")
    ] = tuple(usual_opt_out_words())
    words_for_nothing: Annotated[
        tuple[str, ...],
        Texts(Text(100)),
        Says("A name, flow, objection or further fact that is one of these was not reported."),
    ] = tuple(usual_words_for_nothing())
    null_means_unknown: Annotated[
        bool, Flag(), Says("An empty value from the agent clears nothing: for schemas that fill in every field.")
    ] = False
    agent_serves: Annotated[
        AgentServes,
        One(AgentServes),
        Says("Which leads the agent serves; to the others it may not reply, and it is told nothing of them."),
    ] = field(default_factory=AgentServes)
    booking_url: Annotated[
        str,
        Text(1000, empty=True, check=booking_links.wrong),
        Says("Where leads book a meeting (Cal.com, Calendly); each lead's link carries a mark. Empty: nowhere."),
    ] = ""
    handoff_max: Annotated[
        timedelta | None,
        Duration(),
        Says(
            "How long a handoff lasts at most; left out: until a person ends it. In a stage that pauses the agent it "
            "lasts as long as the card stands there, unless only the agent asked for a person."
        ),
    ] = None
    silent_when_kommo_is_away: Annotated[
        bool, Flag(), Says("While Kommo could not be asked for half an hour, the agent may not reply.")
    ] = True
    chat_reply_pauses: Annotated[bool, Flag(), Says("A person who replies in Kommo's chat takes over.")] = True
    conversations: Annotated[
        str,
        Choice(leads.Pipeline.Conversations.values),
        Says(
            "Where leads and the agent write to each other: `agent` (its own channel, a way in), or `kommo`: what is "
            "written in Kommo's chats is the conversation, and the agent is told of it."
        ),
    ] = leads.Pipeline.Conversations.AGENT.value
    channel: Annotated[
        str,
        Text(50, empty=True, check=_slug_or_nothing),
        Says("The way out by which messages leave first (`manage.py channel`); when it fails, by its others in order."),
    ] = ""
    typing_pauses: Annotated[
        bool, Flag(), Says("Between the parts of a message it waits as long as a person would type the next one.")
    ] = False
    yields_to_bots: Annotated[
        bool, Flag(), Says("Where another bot answers a lead in Kommo's chat, the agent stops answering that lead.")
    ] = False
    phone_field: Annotated[
        str,
        Text(200, empty=True),
        Says("A field of the lead in Kommo that holds the phone, where cards have no contact; empty: none."),
    ] = ""
    handoff_note: Annotated[bool, Flag(), Says("At a handoff a note on the card tells the seller what is known.")] = (
        True
    )
    handoff_task: Annotated[str, Text(200, empty=True), Says("The task the seller gets at a handoff; empty: none.")] = (
        "Assumir o atendimento deste lead"
    )
    handoff_task_within: Annotated[
        timedelta, Duration(), Says("When that task is due, and every other one given to a seller.")
    ] = timedelta(hours=1)
    meeting_result_task: Annotated[
        str,
        Text(200, empty=True),
        Says("The task the seller gets where a meeting has gone by without a result; empty: none."),
    ] = ""
    meeting_result_task_after: Annotated[
        timedelta, Duration(), Says("How long after the meeting began; its result until then makes no task.")
    ] = timedelta(hours=2)
    alert_on_calls: Annotated[
        bool,
        Flag(),
        Says("Staff are alerted of a lead who writes or books where no rule leads on, until somebody answers."),
    ] = False

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.slug,)


@dataclass(frozen=True, kw_only=True)
class Configuration(Record):
    called: ClassVar[str] = "configuration"

    pipelines: Annotated[
        tuple[Pipeline, ...],
        Many(Pipeline, at_least=1),
        Says("All there are: one that the file has not is removed, unless leads stand in it."),
    ]
