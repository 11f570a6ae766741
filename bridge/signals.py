"""From a saved lead to its card: marked due in the same transaction, and a nudge once that is committed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from django.utils import timezone

from bridge import erasing_here, metrics, reasons, serving_tags
from bridge.accounts import account_state
from bridge.agent import agent_events
from bridge.cards import nudge, outbox
from bridge.channels import waking_messages
from bridge.channels.followups_by_channel import ByTheirChannels
from bridge.delivery import calls_for_a_person, handoff_note_texts, handoff_notes
from bridge.inbound import cards_of_joined_leads, newly_shown_facts, people_on_cards, stages_bound_later
from bridge.models import Account, Card
from common.reasons import Reason
from common.statements import update
from followups import channels, lead_for_agent, stopping, who_may_be_written_to
from followups.attempt_outcomes import followups_sent
from leads import address_owners, announcements, may_speak, silenced_pipelines, untold_messages
from leads.announcements import Saved
from leads.models import FieldMapping, Flow, Lead, Message, Pipeline, Stage, TagRule
from leads.models.lead import ATTRIBUTES

# What of a lead its card shows. A save that touches none of them (a message's time, say) leaves the card alone.
SHOWN = frozenset(
    {
        *ATTRIBUTES,
        "phone",
        "custom",
        "stage",
        "conversation_stage",
        "meeting_status",
        "meeting_starts_at",
        "meeting_link",
        "objections",
        # By which channel they wrote last.
        "written_from",
        "whatsapp_id",
    }
)


silenced_pipelines.ask(account_state.silent)
may_speak.ask_tags(serving_tags.tags_of)
address_owners.ask_elsewhere(people_on_cards.owners_of_contacts)
channels.carried_by(ByTheirChannels())
handoff_note_texts.in_words = reasons.in_words


@receiver(announcements.leads_saved)
def leads_saved(saved: list[Saved], now: datetime, **_: object) -> None:
    shown = [change for change in saved if change.touches(SHOWN)]
    if called := [
        change.lead.pk for change in saved if not change.created and change.changed and "phone" in change.changed
    ]:
        # The contact that was made without a number gets it.
        cards = list(Card.objects.select_for_update(no_key=True).filter(lead__in=called).order_by("pk"))
        for card in cards:
            card.contact_due_at = now
            card.observed_contact = {**card.observed_contact, "lacks_phone": True}
        update(cards, ("contact_due_at", "observed_contact"))
    for account_id in outbox.mark_due(shown, now=now):
        nudge.send_on_commit(account_id)


@receiver(announcements.cards_wanted)
def tell_of_those_with_cards(lead_ids: Collection[UUID], **_: object) -> set[UUID]:
    """A card that is being created may be in Kommo already; one that was deleted or let go is a person's decision."""
    return cards_of_joined_leads.with_cards(lead_ids)


@receiver(announcements.own_places_wanted)
def tell_of_own_contacts(lead_ids: Collection[UUID], **_: object) -> set[tuple[UUID, str]]:
    """On a card's other contacts, or its main contact of today, may stand a spouse's number."""
    rows = Card.objects.filter(lead__in=lead_ids).values_list("lead_id", "own_contact_id", "kommo_contact_id")
    return {(lead_id, str(first or main)) for lead_id, first, main in rows}


@receiver(announcements.leads_joining)
def leads_joining(lead: Lead, other: Lead, now: datetime, **_: object) -> int | None:
    return cards_of_joined_leads.card(lead, other)


@receiver(announcements.stage_changed)
def stage_changed(lead: Lead, previous: Stage | None, by: str, reason: str, now: datetime, **_: object) -> None:
    stage = lead.stage
    if stage and stage.always_visit and stage.kommo_status_id:
        outbox.visit(lead, stage.kommo_status_id)
    agent_events.tell(
        lead,
        agent_events.STAGE_CHANGED,
        now=now,
        stage=stage.key if stage else "other",
        stage_name=stage.name if stage else lead.other_stage_name,
        # For whoever keeps Kommo's own numbers beside, to be able to go on without us.
        status_id=stage.kommo_status_id if stage else None,
        previous=previous.key if previous else "other",
        by=str(by),
        reason=reason,
    )


@receiver(announcements.handoff_changed)
def handoff_changed(
    lead: Lead, paused: bool, tells_staff: bool, reason: str, now: datetime, found: bool, **_: object
) -> None:
    if found and lead.created_at == now:
        # Just taken in: the agent never had this lead.
        return
    agent_events.tell(lead, agent_events.PAUSED if paused else agent_events.RESUMED, now=now, reason=reason)
    if not paused:
        agent_events.drop_answered(lead, now=now)
        untold_messages.release(Lead.objects.filter(pk=lead.pk), now=now)
    if paused and tells_staff and (account_id := handoff_notes.brief(lead, now=now)) is not None:
        nudge.send_on_commit(account_id)


@receiver(announcements.tags_changed)
def tags_changed(lead: Lead, before: Collection[str], after: Collection[str], now: datetime, **_: object) -> None:
    """A tag may be what makes a lead the agent's, or somebody else's."""
    was = may_speak.unserved_with(lead, before)
    if why := may_speak.unserved_with(lead, after):
        stopping.stop(lead, why, now=now)
    elif was and not lead.in_handoff:
        agent_events.tell(lead, agent_events.RESUMED, now=now, reason=Reason("serves_lead_from_now_on"))


@receiver(announcements.agent_switched)
def agent_switched(pipeline: Pipeline, silenced: bool, now: datetime, **_: object) -> None:
    if not silenced:
        untold_messages.release_pipeline(pipeline, now=now)


@receiver(announcements.messages_told_of)
def messages_told_of(messages: list[Message], now: datetime, **_: object) -> None:
    """What a messenger or Kommo's chat has told of a message is acted on by whoever carries messages."""
    waking_messages.wake(messages, now=now)


@receiver(announcements.staff_wanted)
def staff_wanted(lead: Lead, reason: str, now: datetime, **_: object) -> None:
    if (account_id := calls_for_a_person.call(lead, reason, now=now)) is not None:
        nudge.send_on_commit(account_id)


@receiver(who_may_be_written_to.vetoes_wanted)
def object_to_followups(lead_ids: Collection[UUID], **_: object) -> dict[UUID, str]:
    """Nobody is written to whose card staff have deleted or let go; what follow-ups cannot know themselves."""
    lost = Card.objects.filter(lead_id__in=lead_ids, state__in=[Card.State.GONE, Card.State.CLOSED])
    return {lead_id: reason or "the card is gone" for lead_id, reason in lost.values_list("lead_id", "waiting_reason")}


@receiver(lead_for_agent.particulars_wanted)
def tell_of_cards(lead_ids: Collection[UUID], **_: object) -> dict[UUID, dict[str, Any]]:
    cards = Card.objects.filter(lead_id__in=lead_ids).values_list("lead_id", "kommo_lead_id")
    return {lead_id: {"kommo_lead_id": kommo_lead_id} for lead_id, kommo_lead_id in cards}


@receiver(followups_sent)
def count_followups(outcomes: list[str], lateness: list[timedelta], **_: object) -> None:
    for outcome in outcomes:
        metrics.count("bridge_followups", outcome)
    for late in lateness:
        metrics.observe("bridge_followup_lateness_seconds", max(0.0, late.total_seconds()))


@receiver(post_save, sender=Stage)
@receiver(post_save, sender=FieldMapping)
def configuration_changed(instance: Any, **_: object) -> None:
    requeue_blocked(instance.pipeline_id, now=timezone.now())


@receiver(post_save, sender=Pipeline)
def pipeline_changed(instance: Pipeline, **_: object) -> None:
    requeue_blocked(instance.pk, now=timezone.now())
    # Where conversations are Kommo's, more is to be heard of.
    Account.objects.filter(pipeline_links__pipeline=instance).update(webhook_checked_at=None)


@receiver(pre_save, sender=Stage)
def stage_will_be_bound(instance: Stage, raw: bool, **_: object) -> None:
    before = None if raw or instance._state.adding else Stage.objects.filter(pk=instance.pk).first()
    instance.bound_before = before.kommo_status_id if before else None


@receiver(post_save, sender=Stage)
def stage_was_bound(instance: Stage, raw: bool, **_: object) -> None:
    """The cards that stand there have stood in a stage of ours all along."""
    if not raw and instance.kommo_status_id and instance.kommo_status_id != instance.bound_before:
        stages_bound_later.settle(stages_bound_later.of_stage(instance), now=timezone.now())


@receiver(pre_save, sender=FieldMapping)
def field_will_be_bound(instance: FieldMapping, raw: bool, **_: object) -> None:
    before = None if raw or instance._state.adding else FieldMapping.objects.filter(pk=instance.pk).first()
    instance.bound_before = before.kommo_field_id if before else None


@receiver(post_save, sender=FieldMapping)
def field_was_bound(instance: FieldMapping, raw: bool, **_: object) -> None:
    """What stands in a field that shows one of our facts from now on was put there by somebody else."""
    if not raw and instance.kommo_field_id and instance.kommo_field_id != instance.bound_before:
        Pipeline(pk=instance.pipeline_id).rules_changed()
        newly_shown_facts.first_sight_of_field(instance, now=timezone.now())


@receiver(post_save, sender=Flow)
def flow_was_named(instance: Flow, raw: bool, **_: object) -> None:
    """Whoever was said to have chosen it has a flow now, and their card shows it."""
    if not raw:
        chose = Card.objects.filter(lead__pipeline=instance.pipeline_id, lead__chosen_flow__iexact=instance.name)
        outbox.requeue(chose.filter(state__in=[Card.State.IN_SYNC, Card.State.SHOWN]), now=timezone.now())


@receiver(pre_save, sender=TagRule)
def family_will_be_claimed(instance: TagRule, raw: bool, **_: object) -> None:
    before = None if raw or instance._state.adding else TagRule.objects.filter(pk=instance.pk).first()
    instance.template_before = before.template if before else ""


@receiver(post_save, sender=TagRule)
def family_was_claimed(instance: TagRule, raw: bool, **_: object) -> None:
    if not raw and instance.template != instance.template_before:
        Pipeline(pk=instance.pipeline_id).rules_changed()
        newly_shown_facts.first_sight_of_tags(instance, now=timezone.now())


def requeue_blocked(pipeline_id: int, *, now: datetime) -> None:
    """Try the cards again that waited for a configuration: it may be complete now."""
    blocked = Card.objects.filter(lead__pipeline_id=pipeline_id, state=Card.State.BLOCKED)
    outbox.requeue(Card.objects.filter(pk__in=blocked.values("pk")), now=now)


@receiver(announcements.personal_data_erased)
def personal_data_erased(lead: Lead, elsewhere: bool, now: datetime, **_: object) -> None:
    """What Kommo still shows of the person must not be read back, and is emptied there too if they wish."""
    erasing_here.forget(lead, elsewhere=elsewhere, now=now)
