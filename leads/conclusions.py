"""What has the conversation concluded, and what of it is news? Pure.

A conclusion is what a rule calls for together with what it rests on, as a text `ground>stage`: a conversation stage
that was reported, a verdict (each failed criterion is a ground of its own), a meeting at its time, or its cancelling.
How high a score is belongs to no ground: 85 after 82 concludes nothing new.

A lead keeps two lists of them. `concluded` grows while the conversation goes on; of verdicts it holds the last, since a
verdict that turned was concluded anew. `concluded_when_moved` is what stood in it when somebody else put the lead where
it stands: only what is missing there is news to them.

A conclusion counts once it could have moved the card. What is called for while a person has taken over, or in a stage
that no automatic move leaves, is concluded when the lead is given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

QUALIFIED, DISQUALIFIED, UNDECIDED = "qualified", "disqualified", "undecided"
# Not knowing is no verdict: it does not take back the one before.
VERDICTS = (QUALIFIED, DISQUALIFIED)
# A bound for what a lead keeps; no configuration has so many grounds by far.
MOST = 60


def conclusion(ground: str, stage: str) -> str:
    return f"{ground}>{stage}"


def ground_of_meeting(meeting_id: str | None, starts_at: object) -> str:
    """Return the ground of a booked meeting: moved to another time, it is one of its own."""
    at = starts_at.astimezone(UTC).isoformat() if isinstance(starts_at, datetime) else ""
    return f"meeting:{meeting_id or ''}@{at}"


def is_verdict(code: str) -> bool:
    """Say whether a conclusion is a verdict that can turn."""
    return code.partition(">")[0].partition(":")[0] in VERDICTS


def remember(known: Sequence[str], drawn: Iterable[str]) -> tuple[str, ...]:
    """Return what has been concluded once this was concluded as well, oldest first; the same when it was known."""
    drawn = tuple(dict.fromkeys(drawn))
    has_verdict = any(map(is_verdict, drawn))
    kept = tuple(code for code in known if code in drawn or not (has_verdict and is_verdict(code)))
    return (*kept, *(code for code in drawn if code not in kept))[-MOST:]
