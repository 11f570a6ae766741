"""Pages of the reference that nobody writes: the API, the commands and the settings, as the code has them."""

from __future__ import annotations

import re
from typing import Any

from django.core.management import get_commands, load_command_class
from drf_spectacular.generators import SchemaGenerator

from scripts.docs_site.pages import ROOT

OURS = ("bridge", "common", "followups", "leads")
METHODS = ("get", "post", "put", "patch", "delete")
# What every call can be answered; told once.
EVERYWHERE = ("400", "401", "413", "429", "503")
VARIABLE = re.compile(r"^#?([A-Z][A-Z0-9_]*)=(.*)$")


def pages() -> dict[str, str]:
    return {"reference/api.md": api(), "reference/commands.md": commands(), "reference/settings.md": settings()}


def api() -> str:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    parts = schema["components"]["schemas"]
    lines = [
        "# The API, call by call\n",
        "Made from the code; a running bridge has the same with a form to try each call at `/api/docs/`, and as "
        "OpenAPI 3.1 at `/api/schema/`. Every call carries `Authorization: Api-Key …`. Any may be answered "
        + ", ".join(f"`{status}`" for status in EVERYWHERE)
        + "; what they mean: [Connecting an agent](../docs/integrating-an-agent.md#when-something-is-refused).\n",
    ]
    for path, operations in schema["paths"].items():
        lines += [call(method, path, operations[method], parts) for method in METHODS if method in operations]
    lines.append("# Events\n".replace("# ", "## "))
    lines += [call("event", name, hook["post"], parts) for name, hook in schema["webhooks"].items()]
    return "\n".join(lines)


def call(method: str, path: str, operation: dict[str, Any], parts: dict[str, Any]) -> str:
    title = path if method == "event" else f"{method.upper()} {path}"
    lines = [f"{'###' if method == 'event' else '##'} `{title}`\n", f"**{operation.get('summary', '')}**\n"]
    if operation.get("description"):
        lines.append(operation["description"] + "\n")
    asked = [parameter for parameter in operation.get("parameters", []) if not parameter["name"].startswith("webhook-")]
    if asked:
        lines.append(table(("parameter", "in", "type", ""), [
            (f"`{parameter['name']}`", parameter["in"], kind(parameter["schema"]), parameter.get("description", ""))
            for parameter in asked
        ]))  # fmt: skip
    if "requestBody" in operation:
        body = content(operation["requestBody"])
        if method == "event":
            body = parts[name_of(body)]["properties"]["data"]
        lines.append(table(("field", "type", "", ""), fields(body, parts)))
    answers = [(f"`{status}`", kind(content(answer)), answer.get("description", ""))
               for status, answer in operation["responses"].items() if status not in EVERYWHERE]  # fmt: skip
    lines.append(table(("answer", "body", ""), answers))
    return "\n".join(lines)


def fields(schema: dict[str, Any], parts: dict[str, Any], before: str = "", depth: int = 0) -> list[tuple[str, ...]]:
    """Every field by its dotted name, those of parts inside it too."""
    schema = resolved(schema, parts)
    rows: list[tuple[str, ...]] = []
    for name, property_schema in schema.get("properties", {}).items():
        is_required = "required" if name in schema.get("required", ()) else ""
        rows.append((f"`{before}{name}`", kind(property_schema), is_required, property_schema.get("description", "")))
        inside = resolved(property_schema.get("items", property_schema), parts)
        if inside.get("properties") and depth < 2:
            rows += fields(inside, parts, f"{before}{name}{'[]' if 'items' in property_schema else ''}.", depth + 1)
    return rows


def resolved(schema: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    for piece in (schema, *schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())):
        if "$ref" in piece:
            return dict(parts[name_of(piece)])
    return schema


def kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return name_of(schema)
    several = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf")
    if several:
        return " or ".join(dict.fromkeys(kind(choice) for choice in several if kind(choice)))
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    named = schema.get("type", "")
    return " or ".join(named) if isinstance(named, list) else str(named)


def name_of(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def content(part: dict[str, Any]) -> dict[str, Any]:
    return next((dict(media["schema"]) for media in part.get("content", {}).values()), {})


def commands() -> str:
    lines = [
        "# Commands\n",
        "Made from the code. In a checkout `.venv/bin/python manage.py NAME`, in the image `python manage.py NAME`, "
        "from the wheel `kommo-bridge NAME`; `--help` says the same.\n",
    ]
    for name, app in sorted(get_commands().items()):
        if not isinstance(app, str) or app not in OURS:
            continue
        parser = load_command_class(app, name).create_parser("manage.py", name)
        lines += [f"## `{name}`\n", f"{parser.description or ''}\n"]
        rows = [
            (", ".join(f"`{option}`" for option in action.option_strings) or f"`{action.metavar or action.dest}`",
             str(action.help or "").replace("%(default)s", str(action.default)))
            for action in parser._actions if action.dest not in UNSAID
        ]  # fmt: skip
        if rows:
            lines.append(table(("argument", ""), rows))
    return "\n".join(lines)


# What every command of Django's has.
UNSAID = {
    "help",
    "version",
    "verbosity",
    "settings",
    "pythonpath",
    "traceback",
    "no_color",
    "force_color",
    "skip_checks",
}


def settings() -> str:
    """.env.example as a page: its headings, its comments, its variables."""
    lines = [
        "# Settings\n",
        "Made from `.env.example`: what the environment, or `.env`, may say. Empty is the default.\n",
    ]
    written: list[str] = []
    rows: list[tuple[str, ...]] = []
    for line in [*(ROOT / ".env.example").read_text(encoding="utf-8").splitlines(), ""]:
        variable = VARIABLE.match(line)
        if variable:
            rows.append((f"`{variable[1]}`", f"`{variable[2]}`" if variable[2] else "", " ".join(written)))
            written = []
        elif line.startswith("#"):
            written.append(line.lstrip("# ").strip())
        elif not line and written:
            # A comment of its own speaks of what comes after it.
            if rows:
                lines.append(table(("variable", "as shipped", ""), rows))
                rows = []
            lines.append(" ".join(written) + "\n")
            written = []
    lines.append(table(("variable", "as shipped", ""), rows))
    return "\n".join(lines)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell(text) for text in line) + " |\n" for line in lines)


def cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
