"""How a reason is kept: by code and parts, in a form that no sentence has, so that rows of before are known by theirs.

`{"$reason": "kommo_answered", "number": 402}`, as a text or within other JSON; reasons within it likewise. Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any

from common.reasons import SIGNS, Reason
from common.reasons.sentences import SENTENCES

CODE = "$reason"
MARK = f'{{"{CODE}":'
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
PARTS = {
    **{code: frozenset(PLACEHOLDER.findall(sentence)) for code, sentence in SENTENCES.items()},
    **{code: frozenset({"each"}) for code in SIGNS},
}
# What looks like a reason, and is somebody else's text or value.
AS_IT_IS = "as it is"


def to_text(reason: str) -> str:
    """Return what is stored of a reason, or of a text that stands where reasons stand."""
    if isinstance(reason, Reason) or reason.startswith(MARK):
        # Sorted, the code is first, and equal reasons are stored alike.
        return json.dumps(to_json(reason), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return reason


def from_text(text: str) -> str:
    """Return a reason as it was stored: a sentence of before as it stands."""
    if not text.startswith(MARK):
        return text
    try:
        found = from_json(json.loads(text))
    except ValueError:
        return text
    return found if isinstance(found, str) else text


def to_json(value: Any) -> Any:
    """Return a value with the reasons in it as they are stored."""
    if isinstance(value, Reason):
        return {CODE: value.code, **{name: to_json(part) for name, part in value.parts.items()}}
    if isinstance(value, str):
        return {CODE: AS_IT_IS, "value": str(value)} if value.startswith(MARK) else value
    if isinstance(value, dict):
        inner = {key: to_json(member) for key, member in value.items()}
        return {CODE: AS_IT_IS, "value": inner} if CODE in value else inner
    if isinstance(value, (list, tuple)):
        return [to_json(member) for member in value]
    return value


def from_json(value: Any) -> Any:
    """Return a stored value with the reasons in it; what is no reason of ours as it stands."""
    if isinstance(value, list):
        return [from_json(member) for member in value]
    if not isinstance(value, dict):
        return value
    if value.get(CODE) == AS_IT_IS and value.keys() == {CODE, "value"}:
        kept = value["value"]
        return {key: from_json(member) for key, member in kept.items()} if isinstance(kept, dict) else kept
    return _reason(value) if CODE in value else {key: from_json(member) for key, member in value.items()}


def _reason(value: dict[str, Any]) -> Any:
    code = value[CODE]
    parts = {key: from_json(part) for key, part in value.items() if key != CODE}
    if not isinstance(code, str) or PARTS.get(code) != parts.keys():
        return value
    if code not in SIGNS:
        return Reason(code, **parts)
    each = parts["each"]
    return Reason(code, each=tuple(each)) if isinstance(each, list) and all(isinstance(p, str) for p in each) else value
