"""A saved lead is announced; a changed rule holds from the next interaction on, in every process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import receiver
from django.utils import timezone

from leads import announcements, handoff
from leads.models import Criterion, FieldMapping, Flow, Lead, Pipeline, Qualification, Stage, StageMapping, TagRule


@receiver(post_save, sender=Lead)
def lead_saved(instance: Lead, created: bool, update_fields: Iterable[str] | None, raw: bool, **_: object) -> None:
    if not raw:
        changed = None if update_fields is None else frozenset(update_fields)
        saved = announcements.Saved(instance, created, changed)
        announcements.leads_saved.send(Lead, saved=[saved], now=timezone.now())


@receiver([post_save, post_delete], sender=Stage)
@receiver([post_save, post_delete], sender=StageMapping)
@receiver([post_save, post_delete], sender=Flow)
@receiver([post_save, post_delete], sender=Qualification)
@receiver([post_save, post_delete], sender=TagRule)
@receiver([post_save, post_delete], sender=FieldMapping)
def rule_changed(instance: Any, **_: object) -> None:
    Pipeline(pk=instance.pipeline_id).rules_changed()


@receiver(pre_save, sender=Stage)
def stage_will_change(instance: Stage, raw: bool, **_: object) -> None:
    before = None if raw or instance._state.adding else Stage.objects.filter(pk=instance.pk).first()
    # Kept on the row itself until it is stored: only the two together tell what was changed.
    instance.paused_before = before.pauses_agent if before else instance.pauses_agent


@receiver(post_save, sender=Stage)
def stage_changed(instance: Stage, raw: bool, **_: object) -> None:
    if not raw and instance.paused_before != instance.pauses_agent:
        handoff.follow_rule(instance, now=timezone.now())


@receiver([post_save, post_delete], sender=Criterion)
@receiver(m2m_changed, sender=Criterion.flows.through)
def criterion_changed(instance: Any, **_: object) -> None:
    Pipeline(pk=instance.qualification.pipeline_id).rules_changed()


@receiver(post_save, sender=Pipeline)
def pipeline_changed(instance: Pipeline, **_: object) -> None:
    instance.rules_changed()
