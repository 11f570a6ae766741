"""What the workers do; what of it is due: bridge/due_work.py.

Every task is idempotent and short; our own rows say what is due, and the queue only says "look".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial, wraps
from typing import ParamSpec

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from django_q.tasks import async_task

from bridge import (
    account_threads,
    account_traits,
    alerts,
    erasing_here,
    heartbeat,
    metrics,
    process_identity,
    retention,
    tracing,
)
from bridge.accounts import (
    account_state,
    catalogue,
    connection,
    database_clock,
    permissions,
    rate_limit,
    refusals,
    renamed_account,
    room_for_leads,
    troubles,
    webhook_silence,
    webhook_subscription,
)
from bridge.accounts.troubles import Subject
from bridge.accounts.work_leases import alone
from bridge.agent import agent_events
from bridge.cards import account_lease, nudge, outbox
from bridge.channels import sending_messages
from bridge.configuration import reevaluation, stages_wanted_in_kommo
from bridge.delivery import meeting_result_tasks
from bridge.delivery.draining import LONGEST_DRAIN, Drain
from bridge.errors import KommoError, KommoHeldError
from bridge.inbound import chat_replies, events_feed, reconciliation, stages_bound_later
from bridge.intakes import reading_calls as intakes
from bridge.kommo.client import KommoClient
from bridge.kommo.parallel_calls import Abreast
from bridge.kommo.what_an_error_stops import Action, purpose_of
from bridge.models import Account
from bridge.webhooks import reading_webhooks
from followups import dispatch
from leads import agent_or_person, meetings

log = structlog.get_logger(__name__)

# Beside the queue nobody waits for the end; what was set for the account meanwhile is heard of by the next drain.
LONGEST_DRAIN_ASIDE = timedelta(minutes=2)

P = ParamSpec("P")

LONGEST_COMPARISON = timedelta(minutes=10)
# Well inside the queue's own limit of a task.
LONGEST_COMPARING = timedelta(seconds=20)
# The first comparison of an account leaves the other half of Kommo's calls to conversations.
FIRST_COMPARISON_SHARE = 0.5
LONGEST_SENDING = timedelta(seconds=20)
LONGEST_PRUNING = timedelta(seconds=15)
LONGEST_WATCH = timedelta(minutes=2)
# One read, with the refresh of a token and two slow answers.
LONGEST_KNOCK = timedelta(minutes=3)
LONGEST_REEVALUATION = timedelta(seconds=15)


def _beside_others(task: Callable[P, None]) -> Callable[P, None]:
    """Let the crew do what a task does for an account: most of the time it waits for Kommo, and so holds nobody up.

    Where everybody of the crew is busy, the process does it itself.
    """

    @wraps(task)
    def begin(*args: P.args, **kwargs: P.kwargs) -> None:
        if not account_threads.take(partial(task, *args, **kwargs)):
            task(*args, **kwargs)

    return begin


def beat() -> None:
    """Show that this cluster executes tasks."""
    heartbeat.progress()


@_beside_others
@tracing.traced
def deliver(account_id: int) -> None:
    """Bring every due card of one account up to date, unless another worker is at it."""
    heartbeat.progress()
    now = database_clock.now()
    lease = account_lease.lease(account_id, now=now)
    if not lease:
        return
    try:
        account, client = connection.open_account(account_id)
    except BaseException:
        lease.release()
        raise
    calls = Abreast(client, at_once=settings.KOMMO_CALLS_AT_ONCE)
    longest = LONGEST_DRAIN_ASIDE if account_threads.is_aside() else LONGEST_DRAIN
    more = False
    try:
        more = Drain(account, lease, client, calls, is_over=account_threads.is_over).run(until=now + longest)
        rate_limit.tell_distance(account)
    finally:
        lease.release()
    # What became due while the lease was still held was nudged for in vain.
    if more or outbox.has_due(account_id, now=timezone.now()):
        nudge.send(account_id)


@_beside_others
@tracing.traced
def read_inbox(account_id: int) -> None:
    """Process the webhooks received for one account."""
    heartbeat.progress()
    reading_webhooks.process_inbox(account_id)


@_beside_others
@tracing.traced
def poll(account_id: int, full: bool = False) -> None:
    """Compare with Kommo what webhooks may have missed: the latest changes, or every card."""
    heartbeat.progress()
    stages_bound_later.settle(stages_bound_later.of_account(account_id), now=timezone.now())
    if full and Account.objects.filter(pk=account_id, compared_at=None).exists():
        if compare_first(account_id) is False:
            _go_on("bridge.tasks.poll", account_id, True)
        return
    with _asking(Subject.COMPARE, account_id) as asked:
        if asked is None:
            return
        account, client = asked
        comparison = reconciliation.Comparison(account, client, catalogue.stored(account), "poll")
        if full:
            # A part at a time: whoever comes next goes on where this one stops.
            comparison.everything(until=timezone.now() + LONGEST_COMPARING)
            outbox.adopt_orphans(account, now=timezone.now())
        else:
            comparison.changed_since(until=timezone.now() + LONGEST_COMPARING)
            events_feed.look(account, client, now=timezone.now())
        report = comparison.report
        webhook_silence.note_missed(account, report.missed, now=timezone.now())
        if not report.is_clean:
            log.info("drift_found", account=account_id, cards=len(report.drifted), gone=len(report.gone))


def compare_first(account_id: int, *, longest: timedelta = LONGEST_COMPARING) -> bool | None:
    """Do a part of an account's first comparison; True when it is through, None while somebody else is at it.

    By half the calls that Kommo allows: conversations go on meanwhile, and so do the cards that are known.
    """
    # Where Kommo does not answer, it stays at this: whoever asks next goes on.
    ended: bool | None = False
    with _asking(Subject.COMPARE, account_id, share=FIRST_COMPARISON_SHARE) as asked:
        ended = None if asked is None else _compare_first_part(*asked, longest=longest)
    return ended


def _compare_first_part(account: Account, client: KommoClient, *, longest: timedelta) -> bool:
    if account.compared_at is not None:
        return True
    comparison = reconciliation.Comparison(account, client, catalogue.stored(account), "poll")
    ended = comparison.everything(until=timezone.now() + longest)
    if ended:
        log.info("first_comparison_ended", account=account.pk, read=account.first_comparison.get("read", 0))
        # What waited for it goes out.
        nudge.send(account.pk)
    return ended


@_beside_others
@tracing.traced
def look_for_missing(account_id: int) -> None:
    """Look a second time for leads that an answer of Kommo's did not have."""
    heartbeat.progress()
    with _asking(Subject.COMPARE, account_id) as asked:
        if asked is not None:
            account, client = asked
            reconciliation.Comparison(account, client, catalogue.stored(account), "second look").look_again()


@_beside_others
@tracing.traced
def notice_takeovers(account_id: int) -> None:
    """Pause the agent where a person has replied in a chat."""
    heartbeat.progress()
    with _asking(Subject.EVENTS, account_id) as asked:
        if asked is not None:
            chat_replies.notice(*asked, now=timezone.now())


@_beside_others
@tracing.traced
def check_subscription(account_id: int) -> None:
    """Mend the webhook's subscription when Kommo has dropped it."""
    heartbeat.progress()
    with _asking(Subject.WEBHOOKS, account_id) as asked:
        if asked is not None:
            webhook_subscription.check(*asked, now=timezone.now())


@_beside_others
@tracing.traced
def look_at_catalogue(account_id: int) -> None:
    """Learn what staff changed in the account's stages and fields, and try the cards again that waited for it."""
    heartbeat.progress()
    with _asking(Subject.CATALOGUE, account_id) as asked:
        if asked is not None:
            if catalogue.look_again(*asked, now=timezone.now()):
                nudge.send(account_id)
            permissions.look(*asked, now=timezone.now())
            account_traits.look(*asked)
            room_for_leads.look(*asked, now=timezone.now())


@_beside_others
@tracing.traced
def do_stage_wishes(account_id: int) -> None:
    """Make and rename in Kommo the stages that staff asked for."""
    heartbeat.progress()
    with _asking(Subject.STAGES, account_id) as asked:
        if asked is not None and stages_wanted_in_kommo.carry_out(*asked, now=timezone.now()):
            nudge.send(account_id)


@contextmanager
def _asking(subject: Subject, account_id: int, *, share: float = 1.0) -> Iterator[tuple[Account, KommoClient] | None]:
    """Yield the account with its client to the one process that may ask; None to all others, and while it rests.

    What Kommo refuses is heeded as everywhere (bridge/accounts/refusals.py); what fails is tried again with growing
    waits, and told once it lasts.
    """
    now = timezone.now()
    with alone(f"{subject}:{account_id}", now=now, longest=LONGEST_COMPARISON) as mine:
        if not mine or troubles.rests_until(account_id, subject, now=now):
            yield None
            return
        account, client = connection.open_account(account_id, share=share)
        try:
            yield account, client
        except KommoHeldError as error:
            # Nothing was asked: whatever holds calls back says so itself.
            log.info("asking_held", what=subject, account=account_id, error=error.in_log)
        except KommoError as error:
            log.info("asking_failed", what=subject, account=account_id, error=error.in_log)
            action = refusals.heed(account, error, now=now, client=client)
            if action is not Action.REST_FEATURE or purpose_of(error).value != subject:
                troubles.begin(account_id, subject, str(error), now=now, refused=False)
        except Exception as error:
            with suppress(DatabaseError):
                troubles.begin(account_id, subject, f"{type(error).__name__}: {error}", now=now, refused=False)
            raise
        else:
            troubles.over(account_id, subject, tried_at=now)


@tracing.traced
def send_followups() -> None:
    """Send the steps that are due; one task per machine at a time, and it stays while more fall due."""
    heartbeat.progress()
    now = timezone.now()
    more = False
    with alone(f"followups:{process_identity.machine()}", now=now, longest=3 * LONGEST_SENDING) as mine:
        if mine:
            more = dispatch.fire(
                holder=process_identity.process(), until=now + LONGEST_SENDING, progress=heartbeat.progress
            )
            # The last message of a day would be counted with the first of the next.
            metrics.settle()
    if more:
        _go_on("bridge.tasks.send_followups")


@tracing.traced
def send_messages() -> None:
    """Send messages that are on their way; one task per machine at a time, and it stays while more come."""
    heartbeat.progress()
    now = timezone.now()
    more, until = False, now + LONGEST_SENDING
    # A call to Kommo may take so long that began at the last moment.
    with alone(f"messages:{process_identity.machine()}", now=now, longest=3 * LONGEST_SENDING) as mine:
        if mine:
            with ThreadPoolExecutor(sending_messages.AT_ONCE, thread_name_prefix="message") as pool:
                more = sending_messages.carry(
                    holder=process_identity.process(), until=until, pool=pool, progress=heartbeat.progress
                )
    if more:
        _go_on("bridge.tasks.send_messages")


@tracing.traced
def tell_agent() -> None:
    """Send the agent what it has to know."""
    heartbeat.progress()
    now = timezone.now()
    more, until = False, now + LONGEST_SENDING
    with alone("agent-events", now=now, longest=2 * LONGEST_SENDING) as mine:
        if mine:
            more = agent_events.deliver_due(until=until, clock=timezone.now, progress=heartbeat.progress)
    if more:
        _go_on("bridge.tasks.tell_agent")


def _go_on(task: str, *arguments: object) -> None:
    """Ask for the same again at once: the worker's clock asks too, but not every second for the same."""
    try:
        async_task(task, *arguments, save=False)
    except Exception as error:
        log.warning("nudge_failed", task=task, error=type(error).__name__)


@tracing.traced
def read_intakes() -> None:
    """Read what messengers and calendars have told."""
    heartbeat.progress()
    if intakes.read_all():
        _go_on("bridge.tasks.read_intakes")


@tracing.traced
def end_waits() -> None:
    """Give back leads whose longest handoff is over, and let meetings go by whose time has come."""
    heartbeat.progress()
    now = timezone.now()
    agent_or_person.end_expired(now=now)
    meetings.pass_all(now=now)


@tracing.traced
def ask_for_results() -> None:
    """Give sellers a task where a meeting has gone by without a result, and tick it off once that is known."""
    heartbeat.progress()
    for account_id in meeting_result_tasks.ask_for_results(now=timezone.now()):
        nudge.send(account_id)


@_beside_others
@tracing.traced
def knock(account_id: int) -> None:
    """Ask Kommo whether it takes us again after a refusal; deliveries go on when it does."""
    heartbeat.progress()
    now = timezone.now()
    with alone(f"knock:{account_id}", now=now, longest=LONGEST_KNOCK) as mine:
        if mine and account_id in account_state.at_closed_doors(now=now):
            account = renamed_account.follow_renaming(Account.objects.get(pk=account_id))
            if account_state.knock(account, connection.client_for(account), now=now):
                nudge.send(account_id)


@tracing.traced
def reevaluate() -> None:
    """Let new rules reach the leads staff asked for, a stretch at a time."""
    heartbeat.progress()
    now = timezone.now()
    with alone("reevaluate", now=now, longest=4 * LONGEST_REEVALUATION) as mine:
        if mine:
            until = now + LONGEST_REEVALUATION
            reevaluation.run(may_go_on=lambda: timezone.now() < until, progress=heartbeat.progress)


@tracing.traced
def prune() -> None:
    """Forget what is older than its table keeps."""
    heartbeat.progress()
    now = timezone.now()
    with alone("prune", now=now, longest=2 * LONGEST_PRUNING) as mine:
        if mine:
            try:
                if erasing_here.sweep_again(now=now):
                    erasing_here.leave_no_pages()
            finally:
                # However that goes, no table keeps more than it may.
                forgotten = retention.prune(now=now, go_on=lambda: timezone.now() < now + LONGEST_PRUNING)
                if forgotten:
                    log.info("pruned", **forgotten)


@tracing.traced
def watch() -> None:
    """Look for what is wrong, and tell staff what has lasted."""
    heartbeat.progress()
    now = timezone.now()
    with alone("watch", now=now, longest=LONGEST_WATCH) as mine:
        if mine:
            alerts.look(now)
