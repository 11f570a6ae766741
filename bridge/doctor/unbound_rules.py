"""Which of our stages and fields are bound to nothing in Kommo, or to what is gone there?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from bridge.account_traits import Trait
from bridge.doctor.finding import Finding
from bridge.models import Account, Catalogue
from leads.models import FieldMapping, Pipeline, Stage


def check_bindings(now: datetime) -> Iterator[Finding]:
    remedy = _("create it in Kommo or run manage.py kommo_connect --create-missing; or choose another in the admin")
    pipelines = Pipeline.objects.exclude(account_link=None)
    unbound = 0
    for stage in Stage.objects.filter(pipeline__in=pipelines, kommo_status_id=None):
        unbound += 1
        message = _("stage “%(stage)s” is bound to no stage in Kommo") % {"stage": stage.name}
        yield Finding("bindings", message, remedy)
    for mapping in FieldMapping.objects.filter(pipeline__in=pipelines, kommo_field_id=None):
        unbound += 1
        message = _("field “%(field)s” is not in Kommo") % {"field": mapping.kommo_field}
        yield Finding("bindings", message, remedy)
    ours = set(Pipeline.objects.exclude(kommo_pipeline_id=None).values_list("kommo_pipeline_id", flat=True))
    for account in Account.objects.filter(bridge_id_field_id=None, connected_at__isnull=False):
        unbound += 1
        message = _("%(account)s: no field “Bridge ID”") % {"account": account}
        yield Finding("bindings", message, _("run manage.py kommo_connect --create-missing"))
    for account in Account.objects.filter(connected_at__isnull=False).exclude(traits__has_key=Trait.PROBED_AT):
        message = _("%(account)s: how it behaves was not measured yet; manage.py kommo_probe does it")
        yield Finding("bindings", message % {"account": account})
    for row in Catalogue.objects.exclude(account__bridge_id_field_id=None).select_related("account"):
        if all(lead_field["id"] != row.account.bridge_id_field_id for lead_field in row.lead_fields):
            unbound += 1
            message = _("%(account)s: the field “Bridge ID” is not in Kommo any more; leads are known by phone alone")
            remedy = _("run manage.py kommo_connect --create-missing")
            yield Finding("bindings", message % {"account": row.account}, remedy)
        for pipeline in row.pipelines:
            if pipeline.get("is_archive") and pipeline["id"] in ours:
                unbound += 1
                message = _("%(account)s: the pipeline “%(pipeline)s” is archived in Kommo")
                remedy = _("take it out of the archive, or bind another pipeline")
                yield Finding("bindings", message % {"account": row.account, "pipeline": pipeline["name"]}, remedy)
    if not unbound:
        yield Finding("bindings", _("every stage and field is bound"))
    yield from _gone_statuses()


def _gone_statuses() -> Iterator[Finding]:
    catalogues = {row.account_id: row for row in Catalogue.objects.all()}
    stages = Stage.objects.exclude(kommo_status_id=None).filter(kind=Stage.Kind.OPEN)
    for stage in stages.select_related("pipeline__account_link"):
        link = getattr(stage.pipeline, "account_link", None)
        catalogue = catalogues.get(link.account_id) if link else None
        if catalogue and not catalogue.status(stage.pipeline.kommo_pipeline_id, stage.kommo_status_id):
            message = _("stage “%(stage)s” is bound to a stage that Kommo does not have any more")
            yield Finding("bindings", message % {"stage": stage.name}, _("choose another stage in the admin"))
