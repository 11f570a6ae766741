"""The steps. Each shows what is so, says exactly what it will do, does it by one service, and can be done again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from bridge import oauth
from bridge.accounts import permissions, webhook_subscription
from bridge.accounts.connection import client_for
from bridge.admin import audit_record
from bridge.admin.confirm import asks_again
from bridge.admin.setup.forms import (
    BindForm,
    ConsentForm,
    KeyForm,
    PhoneChoice,
    PipelineForm,
    TokenForm,
    WebhookForm,
)
from bridge.admin.setup.page import go_on, show, step, trouble
from bridge.admin.setup.steps import Progress
from bridge.admin.ways import both_ways_page
from bridge.admin.ways.intake_guides import GUIDES
from bridge.api import api_keys
from bridge.configuration import phone_fields, taking_in_accounts
from bridge.configuration.connecting import Connection, destination_for, find_pipeline
from bridge.configuration.connection_survey import apply
from bridge.errors import BridgeError
from bridge.kommo.hosts import is_loopback, is_this_machine
from bridge.models import Account, ApiKey
from leads.models import Pipeline

# What Kommo told us is read again when it is older than this.
FRESH = timedelta(seconds=30)


def start(request: HttpRequest) -> HttpResponse:
    """Lead to the first step that is not done; with everything done, to the first, which says so."""
    progress = Progress(Account.objects.order_by("pk").first())
    first = progress.first_open
    return redirect(first.url if first else "setup-connect")


@sensitive_post_parameters("token", "client_secret")
@step("connect")
@asks_again
def connect(request: HttpRequest, progress: Progress) -> HttpResponse:
    account = progress.account or Account()
    posted = request.POST if request.method == "POST" else None
    by_consent = bool(posted and posted.get("way") == "consent")
    initial = {
        "base_url": account.base_url,
        "client_id": account.client_id,
        "redirect_uri": account.redirect_uri or request.build_absolute_uri(reverse("kommo-callback")),
    }
    token = TokenForm(posted if not by_consent else None, initial=initial, prefix="token")
    consent = ConsentForm(posted if by_consent else None, initial=initial, prefix="consent", account=account)
    if posted:
        form = consent if by_consent else token
        if form.is_valid():
            try:
                return _by_consent(request, account, consent) if by_consent else _by_token(request, account, token)
            except BridgeError as error:
                form.add_error(None, trouble(error))
    way = "consent" if by_consent or (posted is None and account.client_id) else "token"
    return show(request, progress, "connect", token=token, consent=consent, way=way)


def _by_token(request: HttpRequest, account: Account, form: TokenForm) -> HttpResponse:
    given = form.cleaned_data
    taking_in_accounts.with_token(account, base_url=given["base_url"], token=given["token"], now=timezone.now())
    audit_record.note(request, "Connected by token", rows=[account])
    messages.success(request, _("Connected to “%(name)s”.") % {"name": account.name})
    return go_on(request, "connect")


def _by_consent(request: HttpRequest, account: Account, form: ConsentForm) -> HttpResponse:
    taking_in_accounts.for_consent(account, **form.cleaned_data)
    audit_record.note(request, "Sent to Kommo's consent page", rows=[account])
    return oauth.begin(request, account.pk, back_to=f"{reverse('setup-pipeline')}?account={account.pk}")


@step("pipeline")
def pipeline(request: HttpRequest, progress: Progress) -> HttpResponse:
    account = _account(progress)
    _read_again(request, progress, at_once=request.method == "POST" and "again" in request.POST)
    found = progress.catalogue.pipelines if progress.catalogue else []
    ours = list(Pipeline.objects.filter(account_link__account=account).order_by("-is_default", "slug"))
    chosen = [(row, (find_pipeline(found, row) or {}).get("id")) for row in ours]
    choosing = request.method == "POST" and "again" not in request.POST
    form = PipelineForm(request.POST if choosing else None, pipelines=chosen, found=found)
    if choosing and form.is_valid():
        _keep_pipelines(ours, form.cleaned_data)
        audit_record.note(request, "Chose the pipeline in Kommo", rows=ours)
        return go_on(request, "pipeline")
    details = {str(kommo_pipeline["id"]): kommo_pipeline for kommo_pipeline in found}
    return show(request, progress, "pipeline", form=form, details=details, found=found)


@transaction.atomic
def _keep_pipelines(ours: list[Pipeline], chosen: dict[str, str]) -> None:
    changed = [(row, int(chosen[row.slug])) for row in ours if chosen.get(row.slug)]
    changed = [(row, number) for row, number in changed if row.kommo_pipeline_id != number]
    # Freed first: two pipelines may change places.
    Pipeline.objects.filter(pk__in=[row.pk for row, _ in changed]).update(kommo_pipeline_id=None)
    for row, number in changed:
        row.kommo_pipeline_id = number
        row.save(update_fields=["kommo_pipeline_id"])


@step("bind")
def bind(request: HttpRequest, progress: Progress) -> HttpResponse:
    account = _account(progress)
    _read_again(request, progress, at_once="again" in request.POST)
    survey = progress.survey
    if survey is None:
        return show(request, progress, "bind", form=None)
    choosing = request.method == "POST" and "again" not in request.POST
    phones = _phone_choices(account, progress, guessing=not choosing)
    form = BindForm(request.POST if choosing else None, survey=survey, phones=phones)
    if choosing and form.is_valid():
        creations = form.creations()
        if creations and "sure" not in request.POST:
            kept = [(name, value) for name, value in request.POST.items() if name != "csrfmiddlewaretoken"]
            return show(request, progress, "bind", form=form, creations=creations, kept=kept)
        _keep_phone_fields(form)
        try:
            report = apply(account, client_for(account), form.choice, now=timezone.now())
        except BridgeError as error:
            messages.error(request, trouble(error))
            return redirect(request.get_full_path())
        audit_record.note(
            request,
            "Bound stages and fields" + "".join(f"; created {creation}" for creation in creations),
            rows=[account],
        )
        _say(request, len(creations), len(report.missing))
        return redirect(request.get_full_path()) if report.missing else go_on(request, "bind")
    return show(request, progress, "bind", form=form, bindings=_rows(form))


def _phone_choices(account: Account, progress: Progress, *, guessing: bool) -> list[PhoneChoice]:
    """Return what may hold the phone in each pipeline; what is guessed costs a call for each that has none yet."""
    catalogue, survey = progress.catalogue, progress.survey
    assert catalogue is not None
    assert survey is not None
    names = tuple(field["name"] for field in phone_fields.fields_of(catalogue))
    pipelines = [binding.pipeline for binding in survey.bindings if binding.found] if names else []
    client = client_for(account) if guessing else None
    return [
        PhoneChoice(row, names, phone_fields.look(client, catalogue, row) if client and not row.phone_field else None)
        for row in pipelines
    ]


def _keep_phone_fields(form: BindForm) -> None:
    for pipeline, name in form.phone_fields.items():
        pipeline.phone_field = name
        pipeline.save(update_fields=["phone_field"])
        pipeline.rules_changed()


def _say(request: HttpRequest, created: int, missing: int) -> None:
    text = _("Everything is bound.") if not missing else _("Bound, with some things left for later.")
    if created:
        text += " " + ngettext(
            "%(count)d thing was created in Kommo.", "%(count)d things were created in Kommo.", created
        ) % {"count": created}
    messages.add_message(request, messages.WARNING if missing else messages.SUCCESS, text)


def _rows(form: BindForm) -> list[dict[str, Any]]:
    """Return what the page lists: each place with its box, and the box for its options."""

    def rows(places: Any) -> list[dict[str, Any]]:
        boxes = {name: form[name] for name in form.fields}
        return [
            {"place": place, "box": boxes[place.key], "options": boxes.get(f"options:{place.key.partition(':')[2]}")}
            for place in places
        ]

    bindings: list[dict[str, Any]] = []
    for binding in form.survey.bindings:
        # The bridge's own field is the account's, and is shown once, with the first pipeline's.
        own = () if bindings else (form.survey.bridge_id,)
        phone = next((choice for choice in form.phones if choice.pipeline == binding.pipeline), None)
        bindings.append(
            {
                "binding": binding,
                "stages": rows(binding.stages),
                "fields": rows((*binding.fields, *own)),
                "phone": {"choice": phone, "box": form[phone.key]} if phone else None,
            }
        )
    return bindings


@step("webhook")
@asks_again
def webhook(request: HttpRequest, progress: Progress) -> HttpResponse:
    account = _account(progress)
    destination = account.webhook_destination
    known = destination.partition("/webhooks/kommo/")[0] if destination else f"{request.scheme}://{request.get_host()}"
    form = WebhookForm(request.POST if request.method == "POST" else None, initial={"public_url": known})
    if request.method == "POST" and form.is_valid():
        url = form.cleaned_data["public_url"]
        if is_this_machine(url) and not is_loopback(account.base_url):
            form.add_error("public_url", _("Kommo cannot reach this machine by that address. Give its public one."))
        else:
            try:
                Connection(account, client_for(account), create_missing=False, now=timezone.now()).subscribe(url)
                audit_record.note(request, "Subscribed the webhook", rows=[account])
                messages.success(request, _("Kommo will call the bridge whenever a card changes."))
                return go_on(request, "webhook")
            except BridgeError as error:
                form.add_error(None, trouble(error))
    shown = destination_for(account, known).replace(account.webhook_secret or "\0", "•" * 8)
    return show(request, progress, "webhook", form=form, destination=shown, events=webhook_subscription.SETTINGS)


@step("ways")
def ways(request: HttpRequest, progress: Progress) -> HttpResponse:
    half = both_ways_page.ways_in(request)
    return show(request, progress, "ways", guides=GUIDES.values(), half=half)


@never_cache
@step("key")
@asks_again
def key(request: HttpRequest, progress: Progress) -> HttpResponse:
    form = KeyForm(request.POST if request.method == "POST" else None, initial={"name": _("WhatsApp agent")})
    text = ""
    if request.method == "POST" and form.is_valid():
        made = ApiKey(name=form.cleaned_data["name"])
        text = api_keys.issue(made)
        audit_record.note(request, "Made a key", rows=[made])
        # The page itself shows it: neither a message nor the session may hold it.
        progress = Progress(progress.account)
    keys = ApiKey.objects.filter(revoked_at=None).order_by("-created_at")[:10]
    base = f"{request.scheme}://{request.get_host()}"
    return show(request, progress, "key", form=form, text=text, keys=keys, base=base)


def _account(progress: Progress) -> Account:
    assert progress.account is not None, "the step was not guarded"
    return progress.account


def _read_again(request: HttpRequest, progress: Progress, *, at_once: bool) -> None:
    """Read from Kommo what the account has, unless that was done just now; trouble is said, and the old copy shown."""
    account, now = _account(progress), timezone.now()
    catalogue = progress.catalogue
    if catalogue and not at_once and now - catalogue.fetched_at < FRESH:
        return
    try:
        Connection(account, client_for(account), create_missing=False, now=now).check()
        for lack in permissions.lacks(account):
            if cure := lack.remedy or lack.advice:
                messages.warning(request, f"{lack.message}. {cure}")
    except BridgeError as error:
        messages.error(request, trouble(error))
    else:
        progress.__dict__.pop("catalogue", None)


start = admin.site.admin_view(start)
