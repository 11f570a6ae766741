"""Who is given up on goes to rest: nobody is told to take them over."""

from __future__ import annotations

from datetime import timedelta

from leads import announcements
from leads.models import Lead, Stage


def test_a_lead_given_up_on_into_a_silent_stage_is_nobodys_to_take_over(conversation):
    Stage.objects.filter(key="not_interested").update(pauses_agent=True)
    heard = []

    def hear(paused, tells_staff, **_):
        heard.append((paused, tells_staff))

    announcements.handoff_changed.connect(hear)
    try:
        conversation.lead_writes()
        conversation.wait(minutes=3)
        conversation.agent_writes()
        conversation.run(until=timedelta(days=14))
    finally:
        announcements.handoff_changed.disconnect(hear)
    lead = Lead.objects.get()
    assert (lead.stage.key, lead.in_handoff) == ("not_interested", True)
    assert heard == [(True, False)]
