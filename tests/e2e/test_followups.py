"""Follow-ups on real processes, in seconds instead of days: to NÃO INTERESSADO, answered in between, and killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from standardwebhooks import Webhook

from tests.e2e.stack import Stack, eventually, kinds, new_phone, port, running

NOT_INTERESTED = 89709599
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SCENE_SECONDS = 0.05
DUE_AT_ONCE, REPORTED_AT_ONCE = 500, 50


class Agent:
    """The agent's webhook: verifies each call, notes it, and takes a moment to say the message."""

    def __init__(self) -> None:
        self.due: list[tuple[str, str, int, str]] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                body = Webhook(SECRET).verify(raw, {name.lower(): value for name, value in self.headers.items()})
                outer.take(self.headers["webhook-id"], body)
                answer = json.dumps(outer.answer(body)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port()), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, webhook_id: str, body: dict[str, Any]) -> None:
        if body["type"] != "followup.due":
            return
        time.sleep(SCENE_SECONDS)
        data = body["data"]
        assert data["attempt_id"] == webhook_id
        with self._lock:
            self.due.append((data["lead"]["phone"], data["sequence"], data["step"], webhook_id))

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        return {}

    def steps_of(self, phone: str) -> list[int]:
        return [step for who, _, step, _ in self.due if who == phone]

    def ids_by_message(self) -> dict[tuple[str, str, int], set[str]]:
        found: dict[tuple[str, str, int], set[str]] = defaultdict(set)
        for phone, sequence, step, webhook_id in self.due:
            found[phone, sequence, step].add(webhook_id)
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    agent = Agent()
    yield agent
    agent.close()


# The strongest database and broker at hand: what holds there is what may get lost elsewhere.
@pytest.fixture(scope="module", params=kinds()[-1:])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, agent: Agent) -> Iterator[Stack]:
    """A stack of its own with two workers, whose agent listens."""
    agent_settings = {"AGENT_WEBHOOK_URL": agent.url, "AGENT_WEBHOOK_SECRET": SECRET}
    with running(request.param, tmp_path_factory.mktemp("followups"), workers=2, **agent_settings) as stack:
        yield stack


def configure(stack: Stack, delays: list[str], **ending: str) -> None:
    """Import a re-engagement with these delays, at any hour of any day."""
    path = Path(stack.directory) / "bridge.yaml"
    stack.manage("bridge_config", "export", str(path))
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    pipeline = document["pipelines"][0]
    pipeline.pop("quiet_hours", None)
    sequence = next(each_sequence for each_sequence in pipeline["sequences"] if each_sequence["slug"] == "reengagement")
    sequence["steps"] = [{"delay": delay, "text": f"Passo {delay}"} for delay in delays]
    for key in ("give_up_after", "give_up_stage"):
        sequence.pop(key, None)
    sequence |= ending
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    stack.manage("bridge_config", "import", str(path))


def agent_writes(phone: str) -> dict[str, Any]:
    return {"lead": {"phone": phone}, "message": {"id": f"out-{phone}", "direction": "outbound", "text": "Olá"}}


def kill_with_everything_under_it(stack: Stack, name: str) -> None:
    """Kill a worker, its cluster and the processes that send, all with SIGKILL."""
    for pid in descendants(stack.processes[name].pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    stack.kill(name)


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # "pid (name) state parent …", and a name may itself hold brackets.
            children[int(path.read_text().rpartition(")")[2].split()[1])].append(int(path.parent.name))
    found = children[pid]
    return [*found, *(descendant for child in found for descendant in descendants(child))]


def test_a_silent_lead_goes_through_the_sequence_to_nao_interessado(stack: Stack, agent: Agent):
    configure(stack, ["PT1S", "PT2S", "PT1S"], give_up_after="PT1S", give_up_stage="not_interested")
    phone = new_phone()
    lead_id = stack.call("POST", "interactions/", agent_writes(phone)).json()["lead"]["id"]

    def given_up() -> None:
        assert stack.card(phone)["status_id"] == NOT_INTERESTED

    eventually(given_up)
    assert agent.steps_of(phone) == [1, 2, 3]
    timeline = stack.call("GET", f"leads/{lead_id}/timeline/").json()["results"]
    reasons = [event["reason"] for event in timeline if event["kind"] == "stage_changed"]
    assert [reason.partition(",")[0] for reason in reasons] == ["no answer to 3 messages"]
    assert stack.lead(lead_id)["followup"]["state"] == "finished"


def test_a_lead_who_answers_in_between_hears_no_more_of_it(stack: Stack, agent: Agent):
    configure(stack, ["PT1S", "PT2S"], give_up_after="PT1S", give_up_stage="not_interested")
    answers, stays_silent = new_phone(), new_phone()
    body = stack.call("POST", "interactions/", agent_writes(answers)).json()
    assert body["followup"]["state"] == "waiting"

    def first_step_taken() -> None:
        assert agent.steps_of(answers) == [1]

    eventually(first_step_taken)
    stack.tell(answers, message={"id": f"in-{answers}", "direction": "inbound", "text": "Quero sim"})
    # Somebody who begins now and stays silent goes all the way; by then the other would have had the second step.
    stack.call("POST", "interactions/", agent_writes(stays_silent))

    def given_up() -> None:
        assert stack.card(stays_silent)["status_id"] == NOT_INTERESTED

    eventually(given_up)
    assert agent.steps_of(answers) == [1]
    lead = stack.lead(body["lead"]["id"])
    assert (lead["followup"]["state"], lead["stage"]) == ("cancelled", "new")


def test_killed_workers_neither_lose_nor_double_a_message(stack: Stack, agent: Agent):
    configure(stack, ["PT1S"])
    # With nobody at work all of them fall due; then two workers find them.
    for name in [name for name in stack.processes if name.startswith("worker")]:
        kill_with_everything_under_it(stack, name)
    phones = [new_phone() for _ in range(DUE_AT_ONCE)]
    ours = set(phones)
    for start in range(0, DUE_AT_ONCE, REPORTED_AT_ONCE):
        some = phones[start : start + REPORTED_AT_ONCE]
        answer = stack.call("POST", "interactions/batch/", [agent_writes(phone) for phone in some])
        assert {item["status"] for item in answer.json()} == {201}
    for number in range(2):
        stack.start_worker(f"sender-{number}")

    def heard() -> int:
        return len({phone for phone, *_ in agent.due if phone in ours})

    for number, (name, enough) in enumerate((("sender-0", 40), ("sender-1", 150), ("sender-2", 280))):

        def under_way(enough: int = enough) -> None:
            assert heard() >= enough

        eventually(under_way)
        kill_with_everything_under_it(stack, name)
        stack.start_worker(f"sender-{number + 2}")
    assert heard() < DUE_AT_ONCE, "the kills came too late to hit anybody"

    attempts = "from followups.models import Attempt; import json; print(json.dumps([[str(one.pk), one.state, one.enrollment.lead.phone] for one in Attempt.objects.select_related('enrollment__lead')]))"  # noqa: E501

    def all_recorded() -> list[list[str]]:
        assert heard() == DUE_AT_ONCE
        rows = [row for row in json.loads(stack.manage("shell", "-v", "0", "-c", attempts)) if row[2] in ours]
        assert {state for _, state, _ in rows} == {"sent"}
        return rows

    rows = eventually(all_recorded)
    assert len(rows) == DUE_AT_ONCE
    ids = {message: ids for message, ids in agent.ids_by_message().items() if message[0] in ours}
    assert {len(deliveries) for deliveries in ids.values()} == {1}
    assert set().union(*ids.values()) == {pk for pk, _, _ in rows}
