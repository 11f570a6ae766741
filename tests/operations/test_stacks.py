"""Stacks that join a network: checked as far as that goes without an engine."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import get_commands

from tests.operations.test_documents import wrong_commands
from tests.repository import ROOT, text_of

STACKS = sorted((ROOT / "deploy" / "stacks").glob("*.yml"))
COMPOSE = ROOT / "compose.yaml"
# What the stack itself asks for, and the bridge does not read.
OWN = {"IMAGE", "HOST", "NETWORK", "POSTGRES_PASSWORD", "ENTRYPOINT", "CERTRESOLVER"}
ASKED = re.compile(r"\$\{(\w+)")

SCHEMA = ROOT / "tests" / "operations" / "compose-spec.json"
# What an engine of one host takes, and `docker stack deploy` refuses or forgets.
NOT_IN_A_SWARM = {"build", "container_name", "depends_on", "links", "restart", "security_opt", "tmpfs"}

each_stack = pytest.mark.parametrize("path", STACKS, ids=lambda path: path.stem)
each_file = pytest.mark.parametrize("path", [*STACKS, COMPOSE], ids=lambda path: path.stem)


def known() -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", text_of(ROOT / ".env.example"), re.MULTILINE))


def ours(path: Any) -> dict[str, Any]:
    services = yaml.safe_load(text_of(path))["services"]
    return {name: service for name, service in services.items() if str(service["image"]).startswith("${IMAGE")}


@each_file
def test_it_is_what_the_specification_allows(path):
    found = jsonschema.Draft7Validator(json.loads(text_of(SCHEMA))).iter_errors(yaml.safe_load(text_of(path)))
    assert [f"{list(error.path)}: {error.message}" for error in found] == []


def test_the_specification_refuses_what_is_none():
    stack = yaml.safe_load(text_of(STACKS[0]))
    stack["services"]["web"]["restarts"] = "always"
    assert list(jsonschema.Draft7Validator(json.loads(text_of(SCHEMA))).iter_errors(stack))


def test_a_swarm_is_asked_for_nothing_it_refuses_or_forgets():
    services = yaml.safe_load(text_of(ROOT / "deploy" / "stacks" / "swarm-traefik.yml"))["services"]
    assert {key for service in services.values() for key in service} & NOT_IN_A_SWARM == set()


@each_file
def test_every_variable_is_one_the_bridge_reads(path):
    assert set(ASKED.findall(text_of(path))) <= known() | OWN
    for service in ours(path).values():
        assert set(service["environment"]) <= known()


@each_stack
def test_the_page_tells_of_every_variable_that_must_be_given(path):
    asked = set(re.findall(r"\$\{(\w+):\?", text_of(path)))
    assert {"IMAGE", "HOST", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "POSTGRES_PASSWORD"} <= asked
    page = text_of(ROOT / "docs" / "stacks.md")
    assert [name for name in asked if f"`{name}`" not in page] == []


@each_file
def test_every_command_exists_with_its_options(path):
    services = ours(path)
    commands = [service["command"] for service in services.values() if service.get("command")]
    commands += [
        service["healthcheck"]["test"][1:]
        for service in services.values()
        if service.get("healthcheck", {}).get("test")
    ]
    assert len(commands) >= 3
    for program, *words in commands:
        assert program == "python"
        assert wrong_commands(" ".join(words)) == []


def traefik_labels(path: Any) -> dict[str, str]:
    web = yaml.safe_load(text_of(path))["services"]["web"]
    return dict(label.split("=", 1) for label in web.get("deploy", web)["labels"])


@each_stack
def test_traefik_waits_for_slow_bodies_and_bounds_what_one_caller_may_as_nginx_does(path):
    labels, nginx = traefik_labels(path), text_of(ROOT / "deploy" / "nginx" / "bridge.conf")
    attached = "traefik.http.routers.kommo-bridge.middlewares"
    names = labels[attached if attached in labels else "coolify.traefik.middlewares"].split(",")
    defined = {
        key.removeprefix("traefik.http.middlewares."): value
        for key, value in labels.items()
        if key.startswith("traefik.http.middlewares.")
    }
    [rate] = re.findall(r"zone=bridge_calls:10m rate=(\d+)r/s;", nginx)
    [burst] = re.findall(r"zone=bridge_calls burst=(\d+)", nginx)
    [connections] = re.findall(r"limit_conn bridge_connections (\d+);", nginx)
    [megabytes] = re.findall(r"client_max_body_size (\d+)m;", nginx)

    # What comes too often, or from somebody with too much under way, is refused before its body is waited for.
    assert names == ["kommo-bridge-calls", "kommo-bridge-connections", "kommo-bridge-bodies"]
    assert defined == {
        "kommo-bridge-calls.ratelimit.average": rate,
        "kommo-bridge-calls.ratelimit.burst": burst,
        "kommo-bridge-connections.inflightreq.amount": connections,
        # Counted for each address: without it, for all callers of the host together.
        "kommo-bridge-connections.inflightreq.sourcecriterion.ipstrategy.depth": "0",
        "kommo-bridge-bodies.buffering.maxrequestbodybytes": str(int(megabytes) * 1024 * 1024),
        "kommo-bridge-bodies.buffering.memrequestbodybytes": str(256 * 1024),
    }


@pytest.mark.django_db
def test_a_proxy_is_told_that_a_server_is_ready_by_the_name_it_asks(client, settings):
    label_values = traefik_labels(ROOT / "deploy" / "stacks" / "swarm-traefik.yml")
    health = "traefik.http.services.kommo-bridge.loadbalancer.healthcheck"
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["bridge.example"], True
    answer = client.get(label_values[f"{health}.path"], headers={"host": label_values[f"{health}.hostname"]})
    assert (answer.status_code, client.get("/readyness", headers={"host": "127.0.0.1"}).status_code) == (200, 400)


@each_stack
def test_the_same_image_migrates_serves_and_works(path):
    services = ours(path)
    assert set(services) == {"migrate", "web", "worker"}
    assert services["web"].get("command") is None
    for name in ("migrate", "worker"):
        program, script, command = services[name]["command"][:3]
        assert (program, script) == ("python", "manage.py") and command in get_commands()
    assert services["worker"]["healthcheck"]["test"] == ["CMD", "python", "manage.py", "worker", "--check"]
    # Above what a drain under way may take.
    assert int(services["worker"]["stop_grace_period"].removesuffix("s")) >= 40


@each_stack
def test_the_database_is_on_no_network_but_its_own(path):
    stack = yaml.safe_load(text_of(path))
    assert stack["networks"]["outside"]["external"] is True
    for name in ("postgres", "redis"):
        assert set(stack["services"][name]["networks"]) == {"inside"}
    for name in ("web", "worker"):
        assert {"inside", "outside"} == set(stack["services"][name]["networks"])
    assert all("ports" not in service for service in stack["services"].values())


@each_stack
def test_hosts_that_are_named_are_there(path):
    stack = yaml.safe_load(text_of(path))
    names = set(stack["services"])
    for service in stack["services"].values():
        if isinstance(service["networks"], dict):
            names |= {alias for network in service["networks"].values() for alias in (network or {}).get("aliases", ())}
    environment = ours(path)["web"]["environment"]
    for variable in ("DATABASE_URL", "REDIS_URL"):
        assert re.sub(r"^.*//(?:.*@)?", "", environment[variable]).split(":")[0] in names


@each_stack
def test_a_first_start_writes_to_nobody(path):
    assert ours(path)["worker"]["environment"]["KOMMO_MODE"] == "${KOMMO_MODE:-shadow}"


def test_the_port_is_the_images():
    [port] = re.findall(r"^EXPOSE (\d+)$", text_of(ROOT / "Dockerfile"), re.MULTILINE)
    assert f"loadbalancer.server.port={port}" in text_of(ROOT / "deploy" / "stacks" / "swarm-traefik.yml")
    assert f"port {port}" in text_of(ROOT / "deploy" / "stacks" / "joining.yml")
