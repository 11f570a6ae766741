"""What a pipeline's rules say, in sentences staff read, and what changes from one configuration to another.

The same sentences stand on the rules pages, before publishing, and in the history. Everything staff edit is in one of
them; should two configurations differ in something that is not, `changes` falls back on the document's own words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import SequenceMatcher
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from bridge.configuration import differences, document
from followups import text_chips
from followups.models import Sequence
from leads import models as leads
from leads import served_leads

SECTIONS = (
    ("stages", gettext_lazy("Stages")),
    ("conversation", gettext_lazy("Conversation")),
    ("qualification", gettext_lazy("Qualification")),
    ("fields", gettext_lazy("Fields and tags")),
    ("sequences", gettext_lazy("Follow-ups")),
    ("hours", gettext_lazy("Hours and team")),
)
# Which section a key of the document belongs to, where that is not “Hours and team”.
SECTION_OF = {
    "stages": "stages",
    "without": "stages",
    "meeting_stage": "stages",
    "handoff_stage": "stages",
    "stage_mappings": "conversation",
    "qualification": "qualification",
    "fields": "fields",
    "tags": "fields",
    "flows": "fields",
    "sequences": "sequences",
}
WEEKDAYS = {
    "mon": gettext_lazy("Monday"),
    "tue": gettext_lazy("Tuesday"),
    "wed": gettext_lazy("Wednesday"),
    "thu": gettext_lazy("Thursday"),
    "fri": gettext_lazy("Friday"),
    "sat": gettext_lazy("Saturday"),
    "sun": gettext_lazy("Sunday"),
}
FIELD_NAMES = {
    "channel": gettext_lazy("channel"),
    "objections": gettext_lazy("objections"),
    "conversation_stage": gettext_lazy("conversation stage"),
    "phone": gettext_lazy("phone"),
}


@dataclass(frozen=True)
class Placed:
    """One name of a list whose order changes: its place from 1, the one it had, and whether it was moved itself."""

    name: str
    place: int
    was: int | None
    is_moved: bool

    @property
    def is_new(self) -> bool:
        return self.was is None


@dataclass(frozen=True)
class Change:
    """A sentence before and after; one of them is empty where something came or went.

    order: where the two only say in which order things stand, the new order as a list.
    """

    before: str
    after: str
    order: tuple[Placed, ...] = ()


def of(pipeline: document.Pipeline, statuses: Mapping[int, str] | None = None) -> dict[str, list[str]]:
    """Return the sentences of each section. statuses: Kommo's names of its stages, by their ids."""
    names = {stage.key: stage.name for stage in pipeline.stages}
    return {
        "stages": list(_stages(pipeline, names, statuses or {})),
        "conversation": [mapping(stage_mapping, names) for stage_mapping in pipeline.stage_mappings],
        "qualification": list(_qualification(pipeline.qualification, names)),
        "fields": list(_fields(pipeline)),
        "sequences": [text for sequence in pipeline.sequences for text in _sequence(sequence, names)],
        "hours": list(_hours(pipeline)),
    }


def changes(
    old: document.Pipeline,
    new: document.Pipeline,
    statuses: Mapping[int, str] | None = None,
    made: Collection[str] = (),
) -> list[tuple[str, str, list[Change]]]:
    """Return what changes as (section, its title, sentences before and after); only sections that change.

    made: the keys of stages that are made in Kommo together with it.
    """
    before, after = of(old, statuses), of(new, statuses)
    found = []
    for key, title in SECTIONS:
        changed = list(
            _of_stages(old, new, statuses or {}, made) if key == "stages" else _differing(before[key], after[key])
        )
        if changed:
            found.append((key, str(title), changed))
    if not found and old != new:
        lines = differences.between(_alone(old), _alone(new))
        found.append(("", _("Other"), [Change("", line) for line in lines]))
    return found


def sections_of(keys: Iterable[str]) -> list[str]:
    """Return the titles of the sections that these keys of the document belong to."""
    titles = dict(SECTIONS)
    return list(dict.fromkeys(str(titles[SECTION_OF.get(key, "hours")]) for key in keys))


def mapping(stage_mapping: document.StageMapping, names: Mapping[str, str]) -> str:
    words = {"stage": stage_mapping.conversation_stage, "target": names.get(stage_mapping.move_to or "", "?")}
    if stage_mapping.decide == "qualification":
        text = _("In “%(stage)s”: decide by qualification") % words
    elif stage_mapping.decide == "nothing":
        text = _("In “%(stage)s”: leave the card where it is") % words
    elif stage_mapping.only_if == "meeting":
        return _("In “%(stage)s”, once a meeting is booked: move to %(target)s") % words
    else:
        return _("In “%(stage)s”: move to %(target)s") % words
    return f"{text} ({_('only with a booked meeting')})" if stage_mapping.only_if == "meeting" else text


def criterion(rule: document.Criterion) -> str:
    operator = leads.Criterion.Operator(rule.operator).label
    text = f"{attribute(rule.field)} {operator} {'' if rule.value is None else value(rule.value)}".strip()
    effects = [_("required")] if rule.required else []
    effects += [_("disqualifies if not met")] if rule.disqualifies else []
    text = f"{text}: {_(' and ').join(effects) or _('is only noted')}"
    return f"{text} ({_('only for')} {', '.join(rule.flows)})" if rule.flows else text


def attribute(name: str) -> str:
    """Return what staff call an attribute of a lead."""
    if name in FIELD_NAMES:
        return str(FIELD_NAMES[name])
    try:
        field: Any = leads.Lead._meta.get_field(name)
    except FieldDoesNotExist:
        return name.removeprefix("custom.")
    return str(field.verbose_name)


def value(content: Any) -> str:
    if isinstance(content, list):
        return ", ".join(map(value, content))
    if isinstance(content, bool):
        return _("yes") if content else _("no")
    return content if isinstance(content, str) else formats.number_format(content, use_l10n=True, force_grouping=True)


def duration(length: timedelta) -> str:
    """Return “30 min”, “24 h”, “3 days”: at most two parts, hours up to two days as people say them."""
    seconds = int(length.total_seconds())
    days, rest = divmod(seconds, 86_400)
    if seconds <= 2 * 86_400:
        days, rest = 0, seconds
    parts = [ngettext("%(count)d day", "%(count)d days", days) % {"count": days}] if days else []
    parts += [f"{rest // 3600} h"] if rest >= 3600 else []
    parts += [f"{rest % 3600 // 60} min"] if rest % 3600 >= 60 else []
    parts += [f"{rest % 60} s"] if rest % 60 else []
    return " ".join(parts[:2]) or "0 s"


def stage_traits(stage: document.Stage, names: Mapping[str, str]) -> list[str]:
    """Return what is special about a stage, a few words each."""
    traits = [_("won")] if stage.kind == "won" else [_("lost")] if stage.kind == "lost" else []
    traits += [_("can receive leads from any stage")] if stage.reachable_from_anywhere else []
    traits += [_("only a person takes a lead out")] if stage.protected else []
    traits += [_("the agent stops answering")] if stage.pauses_agent else []
    traits += [_("no note and no task for the seller")] if not stage.tells_staff else []
    traits += [_("an answer takes the lead to %(stage)s") % {"stage": _named(names, stage.on_reply)}] * bool(
        stage.on_reply
    )
    traits += [_("passed through even when the lead skips ahead")] if stage.always_visit else []
    traits += [_("same rank as the stage before it")] if stage.same_rank_as_previous else []
    traits += [_("loss reason “%(reason)s”") % {"reason": stage.loss_reason}] if stage.loss_reason else []
    return traits


def _stages(pipeline: document.Pipeline, names: Mapping[str, str], statuses: Mapping[int, str]) -> Iterator[str]:
    for stage in pipeline.stages:
        yield _stage(stage, names, statuses)
    yield _order(pipeline)
    yield from _destinations(pipeline, names)


def _stage(
    stage: document.Stage, names: Mapping[str, str], statuses: Mapping[int, str], made: Collection[str] = ()
) -> str:
    bound = stage.kommo_status_id
    missing = _("will be created in Kommo") if stage.key in made else _("not bound to Kommo")
    place = f"{_('in Kommo')}: {statuses.get(bound, bound)}" if bound else missing
    return f"{stage.name} — {', '.join([*stage_traits(stage, names), place])}"


def _order(pipeline: document.Pipeline) -> str:
    return f"{_('Order')}: {' → '.join(stage.name for stage in pipeline.stages)}"


def _of_stages(
    old: document.Pipeline, new: document.Pipeline, statuses: Mapping[int, str], made: Collection[str]
) -> Iterator[Change]:
    """Yield what changes of the stages: each beside itself, by its key and not by its place, then their order."""
    (names, before), (new_names, after) = (
        (called, {stage.key: _stage(stage, called, statuses, made) for stage in pipeline.stages})
        for pipeline in (old, new)
        for called in [{stage.key: stage.name for stage in pipeline.stages}]
    )
    for key in dict.fromkeys([*after, *before]):
        if before.get(key) != after.get(key):
            yield Change(before.get(key, ""), after.get(key, ""))
    if list(before) != list(after):
        yield Change(_order(old), _order(new), placed(list(before), list(after), new_names))
    yield from _differing(list(_destinations(old, names)), list(_destinations(new, new_names)))


def placed(before: list[str], after: list[str], names: Mapping[str, str]) -> tuple[Placed, ...]:
    """Return the new order by name. As few as can be count as moved: the others kept their order among themselves."""
    was = {key: place for place, key in enumerate(before, 1)}
    stays = _longest_in_order([was[key] for key in after if key in was])
    return tuple(
        Placed(names.get(key, key), place, was.get(key), is_moved=key in was and was[key] not in stays)
        for place, key in enumerate(after, 1)
    )


def _longest_in_order(numbers: list[int]) -> set[int]:
    """Return the most of these different numbers that grow from left to right."""
    chains: list[list[int]] = [[]]
    for number in numbers:
        shorter = [chain for chain in chains if not chain or chain[-1] < number]
        longest: list[int] = max(shorter, key=len)
        chains.append([*longest, number])
    most: list[int] = max(chains, key=len)
    return set(most)


def _destinations(pipeline: document.Pipeline, names: Mapping[str, str]) -> Iterator[str]:
    if pipeline.meeting_stage:
        yield _("A booked meeting takes the lead to %(stage)s") % {"stage": _named(names, pipeline.meeting_stage)}
    else:
        yield _("A booked meeting moves nobody")
    if pipeline.handoff_stage:
        where = {"stage": _named(names, pipeline.handoff_stage)}
        yield _("When the agent asks for a person, the card goes to %(stage)s") % where


def _qualification(qualification: document.Qualification | None, names: Mapping[str, str]) -> Iterator[str]:
    if qualification is None:
        yield _("Nobody is qualified by rules")
        return
    if qualification.min_score is None:
        yield _("No minimum score")
    else:
        yield _("The score must be at least %(score)s; below it the lead is disqualified") % {
            "score": value(
                qualification.min_score.normalize() if qualification.min_score % 1 else int(qualification.min_score)
            )
        }
    yield from map(criterion, qualification.criteria)
    verdicts = {
        _("Qualified leads go to %(stage)s"): qualification.qualified_stage,
        _("Disqualified leads go to %(stage)s"): qualification.disqualified_stage,
        _("Leads with missing facts go to %(stage)s"): qualification.undecided_stage,
    }
    for text, key in verdicts.items():
        yield text % {"stage": _named(names, key)}


def _fields(pipeline: document.Pipeline) -> Iterator[str]:
    for field in pipeline.fields:
        kind = leads.FieldMapping.Type(field.type).label
        bound = f"{_('field')} {field.kommo_field_id}" if field.kommo_field_id else _("not bound to Kommo")
        yield f"{attribute(field.attribute)} → {field.kommo_field} ({kind}, {bound})"
        for ours, theirs in field.options.items():
            yield f"{attribute(field.attribute)}: “{ours}” → “{theirs}”"
    for tag in pipeline.tags:
        yield _("Tags “%(template)s” show %(attribute)s") % {
            "template": tag.template,
            "attribute": attribute(tag.attribute),
        }
    if pipeline.flows:
        yield f"{_('Flows')}: {', '.join(pipeline.flows)}"


def _sequence(sequence: document.Sequence, names: Mapping[str, str]) -> Iterator[str]:
    title = sequence.name or sequence.slug
    starts = Sequence.StartsOn(sequence.starts_on).label
    state = "" if sequence.is_active else f" ({_('inactive')})"
    yield _("“%(title)s” starts when %(starts)s") % {"title": title, "starts": starts} + state
    for number, step in enumerate(sequence.steps, start=1):
        yield f"{title}, {number}: {step_sentence(step)}"
    if sequence.give_up_after:
        words = {
            "title": title,
            "time": duration(sequence.give_up_after),
            "stage": _named(names, sequence.give_up_stage),
        }
        yield _("“%(title)s” ends after %(time)s without an answer: %(stage)s") % words
    if sequence.stop_stages:
        stops = ", ".join(_named(names, key) for key in sequence.stop_stages)
        yield _("“%(title)s” also stops in %(stages)s") % {"title": title, "stages": stops}


def step_sentence(step: document.Step) -> str:
    when = (
        _("%(time)s before the meeting") % {"time": duration(step.before)}
        if step.before is not None
        else _("%(time)s after our last message") % {"time": duration(step.delay or timedelta())}
    )
    text = text_chips.readable(step.instruction or step.text)
    sentence = _("the agent says it: “%(what)s”") % {"what": text} if step.instruction else f"“{text}”"
    parts = [f"{when}: {sentence}"]
    parts += [_("template %(id)s") % {"id": step.template_id}] if step.template_id else []
    parts += [_("at most %(time)s late") % {"time": duration(step.max_lateness)}] if step.max_lateness else []
    parts += [_("left out when the hours do not allow it on time")] if step.only_on_time else []
    parts += [_("only on %(days)s") % {"days": days(step.weekdays)}] if step.weekdays else []
    return "; ".join(parts)


def days(codes: tuple[str, ...]) -> str:
    if len(codes) == len(WEEKDAYS):
        return _("every day")
    return ", ".join(str(WEEKDAYS[code]) for code in WEEKDAYS if code in codes) or _("no day at all")


def _hours(pipeline: document.Pipeline) -> Iterator[str]:
    hours = pipeline.quiet_hours
    if hours.quiet_from is not None and hours.quiet_to is not None:
        yield _("No message between %(start)s and %(end)s") % {
            "start": formats.time_format(hours.quiet_from, "H:i"),
            "end": formats.time_format(hours.quiet_to, "H:i"),
        }
    else:
        yield _("Messages go out at any hour")
    yield _("Messages go out on: %(days)s") % {"days": days(hours.sending_weekdays)}
    if pipeline.holidays:
        kept = pipeline.holidays
        place = f"{kept.holidays_country} {kept.holidays_subdivision}".strip()
        yield _("Holidays are kept: %(place)s") % {"place": place}
    if pipeline.followup_distance:
        apart = {"time": duration(pipeline.followup_distance)}
        yield _("A follow-up waits %(time)s after one of another pipeline to the same phone") % apart
    else:
        yield _("Follow-ups of several pipelines to one phone keep no distance")
    yield _("Words that end all follow-ups: %(words)s") % {"words": ", ".join(pipeline.opt_out_words) or "–"}
    yield _("Words that stand for nothing: %(words)s") % {"words": ", ".join(pipeline.words_for_nothing) or "–"}
    if pipeline.null_means_unknown:
        yield _("An empty value from the agent clears nothing")
    yield from _served(pipeline.agent_serves)
    if pipeline.booking_url:
        yield _("Leads book a meeting at %(address)s") % {"address": pipeline.booking_url}
    yield (
        _("A handoff ends by itself after %(time)s") % {"time": duration(pipeline.handoff_max)}
        if pipeline.handoff_max
        else _("A handoff lasts until a person ends it")
    )
    if pipeline.silent_when_kommo_is_away:
        yield _("While Kommo could not be asked for half an hour, the agent is silent")
    else:
        yield _("The agent answers also while Kommo cannot be asked")
    if pipeline.chat_reply_pauses:
        yield _("A person who replies in Kommo's chat takes over")
    else:
        yield _("A person's reply in Kommo's chat is no takeover")
    if pipeline.conversations == "kommo":
        yield _("Conversations are those of Kommo's chats")
    if pipeline.channel:
        yield _("Messages leave by %(channel)s first") % {"channel": pipeline.channel}
    if pipeline.typing_pauses:
        yield _("Between the parts of a message it waits as if typing")
    if pipeline.yields_to_bots:
        yield _("Where another bot answers a lead, the agent stops answering that lead")
    yield _("At a handoff a note goes on the card") if pipeline.handoff_note else _("No note at a handoff")
    if pipeline.handoff_task:
        yield _("At a handoff the seller gets the task “%(text)s”, due in %(time)s") % {
            "text": pipeline.handoff_task,
            "time": duration(pipeline.handoff_task_within),
        }
    if pipeline.meeting_result_task:
        yield _("Where a meeting has no result %(time)s after it began, the seller gets the task “%(text)s”") % {
            "text": pipeline.meeting_result_task,
            "time": duration(pipeline.meeting_result_task_after),
        }
    if pipeline.alert_on_calls:
        yield _("Staff are alerted of a lead who calls for a person")
    yield _("%(name)s · clock of %(zone)s · amounts as in %(locale)s · phones of %(region)s") % {
        "name": pipeline.name,
        "zone": pipeline.time_zone,
        "locale": pipeline.locale,
        "region": pipeline.phone_region,
    }


def _served(agent_serves: document.AgentServes) -> Iterator[str]:
    if agent_serves.serves_only_with_tag:
        yield _("The agent serves only leads with the tag “%(tag)s”") % {"tag": agent_serves.serves_only_with_tag}
    if agent_serves.serves_never_with_tag:
        yield _("The agent serves no leads with the tag “%(tag)s”") % {"tag": agent_serves.serves_never_with_tag}
    if agent_serves.serves_only_new_leads:
        yield _("The agent serves only leads who came after this was set")
    if agent_serves.serves_share < 1:
        yield _("The agent serves %(share)s of the leads, by a draw") % {
            "share": served_leads.percent(agent_serves.serves_share)
        }


def _differing(before: list[str], after: list[str]) -> Iterator[Change]:
    for what, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        old, new = before[i1:i2], after[j1:j2]
        for place in range(max(len(old), len(new))):
            yield Change(old[place] if place < len(old) else "", new[place] if place < len(new) else "")


def _named(names: Mapping[str, str], key: str | None) -> str:
    return names.get(key, key) if key else "–"


def _alone(pipeline: document.Pipeline) -> document.Configuration:
    return document.Configuration(pipelines=(pipeline,))
