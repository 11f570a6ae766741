"""Which tools a model has here, and what each takes: read-only, unless the key may act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import Http404
from rest_framework import exceptions

from bridge.api.error_answers import problem
from bridge.mcp import acting_tools, explaining_tools
from bridge.mcp.tool_arguments import Asked, AskedWronglyError
from bridge.models import ApiKey

LEAD = {
    "type": "string",
    "description": "Who: a lead's id as find_lead tells it, a phone in any spelling, or kind:value of another address",
}
PIPELINE = {"type": "string", "description": "A pipeline's slug; absent: the key's own, else the default one"}
REASON = {"type": "string", "maxLength": 500, "description": "Why, in words that staff will read"}
DAY = {"type": "string", "format": "date"}


@dataclass(frozen=True)
class Tool:
    """One tool. takes: JSON Schema of each argument. acts: it changes something, and needs a key that may."""

    name: str
    title: str
    description: str
    do: Callable[[Asked], dict[str, Any]]
    takes: Mapping[str, dict[str, Any]]
    required: tuple[str, ...] = ()
    acts: bool = False

    def described(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "object", "properties": dict(self.takes), "additionalProperties": False}
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": schema | ({"required": list(self.required)} if self.required else {}),
            "annotations": {
                "title": self.title,
                "readOnlyHint": not self.acts,
                "destructiveHint": False,
                "idempotentHint": True,
                "openWorldHint": False,
            },
        }


TOOLS = [
    Tool(
        "find_lead",
        "Find leads",
        "Leads by part of a name, a phone in any spelling, an e-mail, another address or Kommo's id, newest first.",
        explaining_tools.find_lead,
        {
            "text": {"type": "string", "minLength": 1, "maxLength": 200, "description": "What is known of the person"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
        },
        required=("text",),
    ),
    Tool(
        "why_here",
        "Why the lead stands where it stands",
        "The reason for a lead's stage, who put it there, and for every other stage why it is not there.",
        explaining_tools.why_here,
        {"lead": LEAD},
        required=("lead",),
    ),
    Tool(
        "why_waiting",
        "What the lead waits for",
        "What keeps a lead's card from Kommo, which follow-up comes next and when, and why the agent is silent.",
        explaining_tools.why_waiting,
        {"lead": LEAD},
        required=("lead",),
    ),
    Tool(
        "timeline",
        "What happened to the lead",
        "A lead's past, newest first: messages, decisions with reasons, moves by staff, what was sent to Kommo.",
        explaining_tools.timeline,
        {
            "lead": LEAD,
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 30},
            "before": {"type": "string", "description": "`next` of the answer before, for what is older"},
        },
        required=("lead",),
    ),
    Tool(
        "may_reply",
        "May the agent reply?",
        "Whether the agent may write to this person now, and since when and why not. A stranger may be answered.",
        explaining_tools.may_reply,
        {"lead": LEAD},
        required=("lead",),
    ),
    Tool(
        "funnel",
        "The funnel",
        "How many leads stand in each stage, how many entered it in the last 30 days, and how long they usually stay.",
        explaining_tools.funnel_now,
        {"pipeline": PIPELINE},
    ),
    Tool(
        "results",
        "What the agent was worth",
        "Numbers of some days: leads, qualified, meetings, won, rescued, hours saved, objections, follow-ups by step.",
        explaining_tools.results_of,
        {
            "pipeline": PIPELINE,
            "from": DAY | {"description": "The first day; absent: thirty days"},
            "to": DAY | {"description": "The last day; absent: today"},
        },
    ),
    Tool(
        "preview_threshold",
        "What another threshold would change",
        "Who would move if the least score of a qualified lead were another. Changes nothing. A large pipeline is "
        "looked at in parts: while `is_complete` is false, call again with the answer's `so_far`.",
        explaining_tools.preview_threshold,
        {
            "min_score": {"type": "number", "minimum": 0, "maximum": 100},
            "pipeline": PIPELINE,
            "so_far": {"type": "string", "maxLength": 20_000},
        },
        required=("min_score",),
    ),
    Tool(
        "hand_over",
        "Hand the lead to a person",
        "Silence the agent for a lead and call a person, as the agent itself may. Repeating it changes nothing.",
        acting_tools.hand_over,
        {"lead": LEAD, "reason": REASON},
        required=("lead", "reason"),
        acts=True,
    ),
    Tool(
        "give_back",
        "Give the lead back to the agent",
        "Let the agent speak to a lead again, in a person's name. Repeating it changes nothing.",
        acting_tools.give_back,
        {"lead": LEAD, "reason": REASON},
        required=("lead",),
        acts=True,
    ),
    Tool(
        "hold_followup",
        "Hold the lead's follow-ups",
        "Keep back every follow-up that waits for a lead, until staff let it go on in the admin.",
        acting_tools.hold_followup,
        {"lead": LEAD},
        required=("lead",),
        acts=True,
    ),
]


def of(key: ApiKey) -> dict[str, Tool]:
    """Return the tools this key has, by name."""
    return {tool.name: tool for tool in TOOLS if key.may_act or not tool.acts}


def call(name: str, arguments: dict[str, Any], key: ApiKey) -> dict[str, Any] | None:
    """Return what a tool answers, as the protocol has it; None when the key has no such tool.

    What is wrong with the arguments is an answer too: the model that called reads it, and asks again. Raises
    DatabaseError.
    """
    tool = of(key).get(name)
    if tool is None:
        return None
    try:
        found = tool.do(Asked(key, tool.takes, tool.required, arguments))
    except AskedWronglyError as error:
        return _told(str(error), None)
    except Http404:
        return _told("There is no such lead here. find_lead finds leads.", None)
    except (exceptions.ValidationError, exceptions.Throttled) as error:
        return _told(problem(error)["detail"], None)
    return _told("", found)


def _told(wrong: str, found: dict[str, Any] | None) -> dict[str, Any]:
    if found is None:
        return {"content": [{"type": "text", "text": wrong}], "isError": True}
    return {"content": [{"type": "text", "text": _as_text(found)}], "structuredContent": found, "isError": False}


def _as_text(found: dict[str, Any]) -> str:
    return orjson.dumps(found, default=str).decode()
