"""What leads from one answer to the next call: an interaction's answer names the lead that other calls are about."""

from __future__ import annotations

from typing import Any

# Where an operation's answer has a lead's id.
SOURCES = {"record_interaction": "/lead/id", "list_leads": "/results/0/id", "get_lead": "/id"}


def add_links(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add OpenAPI links to the description, after drf-spectacular has made it."""
    calls = {call["operationId"]: (path, call) for path, calls in result["paths"].items() for call in calls.values()}
    about_a_lead = [name for name, (path, _) in calls.items() if "{lead_id}" in path]
    for source, pointer in SOURCES.items():
        links = {
            name: {"operationId": name, "parameters": {"lead_id": f"$response.body#{pointer}"}} for name in about_a_lead
        }
        for code, answer in calls[source][1]["responses"].items():
            if code.startswith("2"):
                answer["links"] = links
    return result
