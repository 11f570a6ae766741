"""Which of two facts about one thing stands: the newer one, and never a repetition over a person's correction.

Every attribute of a lead remembers when its newest fact became true and who said so. An interaction that arrives late
does not undo a newer value. A value that a person set in Kommo stands until the conversation brings a *new* fact: an
agent that repeats what it said before the person corrected it brings none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from common.reasons import Reason
from leads.models import Lead
from leads.words_for_nothing import is_worse, name_of

# What "nothing" looks like in columns that hold text; None everywhere else.
EMPTY = {"name": "", "email": "", "chosen_flow": ""}


@dataclass(frozen=True)
class Answered:
    """A message of ours that ended somebody's wait: the first one the lead got, or a person's after a handoff.

    `by`: the name of that person, where it was told.
    """

    at: datetime
    is_first: bool
    handed_over_at: datetime | None
    by: str = ""


@dataclass
class Change:
    """What one interaction changed: columns to save, what to tell the timeline, and what came too late."""

    columns: set[str] = field(default_factory=set)
    timeline: dict[str, Any] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    # Attribute -> why what was reported of it was not taken up, in words for whoever reported it.
    ignored: dict[str, str] = field(default_factory=dict)
    # The meeting that the lead shows is another one, or has changed.
    meeting_changed: bool = False
    # The status that was reported of any of its meetings, and which one was booked, for when; where that was news.
    meeting_reported: str = ""
    meeting_booked: tuple[str, datetime | None] | None = None
    # A word for a flow that no flow of the pipeline is called by.
    unmapped_flow: str = ""
    # Why staff are asked: its meeting has gone by without a result.
    gone_by: str = ""
    answered: Answered | None = None
    # Told afterwards: it fills in what nobody knows, over no person and over nothing that was found on a card.
    history: bool = False

    def is_newer(self, lead: Lead, attribute: str, at: datetime) -> bool:
        """Say whether a fact of that time may change the attribute; a fact as old as the known one may."""
        known = lead.provenance.get(attribute)
        if known and datetime.fromisoformat(known["at"]) > at:
            self.is_stale(attribute, known["at"])
            return False
        return self.may_fill_in(lead, attribute)

    def is_stale(self, attribute: str, known_at: str) -> None:
        """Note that what was reported of it is older than what is known."""
        self.stale.add(attribute)
        self.ignored[attribute] = Reason("older_than_known", at=known_at)

    def may_fill_in(self, lead: Lead, attribute: str) -> bool:
        """Say whether it may be changed: what is told afterwards changes nothing that somebody else has set."""
        if not (self.history and _is_somebodys(lead, attribute, lead.provenance.get(attribute))):
            return True
        self.stale.add(attribute)
        self.ignored[attribute] = Reason("told_afterwards")
        return False

    def is_a_persons(self, lead: Lead, attribute: str, value: Any) -> bool:
        """Say whether this only repeats what the agent had said before a person set something else."""
        if not _repeats_over_a_person(lead, attribute, value):
            return False
        self.ignored[attribute] = Reason("said_before_person_changed_it")
        return True

    def note(
        self, lead: Lead, attribute: str, value: Any, at: datetime, *, changed: bool = True, took_back: bool = False
    ) -> None:
        """Remember that the agent said this at that time, also when it only confirms what is known.

        What was known and is nothing now was taken back, and so is what the agent goes on to call nothing.
        """
        origin = {"at": at.isoformat(), "by": Lead.Actor.AGENT, "said": plain(value)}
        is_nothing = took_back or (changed and value in (None, ""))
        if is_nothing or (value in (None, "") and was_taken_back(lead, attribute)):
            origin["taken_back"] = True
        if lead.provenance.get(attribute) != origin:
            lead.provenance[attribute] = origin
            self.columns.add("provenance")
        if changed:
            self.timeline[attribute] = plain(value)


def apply_facts(
    lead: Lead,
    facts: Mapping[str, Any],
    custom: Mapping[str, Any] | None,
    *,
    at: datetime,
    history: bool = False,
    changes: Change | None = None,
) -> Change:
    """Set what is newer on the lead, in memory, and return what changed. `custom` None clears every further fact."""
    changes = changes or Change()
    changes.history = history
    if custom is None:
        custom = dict.fromkeys(lead.custom)
    for attribute, value in facts.items():
        if attribute == "name" and value and not _is_a_better_name(lead, value, changes):
            continue
        value = name_of(value) if attribute == "name" and value else value
        _merge(lead, attribute, EMPTY.get(attribute) if value is None else value, changes, at)
    for name, value in custom.items():
        _merge_custom(lead, name, value, changes, at)
    return changes


# Anything that is ever said is newer than what a messenger shows.
BEFORE_ANYTHING = datetime(2000, 1, 1, tzinfo=UTC)


def fill_in(lead: Lead, hints: Mapping[str, Any], changes: Change) -> None:
    """Take facts that a messenger shows, such as the name of a profile, where nobody has ever said anything."""
    unknown = {
        attribute: value
        for attribute, value in hints.items()
        if attribute not in lead.provenance and _value_of(lead, attribute) in (None, "")
    }
    for attribute, value in unknown.items():
        value = name_of(value) if attribute == "name" else value
        if value:
            _merge(lead, attribute, value, changes, BEFORE_ANYTHING)


def _is_a_better_name(lead: Lead, name: str, changes: Change) -> bool:
    if not name_of(name):
        changes.ignored["name"] = Reason("no_name", name=name[:40])
    elif is_worse(name_of(name), lead.name):
        changes.ignored["name"] = Reason("tells_less", name=lead.name)
    return "name" not in changes.ignored


def _is_somebodys(lead: Lead, attribute: str, known: Mapping[str, Any] | None) -> bool:
    """Say whether a value is there that the conversation did not bring."""
    if known:
        return bool(known["by"] != Lead.Actor.AGENT)
    if attribute == "meeting":
        return bool(lead.meeting_status)
    return _value_of(lead, attribute) not in (None, "")


def merge_text(lead: Lead, attribute: str, value: str, changes: Change, *, at: datetime) -> None:
    _merge(lead, attribute, value, changes, at)


def taken_back(lead: Lead) -> frozenset[str]:
    """Return the attributes the conversation knew something of and took back: nothing is what is wanted there.

    Of everything else that is empty nobody has spoken, and what somebody else wrote there stands.
    """
    found = {attribute for attribute in lead.provenance if was_taken_back(lead, attribute)}
    return frozenset(found | {"meeting_starts_at", "meeting_link"} if "meeting" in found else found)


def take_back(lead: Lead, attribute: str) -> None:
    """Note, in memory, that nothing is wanted there because somebody said so here."""
    lead.provenance.setdefault(attribute, {})["taken_back"] = True


def was_taken_back(lead: Lead, attribute: str) -> bool:
    return bool(lead.provenance.get(attribute, {}).get("taken_back"))


def adopt(lead: Lead, attribute: str, value: Any, *, at: datetime) -> bool:
    """Take over a value a person set in Kommo, in memory; False when the lead holds it already.

    What the agent said last is kept beside it, so that its repetition is recognised.
    """
    known = lead.provenance.get(attribute, {})
    if known:
        # Kommo's clock may be behind ours; what is heard last is the newest all the same.
        at = max(at, datetime.fromisoformat(known["at"]))
    reported = known.get("said", plain(_value_of(lead, attribute)))
    lead.provenance[attribute] = {"at": at.isoformat(), "by": Lead.Actor.STAFF, "said": reported}
    if _value_of(lead, attribute) == value:
        return False
    if attribute.startswith("custom."):
        _set_custom(lead, attribute.removeprefix("custom."), value)
    else:
        setattr(lead, attribute, value)
    return True


def forget_found(lead: Lead) -> set[str]:
    """Know nothing any more that was found on a card, in memory; return the columns to save."""
    found = [attribute for attribute, known in lead.provenance.items() if known["by"] != Lead.Actor.AGENT]
    for attribute in found:
        del lead.provenance[attribute]
        if attribute.startswith("custom."):
            lead.custom.pop(attribute.removeprefix("custom."), None)
        else:
            setattr(lead, attribute, EMPTY.get(attribute))
    return {"provenance", *("custom" if name.startswith("custom.") else name for name in found)}


def _merge(lead: Lead, attribute: str, value: Any, changes: Change, at: datetime) -> None:
    if not changes.is_newer(lead, attribute, at) or changes.is_a_persons(lead, attribute, value):
        return
    changed = getattr(lead, attribute) != value
    if changed:
        setattr(lead, attribute, value)
        changes.columns.add(attribute)
    changes.note(lead, attribute, value, at, changed=changed)


def _merge_custom(lead: Lead, name: str, value: Any, changes: Change, at: datetime) -> None:
    attribute = f"custom.{name}"
    if not changes.is_newer(lead, attribute, at) or changes.is_a_persons(lead, attribute, value):
        return
    changed = lead.custom.get(name) != value
    if changed:
        _set_custom(lead, name, value)
        changes.columns.add("custom")
    changes.note(lead, attribute, value, at, changed=changed)


def _set_custom(lead: Lead, name: str, value: Any) -> None:
    if value is None:
        lead.custom.pop(name, None)
    else:
        lead.custom[name] = value


def _repeats_over_a_person(lead: Lead, attribute: str, value: Any) -> bool:
    known = lead.provenance.get(attribute)
    return bool(known and known["by"] == Lead.Actor.STAFF and _is_the_same(known.get("said"), value))


def _is_the_same(former: Any, value: Any) -> bool:
    """Compare what was said with what is said now; an amount by its size, for it was written 4E+3 once."""
    if isinstance(value, Decimal) and isinstance(former, str):
        return Decimal(former) == value
    return bool(former == plain(value))


def _value_of(lead: Lead, attribute: str) -> Any:
    if attribute.startswith("custom."):
        return lead.custom.get(attribute.removeprefix("custom."))
    return getattr(lead, attribute)


def plain(value: Any) -> Any:
    """Return a value JSON can hold and that compares equal to itself after a round trip."""
    if isinstance(value, Decimal):
        # As people write it: 4000, not 4E+3.
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.isoformat()
    return value
