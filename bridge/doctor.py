"""What is wrong with this installation, and what to do about each thing?

Every check is a function that yields findings; a finding without a remedy is good news. One check that cannot be made
must not hide the others.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, F, Min, Q
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext, ngettext_lazy
from django_q.brokers import get_broker
from redis.exceptions import RedisError

from bridge import checks, database_faults, redis_clients, static_files
from bridge.account_traits import Trait
from bridge.accounts import database_clock, permissions, rate_limit, room_for_leads, troubles
from bridge.accounts.connection import client_for
from bridge.cards import outbox
from bridge.delivery import handoff_notes
from bridge.errors import KommoError, KommoHeldError, KommoRateLimitError, KommoServerError, KommoUnreachableError
from bridge.inbound import adoption, unreadable_leads
from bridge.kommo import token_expiry
from bridge.models import (
    Account,
    AgentEvent,
    Card,
    Catalogue,
    Channel,
    Drift,
    Forgetting,
    Heartbeat,
    Outgoing,
    WebhookEvent,
)
from bridge.reasons import told
from followups import channels
from followups.followups_of_a_day import LATE_AFTER
from followups.models import Attempt, Enrollment, Sequence
from leads.models import FieldMapping, Lead, Pipeline, Stage

# An agent that restarts is back sooner; one that refuses would be known only days later, when an event is given up.
UNHEARD_AFTER = timedelta(minutes=5)
WORKER_SILENT_AFTER = timedelta(minutes=1)
CARD_WAITS_LONG_AFTER = timedelta(minutes=10)
ERASURE_LATE_AFTER = timedelta(hours=1)
# A hundred thousand leads, at half of the usual ceiling, take some ten minutes.
COMPARES_LONG_AFTER = timedelta(hours=1)
INBOX_LATE_AFTER = timedelta(minutes=5)
# Three polls that should have been.
NOT_COMPARED_FOR = timedelta(minutes=15)
CLOCKS_MAY_DIFFER_BY = timedelta(seconds=5)
# A way out that failed last is looked at so long; a message waits so long at the most while all is well.
FAILING_FOR, MESSAGES_LATE_AFTER = timedelta(days=1), timedelta(minutes=5)
GLANCE_KEPT_SECONDS = 10
# What the ceiling leaves unused by itself, because calls differ.
MORE_THAN_ENOUGH = 1.2
# SQLite writes what changes twice, and some MB of it at once.
LEAST_FREE_BYTES = 50_000_000
# Leads that cannot be read, by Kommo's id: so many are named.
ODD_SHOWN = 5
TITLES = {
    "database": gettext_noop("database"),
    "queue": gettext_noop("queue"),
    "worker": gettext_noop("worker"),
    "kommo": "Kommo",
    "account": gettext_noop("account"),
    "token": gettext_noop("token"),
    "bindings": gettext_noop("bindings"),
    "backlog": gettext_noop("backlog"),
    "cards": gettext_noop("cards"),
    "webhook": gettext_noop("webhook"),
    "drift": gettext_noop("drift"),
    "follow-ups": gettext_noop("follow-ups"),
    "messages": gettext_noop("messages"),
    "agent": gettext_noop("agent"),
    "static files": gettext_noop("static files"),
    "comparison": gettext_noop("comparison"),
    "feature": gettext_noop("feature"),
    "handoffs": gettext_noop("handoffs"),
    "clock": gettext_noop("clock"),
    "erasures": gettext_noop("erasures"),
    "settings": gettext_noop("settings"),
    "rights": gettext_noop("rights"),
}
CONNECT = gettext_noop("run manage.py kommo_connect")
# State of a card -> what is said of those in it, and the remedy.
STUCK = {
    Card.State.BLOCKED: (
        ngettext_lazy("%(count)d card is blocked", "%(count)d cards are blocked", "count"),
        gettext_noop("complete the configuration they name; they go on by themselves"),
    ),
    Card.State.DEAD: (
        ngettext_lazy("%(count)d card was refused", "%(count)d cards were refused", "count"),
        gettext_noop("fix the cause on the card's page and choose “Send to Kommo again”"),
    ),
    Card.State.GONE: (
        ngettext_lazy("%(count)d card was deleted in Kommo", "%(count)d cards were deleted in Kommo", "count"),
        gettext_noop("on the cards' page, create them anew or close them"),
    ),
}


@dataclass(frozen=True)
class Finding:
    """What a check saw. `remedy` is what a person does about it; empty when all is well.

    code: names the trouble for a page that tells it better. advice: all is well, and yet somebody may not want it so.
    subject: what it stays the same trouble by, where its words are not enough.
    """

    check: str
    message: str
    remedy: str = ""
    code: str = ""
    advice: str = ""
    subject: str = ""

    @property
    def is_well(self) -> bool:
        return not self.remedy

    @property
    def title(self) -> str:
        """Return the check's name in the active language; `check` itself never changes."""
        return _(TITLES.get(self.check, self.check))


Check = Callable[[datetime], Iterator[Finding]]


def examine(now: datetime, *, ask_kommo: bool = True, language: str = "en") -> list[Finding]:
    """Return every finding. Without `ask_kommo` only our own rows are read: no call leaves.

    language: a page passes its reader's. Commands and alerts keep to English, which logs are searched for and by whose
    words an alert is known from look to look.
    """
    with translation.override(language):
        return _examine(now, ask_kommo=ask_kommo)


def glance(now: datetime, *, language: str) -> list[Finding]:
    """Return what `examine` finds among our own rows, at most a few seconds old: for a page that looks all the time."""
    key = f"doctor:{language}"
    kept: list[dict[str, str]] | None = cache.get(key)
    if kept is not None:
        return [Finding(**each) for each in kept]
    found = examine(now, ask_kommo=False, language=language)
    # As plain values: in Redis the cache holds JSON.
    cache.set(key, [asdict(each) for each in found], GLANCE_KEPT_SECONDS)
    return found


def _examine(now: datetime, *, ask_kommo: bool) -> list[Finding]:
    found = list(_dared(_database, now))
    if not found[0].is_well:
        # Everything else reads the database.
        return found
    looks: list[Check] = [
        _queue,
        _worker,
        _accounts,
        _troubles,
        _polls,
        _bindings,
        _cards,
        _briefings,
        _erasures,
        _inbox,
        _drifts,
        _followups,
        _messages,
        _agent,
        _static_files,
        _clock,
        _settings,
    ]
    if ask_kommo:
        looks.insert(3, _kommo)
    for check in looks:
        found += _dared(check, now)
    return found


def _dared(check: Check, now: datetime) -> Iterator[Finding]:
    try:
        yield from check(now)
    except (DatabaseError, InterfaceError) as error:
        message = _("does not answer: %(reason)s") % {"reason": database_faults.first_line(error)}
        yield Finding("database", message, _(database_faults.remedy(error)))


def _database(now: datetime) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if pending:
        yield Finding(
            "database",
            ngettext("%(count)d migration to apply", "%(count)d migrations to apply", pending) % {"count": pending},
            _("run manage.py migrate"),
            subject="database: migrations to apply",
        )
    else:
        yield Finding("database", _("%(vendor)s, all migrations applied") % {"vendor": connection.vendor})
    yield from _disk()


def _disk() -> Iterator[Finding]:
    """Look at the disk of SQLite's file: what is full can be read, and nothing says so until something is written."""
    if connection.vendor != "sqlite":
        return
    folder = Path(connection.settings_dict["NAME"]).parent
    if not folder.is_dir():
        # In memory.
        return
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        message = _("%(megabytes)d MB are free in %(folder)s: when it is full nothing new is taken")
        words = {"megabytes": free // 1_000_000, "folder": folder}
        remedy = _("free space on that disk; what was refused meanwhile the agent and Kommo send again")
        yield Finding("database", message % words, remedy, subject="database: disk almost full")


def _queue(now: datetime) -> Iterator[Finding]:
    try:
        waiting = get_broker().queue_size()
        if settings.REDIS_URL:
            redis_clients.connect().ping()
    except (RedisError, OSError) as error:
        message = _("Redis does not answer: %(reason)s") % {"reason": error}
        yield Finding("queue", message, _("check REDIS_URL and that Redis runs"))
        return
    slow = _("start another worker, or look why the running one is slow")
    yield Finding(
        "queue",
        ngettext("%(count)d task waits", "%(count)d tasks wait", waiting) % {"count": waiting},
        slow if waiting > 1000 else "",
    )


def _worker(now: datetime) -> Iterator[Finding]:
    newest = Heartbeat.objects.order_by("-at").values_list("at", flat=True).first()
    remedy = _("start manage.py worker (make run starts it too), and see that its service restarts it")
    if newest is None:
        yield Finding("worker", _("no worker is at work"), remedy, "worker")
    elif now - newest > WORKER_SILENT_AFTER:
        yield Finding("worker", _("no sign of life for %(age)s") % {"age": _age(now - newest)}, remedy, "worker")
    else:
        count = Heartbeat.objects.filter(at__gt=now - WORKER_SILENT_AFTER).count()
        yield Finding("worker", _("%(count)d at work") % {"count": count})


def _kommo(now: datetime) -> Iterator[Finding]:
    for account in Account.objects.all():
        client = client_for(account)
        try:
            name = client.account().name
        except KommoError as error:
            yield Finding("kommo", f"{account}: {error}", _(_what_helps(error)))
            continue
        yield Finding("kommo", _("%(account)s: connected to %(name)s") % {"account": account, "name": name})
        if account.webhook_destination:
            try:
                hooks = client.webhooks()
            except KommoError as error:
                yield Finding(
                    "webhook", f"{account}: {told(str(error))}", _(troubles.REMEDIES[troubles.Subject.WEBHOOKS])
                )
                continue
            ours = next((hook for hook in hooks if hook.destination == account.webhook_destination), None)
            if ours is None or ours.disabled:
                gone, disabled = (
                    _("%(account)s: the subscription is gone"),
                    _("%(account)s: the subscription is disabled by Kommo"),
                )
                yield Finding(
                    "webhook",
                    (disabled if ours else gone) % {"account": account},
                    _("it is renewed within 30 minutes; at once with manage.py kommo_connect --webhook-url %(address)s")
                    % {"address": _public_address(account)},
                )


def _what_helps(error: KommoError) -> str:
    """Return what a person does about a call that failed, in English: a token mends nothing where Kommo is away."""
    if isinstance(error, KommoHeldError | KommoRateLimitError | KommoServerError):
        return gettext_noop("wait, it is asked again by itself; if it lasts, ask Kommo's support")
    if isinstance(error, KommoUnreachableError):
        return gettext_noop(
            "see that this server reaches the account's address: its name, the network, a proxy between"
        )
    return gettext_noop("check the account's address and token in the admin")


def _public_address(account: Account) -> str:
    """Return the address of ours that Kommo calls, without the path, which is a secret."""
    parts = urlsplit(account.webhook_destination)
    return f"{parts.scheme}://{parts.netloc}"


def _accounts(now: datetime) -> Iterator[Finding]:
    accounts = list(Account.objects.all())
    if not accounts:
        remedy = _("set KOMMO_BASE_URL and KOMMO_LONG_LIVED_TOKEN in .env and run manage.py kommo_connect")
        yield Finding("account", _("no Kommo account"), remedy, "account-absent")
    for account in accounts:
        yield from _account(account, now)
    for pipeline in Pipeline.objects.filter(account_link=None):
        message = _("pipeline %(pipeline)s has no account") % {"pipeline": pipeline.slug}
        yield Finding("account", message, _(CONNECT))


def _account(account: Account, now: datetime) -> Iterator[Finding]:
    if account.connected_at is None:
        yield Finding("account", _("%(account)s: never connected") % {"account": account}, _(CONNECT))
    if account.state == Account.State.PAUSED:
        yield _pause(account)
    elif account.state == Account.State.SHADOW:
        message = _("%(account)s: in shadow: nothing is written and nothing is said to leads") % {"account": account}
        yield Finding("account", message)
    if account.connected_at and account.compared_at is None:
        yield _first_comparison(account, now)
    yield from _distance(account)
    yield from _token(account, now)
    if account.webhook_problem:
        message = f"{account}: {told(account.webhook_problem)}"
        remedy = _(
            "from outside, curl %(address)s/healthz must answer, with a certificate in force; then run manage.py "
            "kommo_connect --webhook-url %(address)s"
        )
        yield Finding("webhook", message, remedy % {"address": _public_address(account)}, "webhook")


def _pause(account: Account) -> Finding:
    words = {"account": account, "reason": told(account.state_reason)}
    if account.paused_by == Account.PausedBy.KOMMO and account.paused_until:
        words["time"] = f"{timezone.localtime(account.paused_until):%H:%M:%S}"
        message = _("%(account)s: paused, Kommo refuses us: %(reason)s; it is asked again at %(time)s") % words
        return Finding(
            "account", message, _("fix the cause; it goes on by itself once Kommo answers"), "account-paused"
        )
    message = _("%(account)s: paused by a person: %(reason)s") % words
    return Finding("account", message, _("run manage.py account resume when it may go on"), "account-paused")


def _first_comparison(account: Account, now: datetime) -> Finding:
    """Say how far the first comparison is; wrong only when it takes longer than any account's."""
    words = {
        "account": account,
        "read": account.first_comparison.get("read", 0),
        "held": outbox.held_back(account).count(),
    }
    message = _("%(account)s: the first comparison is not through: %(read)d leads read, %(held)d new cards wait for it")
    since = account.comparing_since or account.connected_at or now
    if now - since > COMPARES_LONG_AFTER:
        remedy = _("see that a worker runs and that Kommo answers; manage.py kommo_connect --wait does it too")
        return Finding("account", message % words, remedy, "first-comparison")
    advice = _("nothing is created until then; manage.py account show says how far it is")
    return Finding("account", message % words, code="first-comparison", advice=advice)


def _distance(account: Account) -> Iterator[Finding]:
    """Advise more calls at once where Kommo is so far away that those under way are fewer than it would take."""
    seconds, at_once, ceiling = (
        rate_limit.usual_seconds(account),
        settings.KOMMO_CALLS_AT_ONCE,
        account.requests_per_second,
    )
    if at_once < ceiling and seconds * ceiling > at_once * MORE_THAN_ENOUGH:
        words = {
            "account": account,
            "seconds": f"{seconds:.1f}",
            "at_once": at_once,
            "rate": f"{at_once / seconds:.1f}",
            "ceiling": ceiling,
        }
        message = _(
            "%(account)s: a call to Kommo takes %(seconds)s s; with %(at_once)d under way at once these are %(rate)s "
            "of the %(ceiling)d calls a second that it takes"
        )
        advice = _("set KOMMO_CALLS_AT_ONCE=%(ceiling)d in .env and restart the worker, and a backlog is done sooner")
        yield Finding("account", message % words, code="calls-at-once", advice=advice % words)


def _token(account: Account, now: datetime) -> Iterator[Finding]:
    for lack in permissions.lacks(account):
        yield Finding("rights", f"{account}: {lack.message}", lack.remedy, "rights", lack.advice)
    expires_at = account.token_expires_at
    # A pair of OAuth's renews itself every day.
    if expires_at is None or account.refresh_token:
        return
    remedy = _("make a new long-lived token in Kommo and enter it on the account's page")
    words = {"account": account, "date": f"{expires_at:%Y-%m-%d}"}
    if expires_at <= now:
        yield Finding("token", _("%(account)s: expired on %(date)s") % words, remedy, "token")
    elif threshold := token_expiry.warning(expires_at, now=now):
        message = _("%(account)s: ends within %(days)d days, on %(date)s") % {**words, "days": threshold.days}
        yield Finding("token", message, remedy, "token")
    else:
        yield Finding("token", _("%(account)s: good until %(date)s") % words)


def _troubles(now: datetime) -> Iterator[Finding]:
    for row in troubles.to_tell(now=now):
        reason = told(row.reason)
        if row.subject == troubles.Subject.CREATES:
            reason = _("%(reason)s (%(count)d new leads wait)") % {
                "reason": reason, "count": room_for_leads.parked(row.account_id),
            }  # fmt: skip
        words = {"account": row.account, "what": row.get_subject_display(), "reason": reason}
        said = (
            _("%(account)s: %(what)s: refused: %(reason)s")
            if row.refused and row.subject not in troubles.SIGNS
            else _("%(account)s: %(what)s: %(reason)s")
        )
        yield Finding("feature", said % words, _(troubles.remedy(row)))


def _polls(now: datetime) -> Iterator[Finding]:
    for account in Account.objects.exclude(state=Account.State.PAUSED).filter(connected_at__isnull=False):
        looks = (account.connected_at, account.polled_at, account.compared_at)
        age = now - max(look for look in looks if look is not None)
        if age > NOT_COMPARED_FOR:
            message = _("%(account)s: nothing was compared with Kommo for %(age)s")
            remedy = _(
                "see that the worker runs and that Kommo answers; while it lasts the agent is told not to answer"
            )
            yield Finding("comparison", message % {"account": account, "age": _age(age)}, remedy)


def _briefings(now: datetime) -> Iterator[Finding]:
    untold = handoff_notes.untold(handoff_notes.given_up())
    if any(untold.values()):
        message = _(
            "sellers were not told what to do, for Kommo refuses the note or the task; handoffs: %(handoffs)d, leads"
            " who wrote or booked: %(calls)d, meetings without a result: %(results)d"
        )
        remedy = _("see why on the lead's timeline, tell the seller, and choose “Tell them again” on the overview")
        yield Finding("handoffs", message % untold, remedy, "briefings")


def _clock(now: datetime) -> Iterator[Finding]:
    skew = database_clock.measure() if connection.vendor == "postgresql" else timedelta(0)
    if abs(skew) > CLOCKS_MAY_DIFFER_BY:
        message = _("this host's clock and the database's differ by %(age)s") % {"age": _age(abs(skew))}
        yield Finding("clock", message, _("set both by a time service (NTP)"))
        return
    common = now + (database_clock.skew() if connection.vendor == "postgresql" else timedelta(0))
    ahead = Heartbeat.objects.filter(at__gt=common + CLOCKS_MAY_DIFFER_BY).order_by("-at").first()
    if ahead:
        message = _("the clock of worker %(worker)s is %(age)s ahead: the agent may refuse what it signs")
        words = {"worker": ahead.worker, "age": _age(ahead.at - common)}
        yield Finding("clock", message % words, _("set the clock of every host by a time service (NTP)"))


def _erasures(now: datetime) -> Iterator[Finding]:
    left = Forgetting.objects.filter(state=Forgetting.State.LEFT).count()
    if left:
        message = ngettext(
            "%(count)d person asked to be forgotten, and something of them is left in Kommo",
            "%(count)d people asked to be forgotten, and something of them is left in Kommo",
            left,
        ) % {"count": left}
        remedy = _("see what on the page “Erasures in Kommo”, erase it there, and say on that page that it is done")
        yield Finding("erasures", message, remedy, "erasures")
    waiting = Forgetting.objects.filter(state=Forgetting.State.DUE, asked_at__lt=now - ERASURE_LATE_AFTER).count()
    if waiting:
        message = ngettext(
            "%(count)d person asked to be forgotten, and waits for it in Kommo",
            "%(count)d people asked to be forgotten, and wait for it in Kommo",
            waiting,
        ) % {"count": waiting}
        remedy = _(
            "see that the account is active and that Kommo answers; while it only observes nothing is erased there"
        )
        yield Finding("erasures", message, remedy, "erasures")


def _bindings(now: datetime) -> Iterator[Finding]:
    remedy = _("create it in Kommo or run manage.py kommo_connect --create-missing; or choose another in the admin")
    pipelines = Pipeline.objects.exclude(account_link=None)
    unbound = 0
    for stage in Stage.objects.filter(pipeline__in=pipelines, kommo_status_id=None):
        unbound += 1
        message = _("stage “%(stage)s” is bound to no stage in Kommo") % {"stage": stage.name}
        yield Finding("bindings", message, remedy)
    for mapping in FieldMapping.objects.filter(pipeline__in=pipelines, kommo_field_id=None):
        unbound += 1
        message = _("field “%(field)s” is not in Kommo") % {"field": mapping.kommo_field}
        yield Finding("bindings", message, remedy)
    ours = set(Pipeline.objects.exclude(kommo_pipeline_id=None).values_list("kommo_pipeline_id", flat=True))
    for account in Account.objects.filter(bridge_id_field_id=None, connected_at__isnull=False):
        unbound += 1
        message = _("%(account)s: no field “Bridge ID”") % {"account": account}
        yield Finding("bindings", message, _("run manage.py kommo_connect --create-missing"))
    for account in Account.objects.filter(connected_at__isnull=False).exclude(traits__has_key=Trait.PROBED_AT):
        message = _("%(account)s: how it behaves was not measured yet; manage.py kommo_probe does it")
        yield Finding("bindings", message % {"account": account})
    for row in Catalogue.objects.exclude(account__bridge_id_field_id=None).select_related("account"):
        if all(one["id"] != row.account.bridge_id_field_id for one in row.lead_fields):
            unbound += 1
            message = _("%(account)s: the field “Bridge ID” is not in Kommo any more; leads are known by phone alone")
            remedy = _("run manage.py kommo_connect --create-missing")
            yield Finding("bindings", message % {"account": row.account}, remedy)
        for pipeline in row.pipelines:
            if pipeline.get("is_archive") and pipeline["id"] in ours:
                unbound += 1
                message = _("%(account)s: the pipeline “%(pipeline)s” is archived in Kommo")
                remedy = _("take it out of the archive, or bind another pipeline")
                yield Finding("bindings", message % {"account": row.account, "pipeline": pipeline["name"]}, remedy)
    if not unbound:
        yield Finding("bindings", _("every stage and field is bound"))
    yield from _gone_statuses()


def _gone_statuses() -> Iterator[Finding]:
    catalogues = {row.account_id: row for row in Catalogue.objects.all()}
    stages = Stage.objects.exclude(kommo_status_id=None).filter(kind=Stage.Kind.OPEN)
    for stage in stages.select_related("pipeline__account_link"):
        link = getattr(stage.pipeline, "account_link", None)
        catalogue = catalogues.get(link.account_id) if link else None
        if catalogue and not catalogue.status(stage.pipeline.kommo_pipeline_id, stage.kommo_status_id):
            message = _("stage “%(stage)s” is bound to a stage that Kommo does not have any more")
            yield Finding("bindings", message % {"stage": stage.name}, _("choose another stage in the admin"))


def _cards(now: datetime) -> Iterator[Finding]:
    # Those that wait for room in the account are told with it.
    waiting = Card.objects.filter(state__in=Card.PENDING).exclude(waiting_reason=room_for_leads.NO_ROOM)
    pending = waiting.aggregate(count=Count("id"), since=Min("pending_since"))
    age = now - pending["since"] if pending["since"] else timedelta(0)
    message = ngettext(
        "%(count)d card waits, for %(age)s", "%(count)d cards wait, the oldest for %(age)s", pending["count"]
    ) % {"count": pending["count"], "age": _age(age)}
    late = age > CARD_WAITS_LONG_AFTER
    remedy = _("see what they wait for on the cards' page") if late else ""
    yield Finding("backlog", message, remedy, "backlog", subject="backlog: cards wait")
    counts = dict(Card.objects.filter(state__in=STUCK).values_list("state").annotate(Count("id")))
    for state, (said, remedy) in STUCK.items():
        if number := counts.get(state):
            yield Finding("cards", said % {"count": number}, _(remedy), "cards", subject=f"cards: {state}")
    yield from _unreadable()
    without = Lead.objects.filter(pipeline__account_link__isnull=False, card=None, erased_at=None).count()
    if without:
        yield Finding(
            "cards",
            ngettext("%(count)d lead without a card", "%(count)d leads without a card", without) % {"count": without},
            _(CONNECT),
            subject="cards: leads without one",
        )


def _unreadable() -> Iterator[Finding]:
    odd = adoption.unreadable()
    count = odd.count()
    if count:
        ids = ", ".join(
            str(one) for one in odd.order_by("pk").values_list("kommo_lead_id", flat=True)[:ODD_SHOWN] if one
        )
        message = _("%(count)d leads in Kommo could not be read, and are as they were here: %(leads)s")
        remedy = _("see the last error on the card's page and fix in Kommo what it names; it is read again by itself")
        yield Finding("cards", message % {"count": count, "leads": ids or "–"}, remedy, "unreadable")
    strangers = unreadable_leads.to_tell()
    if count := strangers.count():
        first = strangers[0]
        message = _("%(count)d leads in Kommo could not be taken in: %(leads)s; the first for: %(error)s")
        ids = ", ".join(str(one.kommo_lead_id) for one in strangers[:ODD_SHOWN])
        remedy = _("fix in Kommo what the error names; they are read again by themselves, at least every hour")
        yield Finding("cards", message % {"count": count, "leads": ids, "error": first.error}, remedy, "not-taken-in")


def _inbox(now: datetime) -> Iterator[Finding]:
    waiting = WebhookEvent.objects.filter(state=WebhookEvent.State.RECEIVED)
    oldest = waiting.aggregate(at=Min("received_at"))["at"]
    if oldest and now - oldest > INBOX_LATE_AFTER:
        remedy = _("see that the worker runs; the webhooks' page shows the error of each")
        message = _("unread webhooks, the oldest of %(age)s ago") % {"age": _age(now - oldest)}
        yield Finding("webhook", message, remedy, "webhooks-unread")
    failed = WebhookEvent.objects.filter(state=WebhookEvent.State.FAILED).count()
    if failed:
        message = _("%(count)d could not be processed") % {"count": failed}
        yield Finding("webhook", message, _("choose “Process again” on the webhooks' page"), "webhooks-failed")


def _drifts(now: datetime) -> Iterator[Finding]:
    waiting = Drift.objects.filter(resolution=Drift.Resolution.OPEN).count()
    if waiting:
        message = ngettext(
            "%(count)d card was moved in Kommo by an automation against our rules",
            "%(count)d cards were moved in Kommo by an automation against our rules",
            waiting,
        ) % {"count": waiting}
        remedy = _("decide on the drifts' page whose stage stands, or switch the automation off")
        yield Finding("drift", message, remedy, "drift", subject="drift: moved by an automation")


def _why_mute() -> str:
    """Return why follow-ups of some pipeline that has any reach nobody; empty when all do."""
    active = Sequence.objects.filter(is_active=True, steps__isnull=False)
    why = (channels.why_mute(pk) for pk in sorted(set(active.values_list("pipeline_id", flat=True))))
    return next(filter(None, why), "")


def _followups(now: datetime) -> Iterator[Finding]:
    due = Enrollment.objects.filter(state=Enrollment.State.WAITING, held=False, next_at__lt=now - LATE_AFTER)
    late = due.count()
    if late:
        message = _("%(count)d are late") % {"count": late}
        remedy = _("see that the worker runs and that the agent answers")
        yield Finding("follow-ups", message, remedy, "follow-ups-late")
    elif why := _why_mute():
        unsent = Attempt.objects.filter(state=Attempt.State.NOT_SENT, created_at__gt=now - timedelta(days=1)).count()
        words = {"reason": told(why), "count": unsent}
        said = (
            _("not sent, %(reason)s") if not unsent else _("not sent, %(reason)s: %(count)d messages of the last day")
        )
        if settings.FOLLOWUP_CHANNEL:
            advice = _("fix FOLLOWUP_CHANNEL: until then no message reaches anybody, and nobody is given up on")
        else:
            advice = _(
                "set AGENT_WEBHOOK_URL and AGENT_WEBHOOK_SECRET: until then no message reaches anybody, and nobody is "
                "given up on"
            )
        yield Finding("follow-ups", said % words, code="unsent", advice=advice)
    else:
        yield Finding("follow-ups", _("none is late"))


def _messages(now: datetime) -> Iterator[Finding]:
    """Look at what is said by ways out; an installation without any is told nothing of them."""
    slugs = set(Channel.objects.values_list("slug", flat=True))
    for pipeline in Pipeline.objects.exclude(channel="").exclude(channel__in=slugs).order_by("slug"):
        message = _("“%(pipeline)s” names the way out “%(name)s”, which there is not")
        remedy = _("make it with manage.py channel, or name another in the pipeline's rules")
        yield Finding("messages", message % {"pipeline": pipeline.name, "name": pipeline.channel}, remedy, "no-channel")
    failing = Channel.objects.filter(is_active=True, failed_at__gt=now - FAILING_FOR)
    for channel in failing.filter(Q(sent_at=None) | Q(sent_at__lt=F("failed_at"))).order_by("slug"):
        message = _("the way out “%(name)s” fails: %(reason)s") % {
            "name": channel.slug,
            "reason": told(channel.failure),
        }
        yield Finding("messages", message, _("test it on its page"), "channel-fails", subject=channel.slug)
    late = Outgoing.objects.filter(state=Outgoing.State.DUE, created_at__lt=now - MESSAGES_LATE_AFTER)
    if oldest := late.aggregate(at=Min("created_at"))["at"]:
        message = _("messages wait to be sent, the oldest for %(age)s") % {"age": _age(now - oldest)}
        yield Finding("messages", message, _("see that the worker runs; each way out shows why"), "messages-late")


def _agent(now: datetime) -> Iterator[Finding]:
    dead = AgentEvent.objects.filter(state=AgentEvent.State.DEAD).count()
    if dead:
        remedy = _("see why the agent refused them, and send them again on their page")
        yield Finding(
            "agent",
            ngettext("%(count)d event was given up", "%(count)d events were given up", dead) % {"count": dead},
            remedy,
            "agent-events",
            subject="agent: events given up",
        )
    unheard = AgentEvent.objects.filter(state=AgentEvent.State.DUE, attempts__gt=0, created_at__lt=now - UNHEARD_AFTER)
    oldest = unheard.order_by("created_at").first()
    if oldest:
        minutes = int((now - oldest.created_at).total_seconds() // 60)
        answer = oldest.error or (f"HTTP {oldest.status_code}" if oldest.status_code else _("no answer"))
        remedy = _("see that the agent runs at AGENT_WEBHOOK_URL, and read its log")
        if oldest.status_code in (401, 403):
            remedy = _("compare AGENT_WEBHOOK_SECRET on both sides, and both clocks: a signature holds for minutes")
        count = unheard.count()
        message = ngettext(
            "%(count)d event is not taken, for %(minutes)d min: %(answer)s",
            "%(count)d events are not taken, the oldest for %(minutes)d min: %(answer)s",
            count,
        )
        told = message % {"count": count, "minutes": minutes, "answer": answer}
        yield Finding("agent", told, remedy, "agent-unheard", subject="agent: events not taken")


def _static_files(now: datetime) -> Iterator[Finding]:
    if not static_files.collects():
        return
    remedy = _("run manage.py collectstatic --noinput, then restart the web server")
    names = static_files.uncollected()
    if not static_files.was_collected():
        yield Finding("static files", _("never collected: pages load slowly"), remedy)
    elif names:
        message = _("%(count)d are not those of this version, %(example)s for one")
        yield Finding("static files", message % {"count": len(names), "example": names[0]}, remedy)
    else:
        yield Finding("static files", _("collected"))


def _settings(now: datetime) -> Iterator[Finding]:
    for text, advice in checks.weaknesses():
        # It works, and somebody may have their reasons: said, and no alarm.
        yield Finding("settings", text, advice=advice)


def _age(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
