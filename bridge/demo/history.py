"""Sixty days of a company's life, told to the bridge as if it had been there: enough for every picture to show much.

Everything goes through the services that take a conversation in, with the clock of that day; only what a worker would
have done meanwhile, sending a follow-up, is played here. The same on every run: chance is drawn from a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q

from bridge.models import Card
from followups import attempt_outcomes, stopping
from followups.attempt_outcomes import Done
from followups.channels import Outcome, Result
from followups.models import Attempt, Enrollment
from leads import handoff, interactions, stage_moves
from leads.interaction_values import Direction, Interaction, Meeting, Message
from leads.models import Lead, Pipeline
from leads.phone import parse

DAYS, LEADS = 60, 300
MINUTE = timedelta(minutes=1)
FIRST = (
    "Ana", "Bruno", "Camila", "Daniel", "Elisa", "Fábio", "Gabriela", "Hugo", "Íris", "João", "Maria", "Lucas",
    "Marina",
    "Natália", "Otávio", "Priscila", "Rafael", "Sônia", "Tiago", "Vitória",
)  # fmt: skip
LAST = (
    "Almeida", "Barros", "Cardoso", "Duarte", "Esteves", "Freitas", "Guimarães", "Leão", "Moraes", "Nogueira",
    "Peixoto",
    "Queiroz", "Ribeiro", "Sá", "Teixeira", "Vasconcelos",
)  # fmt: skip
FLOWS = ("Instalação Usina Própria", "Aluguel de Lote", "Compra com Desconto", "Usina Investimento")
OBJECTIONS = ("preço", "preço", "preço", "desconfiança", "timing", "propriedade")
SELLERS = ("Ana Ribeiro", "Carlos Mota", "Júlia Prates")
ANSWERS = ("Oi! Desculpa a demora, ainda tenho interesse.", "Voltei! Podemos seguir?", "Agora consigo falar.")
# More people write in the evening, when nobody else would answer, than at lunch.
HOURS = (8, 9, 9, 10, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 20, 20, 21, 21, 22, 23, 7)


@dataclass
class Way:
    """One person's conversation as it goes on: `at` is its own clock, and nothing is told that lies ahead of `now`."""

    pipeline: Pipeline
    phone: str
    at: datetime
    now: datetime
    number: int
    chance: Random
    lead: Lead | None = None
    sequel: int = 0

    def tell(self, direction: Direction, text: str, after: timedelta, author: str = "", **facts: Any) -> bool:
        """Report a message and what came with it; False when it would lie ahead."""
        if self.at + after >= self.now:
            return False
        self.at += after
        self.sequel += 1
        context = facts.pop("context", {})
        message = Message(direction, id=f"history-{self.number}-{self.sequel}", text=text, author=author)
        report = Interaction(parse(self.phone, region="BR"), self.at, facts, context=context, message=message)
        self.lead = interactions.record(report, pipeline=self.pipeline, now=self.at).lead
        return True

    def writes(self, text: str, minutes: int, **facts: Any) -> bool:
        return self.tell(Direction.INBOUND, text, minutes * MINUTE, **facts)

    def hears(self, text: str, **facts: Any) -> bool:
        """Let the agent answer, within seconds."""
        return self.tell(Direction.OUTBOUND, text, timedelta(seconds=self.chance.randrange(4, 50)), **facts)

    def is_served(self, text: str, minutes: int, author: str) -> bool:
        return self.tell(Direction.STAFF, text, minutes * MINUTE, author=author)


def play(pipeline: Pipeline, *, now: datetime) -> int:
    """Let sixty days have happened up to `now`, and return how many leads there are of them."""
    chance = Random(7)
    arrivals = sorted(_arrivals(pipeline, now, chance))
    for number, at in enumerate(arrivals):
        with transaction.atomic():
            _live(Way(pipeline, _phone(number), at, now, number, chance))
    _close_what_is_past(pipeline, now)
    _leave_something_to_do(pipeline, now)
    return len(arrivals)


def _phone(number: int) -> str:
    return f"+55819{82000000 + 37 * number}"


def _arrivals(pipeline: Pipeline, now: datetime, chance: Random) -> Iterator[datetime]:
    """Yield when people first wrote: more and more of them, fewer at weekends, many in the evening."""
    today = now.astimezone(ZoneInfo(pipeline.time_zone))
    days = [today - timedelta(days=back) for back in range(DAYS)]
    weights = [(1.6 - back / DAYS) * (0.45 if day.weekday() > 4 else 1) for back, day in enumerate(days)]
    for day in chance.choices(days, weights, k=LEADS):
        at = day.replace(hour=chance.choice(HOURS), minute=chance.randrange(60), second=chance.randrange(60))
        yield at if at < now else now - chance.randrange(20, 300) * MINUTE


def _live(way: Way) -> None:
    """Let one person's conversation go as far as it goes."""
    chance, name = way.chance, f"{FIRST[way.number % 20]} {LAST[(way.number // 3) % 16]}"
    way.tell(Direction.INBOUND, "Oi! Vi o anúncio de vocês.", timedelta(0))
    way.hears("Olá! Sou o assistente da solar. Com quem eu falo?")
    if chance.random() < 0.08:
        return
    way.writes(f"Sou {name}", 2, name=name)
    if not way.hears("Temos quatro soluções…", context={"conversation_stage": "estágio_1_apresentar_soluções"}):
        return
    if chance.random() < 0.3 and not _is_won_back(way):
        return
    bill = chance.choice((280, 350, 520, 640, 900, 1400, 2200, 4500, 6800))
    raised = {"objections": [chance.choice(OBJECTIONS)]} if chance.random() < 0.4 else {}
    context = {"conversation_stage": "estágio_2_aguardando_escolha", **raised}
    if not way.writes("Quero saber da segunda", 6, bill_value=bill, chosen_flow=chance.choice(FLOWS), context=context):
        return
    way.hears("Ótima escolha! Você decide sozinho sobre a conta?")
    score = chance.randrange(38, 65) if chance.random() < 0.28 else chance.randrange(70, 99)
    facts = {"qualification_score": score, "is_decision_maker": chance.random() < 0.92}
    if not way.writes("Sim, sou eu", 4, context={"conversation_stage": "qualificação"}, **facts) or score < 70:
        return
    way.hears("Perfeito, vale a pena conversarmos.")
    if chance.random() < 0.12:
        _is_handed_over(way)
    elif chance.random() < 0.5:
        _books(way)


def _is_won_back(way: Way) -> bool:
    """Let the person fall silent and a follow-up go out; say whether they answered it."""
    sent_at = way.at + timedelta(minutes=30 + way.chance.randrange(4))
    waiting = Enrollment.objects.filter(lead=way.lead, state=Enrollment.State.WAITING, next_at__isnull=False)
    enrollment = waiting.select_related("lead", "sequence").first()
    if enrollment is None or sent_at >= way.now:
        return False
    text = "Oi! Ficou alguma dúvida? Posso te ajudar por aqui."
    attempt = Attempt.objects.create(
        enrollment=enrollment, step=enrollment.step, text=text, tries=1, due_at=sent_at, created_at=sent_at
    )
    attempt_outcomes.record([Done(attempt, Result(Outcome.SENT), sent_at)], now=sent_at)
    way.at = sent_at
    answers = way.chance.random() < 0.55
    return answers and way.writes(way.chance.choice(ANSWERS), way.chance.randrange(3, 600))


def _is_handed_over(way: Way) -> None:
    assert way.lead is not None
    if not way.writes("Prefiro falar com uma pessoa", 3):
        return
    way.lead.refresh_from_db()
    reason = "pediu para falar com um vendedor"
    handoff.pause(way.lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason=reason, now=way.at)
    seller, waited = way.chance.choice(SELLERS), way.chance.choice((4, 9, 14, 22, 45, 80, 150))
    way.is_served(f"Oi, aqui é {seller.split()[0]}. Vou te ajudar!", waited, seller)


def _books(way: Way) -> None:
    """Let the agent book a meeting, and what became of it if it has been."""
    day = (way.at + timedelta(days=way.chance.randrange(1, 5))).astimezone(ZoneInfo(way.pipeline.time_zone))
    starts_at = day.replace(hour=way.chance.choice((9, 10, 11, 14, 15, 16)), minute=0, second=0, microsecond=0)
    event = f"evt_history_{way.number}"
    meeting = Meeting("scheduled", id=event, starts_at=starts_at, link=f"https://meet.example/{event}")
    if not way.hears("Marquei nossa conversa!", context={"conversation_stage": "agendamento", "meeting": meeting}):
        return
    over = starts_at + timedelta(hours=1)
    if over >= way.now:
        return
    status = "completed" if way.chance.random() < 0.8 else "no_show"
    way.at = over
    way.hears("Obrigado pela conversa!", context={"meeting": Meeting(status, id=event)})
    if status == "completed" and way.chance.random() < 0.4 and way.lead is not None:
        _ends(way.lead, "won", over + timedelta(minutes=20), Lead.Actor.STAFF, "contrato assinado")


def _ends(lead: Lead, key: str, at: datetime, by: Lead.Actor, reason: str) -> None:
    stage = lead.pipeline.stages.get(Q(key=key))
    lead.refresh_from_db()
    stage_moves.move(lead, stage, by=by, reason=reason, now=at)


def _close_what_is_past(pipeline: Pipeline, now: datetime) -> None:
    """End what a worker would have ended by now: nothing of the past is sent when the demo begins."""
    waiting = Enrollment.objects.filter(state=Enrollment.State.WAITING, lead__pipeline=pipeline)
    for enrollment in waiting.filter(purpose="agent_unanswered").select_related("lead__pipeline", "lead__stage"):
        lead, silent_since = enrollment.lead, enrollment.anchor_at
        stopping.stop(lead, "no answer", now=min(now, silent_since + timedelta(days=4)))
        if now - silent_since > timedelta(days=4) and lead.stage and lead.stage.key in ("new", "qualifying"):
            _ends(lead, "not_interested", silent_since + timedelta(days=4), Lead.Actor.BRIDGE, "no answer")
    # Reminders that went out before now.
    overdue = waiting.filter(next_at__lte=now).select_related("lead", "sequence")
    stopping.cancel(list(overdue), "sent in time", now=now)


def _leave_something_to_do(pipeline: Pipeline, now: datetime) -> None:
    """Let two people wait, with what they said, a card be refused and a follow-up be held."""
    talking = Lead.objects.filter(pipeline=pipeline, handoff_source="", stage__key__in=("qualifying", "qualified"))
    known = talking.exclude(name="").select_related("pipeline", "stage").order_by("-created_at", "pk")
    chance = Random(5)
    waits: tuple[tuple[str, int, Callable[[Way], None]], ...] = (
        ("Alguém aí? Quero fechar hoje!", 95, _asks_for_a_person),
        ("Consigo um desconto à vista?", 18, _asks_for_a_person),
    )
    for number, (lead, (text, minutes, ask)) in enumerate(zip(known.reverse()[:2], waits, strict=True)):
        way = Way(pipeline, lead.phone or "", now - (minutes + 5) * MINUTE, now, 10_000 + number, chance, lead)
        ask(way)
        way.writes(text, 5)
    refused = known[3:4].values_list("pk", flat=True)
    Card.objects.filter(lead__in=list(refused)).update(
        state=Card.State.DEAD,
        waiting_reason="create leads: refused by Kommo: name: This value is too long.",
        due_at=None,
        pending_since=None,
    )
    reminder = Enrollment.objects.filter(state=Enrollment.State.WAITING, next_at__gt=now).order_by("next_at").first()
    if reminder is not None:
        Enrollment.objects.filter(pk=reminder.pk).update(held=True)


def _asks_for_a_person(way: Way) -> None:
    assert way.lead is not None
    reason = "pediu para falar com um vendedor"
    handoff.pause(way.lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason=reason, now=way.at)
