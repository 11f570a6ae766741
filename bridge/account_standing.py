"""How does an account stand, and why? In lines for a person: `manage.py account show`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Min, Q
from django.utils import timezone

from bridge.cards import outbox
from bridge.models import Account, Card
from bridge.selectors.backlog import backlog


def lines(account: Account, *, now: datetime) -> Iterator[str]:
    """Yield how the account stands: state, why, since when, until when, the first comparison, and what waits."""
    yield f"{account} ({account.base_url})"
    yield f"  state: {_state(account)}"
    if account.state == Account.State.PAUSED:
        yield f"  why: {account.state_reason or 'nobody said why'}"
        yield f"  until: {_until(account)}"
    if account.is_silent:
        since = f" since {_moment(account.shadow_since)}" if account.shadow_since else ""
        yield f"  shadow{since}: nothing is written to Kommo and nothing is said to leads"
    if account.state == Account.State.SHADOW and account.state_reason:
        yield f"  why: {account.state_reason}"
    yield f"  first comparison: {comparison(account)}"
    yield f"  waiting: {waiting(account, now=now)}"


def _state(account: Account) -> str:
    if account.state != Account.State.PAUSED:
        return account.state
    by = {Account.PausedBy.PERSON: " by a person", Account.PausedBy.KOMMO: " because Kommo refused us"}
    since = f", since {_moment(account.paused_at)}" if account.paused_at else ""
    return f"paused{by.get(Account.PausedBy(account.paused_by)) if account.paused_by else ''}{since}"


def _until(account: Account) -> str:
    if account.paused_by == Account.PausedBy.KOMMO and account.paused_until:
        return f"Kommo answers; it is asked again at {_moment(account.paused_until)}"
    return "a person resumes it (manage.py account resume)"


def comparison(account: Account) -> str:
    """Say how far the first comparison with Kommo is."""
    if account.connected_at is None:
        return "not begun: run manage.py kommo_connect"
    if account.compared_at is not None:
        return f"through; last compared {_moment(account.compared_at)}"
    found = account.first_comparison
    held_back = outbox.held_back(account).count()
    waits = f"; {held_back:,} new cards wait for it" if held_back else ""
    if account.comparing_since is None:
        return f"not begun: a worker begins it, or manage.py kommo_connect --wait{waits}"
    return f"under way since {_moment(account.comparing_since)}, {found.get('read', 0):,} leads read{waits}"


def waiting(account: Account, *, now: datetime) -> str:
    """Say how many cards wait, since when, and how many stand still until a person helps."""
    cards = Card.objects.filter(account=account)
    pending = cards.filter(state__in=Card.PENDING).aggregate(count=Count("id"), since=Min("pending_since"))
    stuck = cards.aggregate(
        shown=Count("id", filter=Q(state=Card.State.SHOWN)),
        blocked=Count("id", filter=Q(state=Card.State.BLOCKED)),
        dead=Count("id", filter=Q(state=Card.State.DEAD)),
    )
    parts = [
        f"{pending['count']:,} cards" + (f", the oldest since {_moment(pending['since'])}" if pending["since"] else "")
    ]
    many = backlog(account=account, now=now)
    if many.is_many and many.takes is not None:
        parts.append(f"{many.a_second:,.0f} leave a second: done {_moment(now + many.takes)}")
    words = {"shown": "only shown (shadow)", "blocked": "blocked", "dead": "refused for good"}
    parts += [f"{stuck[name]:,} {noun}" for name, noun in words.items() if stuck[name]]
    return "; ".join(parts)


def _moment(at: datetime | None) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S %Z}" if at else "?"
