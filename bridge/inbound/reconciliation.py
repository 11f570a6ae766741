"""The scheduled comparison with Kommo: what webhooks should have told us, found by asking.

Incremental: leads changed since the last poll, with an overlap, because Kommo's clock has a grain of a second. Full:
every card, by id, a part at a time, so that whoever is interrupted goes on where it was. Both adopt what people did,
record it as drift, and make due whatever our side still owes. Running it twice finds nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from bridge import account_traits, heartbeat
from bridge.account_traits import Trait
from bridge.accounts import account_state, database_clock
from bridge.accounts import catalogue as catalogues
from bridge.accounts.connection import open_account
from bridge.cards.plan import CLOSED_STATUS_IDS
from bridge.inbound import leads_begun_in_kommo, missing_leads, people_on_cards, unreadable_leads, unsent_changes
from bridge.inbound.adoption import adopt_each, is_as_known
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Catalogue, WebhookItem
from common.reasons import Reason

OVERLAP = timedelta(seconds=120)
PAGE = 250
# Leads of people who have another card already, by id: so many are kept to be shown.
SECONDS_KEPT = 200
# How far back the first poll of an account looks.
FIRST_LOOK_BACK = timedelta(hours=24)
# The time of what has none.
NEVER = datetime.fromtimestamp(0, UTC)
# A change this old must have had its webhook by now.
WEBHOOK_LATE_AFTER = timedelta(seconds=60)


@dataclass
class Report:
    """What a comparison found.

    read: leads read. drifted: Kommo id -> subject -> {"ours", "theirs"}. owed: Kommo ids of cards that differ because
    our side has not written yet. missing: our lead ids, of leads to be looked for once more; gone: the same, of those
    that are gone. taken_in: leads of Kommo that were (or would be) linked or taken
    in. missed: changes that a webhook should have told of long ago.
    """

    read: int = 0
    drifted: dict[str, dict[str, Any]] = field(default_factory=dict)
    owed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    taken_in: int = 0
    missed: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.drifted or self.owed or self.missing or self.gone or self.taken_in)


@dataclass
class Comparison:
    """One run of comparing an account; `dry_run` looks and changes nothing. `progress` hears how many were read."""

    account: Account
    client: KommoClient
    catalogue: Catalogue | None
    found_by: str
    dry_run: bool = False
    lane: Lane = Lane.BULK
    progress: Callable[[int], None] = lambda read: None
    report: Report = field(default_factory=Report)
    # Leads of people who have another card already, since the place was last kept.
    _seconds: list[int] = field(default_factory=list)
    # Leads that a dry run would take in: an edge of a page is read twice, and nothing tells that by then.
    _would_take_in: set[int] = field(default_factory=set)

    def changed_since(self, since: datetime | None = None, *, until: datetime | None = None) -> Report:
        """Compare the leads Kommo has changed since a time (default: the last poll). Raises KommoError.

        Stops at `until`: the next poll goes on where this one stopped.

        A lead that changes while pages are read moves to the last one and pulls another over the edge of the page
        just read. So each page is asked for from the newest second of the one before.
        """
        started = timezone.now()
        start = since or min(self.account.polled_until or started - FIRST_LOOK_BACK, started) - OVERLAP
        page, more = 1, True
        ignored = self.account.traits.get(Trait.TIME_FILTER) == "ignored"
        if ignored and not self._newest_first(start, from_=start if since else None, until=until):
            return self.report
        while more and not ignored:
            read_at = database_clock.now()
            if until and read_at >= until:
                return self.report
            replies, more = self.client.list_leads(page=page, updated_since=start, limit=PAGE, lane=self.lane)
            if any(0 < reply.updated_at < int(start.timestamp()) for reply in replies):
                # Older than what was asked for: the filter counts for nothing here, and going on would read it all.
                account_traits.remember(self.account, Trait.TIME_FILTER, "ignored")
                return self.changed_since(since, until=until)
            self._compare(replies, read_at)
            # Anybody may write the time of a lead: one of the year 2031 must not end our looking until then.
            newest = min(max((_changed_at(reply) for reply in replies), default=start), started)
            self._remember_polled(newest, from_=start if since else None)
            page, start = (1, newest) if newest > start else (page + 1, start)
        if not self.dry_run:
            Account.objects.filter(pk=self.account.pk).update(polled_at=started)
            account_state.answered(self.account)
            self._read_again()
        self._look_for_deleted(until)
        return self.report

    def _newest_first(self, start: datetime, *, from_: datetime | None, until: datetime | None) -> bool:
        """Compare what changed since a time where Kommo ignores that filter; False when the time is up.

        What has passed is settled when it is older than `start`. Pages move while they are read, towards the end: what
        is read twice says nothing new.
        """
        page, more, newest = 1, True, start
        while more:
            read_at = database_clock.now()
            if until and read_at >= until:
                return False
            replies, more = self.client.list_leads(page=page, newest_change_first=True, limit=PAGE, lane=self.lane)
            changed = [reply for reply in replies if _changed_at(reply) >= start]
            self._compare(changed, read_at)
            newest = max([newest, *(min(_changed_at(reply), read_at) for reply in changed)])
            # A row that cannot be read tells no time either, and ends nothing.
            is_older = any(_changed_at(reply) < start for reply in replies if not reply.unreadable)
            more, page = more and not is_older, page + 1
        self._remember_polled(newest, from_=from_)
        return True

    def _remember_polled(self, newest: datetime, *, from_: datetime | None) -> None:
        """Keep Kommo's own time, not ours: clocks differ. A poll that left a gap after the last one leaves no mark."""
        known = self.account.polled_until
        is_ahead = known is not None and known > timezone.now()
        leaves_a_gap = from_ is not None and (known is None or from_ > known)
        if not self.dry_run and not leaves_a_gap and (known is None or newest > known or is_ahead):
            self.account.polled_until = newest
            Account.objects.filter(pk=self.account.pk).update(polled_until=newest)

    def everything(self, *, until: datetime | None = None, newborn: bool = False) -> bool:
        """Compare every card with its lead, by id; what Kommo does not return is missing. Raises KommoError.

        Goes on where an earlier run for this account stopped; stops at `until`, and says whether it came to the end.
        The first one of an account, or with `newborn`, also takes in the open leads of our pipelines.
        """
        at = self._begin(newborn)
        while not at.get("ended"):
            if until and timezone.now() >= until:
                return False
            before = self.report.read, self.report.taken_in
            at = self._compare_page_of_leads(at) if at.get("page") else self._compare_page_of_cards(at)
            if not self.dry_run:
                self._keep_place(at, self.report.read - before[0], self.report.taken_in - before[1])
        if not self.dry_run:
            since = self.account.comparing_since
            Account.objects.filter(pk=self.account.pk).update(
                compared_at=since, polled_at=timezone.now(), comparing_since=None, comparing_at={}
            )
        return True

    def _begin(self, newborn: bool) -> dict[str, Any]:
        account = self.account
        if account.comparing_since and account.comparing_at and not self.dry_run:
            return dict(account.comparing_at)
        at = {"after": 0, "newborn": newborn or account.compared_at is None}
        if not self.dry_run:
            account.comparing_since = timezone.now()
            Account.objects.filter(pk=account.pk).update(comparing_since=account.comparing_since, comparing_at=at)
        return at

    def _keep_place(self, at: dict[str, Any], read: int, taken_in: int) -> None:
        """Keep the place, and with it what was found on the way there: whoever goes on counts no page twice."""
        account = self.account
        found: dict[str, Any] = {"comparing_at": at}
        if account.compared_at is None:
            comparison = account.first_comparison
            account.first_comparison = {
                "read": comparison.get("read", 0) + read,
                "taken_in": comparison.get("taken_in", 0) + taken_in,
                # Once each: the edge of a page is read again with the next.
                "seconds": list(dict.fromkeys([*comparison.get("seconds", ()), *self._seconds]))[:SECONDS_KEPT],
            }
            self._seconds.clear()
            found["first_comparison"] = account.first_comparison
        Account.objects.filter(pk=account.pk).update(**found)

    def _compare_page_of_cards(self, at: dict[str, Any]) -> dict[str, Any]:
        rows = Card.objects.filter(account=self.account, kommo_lead_id__gt=at["after"])
        ids = rows.exclude(state=Card.State.CLOSED).order_by("kommo_lead_id").values_list("kommo_lead_id", flat=True)
        part = [kommo_id for kommo_id in ids[:PAGE] if kommo_id]
        if not part:
            return {**at, "page": 1} if at["newborn"] else {"ended": True}
        self._compare_ids(part)
        return {**at, "after": part[-1]}

    def _compare_page_of_leads(self, at: dict[str, Any]) -> dict[str, Any]:
        """Look at one page of the leads of our pipelines, newest first: a person's newest one becomes their card.

        Each page is asked for from the oldest second of the one before: a lead that is deleted meanwhile would pull
        another over the edge of a page that was read already.
        """
        pipelines = list(leads_begun_in_kommo.our_pipelines(self.account))
        if not pipelines:
            return {"ended": True}
        oldest = at.get("oldest")
        # One second more: whether Kommo counts the last second in is not said.
        until = None if oldest is None else oldest + 1
        replies, more = self.client.list_leads(
            page=at["page"], pipeline_ids=pipelines, created_until=until, limit=PAGE, lane=self.lane
        )
        # What of the edge's second was looked at and counted with the page before.
        edge = set(at.get("edge", ()))
        open_ones = [
            reply
            for reply in replies
            if reply.status_id not in CLOSED_STATUS_IDS and not reply.is_deleted and reply.id not in edge
        ]
        known = set(
            Card.objects.filter(account=self.account, kommo_lead_id__in=[reply.id for reply in open_ones]).values_list(
                "kommo_lead_id", flat=True
            )
        )
        self._take_in([reply for reply in open_ones if reply.id not in known])
        readable = [reply for reply in replies if not reply.unreadable]
        times = [reply.created_at for reply in readable]
        # What lies above the edge was counted with the page before.
        self._read(sum(oldest is None or (reply.created_at <= oldest and reply.id not in edge) for reply in readable))
        if not more:
            return {"ended": True}
        filter_ignored = until is not None and any(time > until for time in times)
        if filter_ignored or times != sorted(times, reverse=True):
            # Filter or order was ignored, as Kommo does with what it does not know: page after page, then.
            return {**at, "page": at["page"] + 1, "oldest": None, "edge": [], "by_pages": True}
        oldest_here = min(times, default=oldest)
        if oldest_here is None or at.get("by_pages") or (oldest is not None and oldest_here >= oldest):
            # More than a page of one second: an import, say.
            return {**at, "page": at["page"] + 1}
        # Those that cannot be read tell no time.
        its_second = [reply.id for reply in replies if reply.unreadable or reply.created_at == oldest_here]
        return {**at, "page": 1, "oldest": oldest_here, "edge": its_second}

    def of_card(self, card: Card) -> Report:
        """Compare one card with its lead. Raises KommoError."""
        if card.kommo_lead_id:
            self._compare_ids([card.kommo_lead_id])
        return self.report

    def _compare_ids(self, ids: Sequence[int]) -> set[int]:
        """Compare leads by id; return the ids of those that are there."""
        asked_at = database_clock.now()
        found = self.client.iterate_leads(ids=list(ids), with_=("contacts",), limit=PAGE, lane=self.lane)
        replies = {reply.id: reply for reply in found if reply.id in ids and not reply.is_deleted}
        self._compare(list(replies.values()), asked_at)
        self._miss([kommo_id for kommo_id in ids if kommo_id not in replies])
        return set(replies)

    def _read_again(self) -> None:
        """Look at the leads that could not be taken in: whatever keeps them from it, nothing changes them meanwhile."""
        ids = unreadable_leads.due(self.account, now=timezone.now(), most=PAGE)
        if ids:
            found = self._compare_ids(ids)
            shown = Card.objects.filter(account=self.account, kommo_lead_id__in=ids)
            # Deleted, or hidden from us, there is nothing to read; and what a card shows is told with the card.
            told_elsewhere = {
                kommo_lead_id for kommo_lead_id in shown.values_list("kommo_lead_id", flat=True) if kommo_lead_id
            }
            # What was noted again just now waits on.
            told_elsewhere &= set(unreadable_leads.due(self.account, now=timezone.now(), most=PAGE))
            unreadable_leads.over(self.account, set(ids) - found | told_elsewhere)

    def look_again(self) -> Report:
        """Look a second time for the leads that were missing; those still not there are gone. Raises KommoError."""
        asked_at = database_clock.now()
        there, settled = missing_leads.look_again(self.account, self.client, now=timezone.now())
        self._compare(there, asked_at)
        gone = Card.objects.filter(pk__in=settled.gone).values_list("lead_id", flat=True)
        self.report.gone += map(str, gone)
        self.report.missing = [missing for missing in self.report.missing if missing not in self.report.gone]
        return self.report

    def _look_for_deleted(self, until: datetime | None) -> None:
        """Kommo lists deleted leads apart, and only those that can still be restored: the newest first, page by page.

        Ends at what was seen before; goes on at the page where the last look had to stop.
        """
        account = self.account
        page, newest = account.trash_page, account.trash_newest
        while until is None or timezone.now() < until:
            rows, more = self.client.list_deleted(page=page, limit=PAGE, lane=self.lane)
            # Whatever is not said to be deleted is not: words that Kommo does not know it leaves out.
            deleted = [reply for reply in rows if reply.is_deleted]
            self._lost([reply.id for reply in deleted], Reason("deleted_in_kommo"))
            times = [min(_changed_at(reply), timezone.now()) for reply in deleted]
            newest = max([*times, *([newest] if newest else [])], default=None)
            if not more or not deleted or self._has_seen_from_here(times):
                self._remember(trash_page=1, trash_newest=None, trash_read_until=newest or account.trash_read_until)
                return
            page += 1
            self._remember(trash_page=page, trash_newest=newest)

    def _has_seen_from_here(self, times: Sequence[datetime]) -> bool:
        """Say whether all that follows on a list of deleted leads was seen before: it is in order, and older."""
        read_until = self.account.trash_read_until
        return read_until is not None and list(times) == sorted(times, reverse=True) and NEVER < times[-1] < read_until

    def _remember(self, **place: Any) -> None:
        if not self.dry_run:
            Account.objects.filter(pk=self.account.pk).update(**place)

    def _miss(self, ids: Sequence[int]) -> None:
        rows = Card.objects.filter(account=self.account, kommo_lead_id__in=ids).exclude(state__in=missing_leads.GONE)
        lost = list(rows) if ids else []
        if not self.dry_run:
            missing_leads.miss(lost, reason=missing_leads.NOT_FOUND, now=database_clock.now())
        self.report.missing += [str(card.lead_id) for card in lost]

    def _lost(self, ids: Sequence[int], reason: str) -> None:
        rows = Card.objects.filter(account=self.account, kommo_lead_id__in=ids).exclude(state__in=missing_leads.GONE)
        lost = list(rows.select_related("lead")) if ids else []
        if self.dry_run:
            gone = lost
        else:
            settled = missing_leads.settle(self.account, self.client, lost, reason=reason, now=timezone.now())
            gone = [card for card in lost if card.pk in settled.gone]
        self.report.gone += [str(card.lead_id) for card in gone]

    def _compare(self, replies: Sequence[LeadReply], read_at: datetime) -> None:
        # Rows of another shape are looked at, and may be nobody's leads.
        self._read(sum(not reply.unreadable for reply in replies))
        by_id = {reply.id: reply for reply in replies if not reply.is_deleted}
        if not self.dry_run:
            missing_leads.seen(self.account, by_id)
        rows = list(Card.objects.filter(account=self.account, kommo_lead_id__in=by_id))
        cards = {row.kommo_lead_id or 0: row.pk for row in rows}
        self._take_in([reply for kommo_id, reply in by_id.items() if kommo_id not in cards])
        # Most leads changed last because we wrote to them: nothing of those has to be locked, or taken over.
        known = [row for row in rows if is_as_known(row, by_id[row.kommo_lead_id or 0], read_at, self.account)]
        if not self.dry_run:
            seen = Card.objects.filter(pk__in=[row.pk for row in known], observed_at__lt=read_at)
            seen.filter(write_settles_at=None).update(observed_at=read_at)
        agreeing = [row.pk for row in known]
        others = cards.keys() - {row.kommo_lead_id for row in known}
        found = adopt_each(
            {cards[kommo_id]: by_id[kommo_id] for kommo_id in others},
            self.catalogue,
            read_at=read_at,
            now=timezone.now(),
            found_by=self.found_by,
            only_compare=self.dry_run,
        )
        for kommo_id in others:
            card_id, reply, findings = cards[kommo_id], by_id[kommo_id], found[cards[kommo_id]]
            if findings.changed:
                self.report.drifted[str(kommo_id)] = {
                    subject: {"ours": before, "theirs": after} for subject, (before, after) in findings.changed.items()
                }
                late = datetime.fromtimestamp(reply.updated_at, UTC) < read_at - WEBHOOK_LATE_AFTER
                self.report.missed += late
            elif not findings.is_outdated and not findings.error:
                agreeing.append(card_id)
        self.report.owed += unsent_changes.settle(
            self.account, agreeing, self.catalogue, found_by=self.found_by, now=timezone.now(), dry_run=self.dry_run
        )
        if not self.dry_run:
            theirs = [by_id[kommo_id] for kommo_id in cards]
            people_on_cards.meet(
                self.account, self.client, self.catalogue, replies=theirs, now=timezone.now(), lane=self.lane
            )

    def _take_in(self, replies: Sequence[LeadReply]) -> None:
        if self.dry_run:
            self._would_take_in.update(leads_begun_in_kommo.would_take_in(self.account, replies, self.catalogue))
            self.report.taken_in = len(self._would_take_in)
            return
        results = leads_begun_in_kommo.take_in(
            self.account, replies, self.client, self.catalogue, now=timezone.now(), lane=self.lane
        )
        self.report.taken_in += _count((result for result, _ in results.values()), WebhookItem.Result.ADOPTED)
        self._seconds += [
            reply.id
            for reply in replies
            if results[reply.id][0] == WebhookItem.Result.IGNORED and reply.main_contact_id and self._is_ours(reply)
        ]
        # Cards of earlier pages whose place one of these took.
        self._seconds += sorted(results.keys() - {reply.id for reply in replies})

    def _is_ours(self, reply: LeadReply) -> bool:
        return not leads_begun_in_kommo.is_incoming(
            reply, self.catalogue
        ) and reply.pipeline_id in leads_begun_in_kommo.our_pipelines(self.account)

    def _read(self, count: int) -> None:
        heartbeat.progress()
        self.report.read += count
        self.progress(self.report.read)


def compare_card(card: Card) -> Report:
    """Compare one card with Kommo now, because somebody asks; what people did is adopted. Raises KommoError."""
    account, client = open_account(card.account_id)
    return Comparison(account, client, catalogues.stored(account), "by hand", lane=Lane.LIVE).of_card(card)


def _changed_at(reply: LeadReply) -> datetime:
    return datetime.fromtimestamp(reply.updated_at, UTC)


def _count(results: Iterable[str], wanted: str) -> int:
    return sum(result == wanted for result in results)
