"""Forty messages as people write them, by two clocks, in bubbles and doubled: the right card, the right messages, and
nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
import time_machine
from django.utils import timezone

from bridge.cards import outbox
from followups import dispatch
from followups.models import Enrollment
from leads.models import Event, Lead
from tests.bridge.api.conftest import agent as agent_with_a_key
from tests.conftest import MARIA, amount, drain, rested
from tests.followups.conftest import receiver as receiver_of_followups
from tests.lived_in import BILL, MEETING, NEW, QUALIFIED, QUALIFYING, SOLUTION

agent, receiver = agent_with_a_key, receiver_of_followups
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
# The lead's telephone is that far behind, and cuts the second off.
BEHIND = timedelta(seconds=40)
FIRST, SECOND = "evt-1", "evt-2"


@dataclass(frozen=True)
class Line:
    """`gap` seconds after the line before; a meeting begins so many days after the talk, at that hour."""

    gap: float
    side: str
    text: str
    lead: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)


def they(gap: float, text: str, *objections: str, **lead: Any) -> Line:
    return Line(gap, "inbound", text, lead, {"objections_raised": list(objections)} if objections else {})


def we(gap: float, text: str, stage: str = "", meeting: dict[str, Any] | None = None, **lead: Any) -> Line:
    context = {"conversation_stage": stage} if stage else {}
    return Line(gap, "outbound", text, lead, context | ({"meeting": meeting} if meeting else {}))


def meeting(id_: str, status: str, days: int = 0, hour: int = 0, **more: Any) -> dict[str, Any]:
    when = {"starts_at": (days, hour)} if days else {}
    return {"id": id_, "status": status, **when, **more}


TALK = [
    they(0, "Oi"),
    we(7, "Olá! Aqui é a Luma."),
    we(0.4, "Como você se chama?", "estágio_0_coleta_nome"),
    they(9, "Maria", name="Maria"),
    we(6, "Prazer, Maria!"),
    we(0.3, "Temos quatro soluções: usina própria, aluguel de lote, compra com desconto e investimento."),
    we(0.3, "Qual combina com você?", "estágio_1_apresentar_soluções"),
    they(20, "hmm"),
    they(0.2, "deixa eu ver"),
    they(15, "a do aluguel", chosen_flow="Aluguel de Lote"),
    we(6, "Ótima escolha."),
    we(0.5, "Qual é o valor da sua conta de luz?", "ESTAGIO 2 aguardando_escolha"),
    # Half an hour and more of silence.
    they(2400, "Desculpa, estava no trânsito"),
    they(4, "uns 4 mil e quinhentos", bill_value="R$ 4.500,00"),
    we(6, "Obrigada!", "qualificação", qualification_score=40),
    they(11, "mas acho caro", "preço"),
    we(8, "No aluguel você não paga a instalação."),
    they(30, "na verdade prefiro a usina própria", chosen_flow="Instalação Usina Própria"),
    we(7, "Também temos!", "qualificação", qualification_score=82),
    we(0.3, "Vamos marcar uma conversa?", "agendamento"),
    they(12, "pode ser"),
    we(6, "Quinta às 14h?"),
    they(18, "sim! meu nome completo é Maria Souza", name="Maria Souza"),
    we(9, "Marcado!", meeting=meeting(FIRST, "scheduled", 2, 14)),
    we(
        0.4, "O link: https://meet.example/1", meeting=meeting(FIRST, "scheduled", 2, 14, link="https://meet.example/1")
    ),
    they(100, "ops, quinta não dá"),
    they(0.6, "sexta às 10?"),
    we(8, "Remarcado para sexta.", meeting=meeting(FIRST, "rescheduled", 3, 10)),
    they(25, "obrigada", name="Maria"),
    they(3, "e o prazo de instalação?", "prazo", "preço"),
    we(9, "Sessenta dias."),
    they(70, "vou ter que cancelar, vou viajar"),
    we(6, "Cancelado, sem problema.", meeting=meeting(FIRST, "cancelled")),
    we(0.3, "Quando fica melhor?"),
    they(35, "sexta mesmo, mas de tarde"),
    we(7, "Sexta às 16h?"),
    they(10, "fechado"),
    we(8, "Marcado!", meeting=meeting(SECOND, "scheduled", 3, 16, link="https://meet.example/2")),
    # The calendar tells of the first one once more.
    we(0.5, "Até sexta!", meeting=meeting(FIRST, "cancelled")),
    they(14, "até, obrigada!", email="maria@example.com"),
]
# The card after so many lines.
STANDS = {1: NEW, 6: NEW, 7: QUALIFYING, 14: QUALIFYING, 18: "DESQUALIFICADO", 19: QUALIFIED, 23: QUALIFIED}
STANDS |= {24: MEETING, 28: MEETING, 33: QUALIFIED, 37: QUALIFIED, 38: MEETING, 39: MEETING, 40: MEETING}
# Reported twice at once, and once more when the talk is over.
DOUBLED = (1, 4, 13, 24, 28, 33, 38)


class Stage:
    """The agent, the worker and the clock."""

    def __init__(self, account: Any, agent: Any, kommo: Any, clock: Any) -> None:
        self.account, self.agent, self.kommo, self.clock = account, agent, kommo, clock
        self.begin = timezone.now()
        self.bodies: list[dict[str, Any]] = []

    def says(self, number: int, line: Line) -> dict[str, Any]:
        self.until(timezone.now() + timedelta(seconds=line.gap))
        sent_at = timezone.now()
        if line.side == "inbound":
            sent_at = (sent_at - BEHIND).replace(microsecond=0)
        message = {"id": f"m{number}", "direction": line.side, "text": line.text, "sent_at": sent_at.isoformat()}
        context = dict(line.context)
        if meeting_facts := context.get("meeting"):
            context["meeting"] = meeting_facts | (
                {"starts_at": self._at(*meeting_facts["starts_at"])} if "starts_at" in meeting_facts else {}
            )
        self.bodies.append({"lead": {"phone": MARIA, **line.lead}, "context": context, "message": message})
        return self.report(self.bodies[-1])

    def report(self, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.agent.post("interactions/", body)
        assert answer.status_code in (200, 201), answer.content
        return dict(answer.json())

    def _at(self, days: int, hour: int) -> str:
        day = self.begin.astimezone(SAO_PAULO) + timedelta(days=days)
        return day.replace(hour=hour, minute=0, second=0, microsecond=0).isoformat()

    def until(self, end: datetime) -> None:
        """Let time pass, sending what falls due on the way."""
        waiting = Enrollment.objects.filter(state="waiting", next_at__lte=end).order_by("next_at")
        while (due := waiting.first()) is not None:
            self.clock.move_to(max(due.next_at, timezone.now()), tick=True)
            moment = timezone.now()
            dispatch.fire(holder="test", until=moment + timedelta(seconds=1), clock=lambda at=moment: at)
        self.clock.move_to(end, tick=True)

    def delivered(self) -> dict[str, Any]:
        while outbox.accounts_with_work(now=timezone.now()):
            drain(rested(self.account))
        [card] = self.kommo.leads()
        return dict(card)


@pytest.fixture
def stage(account, agent, kommo, receiver, settings, monkeypatch):
    settings.AGENT_WEBHOOK_URL = receiver.url
    settings.AGENT_WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    monkeypatch.setattr(dispatch, "STAY_FOR", timedelta(0))
    today = timezone.now().astimezone(SAO_PAULO)
    tuesday = today + timedelta(days=(1 - today.weekday()) % 7 or 7)
    with time_machine.travel(tuesday.replace(hour=10, minute=0, second=0, microsecond=0), tick=True) as clock:
        yield Stage(account, agent, kommo, clock)


def test_forty_messages_end_with_the_right_card_the_right_messages_and_nothing_else(stage, kommo, receiver):
    assert len(TALK) == 40
    for number, line in enumerate(TALK, 1):
        first = stage.says(number, line)
        if number in DOUBLED:
            assert stage.report(stage.bodies[-1]) == first
        if number in STANDS:
            card = stage.delivered()
            assert STANDS[number] in (card["status_id"], card["status_name"]), f"after {number}: {line.text}"
    card, events, writes = stage.delivered(), kinds_of_events(), len(kommo.writes())

    assert card["name"] == "Maria Souza"
    assert values(card) == {BILL: "4500", SOLUTION: "Usina Própria"}
    assert set(card["tags"]) == {"fluxo_instalação_usina_própria", "objecao_preço", "objecao_prazo"}
    # Who writes from DESQUALIFICADO is shown to a person, once a day.
    [note], [_] = card["notes"], card["tasks"]
    assert "DESQUALIFICADO" in note["params"]["text"]
    [contact] = contacts(kommo)
    assert contact["name"] == "Maria Souza"
    assert events[Event.Kind.INTERACTION] == 40
    # New to qualifying, out, in, booked, cancelled, booked.
    assert events[Event.Kind.DECISION] == 6

    for body in stage.bodies:
        stage.report(body)
    assert (stage.delivered(), kinds_of_events(), len(kommo.writes())) == (card, events, writes)

    stage.until(stage.begin + timedelta(days=3, hours=5, minutes=30))
    due = [body["data"] for body in receiver.bodies() if body["type"] == "followup.due"]
    assert [(followup["sequence"], followup["step"]) for followup in due] == [
        ("reengagement", 1),
        ("meeting_reminders", 1),
        ("meeting_reminders", 2),
    ]
    nudge, tomorrow, today = (followup["text"] for followup in due)
    assert "Maria!" in nudge
    assert "amanhã às 16:00" in tomorrow
    assert "hoje às 16:00" in today
    assert "https://meet.example/2" in tomorrow
    assert stage.delivered()["status_id"] == MEETING
    assert Lead.objects.count() == 1


def kinds_of_events() -> Counter[str]:
    return Counter(Event.objects.values_list("kind", flat=True))


def values(card: dict[str, Any]) -> dict[int, str]:
    shown = {
        each_field["field_id"]: each_field["values"][0]["value"] for each_field in card["custom_fields_values"] or ()
    }
    return {BILL: amount(shown[BILL]), SOLUTION: shown[SOLUTION]}


def contacts(kommo: Any) -> list[dict[str, Any]]:
    answer = requests.get(f"{kommo.url}/api/v4/contacts", headers={"Authorization": "Bearer sandbox-token"}, timeout=10)
    return list(answer.json()["_embedded"]["contacts"])
