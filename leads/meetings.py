"""Which of a lead's meetings stands? The next one that is booked and still lies ahead; the lead's row shows it.

Every meeting has a row, found by the calendar's id, and news of one touches no other. Where none stands, the lead goes
on showing the one that did, with what became of it. News without an id is of the meeting the lead shows.

Calendars that give a moved meeting a new id do not all cancel the old one. So a meeting whose first news is that it was
moved takes the place of the only other one there was; where there were several, the old one is known when it is
cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, QuerySet

from common.reasons import Reason
from common.statements import Select, insert, update
from leads import announcements, order_of_messages
from leads.announcements import Saved
from leads.interaction_values import Meeting as Told
from leads.models import Event, Lead, Meeting, Stage
from leads.order_of_messages import CLOCK_TOLERANCE
from leads.which_fact_stands import Change, plain, was_taken_back

SHOWN = ("meeting_id", "meeting_status", "meeting_starts_at", "meeting_link", "meeting_gone_by")
STORED = (
    "meeting_id",
    "status",
    "starts_at",
    "link",
    "awaits_result",
    "began_as",
    "first_told_at",
    "told_at",
    "is_by_agent",
)
# A result that was not told in this time is asked for no more.
ASKED_FOR = timedelta(days=30)
FAR_AWAY = datetime.max.replace(tzinfo=UTC)
STATUS = Lead.MeetingStatus
# What can only come after what: a meeting is booked, then moved, then over.
RANK = {STATUS.SCHEDULED: 0, STATUS.RESCHEDULED: 1, STATUS.CANCELLED: 2, STATUS.COMPLETED: 2, STATUS.NO_SHOW: 2}

OF_LEAD = Select(lambda lead_id: Meeting.objects.filter(lead_id=lead_id).order_by("pk"))


# --- Which one stands


def next_one(meetings: Iterable[Meeting], now: datetime) -> Meeting | None:
    """Return the meeting that stands: the first of those that are booked, lie ahead and were not moved elsewhere."""
    meetings = list(meetings)
    moved = moved_away(meetings)
    standing = [
        meeting
        for meeting in meetings
        if meeting.is_booked and meeting.meeting_id not in moved and not has_begun(meeting, now)
    ]
    return min(
        standing,
        key=lambda meeting: (meeting.starts_at or FAR_AWAY, meeting.first_told_at, meeting.meeting_id),
        default=None,
    )


def has_begun(meeting: Meeting, now: datetime) -> bool:
    return meeting.starts_at is not None and meeting.starts_at <= now


def moved_away(meetings: Iterable[Meeting]) -> set[str]:
    """Return the ids of meetings whose place others have taken that were never booked, only moved."""
    in_order = sorted(
        meetings,
        key=lambda meeting: (meeting.first_told_at, meeting.began_as == STATUS.RESCHEDULED, meeting.meeting_id),
    )
    gone: set[str] = set()
    for place, new in enumerate(in_order):
        if new.began_as != STATUS.RESCHEDULED:
            continue
        # One that was cancelled may be the one that was moved.
        before = [
            meeting
            for meeting in in_order[:place]
            if meeting.meeting_id not in gone
            and meeting.began_as in Lead.BOOKED
            and (meeting.is_booked or meeting.status == STATUS.CANCELLED)
        ]
        if len(before) == 1 and before[0].is_booked and before[0].told_at <= new.first_told_at:
            gone.add(before[0].meeting_id)
    return gone


# --- What is told of one


def merge(lead: Lead, news: Told | None, changes: Change, *, at: datetime, now: datetime) -> None:
    """Take in news of a meeting and show the one that stands by then on the lead; None forgets them all."""
    if not changes.may_fill_in(lead, "meeting"):
        return
    cleared_at = lead.provenance.get("meeting", {}).get("cleared_at")
    if cleared_at and datetime.fromisoformat(cleared_at) > at:
        changes.is_stale("meeting", cleared_at)
        return
    book = _Book(lead, changes, at, now)
    if news is None:
        book.forget()
        cleared_at = at.isoformat()
    else:
        book.tell(news)
    book.store()
    if cleared_at and lead.provenance.get("meeting", {}).get("cleared_at") != cleared_at:
        lead.provenance.setdefault("meeting", {})["cleared_at"] = cleared_at
        changes.columns.add("provenance")


def pass_by(lead: Lead, changes: Change, now: datetime) -> None:
    """Let the meeting that the lead shows go by, in memory, once its time has come; its next one takes its place."""
    if _is_passing(lead, now):
        book = _Book(lead, changes, now, now)
        book.show()
        book.store()


def show_again(lead: Lead, changes: Change, now: datetime) -> None:
    """Show on the lead, in memory, what stands of meetings that were gathered from elsewhere."""
    book = _Book(lead, changes, now, now)
    book.show()
    book.store()


def without_result(now: datetime) -> QuerySet[Meeting]:
    """Return the meetings that have gone by and of which nobody has told the result, the longest waiting first."""
    rows = awaiting_result().filter(starts_at__lte=now, starts_at__gt=now - ASKED_FOR)
    return rows.order_by("starts_at", "pk")


def awaiting_result() -> QuerySet[Meeting]:
    """Return every meeting that has gone by and has no result, however long ago.

    Not those of leads that have been placed since, by whomever, or whose story is over: their result is plain.
    """
    rows = Meeting.objects.filter(awaits_result=True, lead__erased_at=None, lead__stage_set_at__lt=F("starts_at"))
    return rows.exclude(lead__stage__kind__in=[Stage.Kind.WON, Stage.Kind.LOST])


def _is_passing(lead: Lead, now: datetime) -> bool:
    return lead.has_standing_meeting and lead.meeting_starts_at is not None and lead.meeting_starts_at <= now


class _Book:
    """The meetings of one lead while news of one of them is taken in."""

    def __init__(self, lead: Lead, changes: Change, at: datetime, now: datetime) -> None:
        self._lead, self._changes, self._at, self._now = lead, changes, at, now
        self._rows: list[Meeting] = OF_LEAD.all(lead_id=lead.pk)
        self._stored = {id(row): _parts(row) for row in self._rows}
        # What the lead shows; kept as an object, for its id may change.
        shown = lead.meeting_id if lead.meeting_status else None
        self._shown = next((row for row in self._rows if row.meeting_id == shown), None)
        if self._shown is None and shown is not None:
            # Booked by a process from before meetings were rows, or forgotten with the years.
            self._shown = _as_shown(lead)
            self._rows.append(self._shown)

    def forget(self) -> None:
        """Forget every meeting that was told of until then."""
        late = [row for row in self._rows if row.told_at > self._at]
        if len(late) < len(self._rows):
            Meeting.objects.filter(lead=self._lead, told_at__lte=self._at).delete()
        self._rows = late
        if self._shown not in late:
            self._shown = None
        self._changes.timeline["meeting"] = None
        self.show()

    def tell(self, news: Told) -> None:
        if news.replaces and news.replaces != news.id:
            self._leave(news.replaces)
        row = self._row_of(news)
        self._at = self._in_turn(row, news)
        if row and (row.told_at > self._at or self._was_overtaken(row, news)):
            self._note_older(row, news)
        elif self._lies_in_the_past(row, news):
            assert news.starts_at is not None
            when = f"{news.starts_at.astimezone(ZoneInfo(self._lead.pipeline.time_zone)):%d/%m/%Y %H:%M}"
            self._changes.ignored["meeting"] = Reason("lies_in_the_past", when=when)
            if not news.replaces:
                return
        else:
            self._set(row, news)
        self.show()

    def _in_turn(self, row: Meeting | None, news: Told) -> datetime:
        """Return when this news counts among what is known, by clocks that differ (leads/order_of_messages.py)."""
        known, follows = None, True
        if row and (not news.id or row.meeting_id == news.id):
            known, follows = row.told_at, RANK[STATUS(news.status)] > RANK[STATUS(row.status)]
        elif news.status == STATUS.RESCHEDULED:
            # One that begins as moved takes the place of what was booked before.
            booked = [meeting.told_at for meeting in self._rows if meeting.is_booked]
            known = booked[0] if len(booked) == 1 else None
        return order_of_messages.of_a_meeting(self._at, known=known, follows=follows, is_timed=self._is_timed)

    @property
    def _is_timed(self) -> bool:
        """Say whether somebody said when it was; what nobody did dates from its report."""
        return self._at != self._now

    def _was_overtaken(self, row: Meeting, news: Told) -> bool:
        """Say whether this is how a meeting began of which only the later news was heard, told by another clock."""
        rank = RANK[STATUS(news.status)]
        if rank >= RANK[STATUS(row.status)] or not self._is_timed or self._at > row.told_at + CLOCK_TOLERANCE:
            return False
        # Where it was heard before, and is only said again, both moments are one: see `_note_older`.
        return RANK[STATUS(row.began_as)] > rank or row.first_told_at == row.told_at

    def _leave(self, meeting_id: str) -> None:
        """Let a meeting stand no more that has another id by now; nobody cancelled it, so nobody is told."""
        row = next((row for row in self._rows if row.meeting_id == meeting_id), None)
        if row is None:
            # What is told of it late is older news.
            row = Meeting(lead_id=self._lead.pk, meeting_id=meeting_id, began_as=STATUS.SCHEDULED)
            row.first_told_at = row.told_at = self._at
            row.status = STATUS.CANCELLED
            self._rows.append(row)
        elif row.is_booked and row.told_at <= self._at + CLOCK_TOLERANCE:
            row.status, row.told_at = STATUS.CANCELLED, max(row.told_at, self._at)

    def _row_of(self, news: Told) -> Meeting | None:
        by_id = {row.meeting_id: row for row in self._rows}
        if news.id:
            nameless = by_id.get("")
            # The one without an id has come to have one.
            takes_place = news.status in Lead.BOOKED and nameless and nameless.is_booked
            return by_id.get(news.id) or (nameless if takes_place else None)
        shown = self._shown
        is_over = shown is not None and (
            shown.status in (STATUS.COMPLETED, STATUS.NO_SHOW) or (shown.is_booked and has_begun(shown, self._now))
        )
        return by_id.get("") if shown is None or (is_over and self._books_anew(news, shown)) else shown

    @staticmethod
    def _books_anew(news: Told, shown: Meeting) -> bool:
        return news.status in Lead.BOOKED and news.starts_at not in (None, shown.starts_at)

    def _lies_in_the_past(self, row: Meeting | None, news: Told) -> bool:
        if news.status not in Lead.BOOKED or news.starts_at is None or news.starts_at > self._now:
            return False
        # What was booked when it lay ahead is only said again.
        return not (row and row.is_booked and row.starts_at == news.starts_at)

    def _note_older(self, row: Meeting, news: Told) -> None:
        """Keep of older news how the meeting began."""
        if self._at < row.first_told_at:
            row.began_as, row.first_told_at = news.status, self._at
        elif RANK[STATUS(row.began_as)] > RANK[STATUS(news.status)]:
            row.began_as, row.first_told_at = news.status, row.told_at
        self._changes.is_stale("meeting", row.told_at.isoformat())

    def _set(self, row: Meeting | None, news: Told) -> None:
        was_booked = bool(row and row.is_booked)
        if row is None or (news.id and row.meeting_id != news.id):
            row = self._begun(row, news)
        before = _parts(row)
        if "id" in news.cleared and all(meeting.meeting_id for meeting in self._rows):
            row.meeting_id = ""
        row.status, row.told_at = news.status, self._at
        row.starts_at = news.starts_at or (None if "starts_at" in news.cleared else row.starts_at)
        row.link = news.link or ("" if "link" in news.cleared else row.link)
        is_new = row not in self._rows
        if is_new:
            self._rows.append(row)
        if is_new or _said(before) != _said(_parts(row)):
            self._changes.timeline["meeting"] = _told(row)
            if was_booked or row.is_booked or not self._lead.meeting_status:
                self._changes.meeting_reported = row.status
                if row.is_booked:
                    self._changes.meeting_booked = (row.meeting_id, row.starts_at)
            else:
                self._changes.ignored["meeting"] = (
                    Reason("meeting_does_not_stand", name=row.meeting_id)
                    if row.meeting_id
                    else Reason("some_meeting_does_not_stand")
                )
        if self._shown is None:
            self._shown = row

    def _begun(self, row: Meeting | None, news: Told) -> Meeting:
        """Return a meeting of which nothing was known; in the row of the one without an id, if that was it."""
        row = row or Meeting(lead_id=self._lead.pk)
        row.meeting_id, row.status, row.starts_at, row.link = news.id, news.status, None, ""
        row.began_as, row.first_told_at, row.told_at = news.status, self._at, self._at
        if row.is_by_agent is None:
            row.is_by_agent = _is_with_agent_alone(self._lead)
        return row

    def show(self) -> None:
        """Show on the lead what stands by now, or else what stood last."""
        moved = moved_away(self._rows)
        for row in self._rows:
            row.awaits_result = row.is_booked and row.meeting_id not in moved and has_begun(row, self._now)
        lead, changes = self._lead, self._changes
        shown = next_one(self._rows, self._now) or self._shown
        if shown and shown.is_booked and shown.meeting_id in moved:
            # It was moved to one that stands no more: that is what became of it.
            shown = max((row for row in self._rows if row.meeting_id not in moved), key=lambda row: row.told_at)
            changes.meeting_reported = changes.meeting_reported or shown.status
        passes = _is_passing(lead, self._now) and self._shown is not None and self._shown.awaits_result
        if passes and lead.meeting_starts_at:
            when = f"{lead.meeting_starts_at.astimezone(ZoneInfo(lead.pipeline.time_zone)):%d/%m/%Y %H:%M}"
            changes.gone_by = Reason("meeting_gone_by_without_result", when=when)
        wanted = dict(zip(SHOWN, _parts(shown)[:5] if shown else ("", "", None, "", False), strict=True))
        differing = {column for column, value in wanted.items() if getattr(lead, column) != value}
        if not differing:
            if "meeting" in lead.provenance or shown is None or not passes:
                self._confirm(shown, took_back=was_taken_back(lead, "meeting"))
            return
        # What stood before is taken back with whatever comes instead: another time, another link, or none.
        stood = lead.meeting_status in Lead.BOOKED or was_taken_back(lead, "meeting")
        for column, value in wanted.items():
            setattr(lead, column, value)
        changes.columns |= set(SHOWN)
        changes.meeting_changed = True
        if differing != {"meeting_gone_by"}:
            self._confirm(shown, took_back=stood)

    def _confirm(self, shown: Meeting | None, *, took_back: bool) -> None:
        cleared_at = self._lead.provenance.get("meeting", {}).get("cleared_at")
        self._changes.note(
            self._lead, "meeting", _told(shown) if shown else None, self._at, changed=False, took_back=took_back
        )
        if cleared_at:
            self._lead.provenance["meeting"]["cleared_at"] = cleared_at

    def store(self) -> None:
        insert([row for row in self._rows if id(row) not in self._stored])
        update([row for row in self._rows if self._stored.get(id(row), _parts(row)) != _parts(row)], STORED)


def _is_with_agent_alone(lead: Lead) -> bool:
    """Say whether no person has been in the conversation so far."""
    return not (lead.last_staff_at or lead.resumed_at or lead.is_with_people)


def _as_shown(lead: Lead) -> Meeting:
    known = lead.provenance.get("meeting", {}).get("at")
    at = datetime.fromisoformat(known) if known else lead.created_at
    row = Meeting(lead_id=lead.pk, meeting_id=lead.meeting_id, status=lead.meeting_status, link=lead.meeting_link)
    row.starts_at, row.awaits_result = lead.meeting_starts_at, lead.meeting_gone_by
    row.began_as = STATUS.SCHEDULED if row.is_booked else STATUS(row.status)
    row.first_told_at = row.told_at = at
    return row


def _parts(row: Meeting) -> tuple[Any, ...]:
    """Return what is kept of a meeting; the first five are what a lead shows of one."""
    own = (row.meeting_id, row.status, row.starts_at, row.link, row.awaits_result)
    return (*own, row.began_as, row.first_told_at, row.told_at, row.is_by_agent)


def _said(parts: Sequence[Any]) -> Sequence[Any]:
    return parts[:4]


def _told(row: Meeting) -> dict[str, Any]:
    return {"id": row.meeting_id, "status": str(row.status), "starts_at": plain(row.starts_at), "link": row.link}


# --- When its time has gone by


def passing(now: datetime) -> QuerySet[Lead]:
    """Return the leads that show a meeting whose time has come."""
    booked = Lead.objects.filter(meeting_status__in=Lead.BOOKED, meeting_gone_by=False, erased_at=None)
    return booked.filter(meeting_starts_at__lte=now)


def pass_all(*, now: datetime, limit: int = 200) -> int:
    """Let meetings go by whose time has come; return how many. What comes next is announced lead by lead."""
    ids = list(passing(now).order_by("meeting_starts_at").values_list("pk", flat=True)[:limit])
    return sum(_pass(pk, now) for pk in ids)


@transaction.atomic
def _pass(pk: Any, now: datetime) -> bool:
    rows = Lead.objects.select_for_update(of=("self",), no_key=True).select_related("pipeline", "stage")
    lead = rows.filter(pk=pk).first()
    if lead is None or not _is_passing(lead, now):
        return False
    changes = Change()
    pass_by(lead, changes, now)
    if not changes.columns:
        return False
    lead.updated_at = now
    update([lead], {*changes.columns, "updated_at"})
    insert([gone_by(lead, changes, now)] if changes.gone_by else [])
    announcements.leads_saved.send(Lead, saved=[Saved(lead, False, frozenset(changes.columns))], now=now)
    announcements.meeting_passed.send(Lead, lead=lead, now=now)
    return True


def gone_by(lead: Lead, changes: Change, now: datetime) -> Event:
    """Return the line that tells staff of a meeting whose result nobody has told; the caller stores it."""
    return Event(
        lead_id=lead.pk, at=now, kind=Event.Kind.STAFF_TOLD, actor=Lead.Actor.BRIDGE, reason=changes.gone_by, data={}
    )
