"""A Tuesday morning of a sales team, half past ten: enough people and trouble that pages look as they do in use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from django.utils import timezone

from bridge.models import Account, CallSlot, Card, Delivery, Drift, Heartbeat
from followups.models import Attempt, Enrollment, Sequence
from leads import handoff, interactions, stage_moves
from leads.interaction_values import Direction, Meeting, Message
from leads.models import Lead, Pipeline, Stage
from tests.conftest import drain, report

NOW = datetime(2026, 11, 24, 10, 42, 8, tzinfo=ZoneInfo("America/Sao_Paulo"))
FIRST = ("Ana Beatriz", "Bruno", "Camila", "Diego", "Elisa", "Fábio", "Gabriela", "Hugo", "Íris", "João", "Larissa")
LAST = ("Lima", "Carvalho", "Pacheco", "Mendes", "Batista", "Gomes", "Castro", "Fonseca", "Teles", "Prado", "Rocha")
FLOWS = ("Instalação Usina Própria", "Aluguel de Lote", "Compra com Desconto")
OBJECTIONS = ("preço", "timing", "desconfiança")
PRESENTING = {"conversation_stage": "estágio_1_apresentar_soluções"}
CHOOSING = {"conversation_stage": "estágio_2_aguardando_escolha"}
QUALIFYING = {"conversation_stage": "qualificação"}
BOOKING = {"conversation_stage": "agendamento"}
ASKED = ("pediu para falar com uma pessoa", "quer um desconto que não posso dar", "reclamou do prazo")


def settle_in(pipeline: Pipeline, account: Account) -> list[Lead]:
    """Let the last weeks have happened, up to NOW; return the leads, newest first. The clock must stand at NOW."""
    chance = Random(11)
    for number, at in enumerate(_arrivals(chance)):
        _converse(pipeline, number, at, chance)
    _win(pipeline)
    _remind(pipeline)
    while drain(account):
        pass
    _spread_deliveries(chance)
    leads = list(Lead.objects.select_related("stage", "card").order_by("-created_at"))
    _follow_up(leads)
    _trouble(leads, account)
    return leads


def _arrivals(chance: Random) -> Iterator[datetime]:
    """Yield when people first wrote: a few each working day, in working hours, the last minutes ago."""
    for days in range(27, 0, -1):
        day = NOW - timedelta(days=days)
        if day.weekday() < 5:
            for hour in sorted(chance.sample(range(8, 18), 3 + days % 3)):
                yield day.replace(hour=hour, minute=chance.randrange(60))
    yield from (
        NOW - timedelta(minutes=minutes)
        for minutes in (170, 150, 141, 128, 117, 96, 83, 71, 40, 36, 31, 27, 24, 19, 12, 5)
    )


def _converse(pipeline: Pipeline, number: int, at: datetime, chance: Random) -> None:
    phone = f"+55819{81110000 + 37 * number}"
    name = f"{FIRST[number % len(FIRST)]} {LAST[(number // 2) % len(LAST)]}"
    score = chance.randrange(58, 99)
    steps: list[dict[str, object]] = [
        {"name": name, "message": Message(Direction.INBOUND, text="Oi! Vi o anúncio de vocês.")},
        {"context": PRESENTING},
        {
            "context": {**CHOOSING, "objections": [chance.choice(OBJECTIONS)]},
            "chosen_flow": chance.choice(FLOWS),
            "bill_value": chance.randrange(350, 6200, 50),
        },
        {"context": QUALIFYING, "qualification_score": score, "is_decision_maker": True},
    ]
    if score > 80:
        begins = (NOW + timedelta(days=number % 4)).replace(hour=14 + number % 3, minute=0, second=0)
        steps.append(
            {"context": {**BOOKING, "meeting": Meeting(status="scheduled", id=f"evt_{number}", starts_at=begins)}}
        )
    for place, step in enumerate(steps[: max(1, chance.randrange(1, 8))]):
        then = at + timedelta(minutes=(0, 4, 11, 19, 26)[place])
        if then < NOW:
            interactions.record(report(phone, occurred_at=then, **step), pipeline=pipeline, now=then)


def _win(pipeline: Pipeline) -> None:
    """Let some of those who met somebody weeks ago have signed."""
    met = Lead.objects.filter(pipeline=pipeline, stage__key="meeting_scheduled", created_at__lt=NOW - timedelta(days=5))
    for lead in met.select_related("pipeline", "stage").order_by("created_at")[::4]:
        signed_at = lead.created_at + timedelta(days=4)
        stage = pipeline.stages.get(kind=Stage.Kind.WON)
        stage_moves.move(lead, stage, by=Lead.Actor.STAFF, reason="contrato assinado", now=signed_at)


def _remind(pipeline: Pipeline) -> None:
    """Let the reminders that were due by now have gone out."""
    waiting = Enrollment.objects.filter(state=Enrollment.State.WAITING, purpose=Sequence.StartsOn.MEETING_SCHEDULED)
    for way in waiting.filter(lead__pipeline=pipeline, next_at__lte=NOW):
        Attempt.objects.create(
            enrollment=way,
            step=way.step,
            state=Attempt.State.SENT,
            text="Nossa reunião é amanhã!",
            due_at=way.next_at,
            created_at=way.next_at,
            ended_at=way.next_at,
        )
        assert way.meeting_starts_at is not None
        Enrollment.objects.filter(pk=way.pk).update(
            step=way.step + 1, next_at=max(way.meeting_starts_at - timedelta(hours=1), NOW + timedelta(hours=1))
        )


def _spread_deliveries(chance: Random) -> None:
    """Let cards have been sent as their leads changed, and the last hour have been busy."""
    for delivery in Delivery.objects.select_related("card__lead"):
        minutes = min(59, chance.randrange(60), chance.randrange(60))
        at, lag = NOW - timedelta(minutes=minutes, seconds=chance.randrange(60)), chance.randrange(350, 1100)
        Delivery.objects.filter(pk=delivery.pk).update(at=at, lag_ms=lag, duration_ms=lag // 3)
        card, sent_at = delivery.card, delivery.card.lead.updated_at
        ownership = {subject: {**owner, "at": sent_at.isoformat()} for subject, owner in card.ownership.items()}
        Card.objects.filter(pk=card.pk).update(synced_at=sent_at, ownership=ownership)


def _follow_up(leads: list[Lead]) -> None:
    """Let the agent have spoken last to some who wrote this morning, and some have had their first message."""
    for number, lead in enumerate(leads[1:16]):
        # Whoever wrote within the hour is answered within the last half, so that their first message is still to come.
        at = max(lead.created_at + timedelta(minutes=4), NOW - timedelta(minutes=25 - number))
        if NOW - lead.created_at > timedelta(hours=1):
            at = lead.created_at + timedelta(minutes=4)
        interaction = report(
            lead.phone, occurred_at=at, message=Message(Direction.OUTBOUND, text="Posso ajudar em algo mais?")
        )
        interactions.record(interaction, pipeline=lead.pipeline, now=at)
    overdue = Enrollment.objects.filter(state="waiting", purpose="agent_unanswered", next_at__lt=NOW)
    for number, way in enumerate(overdue):
        at = way.next_at
        Attempt.objects.create(
            enrollment=way,
            step=1,
            state=Attempt.State.SENT,
            text="Oi! Ficou alguma dúvida sobre a proposta?",
            due_at=at,
            created_at=at,
            ended_at=at,
            answered_at=at + timedelta(minutes=4) if number % 2 else None,
        )
        Enrollment.objects.filter(pk=way.pk).update(step=2, next_at=at + timedelta(hours=24))


def _trouble(leads: list[Lead], account: Account) -> None:
    talking = [lead for lead in leads if lead.stage and lead.stage.key in ("qualifying", "meeting_scheduled")]
    for minutes, reason in zip((24, 72, 136, 1260), (*ASKED, ASKED[0]), strict=True):
        at = NOW - timedelta(minutes=minutes)
        lead = next(stuck_lead for stuck_lead in talking if stuck_lead.stage_set_at < at and not stuck_lead.in_handoff)
        handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason=reason, now=at)
    cards = Card.objects.filter(lead__in=[lead.pk for lead in leads[20:40]]).order_by("pk")
    _stop(cards[:3], Card.State.BLOCKED, "“Solução Solar” has no option “Usina Investimento” in Kommo")
    _stop(
        cards[3:5],
        Card.State.DEAD,
        "update leads: refused by Kommo: custom_fields_values.0.values: This value is not valid.",
    )
    _stop(cards[5:6], Card.State.GONE, "deleted in Kommo")
    drift = {"ours": "Diego Alves", "theirs": "Diego A. Alves", "agreed": "Diego"}
    Drift.objects.create(card=cards[7], subject="name", found_at=NOW - timedelta(minutes=93), found_by="poll", **drift)
    pipeline = leads[0].pipeline
    at = NOW - timedelta(minutes=29)
    unknown = report(leads[12].phone, occurred_at=at, context={"conversation_stage": "pós-proposta"})
    interactions.record(unknown, pipeline=pipeline, now=at)
    drain(account)
    CallSlot.objects.update(free_at=NOW)
    Heartbeat.objects.create(worker="one", at=timezone.now())
    Account.objects.filter(pk=account.pk).update(webhook_heard_at=NOW - timedelta(seconds=27))


def _stop(cards: object, state: str, reason: str) -> None:
    ids = [card.pk for card in cards]
    Card.objects.filter(pk__in=ids).update(state=state, waiting_reason=reason, due_at=None, pending_since=None)
