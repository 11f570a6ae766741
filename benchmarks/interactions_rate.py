"""What the agent's calls cost, against bare views behind the same middleware.

Reporting an interaction against storing its body in one row; an interaction inside a batch of 500 against one by
itself; asking whether the agent may reply against reading one row by its primary key. All in one process, in turns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.test import override_settings

from benchmarks import bare, cards
from benchmarks.figures import Figure, at_least, at_most, shown
from benchmarks.harness import POSTGRES, Bench, Broken
from benchmarks.inprocess import Caller, in_turns, typical
from bridge.api import api_keys
from bridge.models import ApiKey

INTERACTIONS = "/api/v1/interactions/"
MAY_REPLY = "/api/v1/agent/may-reply/"
BATCH = 500
KNOWN_LEADS = 200


def run(bench: Bench) -> Iterator[Figure]:
    rounds, batches = bench.size(1_000, 150), bench.size(10, 3)
    cards.connect(bench)
    bare.make_table()
    caller = Caller(Authorization=f"Api-Key {api_keys.issue(ApiKey(name='benchmark'))}")
    with override_settings(ROOT_URLCONF=bare.URLCONF):
        for number in range(KNOWN_LEADS):
            caller.call("POST", INTERACTIONS, interaction(number, bill_value=100))
        caller.call("POST", "/bare/", b"read me")
        first = bare.Row.objects.order_by("pk").values_list("pk", flat=True)[0]
        seconds = in_turns(_calls(caller, first), rounds)
        alone = {name: typical(times) for name, times in seconds.items()}
        together = _seconds_in_a_batch(caller, batches)
    yield from _figures(bench, alone, together)


def _calls(caller: Caller, row_id: int) -> dict[str, Any]:
    return {
        "bare insert": lambda n: caller.call("POST", "/bare/", interaction(n, bill_value=n))[0],
        "known lead": lambda n: caller.call("POST", INTERACTIONS, interaction(n % KNOWN_LEADS, bill_value=1_000 + n))[
            0
        ],
        "new lead": lambda n: caller.call("POST", INTERACTIONS, interaction(1_000 + n, bill_value=n))[0],
        "bare read": lambda n: caller.call("GET", f"/bare/{row_id}/")[0],
        "may reply": lambda n: caller.call("GET", f"{MAY_REPLY}?phone={cards.phone(n % KNOWN_LEADS)[1:]}")[0],
    }


def interaction(number: int, *, bill_value: int, message: str = "") -> bytes:
    """Return a body as an agent sends it. Each has a message of its own, so that none is a repetition."""
    body = {
        "lead": {
            "phone": cards.phone(number),
            "name": f"Pessoa {number}",
            "bill_value": bill_value,
            "chosen_flow": "Aluguel de Lote",
            "qualification_score": 40 + bill_value % 60,
            "is_decision_maker": True,
        },
        "context": {"conversation_stage": "qualificação", "objections_raised": ["preço"]},
        "message": {
            "id": f"wamid.{message}{number}.{bill_value}",
            "direction": "inbound",
            "text": "Minha conta vem bem alta todo mês",
        },
    }
    return json.dumps(body).encode()


def _seconds_in_a_batch(caller: Caller, batches: int) -> float:
    """Return the seconds an interaction of a known lead takes inside a batch."""
    taken = []
    for batch in range(batches):
        items = (
            interaction(number % KNOWN_LEADS, bill_value=10_000 + batch * BATCH + number, message="batch")
            for number in range(BATCH)
        )
        seconds, answer = caller.call("POST", f"{INTERACTIONS}batch/", b"[" + b",".join(items) + b"]")
        if any(item["status"] != 200 for item in json.loads(answer)):
            raise Broken("an item of the batch was refused")
        taken.append(seconds / BATCH)
    return typical(taken)


def _figures(bench: Bench, alone: dict[str, float], together: float) -> Iterator[Figure]:
    def bare_view(name: str) -> str:
        return f"{name} ({alone[name] * 1000:.2f} ms)"

    rate = alone["bare insert"] / alone["known lead"]
    lowest = 0.25 if bench.database == POSTGRES else 0.20
    yield at_least(lowest, f"interaction of a known lead, rate {bench.on}", rate, bare_view("bare insert"))
    rate = alone["bare insert"] / alone["new lead"]
    yield shown(f"interaction of a new lead, rate {bench.on}", rate, bare_view("bare insert"))
    # Four times cheaper at least: that is what a batch is for.
    yield at_most(
        0.25,
        f"interaction in a batch of {BATCH}, time {bench.on}",
        together / alone["known lead"],
        f"the same by itself ({alone['known lead'] * 1000:.2f} ms)",
    )
    rate = alone["bare read"] / alone["may reply"]
    yield at_least(0.6, f"may the agent reply, rate {bench.on}", rate, bare_view("bare read"))
