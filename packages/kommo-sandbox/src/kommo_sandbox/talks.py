"""Talks: the chats of a contact, and the messages in them."""

from __future__ import annotations

import uuid
from functools import partial

from kommo_sandbox import brackets, hook_bodies
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import Lead, Talk
from kommo_sandbox.store import now
from kommo_sandbox.validation import object_of


def show(call: Call, talk: Talk) -> Json:
    return {
        "talk_id": talk.id,
        "created_at": talk.created_at,
        "updated_at": talk.updated_at,
        "rate": 0,
        "contact_id": talk.contact_id,
        "chat_id": talk.chat_id,
        "entity_id": talk.lead_id,
        "entity_type": "lead",
        "is_in_work": talk.is_in_work,
        "status": "in_work" if talk.is_in_work else "closed",
        "is_read": True,
        "origin": "waba",
        "account_id": call.store.account_id,
        "_links": call.link(f"/api/v4/talks/{talk.id}"),
        "_embedded": {
            "contacts": [{"id": talk.contact_id, "_links": call.link(f"/api/v4/contacts/{talk.contact_id}")}],
            "leads": [{"id": talk.lead_id, "_links": call.link(f"/api/v4/leads/{talk.lead_id}")}],
        },
    }


def list_talks(call: Call) -> Answer:
    # filter[is_in_work] is ignored, as reported of the real one.
    only_open = brackets.members(call.filter("only_in_work")) == ["1"]
    wanted = brackets.numbers(call.filter("contact_id"))
    found = [
        talk
        for talk in call.store.talks.values()
        if (talk.is_in_work or not only_open) and (not wanted or talk.contact_id in wanted)
    ]
    return call.page(found, "talks", lambda talk: show(call, talk))


def get_talk(call: Call, talk_id: int) -> Answer:
    talk = call.store.talks.get(talk_id)
    return Answer(show(call, talk)) if talk else nothing()


def close_talk(call: Call, talk_id: int) -> Answer:
    talk = _talk(call, talk_id)
    talk.is_in_work, talk.updated_at = False, now()
    call.tell("update_talk", "talk", "update", lambda: hook_bodies.talk(talk))
    return Answer({}, 202)


def list_messages(call: Call, talk_id: int) -> Answer:
    call.require_scope("list_external_messages")
    return call.page(_talk(call, talk_id).messages, "messages", lambda message: message)


def send_message(call: Call, talk_id: int) -> Answer:
    call.require_scope("send_external_messages")
    talk = _talk(call, talk_id)
    if not talk.is_in_work:
        raise Refusal.problem(422, "The talk is closed")
    if call.options.messages_quota and call.store.messages_sent >= call.options.messages_quota:
        raise Refusal.problem(402, "Over chat API limit")
    text = object_of(call.body).get("text")
    lead = call.store.leads.get(talk.lead_id)
    if not isinstance(text, str) or not text or lead is None:
        raise Refusal.problem(400, "text is required")
    call.store.messages_sent += 1
    say(call, lead, direction="outgoing", text=text, user_id=call.user_id, by_bot=True)
    return Answer({}, 202)


# How webhooks tell of a message, as accounts were seen to do: once; not at all; twice; later than what comes after it;
# of a chat that is no lead's yet; a file first as a placeholder and then, under the same id, as the file.
TOLD = ("once", "never", "twice", "late", "unlinked", "placeholder_first")


def say(
    call: Call,
    lead: Lead,
    *,
    direction: str,
    text: str,
    user_id: int,
    by_bot: bool = False,
    kind: str = "text",
    telling: str = "once",
) -> Json:
    """Add a chat message to the lead's talk, opened when there is none; event and webhooks follow.

    An outgoing one is written by `user_id` (0: a bot), an incoming one by the client. With `by_bot` a program wrote
    with the token of that user: the feed names the user, the webhook a bot. `kind`: Kommo's word for what it is; all
    but text bring a file. `told`: one of TOLD.
    """
    store = call.store
    talk, is_new = _talk_of(call, lead)
    talk.updated_at = now()
    contact = store.contacts.by_id.get(talk.contact_id)
    client = {"id": str(uuid.uuid4()), "type": "external", "name": contact.name if contact else ""}
    author: Json = client
    if direction == "outgoing":
        name = store.users[user_id].name if user_id in store.users else "Bot"
        type_ = "bot" if by_bot or user_id == 0 else "internal"
        author = {"id": str(uuid.uuid4()), "type": type_, "name": name}
        if user_id:
            author["user_id"] = user_id
    message: Json = {
        "id": str(uuid.uuid4()),
        "text": text,
        "direction": direction,
        "created_at": now(),
        "author": author,
        "recipient": client,
        "message_type": kind,
    }
    if kind != "text":
        message["attachment"] = {
            "type": kind,
            "link": f"https://amojo.kommo.com/attachments/{message['id']}",
            "file_name": f"{kind}.bin",
        }
    talk.messages.append(message)
    by = user_id if direction == "outgoing" else 0
    after: list[Json] = [{"message": {"id": message["id"], "talk_id": talk.id, "origin": "waba"}}]
    store.record(f"{direction}_chat_message", entity=lead, by=by, after=after)
    action = "add" if is_new else "update"
    if is_new:
        store.record("talk_created", entity=lead, by=0, after=[{"talk": {"id": talk.id}}])
    call.tell(f"{action}_talk", "talk", action, lambda: hook_bodies.talk(talk))
    if telling != "late":
        _tell(call, talk, message, telling)
        _tell_held(call, talk)
    else:
        talk.kept_back.append(message)
    store.version += 1
    return message


def are_closed(call: Call, lead: Lead) -> bool:
    """Say whether a lead has chats, and none that is open."""
    theirs = [talk for talk in call.store.talks.values() if talk.lead_id == lead.id]
    return bool(theirs) and not any(talk.is_in_work for talk in theirs)


def _tell(call: Call, talk: Talk, message: Json, telling: str) -> None:
    bodies = [hook_bodies.message(talk, message)]
    if telling == "never":
        return
    if telling == "twice":
        bodies *= 2
    elif telling == "unlinked":
        bodies = [hook_bodies.unlinked(bodies[0])]
    elif telling == "placeholder_first":
        bodies = [hook_bodies.placeholder(bodies[0]), *bodies]
    for body in bodies:
        call.tell("add_message", "message", "add", partial(dict, body))
        if message["direction"] == "outgoing":
            call.tell("add_outgoing_message", "outgoing_message", "add", partial(dict, body))


def _tell_held(call: Call, talk: Talk) -> None:
    """Tell late of what was said before the last message: behind it."""
    for message in talk.kept_back:
        _tell(call, talk, message, "once")
    talk.kept_back.clear()


def _talk_of(call: Call, lead: Lead) -> tuple[Talk, bool]:
    for talk in call.store.talks.values():
        if talk.lead_id == lead.id and talk.is_in_work:
            return talk, False
    main = next((id_ for id_, is_main in lead.contacts.items() if is_main), 0)
    talk = Talk(call.store.new_id("talk"), str(uuid.uuid4()), main, lead.id, now(), now())
    call.store.talks[talk.id] = talk
    return talk, True


def _talk(call: Call, talk_id: int) -> Talk:
    talk = call.store.talks.get(talk_id)
    if talk is None:
        raise Refusal.problem(404, "Talk not found")
    return talk


ROUTES: list[Route] = [
    ("GET", "/api/v4/talks", list_talks),
    ("GET", "/api/v4/talks/<int:talk_id>", get_talk),
    ("POST", "/api/v4/talks/<int:talk_id>/close", close_talk),
    ("GET", "/api/v4/talks/<int:talk_id>/messages", list_messages),
    ("POST", "/api/v4/talks/<int:talk_id>/send_message", send_message),
]
