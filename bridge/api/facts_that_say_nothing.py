"""Reading a report with an ear for how models fill in forms: what stands for nothing says nothing, and is told back.

The report is changed before it is checked, so that `"email": "não informado"` refuses no answer of a lead. What is left
out is named with its reason; everything else of the report counts.
"""

from __future__ import annotations

from typing import Any

from common.reasons import Reason
from followups import time_zone_of_lead
from leads import addresses
from leads.models import Pipeline
from leads.words_for_nothing import is_nothing

UNKNOWN = Reason("null_means_unknown")
# What is told back and kept of a word, and of what is wrong with one.
LONGEST_WORD, LONGEST_REASON, LONGEST_PLACE = 40, 300, 120
TEXTS = ("name", "email", "chosen_flow")
AMOUNTS = ("bill_value", "qualification_score")
MEETING = ("context", "meeting")

Unread = dict[str, str]


def heard(body: dict[str, Any], pipeline: Pipeline) -> tuple[dict[str, Any], Unread]:
    """Return the report without what stands for nothing, and what was left out and why. The body stays as it is."""
    unread: Unread = {}
    hearing = _Hearing(pipeline.nothing, pipeline.null_means_unknown, unread)
    report = dict(body)
    if isinstance(body.get("lead"), dict):
        report["lead"] = hearing.lead(body["lead"])
    if isinstance(body.get("message"), dict) and body["message"] and not any(body["message"].values()):
        # A form that was filled in where there was no message.
        report["message"] = None
    if isinstance(body.get("context"), dict):
        report["context"] = hearing.context(body["context"])
    # Its own facts may be called anything: names are told back and kept as words are.
    return report, {quoted(place, LONGEST_PLACE): why for place, why in unread.items()}


class _Hearing:
    def __init__(self, words: tuple[str, ...], null_means_unknown: bool, unread: Unread) -> None:
        self._words, self._null_means_unknown, self._unread = words, null_means_unknown, unread

    def lead(self, facts: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in facts.items():
            if name == "addresses" and isinstance(value, list):
                kept[name] = [entry for place, entry in enumerate(value) if self._is_somebody(place, entry)]
            elif name == "phone" and facts.get("addresses") and (value is None or self._is_no_text(value)):
                self._unread["lead.phone"] = Reason("word_stands_for_nothing", word=quoted(value or ""))
            elif name == "custom" and isinstance(value, dict):
                kept[name] = {key: entry for key, entry in value.items() if self._is_custom(key, entry)}
            elif name in ("phone", "addresses", "kommo_lead_id") or self._is_fact(name, value):
                kept[name] = value
        return kept

    def _is_custom(self, key: str, value: Any) -> bool:
        if key == "time_zone" and value and not (isinstance(value, str) and time_zone_of_lead.is_zone(value)):
            # By it hours are kept: one that is none must not take the place of one that is.
            self._unread[f"lead.custom.{key}"] = Reason("no_time_zone", name=f"“{quoted(value)}”")
            return False
        return self._says_something(f"lead.custom.{key}", value)

    def _is_somebody(self, place: int, address: Any) -> bool:
        """Say whether an address is to be read. A word for nothing in its place would be one person for all."""
        value = address.get("value", 0) if isinstance(address, dict) else 0
        if value is None or self._is_no_text(value):
            self._unread[f"lead.addresses.{place}"] = Reason("word_stands_for_nothing", word=quoted(value or ""))
            return False
        return True

    def _is_no_text(self, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        return addresses.is_nobody(value) or is_nothing(value, self._words)

    def _is_fact(self, name: str, value: Any) -> bool:
        if name == "qualification_score" and isinstance(value, float) and 0 < value < 1:
            self._unread[f"lead.{name}"] = Reason("score_looks_like_share", score=value)
            return False
        return self._says_something(f"lead.{name}", value)

    def context(self, context: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in context.items():
            if name == "objections_raised" and isinstance(value, list):
                entries = [entry for entry in value if self._says_something(f"context.{name}", entry)]
                if entries or not value:
                    kept[name] = entries
            elif name == "meeting" and isinstance(value, dict):
                if "status" in value and not self._names_something(f"context.{name}.status", value["status"]):
                    continue
                kept[name] = {
                    # A blank is no time; it is one more way to write null.
                    part: None if (part, entry) == ("starts_at", "") else entry
                    for part, entry in value.items()
                    if part not in ("id", "link", "starts_at") or self._says_something(f"context.meeting.{part}", entry)
                }
            elif self._says_something(f"context.{name}", value):
                kept[name] = value
        return kept

    def _names_something(self, place: str, value: Any) -> bool:
        """Say whether something is named that cannot be cleared: a null there is no wish."""
        if value is None or (isinstance(value, str) and is_nothing(value, self._words)):
            self._unread[place] = Reason("word_stands_for_nothing", word="null" if value is None else quoted(value))
            return False
        return True

    def _says_something(self, place: str, value: Any) -> bool:
        if value is None or value == "":
            if self._null_means_unknown:
                self._unread[place] = UNKNOWN
            return not self._null_means_unknown
        if isinstance(value, str) and is_nothing(value, self._words):
            self._unread[place] = Reason("word_stands_for_nothing", word=quoted(value))
            return False
        return True


def quoted(value: Any, longest: int = LONGEST_WORD) -> str:
    """Return a word of the report as the answer and the timeline show it: short, and without what no database takes."""
    return str(value).replace("\0", "").strip()[:longest]
