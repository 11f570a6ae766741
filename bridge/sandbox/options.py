"""What a tester may change in the sandbox while it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from bridge.sandbox.answers import Refusal


@dataclass
class Options:
    """Switches of one sandbox; the defaults are Kommo's documented or, where unknown, its harder behaviour."""

    # Limits: 0 lifts the ceiling. `retry_after` is what a 429 asks for, in seconds.
    requests_per_second: int = 7
    retry_after: float = 1.0
    # Kommo blocks the address of a client that ignores 429s: after this many in a minute (0: never), for so long.
    block_after: int = 0
    block_seconds: float = 60.0
    # Access: with strict_tokens only tokens the sandbox has issued (and `sandbox-token`) are accepted.
    strict_tokens: bool = False
    access_token_seconds: int = 86_400
    # False: a used refresh token stays good until its successor is used (documented). True: it ends at once.
    strict_rotation: bool = False
    # The account's new host (`127.0.0.1:8011`) after its owner renamed it; this host then refuses everybody.
    moved_to: str = ""
    # Batches: False refuses the whole batch for one bad item; True applies the good ones and names only those.
    partial_batches: bool = False
    # Unknown ids in a batch PATCH: False refuses (400 at `id`), True leaves them out of the answer.
    skip_unknown_ids: bool = False
    duplicate_control: bool = False
    # True: a loss reason is checked against the stage *before* the PATCH, as one team measured it.
    loss_reason_before_move: bool = True
    enforce_required_statuses: bool = False
    # True: a PATCH that changes nothing neither bumps updated_at nor sends a webhook.
    quiet_when_unchanged: bool = False
    # Webhooks out. The time scale multiplies the waits of the retry ladder and the disabling window.
    drop_webhooks: bool = False
    duplicate_webhooks: bool = False
    reorder_webhooks: bool = False
    webhook_delay: float = 0.0
    webhook_group_size: int = 50
    webhook_time_scale: float = 1.0
    webhook_timeout: float = 2.0
    webhook_disable_after: int = 100
    # Every random choice (faults with a probability, reordering) comes from one generator with this seed.
    seed: int = 1
    journal_limit: int = 50_000

    def update(self, changes: Any) -> None:
        """Set the named options; raises Refusal (400) for an unknown name or a value of another type."""
        if not isinstance(changes, dict):
            raise Refusal.control("options must be an object", 'send {"requests_per_second": 7}')
        known = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        checked: dict[str, Any] = {}
        for name, value in changes.items():
            kind = known.get(name)
            if kind is None:
                raise Refusal.control(f"unknown option {name!r}", f"known options: {', '.join(sorted(known))}")
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if type(value) is not kind:
                raise Refusal.control(f"option {name!r} must be a {kind.__name__}", f"got {value!r}")
            checked[name] = value
        for name, value in checked.items():
            setattr(self, name, value)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
