"""Looking before publishing: who would move, when a sequence would speak, and what its messages say to a real lead.

Each answers with a piece of a page, made of the form as it stands there, whether or not it has been saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from django.core import signing
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from bridge.admin.rules import country_choices, timelines
from bridge.admin.rules.editors import EDITORS, SequenceEditor
from bridge.admin.rules.forms.hours import HoursForm
from bridge.configuration import compiling, document, drafts, revisions, whatif
from bridge.configuration.file_problems import Problem, RefusedError
from bridge.configuration.whatif import Outlook
from bridge.models import RulesRevision
from followups import text_chips, texts
from followups.models import Sequence
from leads.models import Lead, Pipeline

# How long one request looks at leads before it shows how far it got.
LOOK_FOR = timedelta(milliseconds=700)
SALT = "rules.what-if"
SHOWN_AT_ONCE = 3


@dataclass(frozen=True)
class Group:
    """Leads that would go the same way: some of them named at once, others behind a click, the rest counted."""

    count: int
    source: str
    target: str
    named: list[dict[str, str]]

    @property
    def examples(self) -> list[dict[str, str]]:
        return self.named[:SHOWN_AT_ONCE]

    @property
    def others(self) -> list[dict[str, str]]:
        return self.named[SHOWN_AT_ONCE:]

    @property
    def unnamed(self) -> int:
        return self.count - len(self.named)


def addresses(row: Pipeline, request: HttpRequest) -> dict[str, str]:
    names = ("what_if", "timeline", "parts")
    return {name: reverse(f"admin:rules_{name}", kwargs={"pk": row.pk}) for name in names}


def what_if(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Answer who would move if the form held, or how far the looking has got; the page asks again until it is done."""
    draft = drafts.prepared(row)
    try:
        wanted = _with_form(request, row, draft.wanted)
    except ValueError:
        return render(request, "admin/rules/what_if.html", {"is_invalid": True, "row": row})
    former, would = compiling.rules(draft.live), compiling.rules(wanted)
    about = drafts.digest(repr((former, would)))
    cards = whatif.cards(row) if whatif.shown_differently(draft.live, wanted) else 0
    shown = {"row": row, "cards": cards, "cards_cost": whatif.cost(row, cards)}
    if former == would:
        return render(request, "admin/rules/what_if.html", shown | {"is_same": True})
    outlook = _resumed(request.POST.get("so_far", ""), about) or whatif.begin(row)
    until = timezone.now() + LOOK_FOR
    whatif.go_on(outlook, row, former=former, wanted=would, may_go_on=lambda: timezone.now() < until)
    names = {stage.key: stage.name for stage in (*draft.live.stages, *wanted.stages)}
    if not request.user.has_perm("leads.view_lead"):
        outlook.examples = {}
    context = shown | {
        "outlook": outlook,
        "moves": _groups(outlook.moves, outlook, names),
        "held": _groups(outlook.held, outlook, names),
        "cost": whatif.cost(row, outlook.moving),
        # The review asks what becomes of the leads that are there: each answer says of how many it speaks.
        "counts_answers": "section" not in request.POST,
        "so_far": signing.dumps({"about": about, "outlook": asdict(outlook)}, salt=SALT, compress=True),
    }
    return render(request, "admin/rules/what_if.html", context)


def timeline(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Answer when the sequence in the form would speak to a lead who starts now, and beside each text how it reads.

    To the lead searched for, or the newest; to an example where staff may not see leads, or there are none.
    """
    draft, now = drafts.prepared(row), timezone.now()
    slug = request.POST.get("slug") or None
    editor = SequenceEditor(row, draft.wanted, request.POST, slug=slug)
    is_valid = editor.is_valid()
    lead = _lead(row, request.POST.get("lead", "")) if request.user.has_perm("leads.view_lead") else None
    stops: list[timelines.Stop] = []
    if is_valid:
        wanted = editor.wanted()
        edited = (
            wanted.sequences[-1]
            if slug is None
            else next(sequence for sequence in wanted.sequences if sequence.slug == slug)
        )
        stops = timelines.of(wanted, edited, now=now, lead=lead)
    at = {stop.number: stop.moment for stop in stops}
    places = {form.prefix: number for number, form in enumerate(editor.steps.ordered_forms, 1)} if is_valid else {}
    is_reminder = request.POST.get("starts_on", editor.old.starts_on if editor.old else "") == MEETING_SCHEDULED
    meeting = timelines.meeting_at(draft.wanted, now=now)
    readings = [
        (
            form,
            _reading(
                str(form["text"].value() or form["instruction"].value() or ""),
                timelines.facts(
                    draft.wanted,
                    lead,
                    at=at.get(places.get(form.prefix), now),
                    meeting=meeting,
                    is_reminder=is_reminder,
                ),
                is_reminder=is_reminder,
            ),
        )
        for form in editor.steps.forms
    ]
    context = {
        "timeline": stops,
        "is_invalid": not is_valid,
        "readings": readings,
        "to": lead.name or lead.phone if lead else "",
        "sample": texts.SAMPLE["name"],
    }
    answer = render(request, "admin/rules/looked.html", context)
    if not is_valid:
        # What was shown last stays: one mistake must not take the whole of it away.
        answer.headers["HX-Reswap"] = "none"
    return answer


MEETING_SCHEDULED = Sequence.StartsOn.MEETING_SCHEDULED


def _reading(text: str, facts: Mapping[str, Any], *, is_reminder: bool) -> dict[str, Any]:
    """Return how a text arrives, or what is wrong with it."""
    if not text.strip():
        return {}
    try:
        texts.check(text)
        texts.check_names(text)
        return {"text": texts.render(text, facts), "holes": texts.holes(text, has_meeting=is_reminder)}
    except texts.BrokenTextError as error:
        return {"error": str(error)}


def holidays(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Answer with the states of the country that is chosen, and its next holidays."""
    data = request.POST.copy()
    if data.get("holidays_subdivision", "") not in dict(country_choices.states(data.get("holidays_country", ""))):
        data["holidays_subdivision"] = ""
    form = HoursForm(data, initial=HoursForm.initial_of(drafts.prepared(row).wanted))
    return render(request, "admin/rules/holidays.html", {"form": form, "may_change": True, "row": row})


def parts(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Answer with a text in words and chips, as the editor shows it."""
    text = str(request.POST.get("text", ""))[: texts.LONGEST_TEXT]
    return render(request, "admin/rules/parts.html", {"parts": text_chips.parts(text.replace("\r\n", "\n"))})


def map_at_once(row: Pipeline, text: str, does: str, *, author: Any) -> RulesRevision:
    """Give a conversation stage its meaning, live and in the open draft. Raises RefusedError."""
    what, _colon, stage = does.partition(":")
    if what not in ("move", "qualification", "nothing"):
        raise RefusedError([Problem(1, _("Choose what the conversation stage means."))])
    mapping = document.StageMapping(
        conversation_stage=text, move_to=stage or None, decide=None if what == "move" else what
    )

    def change(rules: document.Pipeline) -> document.Pipeline:
        return replace(rules, stage_mappings=(*rules.stage_mappings, mapping))

    comment = _("“%(stage)s” mapped with one click") % {"stage": text}
    return revisions.amend(row, change, author=author, comment=comment, now=timezone.now())


def _with_form(request: HttpRequest, row: Pipeline, rules: document.Pipeline) -> document.Pipeline:
    """Return the draft with the part the page edits as its form has it. Raises ValueError when the form is wrong."""
    section = request.POST.get("section", "")
    if section not in EDITORS:
        return rules
    editor = EDITORS[section](row, rules, request.POST)
    if not editor.is_valid():
        raise ValueError(section)
    return editor.wanted()


def _resumed(text: str, about: str) -> Outlook | None:
    """Return what was found so far, if it was about these very rules; it comes signed from our own page."""
    try:
        so_far = signing.loads(text, salt=SALT, max_age=timedelta(hours=1))
    except signing.BadSignature:
        return None
    return Outlook(**so_far["outlook"]) if so_far["about"] == about else None


def _groups(counts: dict[str, int], outlook: Outlook, names: dict[str, str]) -> list[Group]:
    groups = []
    for key, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        source, _arrow, target = key.partition(">")
        examples = [dict(zip(("pk", "name", "why"), example, strict=True)) for example in outlook.examples.get(key, [])]
        groups.append(Group(count, names.get(source, source), names.get(target, target), examples))
    return groups


def _lead(row: Pipeline, wanted: str) -> Lead | None:
    rows = Lead.objects.filter(pipeline=row, erased_at=None).select_related("stage", "pipeline")
    wanted = wanted.strip()
    if not wanted:
        return rows.order_by("-updated_at").first()
    digits = "".join(filter(str.isdigit, wanted))
    match = Q(name__icontains=wanted) | (Q(phone__endswith=digits) if len(digits) >= 4 else Q(pk=None))
    return rows.filter(match).order_by("-updated_at").first()
