"""Is every card as its conversation says? Compares what Kommo holds and the agent heard with what the demo expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import requests

from bridge.demo.conversations import CONVERSATIONS, Conversation
from common.name_spellings import name_key
from leads.phone import parse


@dataclass(frozen=True)
class Verdict:
    """What became of one conversation; `problems` empty means its card is right."""

    conversation: Conversation
    stage: str
    card: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Agent:
    """What the agent knows: the types of the events it was sent, by phone, and for whom it may reply."""

    heard: Mapping[str, list[str]]
    may_reply: Callable[[str], bool]

    def problems(self, conversation: Conversation) -> Iterator[str]:
        phone = _e164(conversation)
        heard = self.heard.get(phone, [])
        if conversation.is_silent:
            if "agent.paused" not in heard:
                yield "the agent was not told to keep quiet"
            if self.may_reply(phone):
                yield "the agent may still reply"
        followed = heard.count("followup.due")
        if followed != conversation.follow_ups:
            yield f"{followed} of {conversation.follow_ups} follow-ups reached the agent"


def check(sandbox_url: str, agent: Agent | None = None) -> list[Verdict]:
    """Return one verdict per conversation, in their order. Without an agent, only the cards are looked at."""
    state = requests.get(f"{sandbox_url}/_sandbox/leads", timeout=30).json()
    stages = _stage_names(sandbox_url)
    contacts = {contact["id"]: contact for contact in state["contacts"]}
    leads = {_phone(lead, contacts): lead for lead in state["leads"]}
    verdicts = [_verdict(conversation, leads, contacts, stages, sandbox_url) for conversation in CONVERSATIONS]
    if agent is None:
        return verdicts
    return [
        replace(verdict, problems=(*verdict.problems, *agent.problems(verdict.conversation))) for verdict in verdicts
    ]


def card_of(sandbox_url: str, conversation: Conversation) -> int | None:
    """Return the number that the conversation's card has in Kommo; None before it is there."""
    state = requests.get(f"{sandbox_url}/_sandbox/leads", timeout=30).json()
    contacts = {contact["id"]: contact for contact in state["contacts"]}
    numbers = {_phone(lead, contacts): int(lead["id"]) for lead in state["leads"]}
    return numbers.get(_e164(conversation))


def _e164(conversation: Conversation) -> str:
    return parse(conversation.phone, region="BR").e164


def said_in_chat(sandbox_url: str, card: int) -> list[str]:
    """Return what was said in the chat of a card, oldest first."""
    chat = requests.get(f"{sandbox_url}/_sandbox/leads/{card}/chat", timeout=30).json()
    return [str(message["text"]) for message in chat["messages"]]


def _verdict(
    conversation: Conversation,
    leads: dict[str, Any],
    contacts: dict[int, Any],
    stages: dict[int, str],
    sandbox_url: str,
) -> Verdict:
    phone = _e164(conversation)
    lead = leads.get(phone)
    if lead is None:
        return Verdict(conversation, "-", "-", ("there is no card",))
    problems = []
    stage = stages.get(lead["status_id"], str(lead["status_id"]))
    if name_key(stage) != name_key(conversation.stage):
        problems.append(f"stands in {stage}, not {conversation.stage}")
    name = conversation.name or phone
    if lead["name"] != name:
        problems.append(f"is called {lead['name']}, not {name}")
    contact = contacts[lead["_embedded"]["contacts"][0]["id"]]
    if contact["name"] != name:
        problems.append(f"its contact is called {contact['name']}, not {name}")
    field_values = {field["field_name"]: field["values"][0]["value"] for field in lead["custom_fields_values"] or ()}
    field_values.pop("Bridge ID", None)
    if field_values != conversation.fields:
        problems.append(f"fields {field_values}, not {conversation.fields}")
    tags = sorted(tag["name"] for tag in lead["_embedded"]["tags"])
    if tags != sorted(conversation.tags):
        problems.append(f"tags {tags}, not {sorted(conversation.tags)}")
    if conversation.chat and (in_chat := tuple(said_in_chat(sandbox_url, lead["id"]))) != conversation.chat:
        problems.append(f"its chat says {in_chat}, not {conversation.chat}")
    shown = ", ".join([*(f"{name} {value}" for name, value in field_values.items()), *(f"#{tag}" for tag in tags)])
    return Verdict(conversation, stage, f"{lead['name']}" + (f" ({shown})" if shown else ""), tuple(problems))


def _phone(lead: dict[str, Any], contacts: dict[int, Any]) -> str:
    for link in lead["_embedded"]["contacts"]:
        for field in contacts[link["id"]]["custom_fields_values"] or ():
            if field["field_code"] == "PHONE":
                return str(field["values"][0]["value"])
    return ""


def _stage_names(sandbox_url: str) -> dict[int, str]:
    # Not from the API: whoever looks must not take calls from the bridge, nor be refused because it has made them.
    board = requests.get(f"{sandbox_url}/_sandbox/board", timeout=30).json()
    return {column["id"]: column["name"] for column in board["columns"]}
