"""Binding the configuration to an account: every stage, field and option by its normalised name, kept by its id.

Running it again changes nothing that is right: what is bound to an id the account still has stays bound, even if
somebody renamed it there. Nothing is created unless asked for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import translation

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.accounts import account_state, permissions, stages_renamed_in_kommo, webhook_subscription
from bridge.accounts import catalogue as catalogues
from bridge.cards import nudge, outbox
from bridge.configuration import binding_by_name, phone_fields
from bridge.configuration.account_from_environment import ensure_webhook_secret
from bridge.errors import ConfigurationError, KommoAccessError
from bridge.kommo.client import KommoClient
from bridge.kommo.custom_field_values import same_kind
from bridge.models import Account
from common.name_spellings import name_key
from leads.models import FieldMapping, Pipeline, Stage

BRIDGE_ID_FIELD = "Bridge ID"
# What may be created, by name: `stage:PK`, `field:PK`, `options:PK` of the field mapping, and this one.
BRIDGE_ID = "bridge_id"
# A quiet colour of those Kommo accepts.
NEW_STAGE_COLOUR = "#d6eaff"


@dataclass
class Report:
    """What a connection did, a line each: bound or created, what is missing with its remedy, and what may be wanted."""

    done: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)


class Connection:
    """One run of connecting an account. It creates everything missing, nothing, or only what is named."""

    def __init__(
        self, account: Account, client: KommoClient, *, create_missing: bool | Collection[str], now: datetime
    ) -> None:
        self.account, self.client, self.create_missing, self.now = account, client, create_missing, now
        self.report = Report()

    def connect(self, webhook_url: str | None) -> Report:
        """Check the token, bind everything, subscribe. Raises KommoError or ConfigurationError."""
        self.check()
        for pipeline in Pipeline.objects.filter(account_link__account=self.account).order_by("-is_default", "slug"):
            self._bind_pipeline(pipeline)
        self._bind_bridge_id()
        if webhook_url:
            self.subscribe(webhook_url)
        outbox.adopt_orphans(self.account, now=self.now)
        # Never compared yet: the first comparison comes at once, and takes in the open leads that are there already.
        Account.objects.filter(pk=self.account.pk, connected_at=None).update(connected_at=self.now)
        if account_state.reopen(self.account, now=self.now):
            self.report.done.append("Kommo takes us again: deliveries go on")
        nudge.send(self.account.pk)
        return self.report

    def check(self) -> None:
        """Check the token and read what the account has. Raises KommoError or ConfigurationError."""
        self._check_account()
        self._refresh()
        self._look_at_permissions()

    def _look_at_permissions(self) -> None:
        """Say what will be refused before it is."""
        permissions.look(self.account, self.client, now=self.now)
        with translation.override("en"):
            for lack in permissions.lacks(self.account):
                if cure := lack.remedy or lack.advice:
                    self.report.advice.append(f"{lack.message}: {cure}")

    def _may_create(self, what: str) -> bool:
        return self.create_missing if isinstance(self.create_missing, bool) else what in self.create_missing

    def _check_account(self) -> None:
        try:
            reply = self.client.account()
        except KommoAccessError as error:
            with translation.override("en"):
                lack = next(
                    (permission for permission in permissions.of_token(self.account) if permission.remedy), None
                )
            if lack is None:
                raise
            # The token itself says why, better than Kommo does.
            raise ConfigurationError(f"{lack.message}: {lack.remedy}") from error
        known = self.account.kommo_account_id
        if known and known != reply.id:
            raise ConfigurationError(
                f"{self.account.base_url} is account {reply.id} in Kommo, but the bridge was connected to {known}. "
                "Add the other account as one of its own in the admin."
            )
        self.account.kommo_account_id, self.account.kommo_user_id = reply.id, reply.current_user_id
        self.account.name = reply.name or self.account.name
        self.account.save(update_fields=["kommo_account_id", "kommo_user_id", "name"])
        account_traits.learn(self.account, reply)
        account_traits.remember(self.account, Trait.NAMELESS, [])
        self.client.zone = account_traits.zone_of(self.account)
        self.report.done.append(f"account {reply.name} ({reply.id})")

    def _bind_pipeline(self, pipeline: Pipeline) -> None:
        found = self._find_pipeline(pipeline)
        if found is None:
            self.report.missing.append(
                f"pipeline “{pipeline.name}”: no such pipeline in Kommo. "
                "Set KOMMO_PIPELINE_ID or its Kommo id in the admin"
            )
            return
        if pipeline.kommo_pipeline_id != found["id"]:
            pipeline.kommo_pipeline_id = found["id"]
            pipeline.save(update_fields=["kommo_pipeline_id"])
        self.report.done.append(f"pipeline {pipeline.name} -> {found['name']} ({found['id']})")
        self._bind_stages(pipeline, found)
        for mapping in pipeline.field_mappings.all():
            self._bind_field(mapping)
        self._look_at_phone_field(pipeline)

    def _look_at_phone_field(self, pipeline: Pipeline) -> None:
        if pipeline.phone_field:
            found = binding_by_name.field(self.catalogue.lead_fields, kept=None, name=pipeline.phone_field)
            if found:
                self.report.done.append(f"field with the phone -> {found['name']} ({found['id']})")
            else:
                self.report.missing.append(
                    f"field with the phone “{pipeline.phone_field}”: no such field of leads in Kommo. "
                    "Name another in the pipeline's rules, or none"
                )
        elif guess := phone_fields.look(self.client, self.catalogue, pipeline):
            evidence = f"holds a phone on {guess.phones} of the newest {guess.looked_at} leads"
            evidence += f", {guess.without_contact} of them without a contact" if guess.without_contact else ""
            self.report.advice.append(
                f"field “{guess.name}” of leads {evidence if guess.phones else 'is called like a phone'}: if people "
                f"are to be known by it where a card has no contact, set phone_field of the pipeline “{pipeline.slug}”"
            )

    def _find_pipeline(self, pipeline: Pipeline) -> dict[str, Any] | None:
        return find_pipeline(self.catalogue.pipelines, pipeline)

    def _bind_stages(self, pipeline: Pipeline, found: dict[str, Any]) -> None:
        stages = list(pipeline.stages.order_by("rank"))
        previous: int | None = None
        for stage in stages:
            status = status_of(stage, stages, found)
            if status is None and self._may_create(f"stage:{stage.pk}"):
                status = self._create_status(stage, found, previous)
                found = self._find_pipeline(pipeline) or found
            if status is None:
                if stage.kommo_status_id is not None:
                    stage.kommo_status_id = None
                    stage.save(update_fields=["kommo_status_id"])
                self.report.missing.append(
                    f"stage “{stage.name}”: no such stage in Kommo. Run again with --create-missing, "
                    "or choose a stage for it in the admin; its leads wait until then"
                )
                continue
            if stage.kommo_status_id != status["id"]:
                stage.kommo_status_id = status["id"]
                stage.save(update_fields=["kommo_status_id"])
            self.report.done.append(f"stage {stage.name} -> {status['name']} ({status['id']})")
            if stage.kind == Stage.Kind.OPEN:
                previous = status["id"]

    def make_stage(self, stage: Stage) -> bool:
        """Bind one stage and leave all others alone; False where its pipeline is not in Kommo. Raises KommoError."""
        self.catalogue = catalogues.refresh_part(self.account, self.client, "pipelines", now=self.now)
        found = self._find_pipeline(stage.pipeline)
        if found is None:
            return False
        stages = list(stage.pipeline.stages.order_by("rank", "pk"))
        before = [
            earlier
            for earlier in stages[: stages.index(stage)]
            if earlier.kind == Stage.Kind.OPEN and earlier.kommo_status_id
        ]
        status = status_of(stage, stages, found)
        if status is None:
            status = self._create_status(stage, found, before[-1].kommo_status_id if before else None)
        stage.kommo_status_id = status["id"]
        stage.save(update_fields=["kommo_status_id"])
        stages_renamed_in_kommo.remember(self.account, self.catalogue.pipelines)
        return True

    def _create_status(self, stage: Stage, found: dict[str, Any], previous: int | None) -> dict[str, Any]:
        sort = binding_by_name.place_behind(found, previous)
        created = self.client.create_statuses(
            found["id"], [{"name": stage.name, "sort": sort, "color": NEW_STAGE_COLOUR, "request_id": stage.key}]
        )
        self.catalogue = catalogues.refresh_part(self.account, self.client, "pipelines", now=self.now)
        self.report.done.append(f"created stage {stage.name} ({created[0].id})")
        return {"id": created[0].id, "name": stage.name}

    def _bind_field(self, mapping: FieldMapping) -> None:
        found = self._find_field(mapping)
        if found is None and self._may_create(f"field:{mapping.pk}"):
            found = self._create_field(mapping)
        if found is None:
            self.report.missing.append(
                f"field “{mapping.kommo_field}” ({mapping.type}): no such field in Kommo. "
                "Run again with --create-missing, "
                "or change the field mapping in the admin"
            )
            if mapping.kommo_field_id is not None:
                mapping.kommo_field_id, mapping.enum_ids = None, {}
                mapping.save(update_fields=["kommo_field_id", "enum_ids"])
            return
        if not same_kind(mapping.type, found["type"]):
            self.report.missing.append(
                f"field “{mapping.kommo_field}” is of type {found['type']} in Kommo, not {mapping.type}: "
                "correct the type of the field mapping in the admin"
            )
            return
        enum_ids = self._bind_options(mapping, found)
        if (mapping.kommo_field_id, mapping.enum_ids) != (found["id"], enum_ids):
            mapping.kommo_field_id, mapping.enum_ids = found["id"], enum_ids
            mapping.save(update_fields=["kommo_field_id", "enum_ids"])
        self.report.done.append(f"field {mapping.attribute} -> {found['name']} ({found['id']})")

    def _find_field(self, mapping: FieldMapping) -> dict[str, Any] | None:
        return binding_by_name.field(self.catalogue.lead_fields, kept=mapping.kommo_field_id, name=mapping.kommo_field)

    def _create_field(self, mapping: FieldMapping) -> dict[str, Any] | None:
        body: dict[str, Any] = {"name": mapping.kommo_field, "type": mapping.type, "request_id": mapping.attribute}
        if mapping.type in (FieldMapping.Type.SELECT, FieldMapping.Type.MULTISELECT):
            options = [mapping.options.get(value, value) for value in our_values(mapping)]
            body["enums"] = [{"value": option, "sort": sort} for sort, option in enumerate(options, 1)]
        self.client.create_custom_fields("leads", [body])
        self._read_fields_again()
        self.report.done.append(f"created field {mapping.kommo_field}")
        return self._find_field(mapping)

    def _bind_options(self, mapping: FieldMapping, found: dict[str, Any]) -> dict[str, int]:
        """Return our value -> enum id for every value the configuration knows; missing options are reported or made."""
        values = our_values(mapping)
        if not values:
            return {}
        bound, unknown = _match_options(mapping, found, values)
        if unknown and self._may_create(f"options:{mapping.pk}"):
            # All options go along with their ids: those left out would be lost, with the values of every card.
            enums = [dict(option) for option in found["enums"] or ()]
            first = max((option.get("sort") or 0 for option in enums), default=0) + 1
            enums += [
                {"value": mapping.options.get(value, value), "sort": sort} for sort, value in enumerate(unknown, first)
            ]
            self.client.update_custom_field("leads", found["id"], {"enums": enums})
            self._read_fields_again()
            fresh = self._find_field(mapping)
            if fresh:
                self.report.done += [f"created option {mapping.options.get(value, value)}" for value in unknown]
                bound, unknown = _match_options(mapping, fresh, values)
        self.report.missing += [
            f"option “{mapping.options.get(value, value)}” of field “{mapping.kommo_field}”: not in Kommo. "
            "Run again with --create-missing, or map it to another option in the admin"
            for value in unknown
        ]
        return bound

    def _bind_bridge_id(self) -> None:
        fields = {
            name_key(lead_field["name"]): lead_field["id"]
            for lead_field in self.catalogue.lead_fields
            if lead_field["type"] == "text"
        }
        field_id = fields.get(name_key(BRIDGE_ID_FIELD))
        if field_id is None and self._may_create(BRIDGE_ID):
            # Only the bridge may write it: `is_api_only` hides it from the card's form.
            body = {"name": BRIDGE_ID_FIELD, "type": "text", "is_api_only": True, "request_id": "bridge_id"}
            field_id = self.client.create_custom_fields("leads", [body])[0].id
            self._read_fields_again()
            self.report.done.append(f"created field {BRIDGE_ID_FIELD}")
        if field_id is None:
            self.report.missing.append(
                f"field “{BRIDGE_ID_FIELD}” (text): without it a lead created without an answer is looked up by phone, "
                "one call each. Run again with --create-missing"
            )
        elif self.account.bridge_id_field_id != field_id:
            self.report.done.append(f"field {BRIDGE_ID_FIELD} ({field_id})")
        Account.objects.filter(pk=self.account.pk).update(bridge_id_field_id=field_id)
        self.account.bridge_id_field_id = field_id

    def subscribe(self, webhook_url: str) -> None:
        """Let Kommo call us at this public address, once, and no more at the one before. Raises KommoError."""
        ensure_webhook_secret(self.account)
        destination = destination_for(self.account, webhook_url)
        previous = self.account.webhook_destination
        existing = {hook.destination: hook for hook in self.client.webhooks()}
        if previous and previous != destination and previous in existing:
            self.client.unsubscribe(previous)
        hook = existing.get(destination)
        if hook is None or hook.disabled or set(webhook_subscription.wanted(self.account)) - set(hook.settings):
            webhook_subscription.subscribe(self.account, self.client, destination, hook.settings if hook else ())
            self.report.done.append("webhook subscribed")
        else:
            self.report.done.append("webhook already subscribed")
        self.account.webhook_destination = destination
        self.account.webhook_checked_at, self.account.webhook_problem = self.now, ""
        columns = ("webhook_secret", "webhook_secret_hash", "webhook_destination", "webhook_checked_at")
        self.account.save(update_fields=[*columns, "webhook_problem"])

    def _refresh(self) -> None:
        self.catalogue = catalogues.refresh(self.account, self.client, now=self.now)

    def _read_fields_again(self) -> None:
        self.catalogue = catalogues.refresh_part(self.account, self.client, "lead_fields", now=self.now)


def destination_for(account: Account, webhook_url: str) -> str:
    """Return the address Kommo calls: the public base address, and the path with the account's secret."""
    return f"{webhook_url.rstrip('/')}/webhooks/kommo/{account.webhook_secret}/"


def find_pipeline(pipelines: list[dict[str, Any]], pipeline: Pipeline) -> dict[str, Any] | None:
    """Return the account's pipeline that holds the cards of ours, or None."""
    taken = set(Pipeline.objects.exclude(pk=pipeline.pk).values_list("kommo_pipeline_id", flat=True))
    return binding_by_name.pipeline(
        pipelines,
        kept=pipeline.kommo_pipeline_id,
        name=pipeline.name,
        is_default=pipeline.is_default,
        configured=settings.KOMMO_PIPELINE_ID,
        taken=taken,
    )


def status_of(stage: Stage, stages: list[Stage], found: dict[str, Any]) -> dict[str, Any] | None:
    """Return the status of a stage among those of its pipeline, or None."""
    taken = {other.kommo_status_id for other in stages if other.pk != stage.pk}
    return binding_by_name.status(found, kept=stage.kommo_status_id, name=stage.name, kind=stage.kind, taken=taken)


def _match_options(mapping: FieldMapping, found: dict[str, Any], values: list[str]) -> tuple[dict[str, int], list[str]]:
    return binding_by_name.options(found, kept=mapping.enum_ids, names=mapping.options, values=values)


def our_values(mapping: FieldMapping) -> list[str]:
    """Return every value of ours that needs an option in Kommo; none for a field without options."""
    if mapping.type not in (FieldMapping.Type.SELECT, FieldMapping.Type.MULTISELECT):
        return []
    flows = [flow.name for flow in mapping.pipeline.flows.all()] if mapping.attribute == "chosen_flow" else []
    return list(dict.fromkeys([*flows, *mapping.options]))
