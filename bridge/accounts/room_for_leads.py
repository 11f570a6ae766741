"""Does Kommo take new leads? An account may be full, or our user may change leads and make none.

What a full account answers is documented nowhere. So whatever refuses a create without naming what is wrong with it,
while leads can still be read, puts creating to rest and nothing else: changes of cards that exist go on, and so does
looking for people who have a card already. Then one new card is tried at a time, ever more seldom, each time another
one if there is one; the first that is taken lets all others follow.

How much room there is is told by the older API alone, where it still answers: the ceilings of open leads, and of
contacts with companies. What there is is counted by asking for far pages, a dozen calls a day.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.accounts import troubles
from bridge.cards.batch_entry import Entry
from bridge.errors import KommoError
from bridge.kommo.client import KommoClient
from bridge.kommo.transport import LIST_LIMIT
from bridge.models import Account, Card, Catalogue, Trouble
from common.reasons import Reason, several
from common.reasons.columns import either
from common.statements import Select

log = structlog.get_logger(__name__)

# Why a card waits, on its page and to the agent; also how the waiting ones are known.
NO_ROOM = Reason("no_room_in_kommo")


# What the plan holds is worth a warning from this part on.
WARN_FROM = 0.8
LOOK_EVERY = timedelta(days=1)
# Of pipelines whose closed leads are counted: as many as fit into a request line.
MOST_PIPELINES = 50


def look(account: Account, client: KommoClient, *, now: datetime) -> None:
    """Once a day, compare what the account holds with what its plan does, and warn. What is not told warns of nothing.

    Nothing depends on it: what goes wrong is asked again the next day.
    """
    before = account.traits.get(Trait.ROOM) or {}
    if before and datetime.fromisoformat(before["at"]) > now - LOOK_EVERY:
        return
    known: dict[str, tuple[int, int]] = {}
    try:
        limits = client.limits()
        if limits.leads:
            known["leads"] = _open_leads(account, client, limits.leads), limits.leads
        if limits.contacts:
            people = _count(client, "contacts", limits.contacts)
            known["contacts"] = people + _count(client, "companies", limits.contacts), limits.contacts
    except KommoError as error:
        log.info("room_not_read", account=account.pk, error=error.in_log)
    account_traits.remember(account, Trait.ROOM, {**known, "at": now.isoformat(timespec="minutes")})
    full = [
        Reason("leads_used" if what == "leads" else "contacts_used", number=used, a=limit)
        for what, (used, limit) in known.items()
        if used >= WARN_FROM * limit
    ]
    if full:
        troubles.begin(account.pk, Trouble.Subject.PLAN, several(full), now=now, refused=True)
    else:
        troubles.over(account.pk, Trouble.Subject.PLAN)


def _open_leads(account: Account, client: KommoClient, limit: int) -> int:
    """Return how many leads are open: the ceiling is one of open ones. All of them where nobody can tell."""
    catalogue = Catalogue.objects.filter(account=account).first()
    pipelines = [pipeline["id"] for pipeline in catalogue.pipelines][:MOST_PIPELINES] if catalogue else []
    # Counted a little beyond the ceiling: closed ones stand on top of it.
    total = _count(client, "leads", limit * 10)
    closed = _count(client, "leads", total, closed_in=pipelines) if pipelines and total else 0
    return max(0, total - closed)


def _count(client: KommoClient, entity: str, most: int, *, closed_in: list[int] | None = None) -> int:
    """Return how many there are, about `most` at most: the last page is found by halving, by some ten calls."""
    full, beyond, rows = 0, most // LIST_LIMIT + 2, 0
    while beyond - full > 1:
        page = (full + beyond) // 2
        if found := client.rows_on(entity, page, closed_in=closed_in or ()):
            full, rows = page, found
        else:
            beyond = page
    return (full - 1) * LIST_LIMIT + rows if full else 0


def standing(account_id: int) -> Trouble | None:
    """Return what is known of a Kommo that makes no new cards; None while it does."""
    return STANDING.first(account_id=account_id)  # type: ignore[no-any-return]


STANDING = Select(
    lambda account_id: Trouble.objects.filter(account_id=account_id, subject=Trouble.Subject.CREATES).order_by("id")[:1]
)


def close(account_id: int, reason: str, *, now: datetime) -> datetime:
    """Note that a create was refused; return when the next one may be tried."""
    return troubles.begin(account_id, Trouble.Subject.CREATES, reason, now=now, refused=True)


def let_in(creates: list[Entry], closed: Trouble, *, now: datetime) -> list[Entry]:
    """Return those of a Kommo that is closed to new cards that may go on: one to try, and whoever is to be looked for.

    The others are parked until it is tried again.
    """
    looked_for = [entry for entry in creates if _was_looked_for(entry.card)]
    # The one that has failed least: a card that is refused for its own sake must not keep out all others.
    tried = min(looked_for, key=lambda entry: entry.card.attempts, default=None) if closed.next_at <= now else None
    parked = [entry.card.pk for entry in looked_for if entry is not tried]
    park(parked, until=max(closed.next_at, now + troubles.SHORTEST_REST))
    return [entry for entry in creates if entry.card.pk not in parked]


def park(card_ids: list[int], *, until: datetime) -> None:
    """Let new cards wait for room."""
    waiting = Card.objects.filter(pk__in=card_ids, kommo_lead_id=None, state__in=Card.PENDING)
    waiting.update(state=Card.State.RETRYING, due_at=until, waiting_reason=NO_ROOM)


def parked(account_id: int | None = None) -> int:
    """Return how many new cards wait for room."""
    rows = Card.objects.filter(state=Card.State.RETRYING, waiting_reason__in=either(NO_ROOM))
    return (rows if account_id is None else rows.filter(account_id=account_id)).count()


def opened(account_id: int, *, now: datetime) -> None:
    """Let all new cards follow the first that was taken."""
    troubles.over(account_id, Trouble.Subject.CREATES)
    try_again(account_id, now=now)


def try_again(account_id: int, *, now: datetime) -> None:
    """Make the cards due that wait for room; while it is not known that there is some, one of them is tried."""
    rows = Card.objects.filter(account_id=account_id, state=Card.State.RETRYING, waiting_reason__in=either(NO_ROOM))
    rows.filter(due_at__gt=now).exclude(write_settles_at__gt=now).update(due_at=now)


def _was_looked_for(card: Card) -> bool:
    """Say whether the person was ever looked for in Kommo: until then a card may be linked, which takes no room."""
    return card.looked_for_at is not None or not (card.lead.phone or card.named_lead_id)
