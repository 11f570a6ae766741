"""What of the workers' work is due? Asked every second by the worker's clock, each by cheap, indexed queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from bridge import alerts, retention
from bridge.accounts import account_state, catalogue, troubles, webhook_subscription
from bridge.accounts.troubles import Subject
from bridge.agent import agent_events
from bridge.cards import outbox
from bridge.channels import claiming_messages
from bridge.configuration import reevaluation, stages_wanted_in_kommo
from bridge.inbound import missing_leads
from bridge.intakes import inbox as intake_inbox
from bridge.models import Account, Card
from bridge.webhooks import inbox
from followups import dispatch
from leads import handoff, meetings

POLL_EVERY = timedelta(minutes=5)
COMPARE_EVERY = timedelta(hours=24)
MAIL_WEEKLY_EVERY = timedelta(minutes=30)
ASK_FOR_RESULTS_EVERY = timedelta(minutes=1)
# A person who replies in Kommo's chat is noticed within this; one call to the events feed.
LOOK_FOR_TAKEOVERS_EVERY = timedelta(seconds=60)

# The path of a task and its arguments.
TaskCall = tuple[str, tuple[object, ...]]

_asked_at: dict[str, datetime] = {}


def _deliveries(now: datetime) -> Iterable[TaskCall]:
    return [("bridge.tasks.deliver", (account_id,)) for account_id in outbox.accounts_with_work(now=now)]


def _inboxes(now: datetime) -> Iterable[TaskCall]:
    with_mail = inbox.accounts_with_mail()
    resting = troubles.resting(now=now) if with_mail else set()
    return [
        ("bridge.tasks.read_inbox", (account_id,))
        for account_id in with_mail
        if (account_id, Subject.INBOX) not in resting
    ]


def _polls(now: datetime) -> Iterable[TaskCall]:
    due: list[TaskCall] = []
    rows = Account.objects.exclude(state=Account.State.PAUSED).values_list(
        "pk", "polled_at", "compared_at", "comparing_since", "connected_at"
    )
    resting = troubles.resting(now=now)
    for pk, polled_at, compared_at, comparing_since, connected_at in rows:
        if connected_at is None or (pk, Subject.COMPARE) in resting:
            continue
        # The latest changes first: a full comparison takes its time, and a person may have taken over meanwhile.
        if polled_at is None or polled_at < now - POLL_EVERY:
            due.append(("bridge.tasks.poll", (pk,)))
        elif comparing_since or compared_at is None or compared_at < now - COMPARE_EVERY:
            due.append(("bridge.tasks.poll", (pk, True)))
    return due


def _looks_at_accounts(now: datetime) -> Iterable[TaskCall]:
    connected = Account.objects.exclude(state=Account.State.PAUSED).filter(connected_at__isnull=False)
    long_ago = now - LOOK_FOR_TAKEOVERS_EVERY
    resting = troubles.resting(now=now)
    for pk in connected.filter(_before("takeovers_looked_at", long_ago)).values_list("pk", flat=True):
        if (pk, Subject.EVENTS) not in resting:
            yield "bridge.tasks.notice_takeovers", (pk,)
    unchecked = connected.exclude(webhook_secret_hash="").filter(
        _before("webhook_checked_at", now - webhook_subscription.CHECK_EVERY)
    )
    for pk in unchecked.values_list("pk", flat=True):
        if (pk, Subject.WEBHOOKS) not in resting:
            yield "bridge.tasks.check_subscription", (pk,)
    for pk in catalogue.out_of_date(now=now).values_list("pk", flat=True):
        if (pk, Subject.CATALOGUE) not in resting:
            yield "bridge.tasks.look_at_catalogue", (pk,)


def _missing_leads(now: datetime) -> Iterable[TaskCall]:
    missing = Card.objects.filter(missing_since__lte=now - missing_leads.SECOND_LOOK_AFTER)
    accounts = missing.exclude(account__state=Account.State.PAUSED).values_list("account_id", flat=True).distinct()
    resting = troubles.resting(now=now) if accounts else set()
    return [
        ("bridge.tasks.look_for_missing", (pk,))
        for pk in accounts
        if not {(pk, Subject.HIDDEN), (pk, Subject.COMPARE)} & resting
    ]


def _before(column: str, moment: datetime) -> Q:
    return Q(**{column: None}) | Q(**{f"{column}__lt": moment})


def _followups(now: datetime) -> Iterable[TaskCall]:
    return [("bridge.tasks.send_followups", ())] if dispatch.has_work(now) else []


def _messages(now: datetime) -> Iterable[TaskCall]:
    return [("bridge.tasks.send_messages", ())] if claiming_messages.has_work(now) else []


def _agent_events(now: datetime) -> Iterable[TaskCall]:
    return [("bridge.tasks.tell_agent", ())] if agent_events.has_work(now) else []


def _intakes(now: datetime) -> Iterable[TaskCall]:
    return [("bridge.tasks.read_intakes", ())] if intake_inbox.has_mail(now) else []


def _stages_in_kommo(now: datetime) -> Iterable[TaskCall]:
    accounts = stages_wanted_in_kommo.accounts_with_wishes()
    resting = troubles.resting(now=now) if accounts else set()
    return [("bridge.tasks.do_stage_wishes", (pk,)) for pk in accounts if (pk, Subject.STAGES) not in resting]


def _waits(now: datetime) -> Iterable[TaskCall]:
    if handoff.expired(now).exists() or meetings.passing(now).exists():
        yield "bridge.tasks.end_waits", ()
    for account_id in account_state.at_closed_doors(now=now):
        yield "bridge.tasks.knock", (account_id,)


def _reevaluations(now: datetime) -> Iterable[TaskCall]:
    return [("bridge.tasks.reevaluate", ())] if reevaluation.has_work() else []


def _every(span: timedelta, call: str) -> Callable[[datetime], Iterable[TaskCall]]:
    """Return a tick that asks for a call so often. Each clock remembers for itself: twice costs a few looks."""

    def tick(now: datetime) -> Iterable[TaskCall]:
        if call in _asked_at and now - _asked_at[call] < span:
            return []
        _asked_at[call] = now
        return [(call, ())]

    return tick


# What the worker's clock asks every second; each by cheap, indexed queries.
TICKS: list[Callable[[datetime], Iterable[TaskCall]]] = [
    _deliveries,
    _inboxes,
    _intakes,
    _followups,
    _messages,
    _agent_events,
    _polls,
    _looks_at_accounts,
    _missing_leads,
    _waits,
    _stages_in_kommo,
    _reevaluations,
    _every(retention.PRUNE_EVERY, "bridge.tasks.prune"),
    _every(alerts.LOOK_EVERY, "bridge.tasks.watch"),
    _every(MAIL_WEEKLY_EVERY, "bridge.weekly_mail.send"),
    _every(ASK_FOR_RESULTS_EVERY, "bridge.tasks.ask_for_results"),
]
