"""When is a lead given up that never answered, and what happens to it then?

Silence counts from our last message, whoever sent it; nobody who was never reached is given up on.
"""

from __future__ import annotations

from datetime import datetime

from common.reasons import Reason, about
from followups import schedule
from followups.models import Attempt, Enrollment
from followups.schedule import Due
from followups.sequence_versions import SequencePlan
from followups.stopping import end, note
from leads import stage_moves
from leads.models import Event, Lead, Stage


def due_of_giving_up(enrollment: Enrollment, plan: SequencePlan) -> Due | None:
    """Return when the lead is given up after the last step, counted from `silent_since`; None for never."""
    given_at = enrollment.last_sent_at
    if plan.give_up_after is None or not plan.give_up_stage or not enrollment.complete or not given_at:
        return None
    words = schedule.in_words(plan.give_up_after)
    silent_since = max(given_at, enrollment.lead.last_outbound_at or given_at)
    return Due(silent_since + plan.give_up_after, Reason("given_up_after_silence", span=words))


def give_up(enrollment: Enrollment, plan: SequencePlan, now: datetime) -> None:
    """Move the lead to the stage of those who did not answer, unless it stands where no automatic move may take it."""
    stage = Stage.objects.filter(pipeline=enrollment.lead.pipeline_id, key=plan.give_up_stage).first()
    count = enrollment.attempts.filter(state=Attempt.State.SENT).count()
    ago = schedule.in_words(now - (enrollment.last_sent_at or now))
    reason = Reason("no_answer_to_messages", number=count, span=ago)
    end(enrollment, Enrollment.State.FINISHED, reason, now=now)
    if stage is None:
        return
    try:
        # Nobody is to take over whom we gave up on.
        stage_moves.move(enrollment.lead, stage, by=Lead.Actor.BRIDGE, reason=reason, now=now, tells_staff=False)
    except stage_moves.ProtectedStageError as error:
        Event.objects.bulk_create([note(enrollment, about(Reason("not_given_up"), error.args[0]), now, outcome="kept")])
