"""Do two bots talk to each other? Counted on the lead's row, message by message, whichever road tells of them. Pure.

A person now and then takes longer than a few seconds to answer, and nobody goes on for hours without a pause. A bot
does neither: whoever has answered us at once so many times in a row, or so many times without any pause, is taken for
one, and the agent falls silent until a person has had a look. Both bounds are far above what people were seen to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

# An answer that comes this soon was read, thought over and typed by nobody, if it goes on so.
AT_ONCE = timedelta(seconds=20)
MOST_AT_ONCE = 20
# After so long a silence a conversation begins anew.
PAUSE = timedelta(minutes=10)
MOST_WITHOUT_PAUSE = 80


@dataclass(frozen=True)
class Turns:
    """How often in a row the lead has answered us: at once, and without a pause."""

    quick: int = 0
    without_pause: int = 0


def after(turns: Turns, *, at: datetime, ours: datetime | None, before: datetime | None) -> Turns:
    """Return the turns once the lead has written at `at`; `ours` and `before`: our last message, and the lead's.

    Several messages in a row are one turn: the first of them is the answer.
    """
    if ours is None or at <= ours:
        return turns
    if before is not None and before >= ours:
        return turns
    took = at - ours
    if took > PAUSE:
        return Turns()
    return Turns(turns.quick + 1 if took <= AT_ONCE else 0, turns.without_pause + 1)


def loop(turns: Turns) -> str:
    """Return in words why this is taken for two bots talking to each other; empty when it is not."""
    if turns.quick >= MOST_AT_ONCE:
        seconds = int(AT_ONCE.total_seconds())
        return f"two bots seem to talk to each other: {turns.quick} answers in a row within {seconds} seconds"
    if turns.without_pause >= MOST_WITHOUT_PAUSE:
        minutes = int(PAUSE.total_seconds() // 60)
        return (
            f"two bots seem to talk to each other: {turns.without_pause} answers without a pause of {minutes} minutes"
        )
    return ""
