"""Why a lead is where it is: the answer comes first, the other stages are folded."""

from __future__ import annotations


def test_the_answer_stands_before_what_is_folded(staff, full):
    page = staff.get(f"/admin/leads/lead/{full.pk}/change/")

    assert page.context["answer"][0]["name"] == full.stage.name
    assert page.context["elsewhere"]
    shown = page.content.decode()
    answer, folded = shown.index('id="why"'), shown.index("Why not in the other stages")
    assert answer < shown.index(full.stage.name, answer) < folded
