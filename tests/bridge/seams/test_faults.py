"""The fault matrix: everything a network, a proxy and a tired Kommo do, while sixty leads are created or change.

At the end every card is right and no lead exists twice; no second saw more calls than the ceiling; and every failure is
told on the card it befell. Waits are skipped, the ceiling is not: it is kept on the real clock.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts import account_state
from bridge.models import Account, Card, Delivery, Trouble
from kommo_sandbox.staff import CARD_PATHS
from leads.models import Event
from tests.conftest import drain, record

HOW_MANY = 60
CEILING = 25
# Four batches, all of them under way at once.
TOGETHER = 15
# What passes by itself, and what a person has to mend before they resume the account.
PASSING = (
    "429", "500", "504", "timeout", "drop_before", "drop_after", "invalid_json", "empty_body", "html_500", "partial",
    "slow", "400",
)  # fmt: skip
CLOSED_DOORS = ("401", "402", "403", "403_html")
PHONES = [f"+5581988{number:06d}" for number in range(HOW_MANY)]


@pytest.fixture
def limited(account, kommo):
    """The account under a ceiling that Kommo keeps as well."""
    account.requests_per_second, account.batch_size = CEILING, TOGETHER
    account.save(update_fields=["requests_per_second", "batch_size"])
    kommo.post("options", {"requests_per_second": CEILING, "retry_after": 0.3})
    return account


def settle(account: Account) -> None:
    """Drain until nothing is due, letting waits pass as if time had, and mending what only a person can."""
    for _ in range(60):
        account.refresh_from_db()
        if account.state == Account.State.PAUSED:
            assert account.state_reason
            account_state.resume(account, now=timezone.now())
        Account.objects.filter(pk=account.pk).update(retry_at=None)
        account.cards.filter(due_at__isnull=False).update(due_at=timezone.now(), write_settles_at=None)
        Trouble.objects.update(next_at=timezone.now())
        drain(account)
        if not account.cards.filter(state__in=Card.PENDING).exists():
            return
    raise AssertionError("the cards never settle")


def told_to(pipeline, name):
    for phone in PHONES:
        record(pipeline, phone, name=name.format(phone[-3:]))
    # The people were looked for just now: what goes wrong here goes wrong with a write.
    Card.objects.update(looked_for_at=timezone.now())


def assert_all_right(account, kommo, name):
    names = {lead["id"]: lead["name"] for lead in kommo.leads()}
    cards = list(account.cards.select_related("lead"))
    assert {(card.state, card.last_error, card.waiting_reason) for card in cards} == {("in_sync", "", "")}
    assert {card.kommo_lead_id: name.format(card.lead.phone[-3:]) for card in cards} == names
    assert len(names) == HOW_MANY


def assert_ceiling_kept(kommo):
    counted = sorted(call["monotonic"] for call in kommo.journal() if call["counted"])
    busiest = max(bisect_left(counted, moment + 1) - place for place, moment in enumerate(counted))
    assert 0 < busiest <= CEILING


def assert_failures_are_told(account, kommo, mode):
    """Every lead in a write that went wrong has a delivery that says so, and its timeline too."""
    struck = [call for call in kommo.journal() if call["fault"] == mode and call["path"] in CARD_PATHS]
    struck = [call for call in struck if call["method"] != "GET"]
    assert struck, "the fault never struck"
    if mode == "slow":
        return
    hurt: set[int] = set()
    for call in struck:
        named = set(call["lead_ids"]) if mode == "partial" else set()
        sent = {str(item.get("request_id") or item["id"]) for item in call["body"]}
        hurt |= {
            card.pk
            for card in account.cards.all()
            if sent & {str(card.lead_id), str(card.kommo_lead_id)} and card.kommo_lead_id not in named
        }
    failures = Delivery.objects.exclude(outcome=Delivery.Outcome.DELIVERED).exclude(error="")
    assert hurt <= set(failures.values_list("card_id", flat=True))
    events = Event.objects.filter(kind=Event.Kind.DELIVERY).exclude(data__outcome="delivered").exclude(reason="")
    assert events.filter(lead__card__in=hurt).values("lead").distinct().count() == len(hurt)


@pytest.mark.usefixtures("abreast")
@pytest.mark.parametrize("mode", PASSING + CLOSED_DOORS)
@pytest.mark.parametrize("doing", ["creating", "updating"])
def test_every_card_is_right_after_a_fault(limited, pipeline, kommo, mode, doing):
    if doing == "updating":
        told_to(pipeline, "Before {}")
        settle(limited)
    told_to(pipeline, "Lead {}")
    kommo.fault(mode, count=1 if mode in CLOSED_DOORS else 3, path="/api/v4/leads", seconds=0.1, share=0.4)

    settle(limited)

    assert_all_right(limited, kommo, "Lead {}")
    assert_failures_are_told(limited, kommo, mode)
    assert_ceiling_kept(kommo)


@pytest.mark.parametrize("mode", CLOSED_DOORS)
def test_a_closed_door_stops_the_account_at_once_and_says_what_to_do(account, pipeline, kommo, mode):
    told_to(pipeline, "Lead {}")
    kommo.fault(mode, path="/api/v4/leads")
    before = len(kommo.journal())

    drain(account)

    account.refresh_from_db()
    assert (account.state, account.paused_by) == (Account.State.PAUSED, Account.PausedBy.KOMMO)
    # Asked again by itself, gently.
    assert account.paused_until - account.paused_at == timedelta(minutes=1)
    remedies = {"401": "a new one", "402": "settle it", "403": "administrator", "403_html": "support"}
    assert remedies[mode] in account.state_reason
    # Not one more call after the first that was refused; a create may mean new leads alone, and one read tells.
    assert len(kommo.journal()) == before + (2 if mode in ("402", "403") else 1)
    assert account.cards.filter(waiting_reason=account.state_reason).count() == 50
