"""May we call each account, was it compared lately, does its token last, and does Kommo reach us?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from bridge.accounts import permissions, rate_limit, room_for_leads, troubles
from bridge.accounts.connection import client_for
from bridge.cards import outbox
from bridge.doctor.finding import Finding, span_in_words, their_words
from bridge.errors import KommoError, KommoHeldError, KommoRateLimitError, KommoServerError, KommoUnreachableError
from bridge.kommo import token_expiry
from bridge.models import Account
from bridge.reasons import in_words
from leads.models import Pipeline

# A hundred thousand leads, at half of the usual ceiling, take some ten minutes.
COMPARES_LONG_AFTER = timedelta(hours=1)
# Three polls that should have been.
NOT_COMPARED_FOR = timedelta(minutes=15)
# What the ceiling leaves unused by itself, because calls differ.
MORE_THAN_ENOUGH = 1.2
CONNECT = gettext_noop("run manage.py kommo_connect")


def ask_kommo_itself(now: datetime) -> Iterator[Finding]:
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
                    "webhook", f"{account}: {in_words(str(error))}", _(troubles.REMEDIES[troubles.Subject.WEBHOOKS])
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


def check_accounts(now: datetime) -> Iterator[Finding]:
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
        message = f"{account}: {in_words(account.webhook_problem)}"
        remedy = _(
            "from outside, curl %(address)s/healthz must answer, with a certificate in force; then run manage.py "
            "kommo_connect --webhook-url %(address)s"
        )
        yield Finding("webhook", message, remedy % {"address": _public_address(account)}, "webhook")


def _pause(account: Account) -> Finding:
    words = {"account": account, "reason": in_words(account.state_reason)}
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


def check_troubles(now: datetime) -> Iterator[Finding]:
    for row in troubles.to_tell(now=now):
        reason = in_words(row.reason)
        if row.subject == troubles.Subject.CREATES:
            reason = _("%(reason)s (%(count)d new leads wait)") % {
                "reason": reason, "count": room_for_leads.parked(row.account_id),
            }  # fmt: skip
        words = {"account": row.account, "what": row.get_subject_display(), "reason": reason}
        sentence = (
            _("%(account)s: %(what)s: refused: %(reason)s")
            if row.refused and row.subject not in troubles.SIGNS
            else _("%(account)s: %(what)s: %(reason)s")
        )
        yield Finding("feature", sentence % words, _(troubles.remedy(row)), quotes=their_words(row.reason))


def check_polls(now: datetime) -> Iterator[Finding]:
    for account in Account.objects.exclude(state=Account.State.PAUSED).filter(connected_at__isnull=False):
        looks = (account.connected_at, account.polled_at, account.compared_at)
        age = now - max(look for look in looks if look is not None)
        if age > NOT_COMPARED_FOR:
            message = _("%(account)s: nothing was compared with Kommo for %(age)s")
            remedy = _(
                "see that the worker runs and that Kommo answers; while it lasts the agent is told not to answer"
            )
            yield Finding("comparison", message % {"account": account, "age": span_in_words(age)}, remedy)
