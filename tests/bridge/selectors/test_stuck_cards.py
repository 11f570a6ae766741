"""A hundred cards with one cause are one thing to do."""

from __future__ import annotations

from bridge.models import Card
from bridge.selectors import stuck_cards
from tests.conftest import record

REFUSED = "refused by Kommo: custom_fields_values[{}].values: lead {} is closed"


def test_a_cause_leaves_out_what_is_particular_to_one_card():
    assert stuck_cards.cause_of(REFUSED.format(0, 20000119)) == stuck_cards.cause_of(REFUSED.format(3, 20000120))
    assert stuck_cards.cause_of("stage “QUALIFICADO 2” is not bound") == "stage “QUALIFICADO 2” is not bound"


def test_cards_are_counted_by_cause_and_found_by_it(account, pipeline):
    for number in range(5):
        record(pipeline, f"+558199999000{number}")
    cards = list(Card.objects.order_by("pk"))
    for number, card in enumerate(cards[:3]):
        card.state, card.waiting_reason = Card.State.DEAD, REFUSED.format(number, 20000119 + number)
        card.save()
    Card.objects.filter(pk=cards[3].pk).update(state=Card.State.BLOCKED, waiting_reason="a field is not bound")

    causes = stuck_cards.causes()

    assert [(cause.state, cause.count) for cause in causes] == [("dead", 3), ("blocked", 1)]
    assert set(stuck_cards.cards_of("dead", causes[0].text)) == set(cards[:3])
    assert not stuck_cards.cards_of("blocked", causes[0].text)
