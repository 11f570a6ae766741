"""Whatever order addresses, joins and reports come in: one lead a person, and nothing that was said is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads import interactions
from leads.addresses import parse
from leads.interaction_values import Direction, Interaction, Message
from leads.models import Event, JoinedLead, Lead, Pipeline, ProbablySame
from leads.models import Message as Row
from tests.followups.simulation import forgotten

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
# Each person's addresses in a row: who is told by two neighbours of it, is known by both.
PEOPLE = (
    [("lid", "11112222@lid"), ("phone", "+5581999990000"), ("instagram", "maria"), ("external", "crm-1")],
    [("phone", "+5581988880000"), ("lid", "33334444@lid"), ("telegram", "777")],
)
# The same number without its ninth digit, as WhatsApp writes it.
SPELLED = {"+5581999990000": ("whatsapp", "558199990000@s.whatsapp.net")}
REPORTS = [
    (person, place, width)
    for person, chain in enumerate(PEOPLE)
    for place in range(len(chain))
    for width in (1, 2)
    if place + width <= len(chain)
]


def report_of(number: int, person: int, place: int, width: int, *, as_intake: bool, spelled: bool) -> Interaction:
    named = PEOPLE[person][place : place + width]
    if spelled:
        named = [SPELLED.get(value, (kind, value)) for kind, value in named]
    message = Message(Direction.INBOUND, id=f"m{person}-{place}-{width}", text=f"{person} {place} {width}")
    at = NOON + timedelta(minutes=number)
    return Interaction(
        phone=None,
        addresses=tuple(parse(kind, value, region="BR") for kind, value in named),
        occurred_at=at,
        message=message,
        custom={f"fact_{person}_{place}_{width}": number},
        via="zap" if as_intake else "",
    )


@pytest.mark.django_db
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.permutations(REPORTS),
    st.lists(st.tuples(st.sampled_from(REPORTS), st.booleans(), st.booleans()), max_size=6),
    st.data(),
)
def test_any_interleaving_ends_with_one_lead_a_person_and_nothing_lost(every, again, data):
    # Each once, by whatever road; some again, by another.
    calls = [(report, data.draw(st.booleans()), data.draw(st.booleans())) for report in every] + again
    with forgotten():
        pipeline = Pipeline.objects.get(slug="solar")
        former: set[object] = set()
        for number, (report, as_intake, spelled) in enumerate(calls):
            interaction = report_of(number, *report, as_intake=as_intake, spelled=spelled)
            lead = interactions.record(interaction, pipeline=pipeline, now=NOON + timedelta(days=1)).lead
            former.add(lead.pk)
            assert set(interaction.keys) <= set(Lead.objects.get(pk=lead.pk).address_keys)
        leads = list(Lead.objects.all())
        assert len(leads) == len(PEOPLE)
        for person, chain in enumerate(PEOPLE):
            keys = {parse(kind, value, region="BR").key for kind, value in chain}
            [lead] = [lead for lead in leads if keys & set(lead.address_keys)]
            assert set(lead.address_keys) == keys
            # A number is what people and cards know them by.
            assert lead.phone == next(value for kind, value in chain if kind == "phone")
            reports = [report for report in REPORTS if report[0] == person]
            names = [f"{who} {place} {width}" for who, place, width in reports]
            assert sorted(Row.objects.filter(lead=lead).values_list("text", flat=True)) == sorted(names)
            assert {f"fact_{who}_{place}_{width}" for who, place, width in reports} == set(lead.custom)
            heard = Event.objects.filter(lead=lead, kind="interaction", data__message__isnull=False)
            assert {event.data["message"]["text"] for event in heard} == set(names)
        # Whoever knows another id of theirs is answered.
        known = {lead.pk for lead in leads} | set(JoinedLead.objects.values_list("former_id", flat=True))
        assert former <= known
        assert not ProbablySame.objects.exists()
