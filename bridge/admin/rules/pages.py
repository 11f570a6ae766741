"""The rules of a pipeline as pages: what holds in sentences, an editor for each part, review, publication, history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from django.views.decorators.http import require_POST

from bridge.admin.base import is_id
from bridge.admin.confirm import is_fresh, question
from bridge.admin.rules import choices, form_mistakes, in_kommo, looking_ahead, timelines, undo_publication
from bridge.admin.rules.editors import EDITORS, Editor, SequenceEditor
from bridge.admin.rules.form_mistakes import Mistake
from bridge.admin.rules.page_frame import ICONS, address, may_change, page, show
from bridge.configuration import compiling, document, drafts, reevaluation, revisions, sentences
from bridge.configuration.file_problems import RefusedError
from bridge.configuration.records import keys_of
from bridge.configuration.stages_wanted_in_kommo import Wishes
from bridge.models import Reevaluation, RulesRevision
from leads.models import Pipeline, UnmappedConversationStage

# The page keeps what was typed: nothing is lost by it.
OUT_OF_DATE = gettext_noop(
    "Somebody else saved the draft meanwhile. What you changed is still on this page: open another beside it, compare."
)


def first(request: HttpRequest) -> HttpResponse:
    """Show the rules of the default pipeline, or the part of them that is asked for; without any, go and set one up."""
    row = Pipeline.objects.order_by("-is_default", "pk").first()
    if row is None:
        messages.info(request, _("There is no pipeline yet."))
        return redirect("admin:index")
    part = request.GET.get("part", "")
    return redirect(address("section", row, section=part)) if part in ICONS else page(overview)(request, pk=row.pk)


def overview(request: HttpRequest, row: Pipeline) -> HttpResponse:
    draft = drafts.prepared(row)
    kommo = choices.kommo(row, draft.live.kommo_pipeline_id)
    statements = sentences.of(draft.live, kommo.status_names)
    parts = [
        {
            "key": key,
            "title": title,
            "icon": ICONS[key],
            "address": address("section", row, section=key),
            "lines": statements[key],
        }
        for key, title in sentences.SECTIONS
    ]
    unmapped = UnmappedConversationStage.objects.filter(pipeline=row).count()
    return show(request, "overview", row, "", prepared=draft, parts=parts, unmapped=unmapped)


def section(request: HttpRequest, row: Pipeline, section: str) -> HttpResponse:
    if section == "sequences":
        return _sequences(request, row)
    if section not in EDITORS:
        return redirect(address("overview", row))
    return _edit(
        request,
        row,
        lambda draft, data: EDITORS[section](row, draft.wanted, data, wishes=draft.in_kommo),
        f"edit_{section}",
    )


def sequence(request: HttpRequest, row: Pipeline, slug: str = "") -> HttpResponse:
    """Edit one sequence; without a slug, begin a new one."""
    shown: dict[str, Any] = {}
    if not may_change(request):
        # Whoever only looks changes nothing that would have to be looked ahead at.
        wanted = drafts.prepared(row).wanted
        read = next((sequence for sequence in wanted.sequences if sequence.slug == slug), None)
        shown["timeline"] = timelines.of(wanted, read, now=timezone.now()) if read else []
    return _edit(
        request,
        row,
        lambda draft, data: SequenceEditor(row, draft.wanted, data, slug=slug or None),
        "edit_sequence",
        **shown,
    )


def remove_sequence(request: HttpRequest, row: Pipeline, slug: str) -> HttpResponse:
    """Take a sequence out of the draft. Publishing refuses it where leads have been through it."""
    if request.method == "POST":
        wanted = drafts.prepared(row).wanted
        rest = tuple(other for other in wanted.sequences if other.slug != slug)
        drafts.save(row, replace(wanted, sequences=rest), author=request.user, now=timezone.now())
        messages.success(request, _("Taken out of the draft; nothing changes before you publish."))
    return redirect(address("section", row, section="sequences"))


def _sequences(request: HttpRequest, row: Pipeline) -> HttpResponse:
    draft = drafts.prepared(row)
    now = timezone.now()
    shown = [
        {
            "planned": planned,
            "title": planned.name or planned.slug,
            "timeline": timelines.of(draft.wanted, planned, now=now),
            "address": address("sequence", row, slug=planned.slug),
            "remove": address("remove_sequence", row, slug=planned.slug),
        }
        for planned in draft.wanted.sequences
    ]
    add = reverse("admin:rules_new_sequence", kwargs={"pk": row.pk})
    return show(request, "sequences", row, "sequences", prepared=draft, shown=shown, add=add, now=now)


def _edit(
    request: HttpRequest, row: Pipeline, editor_of: Callable[..., Editor], template: str, **shown: Any
) -> HttpResponse:
    """Show a part of the draft as a form; a valid one becomes the draft."""
    draft = drafts.prepared(row)
    wrong: list[Mistake] = []
    if request.method == "POST":
        if not may_change(request):
            raise PermissionDenied
        editor = editor_of(draft, request.POST)
        if editor.is_valid():
            wanted = editor.wanted()
            wrong = form_mistakes.of_problems(drafts.problems(wanted), editor.forms())
            if not wrong:
                answer = _keep(request, row, wanted, editor.in_kommo())
                if answer:
                    return answer
                wrong = [Mistake(_(OUT_OF_DATE))]
        else:
            wrong = form_mistakes.of_forms(editor.forms())
    else:
        editor = editor_of(draft, None)
    context = editor.context() | {"mistakes": wrong, "editor": editor} | shown
    return show(
        request, template, row, editor.key, prepared=draft, looking=looking_ahead.addresses(row, request), **context
    )


def _keep(request: HttpRequest, row: Pipeline, wanted: Any, wishes: Wishes | None) -> HttpResponse | None:
    """Save the draft and go on to where staff asked to; None when their page was out of date."""
    seen, now = request.POST.get("seen", ""), timezone.now()
    try:
        drafts.save(row, wanted, author=request.user, now=now, seen=seen, in_kommo=wishes)
    except drafts.StaleDraftError:
        return None
    if "review" in request.POST:
        return redirect(address("review", row))
    if drafts.prepared(row).is_changed:
        messages.success(request, _("Draft saved. Nothing changes before you publish it."))
    else:
        messages.info(request, _("Nothing differs from the rules that hold."))
    return redirect(request.path)


def review(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Show what publishing the draft would change, and publish it."""
    wrong: list[Mistake] = []
    if request.method == "POST":
        if not is_fresh(request) and _asks_who_it_is(request, row) and (asked := question(request)) is not None:
            return asked
        try:
            return _publish(request, row)
        except drafts.StaleDraftError:
            messages.warning(request, _("The draft or the rules have changed since you looked. Look again."))
            return redirect(request.path)
        except RefusedError as error:
            wrong = form_mistakes.of_problems(error.problems, ())
    draft = drafts.prepared(row)
    if not draft.is_changed:
        messages.info(request, _("There is no draft: the rules hold as they are."))
        return redirect(address("overview", row))
    kommo = choices.kommo(row, draft.live.kommo_pipeline_id)
    return show(
        request,
        "review",
        row,
        "review",
        prepared=draft,
        changes=sentences.changes(draft.live, draft.wanted, kommo.status_names, draft.in_kommo),
        conflicts=sentences.sections_of(draft.conflicts),
        mistakes=wrong or form_mistakes.of_problems(drafts.problems(draft.wanted), ()),
        # Whoever changes where leads belong is asked about those that are there; nothing is chosen for them.
        decides=not compiling.lead_alike(draft.live, draft.wanted),
        looking=looking_ahead.addresses(row, request),
        in_kommo=in_kommo.changes(draft),
        unbound=in_kommo.newly_unbound(draft, kommo),
    )


# Going back on these brings back nothing that anybody was kept from: leads stay where they are, and nobody is written
# to who was not before.
HARMLESS = frozenset(
    {"name", "stage_mappings", "qualification", "fields", "tags", "flows", "words_for_nothing", "locale"}
)


def _asks_who_it_is(request: HttpRequest, row: Pipeline) -> bool:
    """Say whether publishing goes back to older rules and so moves leads, or changes who is written to, or when."""
    # What was changed past the drafts is a revision first, so that also the one before it counts as older.
    revisions.note(row, now=timezone.now())
    draft = drafts.prepared(row)
    changed = {key.attribute for key in keys_of(document.Pipeline) if _differs(draft, key.attribute)}
    if changed <= HARMLESS and not request.POST.get("move"):
        return False
    return revisions.restored_by(row, draft.wanted) is not None


def _differs(draft: drafts.Prepared, name: str) -> bool:
    return bool(getattr(draft.wanted, name) != getattr(draft.live, name))


def _publish(request: HttpRequest, row: Pipeline) -> HttpResponse:
    now = timezone.now()
    if not in_kommo.is_answered(request, row):
        messages.warning(request, _("Say first what is to become of the stages in Kommo."))
        return redirect(request.path)
    former = revisions.note(row, now=now)
    comment = request.POST.get("comment", "").strip()[:500]
    seen = request.POST.get("seen", "")
    done = revisions.publish(
        row, author=request.user, comment=comment, seen=seen, now=now, in_kommo=in_kommo.is_wanted(request)
    )
    message = _("Published as revision %(number)d. It holds from the next interaction on.") % {"number": done.number}
    if request.POST.get("move"):
        known_former = former if request.POST.get("move") == "all" else None
        asked = reevaluation.ask(row, by=request.user, former=known_former, now=now)
        message = ngettext(
            "Published as revision %(number)d. %(count)d lead is asked again where it belongs, behind live traffic.",
            "Published as revision %(number)d. %(count)d leads are asked again where they belong, behind live traffic.",
            asked.total,
        ) % {"number": done.number, "count": asked.total}
    messages.success(request, undo_publication.with_undo(request, message, done, former=former))
    return redirect(address("overview", row))


def discard(request: HttpRequest, row: Pipeline) -> HttpResponse:
    if request.method == "POST" and drafts.discard(row):
        messages.success(request, _("Draft discarded; the rules hold as they were."))
    return redirect(address("overview", row))


def stop(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """End a re-evaluation that is under way."""
    for asked in Reevaluation.objects.filter(pipeline=row, ended_at=None) if request.method == "POST" else ():
        if reevaluation.stop(asked, by=request.user, now=timezone.now()):
            messages.success(
                request,
                ngettext("Stopped. %(count)d lead was moved.", "Stopped. %(count)d leads were moved.", asked.moved)
                % {"count": asked.moved},
            )
    return redirect(address("overview", row))


def map_one(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Map a conversation stage the agent has sent: at once, and in the open draft."""
    number = request.POST.get("unmapped", "")
    rows = UnmappedConversationStage.objects.filter(pipeline=row)
    seen = rows.filter(pk=number).first() if is_id(UnmappedConversationStage, number) else None
    if request.method == "POST" and seen:
        try:
            former = revisions.note(row, now=timezone.now())
            done = looking_ahead.map_at_once(row, seen.text, request.POST.get("does", ""), author=request.user)
            message = _("“%(stage)s” is mapped from now on.") % {"stage": seen.text}
            messages.success(request, undo_publication.with_undo(request, message, done, former=former))
        except RefusedError as error:
            messages.error(request, " ".join(problem.text for problem in form_mistakes.of_problems(error.problems, ())))
    return redirect(address("section", row, section="conversation"))


def history(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """List the revisions, newest first. Looking takes down what was changed past the drafts."""
    if not revisions.is_noted(row):
        revisions.note(row, now=timezone.now())
    rows = list(row.revisions.order_by("-number").select_related("restored")[:101])
    lines = []
    for place, revision in enumerate(rows[:100]):
        before = rows[place + 1] if place + 1 < len(rows) else None
        # Reading a document takes a moment: the whole of a change is on the revision's own page.
        changes = _changes_of(revision, before) if place < 10 else []
        lines.append(
            {"revision": revision, "changes": changes, "address": address("revision", row, number=revision.number)}
        )
    asked = Reevaluation.objects.filter(pipeline=row).order_by("-id")[:5]
    return show(request, "history", row, "history", lines=lines, reevaluations=asked)


def revision(request: HttpRequest, row: Pipeline, number: int) -> HttpResponse:
    """Show one revision: what it changed, and how what holds today differs from it."""
    this = get_object_or_404(RulesRevision.objects.select_related("restored"), pipeline=row, number=number)
    before = row.revisions.filter(number__lt=number).order_by("-number").first()
    draft = drafts.prepared(row)
    since = sentences.changes(draft.live, drafts.read(this.document))
    return show(
        request,
        "revision",
        row,
        "history",
        prepared=draft,
        revision=this,
        changes=_changes_of(this, before),
        since=since,
    )


def restore(request: HttpRequest, row: Pipeline, number: int) -> HttpResponse:
    """Make an older revision the draft and go on to review it."""
    this = get_object_or_404(RulesRevision, pipeline=row, number=number)
    if request.method != "POST":
        return redirect(address("revision", row, number=number))
    revisions.restore(this, author=request.user, now=timezone.now())
    return redirect(address("review", row))


def _changes_of(revision: RulesRevision, before: RulesRevision | None) -> list[Any]:
    if before is None:
        return []
    return sentences.changes(drafts.read(before.document), drafts.read(revision.document))


def urls() -> list[URLPattern]:
    """Return the addresses of all rules pages, below the pipelines'."""
    # What they show is shown by this module.
    from bridge.admin.rules import silencing

    here = "<int:pk>/rules/"
    return [
        path("rules/", admin.site.admin_view(first), name="rules"),
        path(here, page(overview), name="rules_overview"),
        path(f"{here}silence/", page(silencing.silence), name="rules_silence"),
        path(f"{here}review/", page(review, changes=True), name="rules_review"),
        path(f"{here}discard/", page(discard, changes=True), name="rules_discard"),
        path(f"{here}undo/", page(require_POST(undo_publication.page), changes=True), name="rules_undo"),
        path(f"{here}stop/", page(stop, changes=True), name="rules_stop"),
        path(f"{here}keep-name/", page(in_kommo.keep_name, changes=True), name="rules_keep_name"),
        path(f"{here}map/", page(map_one, changes=True), name="rules_map"),
        path(f"{here}what-if/", page(looking_ahead.what_if), name="rules_what_if"),
        path(f"{here}timeline/", page(looking_ahead.timeline, changes=True), name="rules_timeline"),
        path(f"{here}holidays/", page(looking_ahead.holidays, changes=True), name="rules_holidays"),
        path(f"{here}parts/", page(looking_ahead.parts, changes=True), name="rules_parts"),
        path(f"{here}history/", page(history), name="rules_history"),
        path(f"{here}history/<int:number>/", page(revision), name="rules_revision"),
        path(f"{here}history/<int:number>/restore/", page(restore, changes=True), name="rules_restore"),
        path(f"{here}sequences/new/", page(sequence, changes=True), name="rules_new_sequence"),
        path(f"{here}sequences/<slug:slug>/", page(sequence), name="rules_sequence"),
        path(f"{here}sequences/<slug:slug>/remove/", page(remove_sequence, changes=True), name="rules_remove_sequence"),
        path(f"{here}<slug:section>/", page(section), name="rules_section"),
    ]
