"""Ways out in the admin: made, tested and switched by who holds secrets, shown to everybody with their state."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from bridge.channels import managing_channels, queueing_messages
from bridge.channels.channel_kinds import BY_COMMAND, WAYS
from bridge.models import Channel
from followups import private_networks
from tests.bridge.admin.people import client_of
from tests.bridge.channels.conftest import messengers
from tests.conftest import record

__all__ = ["messengers"]
ENGLISH = {"accept-language": "en"}
ADD = "admin:bridge_channel_add"


def text(client, name, *args, query=""):
    answer = client.get(reverse(name, args=args) + query, headers=ENGLISH)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def channel(pipeline, messengers):
    settings = {"url": messengers.url, "instance": "loja", "api_key": "chave-secreta"}
    return managing_channels.establish("evolution", "zap", settings=settings)


@pytest.mark.parametrize("kind", WAYS)
def test_every_kind_can_be_chosen_and_asks_for_what_it_takes(pipeline, kind):
    admin = client_of("administrator")
    assert f"?kind={kind}" in text(admin, ADD)
    page = text(admin, ADD, query=f"?kind={kind}")
    assert all(f'name="{name}"' in page for name in WAYS[kind].settings)


def test_one_is_made_changed_and_its_key_shown_nowhere(pipeline, monkeypatch):
    monkeypatch.setattr(private_networks, "addresses", lambda host, port: ["8.8.8.8"])
    admin = client_of("administrator")
    posted = {
        "slug": "zap",
        "pipeline": "",
        "url": "https://evo.example.com",
        "instance": "loja",
        "api_key": "chave-secreta",
    }
    made = admin.post(f"{reverse(ADD)}?kind=evolution", posted)
    channel = Channel.objects.get()
    assert made.status_code == 302
    assert managing_channels.settings_of(channel)["api_key"] == "chave-secreta"

    change = {"pipeline": "", "position": "2", "is_active": "on", "url": "https://evo.example.com", "instance": "outra"}
    admin.post(reverse("admin:bridge_channel_change", args=[channel.pk]), change | {"api_key": ""})
    channel.refresh_from_db()
    assert (managing_channels.settings_of(channel)["instance"], managing_channels.settings_of(channel)["api_key"]) == (
        "outra",
        "chave-secreta",
    )
    assert channel.position == 2
    for page in ("admin:bridge_channel_way", "admin:bridge_channel_change"):
        assert "chave-secreta" not in text(admin, page, channel.pk)


def test_a_kept_key_goes_to_no_other_server(pipeline, monkeypatch):
    monkeypatch.setattr(private_networks, "addresses", lambda host, port: ["8.8.8.8"])
    kept = {"url": "https://evo.example.com", "instance": "loja", "api_key": "chave-secreta"}
    channel = managing_channels.establish("evolution", "zap", settings=kept)
    change = {"pipeline": "", "position": "0", "is_active": "on", "url": "https://evil.example", "instance": "loja"}
    url = reverse("admin:bridge_channel_change", args=[channel.pk])

    theirs = {"url": "https://evil.example", "api_key": "nova"}
    for key, taken in (("", kept | {BY_COMMAND: "yes"}), ("nova", kept | theirs)):
        client_of("administrator").post(url, change | {"api_key": key})
        channel.refresh_from_db()
        assert managing_channels.settings_of(channel) == taken


@pytest.mark.parametrize(
    "url", ["http://evo.example.com", "https://127.0.0.1", "https://10.1.2.3", "https://localhost:8080"]
)
def test_staff_name_nothing_within_our_own_network(pipeline, url):
    posted = {"slug": "zap", "pipeline": "", "url": url, "instance": "loja", "api_key": "k"}
    answer = client_of("administrator").post(f"{reverse(ADD)}?kind=evolution", posted)
    assert answer.status_code == 200
    assert not Channel.objects.exists()


def test_the_page_of_all_ways_shows_how_each_stands(channel):
    admin = client_of("administrator")
    assert "nothing sent yet" in text(admin, "admin:bridge_intake_changelist")
    Channel.objects.update(failed_at=timezone.now(), failure="Evolution answered 401: no")
    listed = text(admin, "admin:bridge_channel_changelist")
    assert "fails" in listed
    assert "Evolution answered 401" in listed
    assert "Evolution answered 401" in text(admin, "admin:bridge_channel_way", channel.pk)


def test_the_test_says_nothing_to_anybody_and_says_what_is_wrong(channel, messengers):
    admin = client_of("administrator")
    answer = admin.post(reverse("admin:bridge_channel_do", args=[channel.pk, "test"]), follow=True, headers=ENGLISH)
    assert "It does not work: Evolution API answered 404" in answer.content.decode()
    assert messengers.spoken == []


def test_every_message_is_listed_with_how_it_stands_and_why(channel, pipeline):
    lead = record(pipeline, name="Maria").lead
    row = queueing_messages.take(lead, "Oi Maria", pipeline=pipeline, card=None, now=timezone.now())
    row.message.state, row.message.reason = "refused", "a person replied in the chat"
    row.message.save()
    viewer = client_of("reader")
    page = text(viewer, "admin:bridge_outgoing_changelist", query="?message__state__exact=refused")
    assert "Oi Maria" in page and "a person replied in the chat" in page
    assert "Oi Maria" not in text(viewer, "admin:bridge_outgoing_changelist", query="?message__state__exact=sent")
    assert "Oi Maria" in text(viewer, "admin:bridge_outgoing_change", row.pk)
    assert "Oi Maria" in text(viewer, "admin:bridge_channel_way", channel.pk)


def test_a_viewer_looks_and_changes_nothing(channel):
    viewer = client_of("reader")
    assert "chave-secreta" not in text(viewer, "admin:bridge_channel_way", channel.pk)
    assert "Settings" not in text(viewer, "admin:bridge_channel_change", channel.pk).split("kb-stack")[1]
    for do in ("test", "off"):
        assert viewer.post(reverse("admin:bridge_channel_do", args=[channel.pk, do])).status_code == 403
    assert viewer.get(reverse(ADD)).status_code == 403
    channel.refresh_from_db()
    assert channel.is_active
