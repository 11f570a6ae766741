"""A card may show by which channel a lead writes: who has no phone is told from others by it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge.models import Card
from leads.addresses import parse
from leads.interaction_values import Direction, Interaction, Message
from leads.interactions import record
from leads.models import Pipeline, TagRule
from tests.conftest import MARIA, drain

LID = ("lid", "104729384756011@lid")


@pytest.fixture
def shows_channels(account, pipeline):
    TagRule.objects.create(pipeline=pipeline, position=9, attribute="channel", template="canal_{value}")


def speaks(pipeline, *named):
    addresses = tuple(parse(*pair, region="BR") for pair in named)
    now = timezone.now()
    message = Message(Direction.INBOUND, text="Oi", sent_at=now)
    interaction = Interaction(phone=None, addresses=addresses, occurred_at=now, message=message)
    return record(interaction, pipeline=Pipeline.objects.get(pk=pipeline.pk), now=now).lead


def shown(kommo, lead) -> set[str]:
    card = kommo.lead(Card.objects.get(lead=lead).kommo_lead_id)
    return {tag for tag in card["tags"] if tag.startswith("canal_")}


@pytest.mark.parametrize(
    ("named", "channel"),
    [
        (LID, "whatsapp"),
        (("bsuid", "BR.9012345678901234"), "whatsapp"),
        (("whatsapp", "5581999990000@s.whatsapp.net"), "whatsapp"),
        (("phone", MARIA), "phone"),
        (("instagram", "178414"), "instagram"),
        (("telegram", "maria_s"), "telegram"),
        (("email", "maria@example.com"), "email"),
        (("external", "crm:1"), "external"),
    ],
)
def test_a_lead_is_known_by_the_channel_they_write_by(pipeline, django_assert_num_queries, named, channel):
    lead = speaks(pipeline, named)
    with django_assert_num_queries(0):
        assert lead.channel == channel


def test_the_card_of_a_lead_without_a_phone_shows_it_and_follows_when_they_write_elsewhere(
    account, pipeline, kommo, shows_channels
):
    lead = speaks(pipeline, ("instagram", "178414"))
    drain(account)
    assert shown(kommo, lead) == {"canal_instagram"}
    speaks(pipeline, LID, ("instagram", "178414"))
    drain(account)
    assert shown(kommo, lead) == {"canal_whatsapp"}


def test_without_a_rule_nothing_is_shown_and_nothing_is_written(account, pipeline, kommo):
    lead = speaks(pipeline, ("instagram", "178414"))
    drain(account)
    before = len(kommo.writes())
    speaks(pipeline, LID, ("instagram", "178414"))
    drain(account)
    assert (shown(kommo, lead), len(kommo.writes())) == (set(), before)
