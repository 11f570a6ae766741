"""By what is a message known? By its messenger's id, in one spelling."""

from __future__ import annotations

import re

LONGEST_ID = 250
# How WAHA writes an id: who wrote, the chat, the messenger's id, and in groups the member.
WRAPPED_ID = re.compile(r"(?:true|false)_[^_@\s]+@[a-z.]+_(?P<id>[^_\s]+)(?:_.*)?")


def plain_id(text: str) -> str:
    """Return a message's id as the messenger has it, out of any usual way to write it.

    >>> plain_id("true_5581999990000@c.us_3EB0A1B2")
    '3EB0A1B2'
    """
    text = text.strip()
    wrapped = WRAPPED_ID.fullmatch(text)
    return (wrapped["id"] if wrapped else text)[:LONGEST_ID]
