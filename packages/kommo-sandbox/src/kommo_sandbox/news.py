"""What subscribers are to be told."""

from __future__ import annotations

from dataclasses import dataclass

from kommo_sandbox.answers import Json


@dataclass
class News:
    """One thing to tell the subscribers of `setting`: it goes out as `{root}[{action}][n][…]`."""

    setting: str
    root: str
    action: str
    item: Json
