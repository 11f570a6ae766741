"""Setbacks: what a call that brought nothing leads to, for the account, for its cards, and for the drain.

The table of errors says what is done (bridge/kommo/what_an_error_stops.py). A refusal that names its culprits sets them
aside and sends the others again; one that names nobody is sent in halves, down to single cards. All of it happens one
call after the other, while nothing else is begun.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bridge.accounts import account_state, refusals, room_for_leads
from bridge.cards import outbox
from bridge.cards.backoff import REST_CAP, delay
from bridge.cards.batch_entry import Entry
from bridge.cards.ledger import Call
from bridge.cards.plan import Operation
from bridge.delivery import delivery_outcomes
from bridge.errors import KommoError, KommoRejectedError
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import Action, Purpose, decide, purpose_of
from bridge.models import Account, Card, Catalogue
from common.reasons import Reason, several

log = structlog.get_logger(__name__)

# A card that Kommo refused, with its own part of the error and what is done about that.
Verdict = tuple[Entry, KommoRejectedError, Action]

# So many cards refused one by one without a culprit, and none taken: then it is not the cards.
REFUSED_ALIKE = 8


class Drain(Protocol):
    """What a setback asks of the drain it befell (bridge/delivery/draining.py)."""

    account: Account
    client: KommoClient
    catalogue: Catalogue | None
    delivered: int

    @property
    def clock(self) -> Callable[[], datetime]: ...

    def newest_call(self, *, of: KommoError | None = None) -> Call: ...

    def renew_catalogue(self, *, if_older_than: timedelta = timedelta(0)) -> bool: ...

    def look_up(self, unsure: list[Entry]) -> bool: ...

    def plan_all(self, cards: Sequence[Card]) -> list[Entry]: ...

    def miss(self, entries: list[Entry], reason: str) -> None: ...


class Setbacks:
    """What becomes of failed calls of one drain, which sends again what is worth it."""

    def __init__(self, drain: Drain) -> None:
        self.drain = drain
        # While a batch that was refused without a culprit is sent in halves: the cards that were refused alone.
        self.suspects: list[tuple[Entry, KommoRejectedError, Call]] | None = None
        self.delivered_before = 0

    def failed(
        self,
        entries: list[Entry],
        error: KommoError,
        *,
        again: Callable[[list[Entry]], bool] | None = None,
    ) -> bool:
        """Do what the table of errors says; True when the drain may go on. Without `again` no write was under way."""
        now, was_write = self.drain.clock(), again is not None
        action = refusals.heed(self.drain.account, error, now=now, client=self.drain.client)
        call = self.drain.newest_call(of=error)
        log.info(
            "call_failed", account=self.drain.account.pk, cards=len(entries), error=error.in_log, action=action.name
        )
        if action is Action.SHRINK_BATCH and len(entries) > 1:
            self.drain.account.batch_limit = max(1, len(entries) // 2)
            Account.objects.filter(pk=self.drain.account.pk).update(batch_limit=self.drain.account.batch_limit)
            delivery_outcomes.failed(entries, error, call=call, due_at=now, counts=False, now=now, was_write=was_write)
            return True
        if action is Action.PAUSE_ACCOUNT:
            delivery_outcomes.failed(entries, error, call=call, due_at=now, counts=False, now=now, was_write=was_write)
            return False
        if action is Action.REST_FEATURE and purpose_of(error) is Purpose.CREATES:
            return self._no_room(entries, error, call)
        if action is Action.REST_FEATURE:
            # What these cards need is refused, and only these need it.
            delivery_outcomes.failed(entries, error, call=call, due_at=now, counts=True, now=now, was_write=was_write)
            return False
        if isinstance(error, KommoRejectedError) and action not in (Action.RETRY, Action.RETRY_LATER) and again:
            return self._refused(entries, error, call, again)
        return self._rest(entries, error, action, call, now, was_write=was_write)

    def _rest(
        self,
        entries: list[Entry],
        error: KommoError,
        action: Action,
        call: Call,
        now: datetime,
        *,
        was_write: bool,
    ) -> bool:
        """Let the account wait as a whole, a little, and these cards by their own count of failures.

        An outage keeps everything from Kommo, a poisoned card only what travels with it, and one failure does not tell
        which it was. So the account soon tries again with whatever has not failed yet.
        """
        asked = error.retry_after or timedelta(0)
        if self.drain.account.retry_at and self.drain.account.retry_at > now:
            # Under way when the account began to rest: it tells of the same trouble.
            until = max(self.drain.account.retry_at, now + asked)
        else:
            self.drain.account.failures += 1
            until = now + delay(self.drain.account.failures, jitter=random.random(), retry_after=asked, cap=REST_CAP)
        self.drain.account.retry_at = until
        Account.objects.filter(pk=self.drain.account.pk).update(failures=self.drain.account.failures, retry_at=until)
        # Too many calls is nobody's fault: it does not count against the cards.
        counts = action is not Action.RETRY_LATER
        delivery_outcomes.failed(entries, error, call=call, due_at=until, counts=counts, now=now, was_write=was_write)
        return False

    def _refused(
        self,
        entries: list[Entry],
        error: KommoRejectedError,
        call: Call,
        again: Callable[[list[Entry]], bool],
    ) -> bool:
        """Set the culprits aside, each for its own reason, and resend the rest; halve the batch if none is named."""
        now = self.drain.clock()
        verdicts, innocent = _judge(entries, error)
        if not verdicts and len(entries) > 1:
            return self._halve(entries, error, call, again)
        if not verdicts and self.suspects is not None:
            return self._suspect(entries[0], error, call)
        if not verdicts and not error.items and self._may_be_full(entries[0]):
            room_for_leads.close(self.drain.account.pk, str(error), now=now)
            return self._no_room(entries, error, call)
        if not verdicts:
            verdicts, innocent = [(entry, error, decide(error)) for entry in entries], []
        if any(action is Action.REFRESH_CATALOGUE for *_, action in verdicts) and self.drain.renew_catalogue():
            delivery_outcomes.put_back(entries, reason=str(error), call=call, now=now)
            return True
        partly = delivery_outcomes.leave_out(verdicts, self.drain.catalogue, call=call, now=now)
        verdicts = [verdict for verdict in verdicts if verdict[0] not in partly]
        unknown = self._not_there(verdicts)
        missing = [entry for entry, *_ in verdicts if entry.card.pk in unknown]
        delivery_outcomes.put_back(missing, reason=str(error), call=call, now=now)
        self.drain.miss(missing, str(error))
        delivery_outcomes.refused(
            [verdict for verdict in verdicts if verdict[0].card.pk not in unknown], call=call, now=now
        )
        if innocent:
            reason = Reason("refused_together", number=error.status_code)
            delivery_outcomes.put_back(innocent, reason=reason, call=call, now=now)
        if innocent or partly:
            return self._again([*innocent, *partly], again)
        return True

    def _may_be_full(self, entry: Entry) -> bool:
        """Say whether a create that was refused without a word of why may mean the account, and not this card.

        It is the card when others have been taken since it failed.
        """
        is_create = entry.plan.operation is Operation.CREATE
        return is_create and (not entry.card.attempts or room_for_leads.standing(self.drain.account.pk) is not None)

    def _no_room(self, entries: list[Entry], error: KommoError, call: Call) -> bool:
        """Park creates that were refused to the account; whatever else is due goes on."""
        now, closed = self.drain.clock(), room_for_leads.standing(self.drain.account.pk)
        until = closed.next_at if closed else now
        delivery_outcomes.failed(
            entries, error, call=call, due_at=until, counts=True, now=now, waits_for=room_for_leads.NO_ROOM
        )
        return True

    def _halve(
        self,
        entries: list[Entry],
        error: KommoRejectedError,
        call: Call,
        again: Callable[[list[Entry]], bool],
    ) -> bool:
        """Send a batch that was refused without naming a culprit in halves, down to single cards.

        When none of it is taken, it is not the cards: the account is meant, and stops.
        """
        delivery_outcomes.put_back(entries, reason=str(error), call=call, now=self.drain.clock())
        half, is_whole = len(entries) // 2, self.suspects is None
        if self.suspects is None:
            self.suspects, self.delivered_before = [], self.drain.delivered
        goes_on = self._again(entries[:half], again) and self._again(entries[half:], again)
        if is_whole:
            suspects, self.suspects = self.suspects, None
            if suspects and self.drain.delivered == self.delivered_before:
                return self._stop_for(suspects)
            for entry, refusal, its_call in suspects:
                delivery_outcomes.refused([(entry, refusal, decide(refusal))], call=its_call, now=self.drain.clock())
        return goes_on

    def _suspect(self, entry: Entry, error: KommoRejectedError, call: Call) -> bool:
        """Keep a card that was refused alone, until the others tell whether it is to blame; False when enough were."""
        assert self.suspects is not None
        self.suspects.append((entry, error, call))
        delivery_outcomes.put_back([entry], reason=str(error), call=call, now=self.drain.clock())
        return len(self.suspects) < REFUSED_ALIKE or self.drain.delivered > self.delivered_before

    def _stop_for(self, suspects: list[tuple[Entry, KommoRejectedError, Call]]) -> bool:
        """Pause the account for a while: what it refuses is every card, and it names none."""
        now, (first, error, _) = self.drain.clock(), suspects[0]
        outbox.count_failure([entry.card.pk for entry, *_ in suspects])
        reason = several([str(error), Reason("every_card_refused")])
        if first.plan.operation is Operation.CREATE:
            until = room_for_leads.close(self.drain.account.pk, reason, now=now)
            room_for_leads.park([entry.card.pk for entry, *_ in suspects], until=until)
            return True
        account_state.pause(self.drain.account, reason=reason, now=now)
        return False

    def _not_there(self, verdicts: list[Verdict]) -> set[int]:
        """Return the cards whose lead Kommo does not know: it names their id, or says so in words we do not read."""
        unknown = {entry.card.pk for entry, _, action in verdicts if action is Action.GONE}
        unsure = {
            entry.card.kommo_lead_id: entry.card.pk
            for entry, error, action in verdicts
            if action is Action.DEAD and entry.card.kommo_lead_id and error.is_wordy
        }
        if not unsure:
            return unknown
        try:
            replies = list(self.drain.client.iterate_leads(ids=[kommo_id for kommo_id in unsure if kommo_id]))
        except KommoError as error:
            log.info("refused_lead_not_read", account=self.drain.account.pk, error=error.in_log)
            return unknown
        there = {reply.id for reply in replies if not reply.is_deleted}
        return unknown | {pk for kommo_id, pk in unsure.items() if kommo_id not in there}

    def _again(self, entries: list[Entry], send: Callable[[list[Entry]], bool]) -> bool:
        """Send part of a refused batch again, planned afresh; a create that may have happened is looked up first."""
        creates = [entry for entry in entries if entry.plan.operation is Operation.CREATE]
        if creates and not self.drain.look_up(creates):
            return False
        replanned = self.drain.plan_all(delivery_outcomes.reload(entries))
        same = [entry for entry in replanned if entry.plan.operation is entries[0].plan.operation]
        return send(same) if same else True


def _judge(entries: Sequence[Entry], error: KommoRejectedError) -> tuple[list[Verdict], list[Entry]]:
    """Return the cards the error names, each with its own part of it and what is done about that, and all others."""
    verdicts: list[Verdict] = []
    innocent: list[Entry] = []
    for index, entry in enumerate(entries):
        request_id = str(entry.plan.body.get("request_id", index))
        if own := error.about(request_id, entry.card.kommo_lead_id):
            verdicts.append((entry, own, decide(own)))
        else:
            innocent.append(entry)
    return verdicts, innocent
