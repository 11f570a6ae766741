"""Looking before publishing: who would move, what a message says to a real lead, when a sequence would speak.

Each answers with a piece of a page, made of the form as it stands there, whether or not it has been saved.
"""

from __future__ import annotations

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

from bridge.admin.rules import timelines
from bridge.admin.rules.editors import EDITORS, SequenceEditor
from bridge.configuration import compiling, document, drafts, revisions, whatif
from bridge.configuration.problems import Problem, RefusedError
from bridge.configuration.whatif import Outlook
from bridge.models import RulesRevision
from followups import texts
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
    parts = ("what_if", "message", "timeline")
    return {part: reverse(f"admin:rules_{part}", kwargs={"pk": row.pk}) for part in parts}


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


def message(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Answer what a text says to a real lead: the one searched for, or the newest."""
    said = str(request.POST.get("preview_text", ""))
    context: dict[str, Any] = {"lead": None, "error": "", "text": ""}
    if request.user.has_perm("leads.view_lead"):
        context["lead"] = _lead(row, request.POST.get("lead", ""))
    try:
        texts.check(said)
        texts.check_names(said)
        context["holes"] = texts.holes(said)
        facts = texts.facts_of(context["lead"], at=timezone.now()) if context["lead"] else texts.SAMPLE
        context["text"] = texts.render(said, facts)
        context["sample"] = None if context["lead"] else texts.SAMPLE["name"]
    except texts.BrokenTextError as error:
        context["error"] = str(error)
    return render(request, "admin/rules/message.html", context)


def timeline(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Answer when the sequence in the form would speak to a lead who starts now."""
    draft = drafts.prepared(row)
    slug = request.POST.get("slug") or None
    editor = SequenceEditor(row, draft.wanted, request.POST, slug=slug)
    stops: list[timelines.Stop] = []
    if editor.is_valid():
        wanted = editor.wanted()
        edited = wanted.sequences[-1] if slug is None else next(one for one in wanted.sequences if one.slug == slug)
        stops = timelines.of(wanted, edited, now=timezone.now())
    return render(request, "admin/rules/timeline.html", {"timeline": stops, "is_invalid": not stops})


def map_at_once(row: Pipeline, text: str, does: str, *, author: Any) -> RulesRevision:
    """Give a conversation stage its meaning, live and in the open draft. Raises RefusedError."""
    what, _colon, stage = does.partition(":")
    if what not in ("move", "qualification", "nothing"):
        raise RefusedError([Problem(1, _("Choose what the conversation stage means."))])
    mapping = document.StageMapping(
        conversation_stage=text, move_to=stage or None, decide=None if what == "move" else what
    )

    def change(said: document.Pipeline) -> document.Pipeline:
        return replace(said, stage_mappings=(*said.stage_mappings, mapping))

    comment = _("“%(stage)s” mapped with one click") % {"stage": text}
    return revisions.amend(row, change, author=author, comment=comment, now=timezone.now())


def _with_form(request: HttpRequest, row: Pipeline, said: document.Pipeline) -> document.Pipeline:
    """Return the draft with the part the page edits as its form has it. Raises ValueError when the form is wrong."""
    section = request.POST.get("section", "")
    if section not in EDITORS:
        return said
    editor = EDITORS[section](row, said, request.POST)
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
    for key, count in sorted(counts.items(), key=lambda one: -one[1]):
        source, _arrow, target = key.partition(">")
        examples = [dict(zip(("pk", "name", "why"), one, strict=True)) for one in outlook.examples.get(key, [])]
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
