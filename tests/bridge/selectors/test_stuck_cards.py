"""A hundred cards with one cause are one thing to do."""

from __future__ import annotations

from bridge.models import Card
from bridge.selectors import stuck_cards
from common.reasons import Reason, about, codes_of
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


def test_of_a_reason_with_a_code_the_particular_is_left_out_and_the_code_stays():
    refused = [
        about(
            "update leads",
            about(Reason("refused_by_kommo"), f"custom_fields_values[{n}]: lead {20000119 + n} is closed"),
        )
        for n in range(2)
    ]
    merged = [Reason("merged_into_card_of_another", number=number) for number in (20000119, 20000120)]
    for first, second in (refused, merged):
        assert stuck_cards.cause_of(first) == stuck_cards.cause_of(second)
        assert codes_of(stuck_cards.cause_of(first)) == codes_of(first)
    assert stuck_cards.cause_of(Reason("stage_not_bound", a="“QUALIFICADO 2”")).startswith("stage “QUALIFICADO 2” is")


def test_rows_of_before_are_of_one_cause_with_those_of_today(account, pipeline):
    for number in range(3):
        record(pipeline, f"+558199999000{number}")
    cards = list(Card.objects.order_by("pk"))
    for card, lead in zip(cards, (20000119, 20000120, 20000121), strict=True):
        reason = Reason("merged_into_card_of_another", number=lead)
        stored = reason.sentence if card is cards[0] else reason
        Card.objects.filter(pk=card.pk).update(state=Card.State.DEAD, waiting_reason=stored)

    [cause] = stuck_cards.causes()

    assert (cause.count, cause.text) == (
        3,
        stuck_cards.cause_of(Reason("merged_into_card_of_another", number=20000119)),
    )
    assert set(stuck_cards.cards_of("dead", cause.text)) == set(cards)
    # As the button's form sends it back.
    assert set(stuck_cards.cards_of("dead", "".join(cause.text))) == set(cards)
