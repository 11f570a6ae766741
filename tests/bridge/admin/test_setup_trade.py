"""The wizard begins with the rules of a trade: all of it is seen before any of it holds."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from leads.models import Pipeline
from tests.bridge.configuration.files import CLINIC, PLAYBOOKS

pytestmark = pytest.mark.django_db
ENGLISH = {"accept-language": "en"}


@pytest.fixture
def page(admin_client, account):
    def post(**facts):
        return admin_client.post(reverse("setup-trade"), facts, headers=ENGLISH)

    return post


def test_every_playbook_is_offered_with_its_stages(admin_client, account):
    text = admin_client.get(reverse("setup-trade"), headers=ENGLISH).text
    for path in PLAYBOOKS.glob("*.yaml"):
        assert f'value="{path.stem}"' in text
    assert "PRIMEIRO CONTATO → EM TRIAGEM" in text
    assert reverse("setup-trade") in admin_client.get(reverse("setup-pipeline"), headers=ENGLISH).text


def test_what_it_would_change_here_and_make_in_kommo_is_shown_and_nothing_is_done(page, kommo):
    before = (list(Pipeline.objects.values_list("slug", "rules_version")), kommo.get("journal"))
    text = page(playbook="clinic").text
    assert "+ pipeline clinica" in text and "- pipeline solar" in text
    assert "stage “PRIMEIRO CONTATO”" in text
    [options] = re.findall(r"field “Convênio” \(select\) of leads: ([^<]+)<", text)
    assert set(options.split(", ")) == {"Bradesco", "Particular", "SulAmérica", "Unimed"}
    # The bridge's own field is there since the account was connected.
    assert "Bridge ID" not in text
    assert (list(Pipeline.objects.values_list("slug", "rules_version")), kommo.get("journal")) == before


def test_a_pipeline_that_kommo_has_not_is_said_to_need_one(page):
    assert "“Clients” needs a pipeline of its own" in page(playbook="agency").text


def test_what_was_shown_is_what_is_brought_into_force(page, account):
    answer = page(text=CLINIC, sure="yes")
    assert answer.url == reverse("setup-pipeline")
    pipeline = Pipeline.objects.get()
    assert (pipeline.slug, pipeline.account_link.account) == ("clinica", account)
    assert "These rules hold already." in page(playbook="clinic").text


def test_a_file_of_ones_own_is_refused_by_its_line(page):
    broken = SimpleUploadedFile("mine.yaml", CLINIC.replace("move_to: triagem", "move_to: nowhere").encode())
    text = page(file=broken).text
    assert "line 24" in text and "nowhere" in text
    assert page(file=SimpleUploadedFile("mine.yaml", b"\xff\xfe")).text.count("This is no file of rules.") == 1
    assert "Choose a trade, or a file." in page(playbook="../secrets").text
    assert Pipeline.objects.get().slug == "solar"
