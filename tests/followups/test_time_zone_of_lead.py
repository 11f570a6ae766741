"""By which clock a lead wakes and sleeps."""

from __future__ import annotations

import pytest

from followups import time_zone_of_lead

SAO_PAULO = "America/Sao_Paulo"


@pytest.mark.parametrize(
    ("phone", "stated", "zone"),
    [
        ("+5581999990000", "Europe/Lisbon", "Europe/Lisbon"),
        ("+5581999990000", None, "America/Recife"),
        # Santarém and Marabá keep Belém's time, and Manaus is an hour behind: its evening is their night.
        ("+5593999990000", None, "America/Santarem"),
        ("+5594999990000", None, "America/Belem"),
        ("+5592999990000", None, "America/Manaus"),
        ("+12125550100", "Nowhere/Land", "America/New_York"),
        # A toll-free number lies nowhere.
        ("+18005550100", "Europe/Lisbon", "Europe/Lisbon"),
        ("+18005550100", "Nowhere/Land", SAO_PAULO),
        (None, None, SAO_PAULO),
        ("nonsense", 7, SAO_PAULO),
    ],
)
def test_the_zone_is_what_was_said_then_the_phones_then_the_pipelines(phone, stated, zone):
    assert time_zone_of_lead.zone_of(phone, stated, SAO_PAULO) == zone
