"""A list that is empty says why, in a sentence of its own, and offers nothing that leads nowhere."""

from __future__ import annotations

from html import unescape

import pytest
from django.contrib import admin
from django.urls import reverse

from bridge.admin.base import StaffAdmin

LISTS = {
    model._meta.label: page
    for model, page in admin.site._registry.items()
    if isinstance(page, StaffAdmin) and page.nothing_here
}


def of(label):
    meta = LISTS[label].model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")


@pytest.mark.parametrize("label", [label for label in LISTS if label != "admin.LogEntry"])
def test_an_empty_list_says_so_in_its_own_words(staff, label):
    page = unescape(staff.get(of(label)).content.decode())
    assert str(LISTS[label].nothing_here) in page
    assert "Create a new item" not in page
    assert "Reset filters" not in page


def test_what_was_asked_for_and_is_not_there_can_be_taken_back(staff):
    page = staff.get(of("leads.OptOut"), {"q": "maria"}).content.decode()
    assert "Nothing here is like that." in page
    assert "Reset filters" in page
    assert "Nobody has opted out." not in page


def test_lists_that_work_by_rows_of_the_day_all_have_one():
    """Rules are told on pages of their own; what others have made (queue, users) is never empty, or theirs."""
    assert len(LISTS) >= 17
