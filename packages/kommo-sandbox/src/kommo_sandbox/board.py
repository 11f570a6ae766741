"""The board at `/`: the pipeline as a person sees it, and the data its page polls."""

from __future__ import annotations

import time
from functools import cache
from itertools import islice
from pathlib import Path

from kommo_sandbox import tags
from kommo_sandbox.answers import HTML, Answer, Json
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import LEADS, Lead, Pipeline
from kommo_sandbox.store import digits

TEMPLATE = Path(__file__).with_name("board.html")
# Names and texts come from anywhere: the page may load and talk to nothing but its own sandbox.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
CARDS_PER_COLUMN = 60
EVENTS_SHOWN = 24


@cache
def _page() -> str:
    return TEMPLATE.read_text(encoding="utf-8")


def show_page(call: Call) -> Answer:
    return Answer(_page(), content_type=HTML, headers={"Content-Security-Policy": POLICY})


def show_lead(call: Call, lead_id: int) -> Answer:
    return show_page(call)


def show_icon(call: Call) -> Answer:
    return Answer(status=204)


def get_board(call: Call) -> Answer:
    """Answer the columns of one pipeline (`?pipeline=`), newest change on top; short when `?version=` is current."""
    store, sandbox = call.store, call.sandbox
    asked = str(call.query.get("pipeline", ""))
    pipeline = store.pipelines.get(int(asked)) if asked.isdigit() else None
    pipeline = pipeline or store.main_pipeline
    body: Json = {
        "now": time.time(),
        "version": store.version,
        "pipeline": pipeline.id,
        "requests": _requests_by_second(call),
        "ceiling": call.options.requests_per_second,
        "total": sandbox.journal.count,
        "events": _latest_events(call),
    }
    if str(call.query.get("version")) != str(store.version) or str(call.query.get("shown")) != str(pipeline.id):
        body["account"] = {"id": store.account_id, "subdomain": store.subdomain}
        body["pipelines"] = [{"id": entry.id, "name": entry.name} for entry in store.pipelines.values()]
        body["columns"] = _columns(call, pipeline)
    return Answer(body, content_type="application/json")


def _columns(call: Call, pipeline: Pipeline) -> list[Json]:
    columns = []
    for status in pipeline.in_order():
        standing = call.store.standing.get((pipeline.id, status.id), {})
        newest = islice(reversed(standing), CARDS_PER_COLUMN)
        columns.append(
            {
                "id": status.id,
                "name": status.name,
                "color": status.color,
                "is_incoming": status.is_incoming,
                "count": len(standing),
                "cards": [_card(call, call.store.leads.by_id[lead_id]) for lead_id in newest],
            }
        )
    return columns


def _card(call: Call, lead: Lead) -> Json:
    store = call.store
    definitions = store.fields[LEADS]
    contact = next((store.contacts.by_id.get(id_) for id_, is_main in lead.contacts.items() if is_main), None)
    phone = ""
    if contact and (field := store.field("contacts", code="PHONE")):
        phone = next((str(value["value"]) for value in contact.values.get(field.id, ())), "")
    user = store.users.get(lead.responsible_user_id)
    # A field that repeats the phone number says nothing new.
    shown = [
        {"name": definitions[id_].name, "type": definitions[id_].type, "value": _text(values)}
        for id_, values in lead.values.items()
        if not definitions[id_].is_api_only and not (phone and digits(_text(values)) == digits(phone))
    ]
    return {
        "id": lead.id,
        "name": lead.name,
        "price": int(lead.price),
        "contact": contact.name if contact else "",
        "phone": phone,
        "responsible": user.name if user else "",
        "tags": [tag["name"] for tag in tags.shown(store, lead)],
        "fields": shown,
        "notes": len(store.notes_of.get((LEADS, lead.id), ())),
        "task_at": store.closest_task_at(LEADS, lead.id),
        "changed_at": lead.changed_at,
        "moved_at": lead.moved_at,
        # The member of staff who changed the card last; empty after the bridge or a robot.
        "by_person": editor.name if (editor := store.users.get(lead.updated_by)) and not editor.is_admin else "",
    }


def _text(values: list[Json]) -> str:
    return ", ".join(str(value.get("value")) for value in values)


def _requests_by_second(call: Call) -> list[int]:
    """Return how many requests came in each of the last 40 seconds, the current one last."""
    seconds = [0] * 40
    at = time.perf_counter()
    for entry in reversed(call.sandbox.journal.entries):
        age = int(at - entry.monotonic)
        if age >= len(seconds):
            break
        seconds[-1 - age] += entry.counted
    return seconds


def _latest_events(call: Call) -> list[Json]:
    """Return the newest events about leads, with what the page needs to say them in a sentence."""
    store = call.store
    found: list[Json] = []
    for event in islice(reversed(store.events), EVENTS_SHOWN * 4):
        lead = store.leads.by_id.get(event["entity_id"]) if event["entity_type"] == "lead" else None
        if lead is None:
            continue
        user = store.users.get(event["created_by"])
        is_person = user is not None and not user.is_admin
        item: Json = {
            "id": event["id"],
            "type": event["type"],
            "lead": lead.name,
            "lead_id": lead.id,
            "by": user.name if user and is_person else "",
            "at": event["created_at"],
        }
        if event["type"] == "lead_status_changed":
            stage = event["value_after"][0]["lead_status"]
            status = store.status(stage["pipeline_id"], stage["id"])
            item["stage"] = status.name if status else ""
        elif event["type"].startswith("custom_field_"):
            field = store.fields[LEADS].get(int(event["type"].split("_")[2]))
            item["field"] = field.name if field else ""
            item["value"] = ", ".join(value["custom_field_value"]["text"] for value in event["value_after"])
        elif event["type"].startswith("entity_tag"):
            item["value"] = (event["value_after"] or event["value_before"])[0]["tag"]["name"]
        found.append(item)
        if len(found) == EVENTS_SHOWN:
            break
    return found


ROUTES: list[Route] = [
    ("GET", "/", show_page),
    # As Kommo calls the page of a lead: the board, with that card open.
    ("GET", "/leads/detail/<int:lead_id>", show_lead),
    ("GET", "/favicon.ico", show_icon),
    ("GET", "/_sandbox/board", get_board),
]
