"""What is written in Kommo's chats is the conversation of a pipeline that says so. The sandbox's webhooks are told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.test import Client
from django.utils import timezone

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.accounts import webhook_subscription
from bridge.accounts.connection import client_for
from bridge.configuration.connecting import destination_for
from bridge.models import Account, Card, WebhookEvent, WebhookItem
from bridge.webhooks import chat_items, parsing
from bridge.webhooks.reading_webhooks import process_inbox
from followups.models import Attempt, Enrollment, Sequence, SequenceVersion
from kommo_sandbox import brackets
from leads import erasure
from leads.models import Lead, Message, MessagePart
from tests.conftest import MARIA, drain, lead_of, record

SAMPLES = Path(__file__).parent / "bodies"
TOKEN = {"Authorization": "Bearer sandbox-token"}
ANA = 11087201
ITEM = {
    "id": "m-1",
    "chat_id": "chat-1",
    "talk_id": "7",
    "contact_id": "0",
    "text": "Oi",
    "type": "incoming",
    "message_type": "text",
    "origin": "waba",
}


@pytest.fixture
def talks(account, pipeline):
    pipeline.refresh_from_db()
    pipeline.conversations = "kommo"
    pipeline.save()
    return pipeline


@pytest.fixture
def listens(settings):
    settings.AGENT_WEBHOOK_URL = "http://127.0.0.1:9/"


def post(account: Account, *bodies: str) -> None:
    path = destination_for(account, "http://x").removeprefix("http://x")
    for body in bodies:
        answer = Client().post(path, body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 200


def body(root: str, *items: dict) -> str:
    return brackets.encode({root: {"add": dict(enumerate(items))}})


def hear(account: Account, *items: dict, root: str = "message") -> None:
    post(account, body(root, *items))
    process_inbox(account.pk)


def carded(account, pipeline) -> Card:
    record(pipeline)
    drain(account)
    return lead_of().card


def written(card: Card, **more) -> dict:
    now = int(timezone.now().timestamp())
    lead = {"entity_type": "lead", "entity_id": card.kommo_lead_id}
    item = {**ITEM, **lead, "contact_id": card.kommo_contact_id or 0, "created_at": now}
    item["author"] = {"id": "a", "type": "external", "name": "Maria Souza"}
    return item | more


def by_person(card: Card, **more) -> dict:
    author = {"id": "b", "type": "internal", "user_id": ANA, "name": "Ana Vendas"}
    return written(card, type="outgoing", author=author, **{"id": "m-p", "text": "Aqui é a Ana", **more})


def by_bot(card: Card, **more) -> dict:
    author = {"id": "c", "type": "bot", "name": "Salesbot"}
    return written(card, type="outgoing", author=author, **{"id": "m-b", "text": "Olá!", **more})


def stored_messages() -> list[tuple[str, str, str]]:
    return [
        (message.direction, message.text, message.author)
        for message in Message.objects.order_by("at", "untold_since", "pk")
    ]


def test_what_lead_person_and_bot_write_is_the_conversation_and_says_who_wrote_it(account, talks):
    card = carded(account, talks)
    hear(account, written(card))
    hear(account, by_bot(card), root="outgoing_message")
    hear(account, by_person(card), root="outgoing_message")

    assert sorted(stored_messages()) == [
        ("bot", "Olá!", "Salesbot"),
        ("inbound", "Oi", ""),
        ("staff", "Aqui é a Ana", "Ana Vendas"),
    ]
    assert set(Message.objects.values_list("channel", flat=True)) == {"kommo"}
    lead = lead_of()
    assert (lead.handoff_source, bool(lead.last_inbound_at)) == ("chat", True)
    assert {address["kind"] for address in lead.addresses} >= {"phone", "kommo_chat"}


def test_where_the_agent_has_the_conversation_chats_are_no_conversation_and_a_person_takes_over_all_the_same(
    account, pipeline
):
    card = carded(account, pipeline)
    hear(account, written(card))
    hear(account, by_person(card), root="outgoing_message")
    assert stored_messages() == []
    assert lead_of().handoff_source == "chat"


def test_a_message_told_twice_and_under_both_names_counts_once(account, talks, listens):
    card = carded(account, talks)
    item = written(card)
    post(account, body("message", item, item))
    process_inbox(account.pk)
    hear(account, item)
    person = by_person(card)
    post(account, body("message", person), body("outgoing_message", person))
    process_inbox(account.pk)
    assert Message.objects.count() == 2
    assert Message.objects.get(direction="inbound").telling == "waiting"


@pytest.mark.parametrize("placeholder", ["", "⏳", "[áudio]"])
def test_a_file_that_comes_first_as_a_placeholder_is_one_message(account, talks, placeholder):
    card = carded(account, talks)
    file = {"type": "voice", "link": "https://amojo.kommo.com/attachments/nota.ogg", "file_name": "nota.ogg"}
    hear(account, written(card, text=placeholder))
    hear(account, written(card, text="", message_type="voice", attachment=file))
    hear(account, written(card, text=placeholder))

    [message] = Message.objects.all()
    assert (message.kind, message.text) == ("audio", "áudio")
    assert message.attachments == [
        {"kind": "audio", "mime": "", "name": "nota.ogg", "reference": "https://amojo.kommo.com/attachments/nota.ogg"}
    ]


def test_several_messages_of_one_body_keep_their_order(account, talks, listens):
    card = carded(account, talks)
    hear(account, *[written(card, id=f"m-{number}", text=str(number)) for number in range(12)])
    assert [text for _, text, _ in stored_messages()] == [str(number) for number in range(12)]


def test_a_chat_that_is_no_leads_yet_is_found_by_its_contact(account, talks, kommo):
    card = carded(account, talks)
    item = written(card)
    for key in ("entity_type", "entity_id"):
        del item[key]
    hear(account, item)
    assert stored_messages() == [("inbound", "Oi", "")]


def test_a_chat_of_nobody_waits_until_its_lead_is_there(account, talks, kommo, listens):
    item = {**ITEM, "contact_id": 0, "created_at": int(timezone.now().timestamp())}
    hear(account, item)
    assert stored_messages() == []
    assert WebhookItem.objects.get().result == "unlinked"

    lead = kommo.post("leads", {"name": "Maria", "phone": MARIA})
    kommo_id, contact_id = lead["id"], lead["_embedded"]["contacts"][0]["id"]
    later = {**item, "id": "m-2", "text": "?", "entity_type": "lead", "entity_id": kommo_id, "contact_id": contact_id}
    hear(account, later)

    assert [text for _, text, _ in stored_messages()] == ["Oi", "?"]
    assert set(WebhookItem.objects.values_list("result", flat=True)) == {"adopted"}


def test_a_lead_born_in_kommo_with_its_first_message_is_taken_in_by_the_same_call(account, talks, kommo):
    lead = kommo.post("leads", {"name": "Maria", "phone": MARIA})
    hear(
        account, {**ITEM, "entity_type": "lead", "entity_id": lead["id"], "created_at": int(timezone.now().timestamp())}
    )
    assert stored_messages() == [("inbound", "Oi", "")]
    assert lead_of().card.kommo_lead_id == lead["id"]


@pytest.mark.kommo_default("where filters by id are ignored, each row is asked for once more")
def test_to_take_it_in_asks_for_the_lead_and_its_contact_alone(account, talks, kommo):
    lead = kommo.post("leads", {"name": "Maria", "phone": MARIA})
    before = len(kommo.journal())
    hear(
        account, {**ITEM, "entity_type": "lead", "entity_id": lead["id"], "created_at": int(timezone.now().timestamp())}
    )
    assert len(kommo.journal()) - before == 2


def test_a_lead_of_another_pipeline_is_none_of_ours_and_read_once(account, talks, kommo):
    pipelines = client_for(account).pipelines()
    elsewhere = next(pipeline.id for pipeline in pipelines if pipeline.id != talks.kommo_pipeline_id)
    lead = kommo.post("leads", {"name": "Maria", "phone": MARIA, "pipeline_id": elsewhere})
    now = int(timezone.now().timestamp())
    item = {**ITEM, "entity_type": "lead", "entity_id": lead["id"], "created_at": now}
    hear(account, item)
    before = len(kommo.journal())
    hear(account, {**item, "id": "m-2"})
    assert (stored_messages(), len(kommo.journal()) - before) == ([], 0)


def test_somebody_in_incoming_leads_has_a_conversation_and_one_card_once_they_are_accepted(
    account, talks, kommo, listens
):
    waiting = kommo.post("leads", {"name": "Maria", "contact_name": "Maria", "incoming": True})
    now = int(timezone.now().timestamp())
    contact_id = waiting["_embedded"]["contacts"][0]["id"]
    item = {**ITEM, "entity_type": "lead", "entity_id": waiting["id"], "contact_id": contact_id, "created_at": now}
    item["author"] = {"type": "external", "name": "Maria Souza"}
    hear(account, item)

    assert stored_messages() == [("inbound", "Oi", "")]
    lead = Lead.objects.get()
    assert lead.name == "Maria Souza"
    before = kommo.writes()
    drain(account)
    assert kommo.writes() == before
    assert "Incoming leads" in Card.objects.get().waiting_reason

    answer = requests.get(f"{kommo.url}/api/v4/leads/unsorted", headers=TOKEN, timeout=10)
    uid = answer.json()["_embedded"]["unsorted"][0]["uid"]
    requests.post(f"{kommo.url}/api/v4/leads/unsorted/{uid}/accept", json={}, headers=TOKEN, timeout=10)
    post(account, f"leads[add][0][id]={waiting['id']}&leads[add][0][pipeline_id]={talks.kommo_pipeline_id}")
    process_inbox(account.pk)

    assert Card.objects.get().kommo_lead_id == waiting["id"]
    hear(account, {**item, "id": "m-2", "text": "e agora?"})
    assert Lead.objects.count() == 1
    assert [text for _, text, _ in stored_messages()] == ["Oi", "e agora?"]


def test_a_report_of_the_agents_about_the_same_message_counts_once(account, talks, listens):
    from leads.interaction_values import Direction
    from leads.interaction_values import Message as Said

    card = carded(account, talks)
    hear(account, written(card))
    record(talks, message=Said(Direction.INBOUND, text="Oi"))
    record(talks, message=Said(Direction.INBOUND, id="m-1", text="Oi"))
    assert Message.objects.filter(direction="inbound").count() == 1
    assert Message.objects.get(direction="inbound").telling == ""


def test_what_the_agent_said_and_a_bot_shows_in_the_chat_is_the_agents(account, talks):
    from leads.interaction_values import Direction
    from leads.interaction_values import Message as Said

    talks.yields_to_bots = True
    talks.save()
    card = carded(account, talks)
    record(talks, message=Said(Direction.OUTBOUND, text="Qual o valor da conta?"))
    hear(account, by_bot(card, text="Qual o valor da conta?"), root="outgoing_message")
    # And where it shows before it is reported.
    hear(account, by_bot(card, id="m-c", text="E a cidade?"), root="outgoing_message")
    assert lead_of().handoff_source == "guard"
    record(talks, message=Said(Direction.OUTBOUND, text="E a cidade?"))

    assert [direction for direction, _, _ in stored_messages()] == ["outbound", "outbound"]
    assert lead_of().handoff_source == ""


def test_what_we_sent_and_the_chat_shows_is_no_other_bots_and_has_arrived(account, talks):
    card = carded(account, talks)
    now = timezone.now()
    row = Message.objects.create(
        lead=card.lead, direction="outbound", text="Um. Dois.", state="queued", at=now, queued_at=now
    )
    for position, text in enumerate(("Um.", "Dois.")):
        MessagePart.objects.create(message=row, position=position, text=text, state="sent")
    for place, text in enumerate(("Um.", "Dois.")):
        hear(account, by_bot(card, id=f"m-{place}", text=text), root="outgoing_message")

    assert Message.objects.get().state == "delivered"
    assert lead_of().handoff_source == ""


@pytest.mark.parametrize("shown", ["Ainda pensa na usina?", "Ainda  pensa na usina? \N{GRINNING FACE}"])
@pytest.mark.parametrize("state", ["sending", "sent", "unconfirmed"])
def test_a_follow_up_that_a_salesbot_says_is_no_other_bots(account, talks, state, shown):
    talks.yields_to_bots = True
    talks.save()
    card = carded(account, talks)
    followed_up(card, "Ainda pensa na usina?", state)
    item = by_bot(card, text=shown)
    hear(account, item, root="message")
    hear(account, item, root="outgoing_message")

    assert stored_messages() == [("outbound", "Ainda pensa na usina?", "")]
    assert Message.objects.get().state == "delivered"
    assert lead_of().handoff_source == ""


@pytest.mark.parametrize("state", ["missed", "would_send", "skipped"])
def test_what_was_never_said_makes_no_other_bots_words_ours(account, talks, state):
    talks.yields_to_bots = True
    talks.save()
    card = carded(account, talks)
    followed_up(card, "Ainda pensa na usina?", state)
    hear(account, by_bot(card, text="Ainda pensa na usina?"), root="outgoing_message")
    assert lead_of().handoff_source == "guard"


def followed_up(card: Card, text: str, state: str) -> None:
    sequence, now = Sequence.objects.filter(pipeline=card.lead.pipeline).first(), timezone.now()
    version = SequenceVersion.objects.create(sequence=sequence, digest="x", content={"steps": []})
    enrollment = Enrollment.objects.create(
        lead=card.lead,
        sequence=sequence,
        version=version,
        purpose=sequence.starts_on,
        state="finished",
        anchor_at=now,
        started_at=now,
        ended_at=now,
    )
    ended_at = None if state == "sending" else now
    Attempt.objects.create(
        enrollment=enrollment, step=9, state=state, text=text, due_at=now, created_at=now, ended_at=ended_at
    )


class TestOurSideWithoutAnAuthor:
    """An outgoing message whose webhook does not say what its author is, as `add_message` may tell of it."""

    @pytest.fixture(params=[{}, {"author": ""}, {"author": {}}, {"author": {"name": "X"}}, {"author": {"type": "y"}}])
    def author(self, request):
        return request.param

    def test_what_we_sent_has_arrived(self, account, talks, author):
        card = carded(account, talks)
        now = timezone.now()
        row = Message.objects.create(
            lead=card.lead, direction="outbound", text="Um.", state="queued", at=now, queued_at=now
        )
        MessagePart.objects.create(message=row, position=1, text="Um.", state="sent")
        hear(account, unsaid(card, author, text="Um."))
        assert Message.objects.get().state == "delivered"

    def test_nobody_is_blamed_and_the_feed_is_asked_until_it_is_told_with_its_author(self, account, talks, author):
        talks.yields_to_bots = True
        talks.save()
        card = carded(account, talks)
        Account.objects.update(takeovers_looked_at=timezone.now())
        hear(account, unsaid(card, author))
        assert (stored_messages(), lead_of().handoff_source) == ([], "")
        assert Account.objects.get().takeovers_looked_at is None
        hear(account, by_person(card, id="m-o", text="Olá!"), root="outgoing_message")
        hear(account, unsaid(card, author))
        assert stored_messages() == [("staff", "Olá!", "Ana Vendas")]

    def test_a_user_is_a_person_unless_it_is_ours_or_a_robots(self, account, talks):
        card = carded(account, talks)
        hear(account, unsaid(card, {"author": {"user_id": ANA, "name": "Ana Vendas"}}))
        assert (stored_messages(), lead_of().handoff_source) == ([("staff", "Olá!", "Ana Vendas")], "chat")
        account_traits.remember(account, Trait.ROBOT_USERS, [77])
        hear(account, unsaid(card, {"author": {"user_id": 77, "name": "Robô"}}, id="m-r"))
        hear(account, unsaid(card, {"author": {"user_id": account.kommo_user_id}}, id="m-u", text="Nossa"))
        assert sorted(stored_messages()) == [
            ("bot", "Olá!", "Robô"), ("outbound", "Nossa", ""), ("staff", "Olá!", "Ana Vendas")
        ]  # fmt: skip


def unsaid(card: Card, author: dict, **more) -> dict:
    item = written(card, type="outgoing", **{"id": "m-o", "text": "Olá!", **more})
    del item["author"]
    return item | author


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("conversations", ["kommo", "agent"])
def test_what_arrived_is_noted_outside_of_a_test_too_where_each_statement_is_a_transaction(
    account, pipeline, conversations
):
    pipeline.refresh_from_db()
    pipeline.conversations = conversations
    pipeline.save()
    card, now = carded(account, pipeline), timezone.now()
    row = Message.objects.create(
        lead=card.lead, direction="outbound", text="Um.", state="queued", at=now, queued_at=now
    )
    MessagePart.objects.create(message=row, position=1, text="Um.", state="sent")
    hear(account, by_bot(card, text="Um."), root="outgoing_message")
    assert Message.objects.get(pk=row.pk).state == "delivered"


def test_the_subscription_includes_messages_where_conversations_are_kommos(account, pipeline, kommo):
    assert "add_message" not in webhook_subscription.wanted(account)
    pipeline.refresh_from_db()
    pipeline.conversations = "kommo"
    pipeline.save()
    assert {"add_message", "add_outgoing_message", "add_unsorted"} <= set(webhook_subscription.wanted(account))
    account.refresh_from_db()
    assert account.webhook_checked_at is None


def test_how_many_statements_a_round_takes_does_not_grow_with_its_messages(
    account, talks, django_assert_max_num_queries
):
    card = carded(account, talks)
    counts = []
    for number in (1, 30):
        post(
            account,
            *[
                body("message", written(card, id=f"r{number}-{number_of_message}"))
                for number_of_message in range(number)
            ],
        )
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as asked:
            process_inbox(account.pk)
        counts.append(len(asked) / number)
    # One person's messages are taken one after the other.
    assert counts[1] < counts[0]


def read(name: str):
    text = (SAMPLES / name).read_bytes()
    [item] = [each_item for each_item in parsing.parse(text).items if each_item.entity == "message"]
    return chat_items.read(item.action, item.data)


@pytest.mark.parametrize(
    "noise", ["", "x=1", "message[add]=1", "message[add][0]=1", "message[add][0][author]=x&message[add][0][id]=1"]
)
def test_no_body_makes_reading_raise(noise):
    for item in parsing.parse(noise.encode()).items:
        chat_items.read(item.action, item.data)


def test_an_old_wait_of_a_chat_that_is_nobodys_ends(account, talks):
    hear(account, {**ITEM, "created_at": int(timezone.now().timestamp())})
    item = WebhookItem.objects.get()
    item.event.received_at -= timedelta(hours=2)
    item.event.save()
    hear(account, {**ITEM, "id": "m-2", "created_at": int(timezone.now().timestamp())})
    assert set(WebhookItem.objects.values_list("result", flat=True)) == {"unlinked"}


def in_the_chat_alone(message: dict) -> dict:
    """What Kommo tells of a chat that it has given no lead and no contact yet."""
    return {name: value for name, value in message.items() if name not in ("entity_type", "entity_id", "contact_id")}


def kept_of_webhooks() -> str:
    bodies = [bytes(webhook_body).decode() for webhook_body in WebhookEvent.objects.values_list("body", flat=True)]
    return " ".join([*bodies, *map(str, WebhookItem.objects.values_list("data", flat=True))])


def test_of_who_was_erased_nothing_is_kept_that_names_but_their_chat(account, talks, listens):
    card = carded(account, talks)
    chat = "0f7a7d1c-5b1e-4a57-9c37-2f1d6a3a9b10"
    of_theirs = {"chat_id": chat, "author": {"id": "a", "type": "external", "name": "Zulmira"}}
    other = in_the_chat_alone(written(card, id="m-9", chat_id="of-somebody-else", text="malvarosa"))
    hear(account, written(card, text="pedraroxa", **of_theirs))
    hear(account, in_the_chat_alone(written(card, id="m-2", text="cobrecinza", **of_theirs)), other)
    # Unread when they go; and a body about them and about somebody else.
    unread = in_the_chat_alone(written(card, id="m-3", text="luaverde", **of_theirs))
    post(account, body("message", unread, other | {"id": "m-10"}))

    erasure.erase(lead_of(), by=Lead.Actor.AGENT, now=timezone.now())
    process_inbox(account.pk)
    # Told again, told late, and told by a bot that goes on.
    late = in_the_chat_alone(written(card, id="m-4", text="ventoazul", **of_theirs))
    bot = in_the_chat_alone(by_bot(card, id="m-5", text="riodourado", chat_id=chat))
    hear(account, unread, late)
    hear(account, bot, root="outgoing_message")

    kept = kept_of_webhooks()
    words = ("pedraroxa", "cobrecinza", "luaverde", "ventoazul", "riodourado", "Zulmira", chat)
    assert [word for word in words if word in kept] == []
    assert kept.count("malvarosa") == 4
    assert {message.text for message in Message.objects.all()} == {""}
