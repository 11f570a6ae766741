"""What holds for every source, whatever it is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.intakes import source_kinds
from bridge.intakes.secrets_left_out import without_secrets
from bridge.intakes.source_news import Booking, Ignored, Message, Status, UnreadableError
from tests.bridge.intakes.bodies import BODIES, raw

SAMPLES = sorted(f"{path.parent.name}/{path.name[:2]}" for path in BODIES.glob("*/*.json"))
SAMPLES = [name for name in SAMPLES if name.split("/")[0] in source_kinds.SOURCES]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(
        ["true_558191234567@c.us_3A", "104729384756011@lid", "x@g.us", "1795521570", "\0", "\ud800"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def paths(tree: Any, here: tuple = ()) -> list[tuple]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [here, *(path for key, value in inner for path in paths(value, (*here, key)))]


def planted(tree: Any, path: tuple, value: Any) -> Any:
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = planted(tree[path[0]], path[1:], value)
    return copy


def storable(value: Any) -> bool:
    """Say whether any database takes every text in it."""
    text = repr(value) if not isinstance(value, str) else value
    return "\0" not in text and text.encode("utf-8", "replace") == text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=40)
@given(data=st.data())
def test_no_body_makes_a_parser_raise(name, data):
    kind, tree = name.split("/")[0], json.loads(raw(name))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths(tree)))
        tree = planted(tree, path, data.draw(ANYTHING))
    try:
        news = source_kinds.read(kind, tree)
    except UnreadableError:
        assert not isinstance(tree, dict)
        return
    assert news
    for piece in news:
        assert isinstance(piece, (Message, Status, Booking, Ignored))
        if isinstance(piece, Message):
            assert piece.addresses and piece.direction in ("inbound", "outbound", "staff")
            assert len(piece.id) <= 250 and len(piece.name) <= 250
            assert piece.at is None or piece.at.tzinfo is not None
            assert all(storable(part) for part in (piece.text, piece.name, piece.id, piece.author))


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_kept_of_a_call_tells_the_same_as_what_came(name):
    kind = name.split("/")[0]
    came, kept = json.loads(raw(name)), orjson.loads(without_secrets(raw(name)))
    assert source_kinds.read(kind, kept) == source_kinds.read(kind, came)


SECRETS = [
    "B7A1C0F2-0000-4000-8000-5E6F7A8B9C0D", "segredo", "exemploDeTokenDoContato", "ZXhlbXBsby1kZS1jaGF2ZQ==",
    "/9j/4AAQSkZJRgABAQAAAQ==",
]  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_secret_of_a_sample_is_kept(name):
    kept = without_secrets(raw(name)).decode()
    assert [secret for secret in SECRETS if secret in kept] == []


@given(st.binary(max_size=300))
def test_whatever_comes_can_be_kept(body):
    assert isinstance(without_secrets(body), bytes)


def test_every_kind_has_samples_and_every_module_its_test():
    here = Path(__file__).parent
    for kind in source_kinds.SOURCES:
        assert any(name.startswith(f"{kind}/") for name in SAMPLES)
        assert (here / f"test_{kind}.py").exists()


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVERY = {
    "waha": (["inbound", "staff", "outbound"], 5),
    "zapi": (["inbound", "staff", "outbound", "inbound"], 5),
    "whatsapp_cloud": (["inbound", "staff"], 6),
    "chatwoot": (["inbound", "staff", "outbound"], 4),
}


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_conversation_of_every_source_whatever_the_order(way_in, kind, backwards, time_machine):
    from bridge.models import IntakeCall
    from leads.models import Lead
    from leads.models import Message as Row

    time_machine.move_to(NOW, tick=False)
    directions, count = EVERY[kind]
    bodies = [raw(f"{kind}/{number:02d}") for number in range(1, count + 1)]
    way = way_in(kind)
    way.tell(*(bodies[::-1] if backwards else bodies), *bodies)
    lead = Lead.objects.get(phone="+5581991234567")
    assert list(lead.messages.values_list("direction", flat=True)) == directions
    assert (lead.name, lead.in_handoff) == ("Maria Souza", True)
    assert not IntakeCall.objects.filter(state=IntakeCall.State.FAILED).exists()
    assert Row.objects.filter(channel=way.intake.slug).count() == Row.objects.count()
