"""Which facts may be dropped so that a message gets in? A refused report is read again without those that spoil it."""

from __future__ import annotations

from typing import Any

from bridge.api.facts_that_say_nothing import LONGEST_REASON, MEETING, Unread, quoted

# A fact beside a message that cannot be one costs the fact and not the message: what is wrong -> what is left out. A
# meeting is nothing without its status or with a time that is none.
DISPENSABLE = {
    ("lead", "email"): ("lead", "email"),
    (*MEETING, "link"): (*MEETING, "link"),
    (*MEETING, "status"): MEETING,
    (*MEETING, "starts_at"): MEETING,
}


def without_what_is_dispensable(body: dict[str, Any], detail: Any) -> tuple[dict[str, Any], Unread] | None:
    """Return a report that was refused without the facts that spoil it, and why each; None when more is wrong with it.

    Only where there is a message: what a lead wrote must not be lost for an address that a model misread.
    """
    if not isinstance(body.get("message"), dict) or not isinstance(detail, dict):
        return None
    report, unread, wrong = dict(body), Unread(), dict(detail)
    for path, left_out in DISPENSABLE.items():
        errors = _at(wrong, path)
        # A number in the place of a text is a mistake of the caller's program, which it has to hear of.
        if not isinstance(errors, list) or not isinstance(_at(body, path), str):
            continue
        unread[".".join(path)] = quoted(" ".join(map(str, errors)), LONGEST_REASON)
        report, wrong = _without(report, left_out), _without(wrong, path)
    return (report, unread) if unread and not _is_anything(wrong) else None


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _without(tree: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(tree, dict) or path[0] not in tree:
        return tree
    name, *rest = path
    if not rest:
        return {key: value for key, value in tree.items() if key != name}
    return tree | {name: _without(tree[name], tuple(rest))}


def _is_anything(tree: Any) -> bool:
    return any(map(_is_anything, tree.values())) if isinstance(tree, dict) else bool(tree)
