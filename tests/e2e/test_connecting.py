"""On real processes: waiting for the first comparison, with a worker and without, and a door that Kommo closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.stack import Stack, eventually, kinds, new_phone, running

UNCOMPARED = "from bridge.models import Account; Account.objects.update(compared_at=None, first_comparison={})"
KNOCK_NOW = (
    "from django.utils import timezone; from bridge.models import Account; "
    "Account.objects.filter(paused_by='kommo').update(paused_until=timezone.now())"
)


@pytest.fixture(scope="module", params=kinds())
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(request.param, tmp_path_factory.mktemp("connecting")) as stack:
        yield stack


def test_waiting_for_the_first_comparison_beside_a_worker_ends_with_what_was_found(stack):
    phone = new_phone()
    stack.kommo.post("leads", {"name": "Ana", "phone": phone})
    stack.manage("shell", "-c", UNCOMPARED)
    since = stack.journal_end()

    output = stack.manage("kommo_connect", "--wait")

    assert "Compared at" in output
    assert "what the bridge would write now: nothing" in output
    assert stack.card_writes(since=since) == []
    assert "first comparison: through" in stack.manage("account")


def test_without_a_worker_it_does_the_work_itself_and_what_waited_goes_out_afterwards(stack):
    stack.kill("worker")
    phone = new_phone()
    stack.manage("shell", "-c", UNCOMPARED)
    lead = stack.tell(phone, name="Bia")["lead"]
    assert "the first comparison" in stack.lead(lead["id"])["waiting"]["reason"]
    assert "1 new cards wait for it" in stack.manage("account", "show")

    output = stack.manage("kommo_connect", "--wait")

    assert "what the bridge would write now: 1 new cards" in output
    stack.start_worker()
    stack.synced(lead["id"])
    assert stack.card(phone)


def test_one_refused_token_stops_nobody_for_good(stack):
    stack.kommo.fault("401", count=1, path="/api/v4/leads/complex", method="POST")
    lead = stack.tell(new_phone(), name="Caio")["lead"]

    def paused() -> None:
        assert "paused because Kommo refused us" in stack.manage("account", "show")

    eventually(paused)
    # The wait of a minute is over.
    stack.manage("shell", "-c", KNOCK_NOW)
    stack.synced(lead["id"])
    assert "state: active" in stack.manage("account", "show")


def test_a_person_pauses_and_resumes_from_the_command_line(stack):
    stack.manage("account", "pause", "--reason", "price list")
    lead = stack.tell(new_phone(), name="Duda")["lead"]
    assert "price list" in stack.lead(lead["id"])["waiting"]["reason"]
    stack.manage("kommo_connect")
    assert "paused by a person" in stack.manage("account", "show")
    stack.manage("account", "resume")
    stack.synced(lead["id"])
