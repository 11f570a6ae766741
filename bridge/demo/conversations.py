"""The demo's conversations: what each person's agent reports, what people do, and the card that must come of it.

Between them they reach every stage of the solar pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

KOMMO = "kommo"


@dataclass(frozen=True)
class Said:
    """A message and what the agent made of it. `lead` and `context` go into the request as they are.

    heard_by: nobody reports it; this kind of way in hears it, or Kommo's own chat (KOMMO).
    """

    text: str
    lead: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    direction: str = "inbound"
    heard_by: str = ""


@dataclass(frozen=True)
class Conversation:
    """A conversation and the card it must end with: name, stage, fields by their names in Kommo, tags.

    dragged_to: where a seller drags the card in Kommo once it is there; `afterwards` is said after that. is_silent: the
    agent must have been told to keep quiet. follow_ups: how many messages of a sequence must have reached the agent.
    chat: all that must have been said in the card's chat in Kommo, by both sides.
    """

    who: str
    phone: str
    shows: str
    turns: tuple[Said, ...]
    stage: str
    name: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    dragged_to: str = ""
    afterwards: tuple[Said, ...] = ()
    is_silent: bool = False
    follow_ups: int = 0
    chat: tuple[str, ...] = ()


def _next_tuesday() -> datetime:
    """Return two in the afternoon of a Tuesday that is at least two days ahead."""
    soon = datetime.now(ZoneInfo("America/Sao_Paulo")).replace(hour=14, minute=0, second=0, microsecond=0)
    return soon + timedelta(days=2 + (1 - (soon.weekday() + 2)) % 7)


SCHEDULED = {
    "id": "evt_demo_1",
    "status": "scheduled",
    "starts_at": _next_tuesday().isoformat(),
    "link": "https://meet.example/abc",
}
PRESENTED = {"conversation_stage": "estágio_1_apresentar_soluções"}
CHOOSING = {"conversation_stage": "estágio_2_aguardando_escolha"}
QUALIFYING = {"conversation_stage": "qualificação"}
BOOKING = {"conversation_stage": "agendamento"}

CONVERSATIONS = (
    Conversation(
        who="Ana, first message",
        phone="+55 81 98111-0001",
        shows="a card with contact and phone, before anybody knows the name",
        turns=(Said("Oi! Vi o anúncio de vocês."),),
        stage="NOVO LEAD",
    ),
    Conversation(
        who="Bruno, name learned later",
        phone="5581981110002@s.whatsapp.net",
        shows="card and contact get the name",
        turns=(
            Said("Bom dia"),
            Said(
                "Pode me chamar de Bruno Lima", {"name": "Bruno Lima"}, {"conversation_stage": "estágio_0_coleta_nome"}
            ),
        ),
        stage="NOVO LEAD",
        name="Bruno Lima",
    ),
    Conversation(
        who="Carla, solutions presented",
        phone="(81) 98111-0003",
        shows="the four solutions are on the table",
        turns=(
            Said("Quais são as opções?", {"name": "Carla Dias"}),
            Said("Temos quatro soluções…", {}, PRESENTED, "outbound"),
            Said("Ah, que bom! Vou ler com calma."),
        ),
        stage="EM QUALIFICAÇÃO",
        name="Carla Dias",
    ),
    Conversation(
        who="Diego, qualified",
        phone="+5581981110004",
        shows="score 82, bill, flow and objection reach fields and tags",
        turns=(
            Said("Quero alugar um lote", {"name": "Diego Alves", "chosen_flow": "Aluguel de Lote"}, CHOOSING),
            Said(
                "Minha conta vem R$ 4.500,00, mas o preço me preocupa",
                {"bill_value": "R$ 4.500,00", "qualification_score": 82, "is_decision_maker": True},
                QUALIFYING | {"objections_raised": ["preço"]},
            ),
        ),
        stage="QUALIFICADO",
        name="Diego Alves",
        fields={"Valor Conta Energia": "4500", "Solução Solar": "Aluguel de Lote"},
        tags=("fluxo_aluguel_de_lote", "objecao_preço"),
    ),
    Conversation(
        who="Elisa, bill too low",
        phone="+5581981110005",
        shows="disqualified by the bill, though the score is high",
        turns=(
            Said(
                "Pago uns 180 reais",
                {"name": "Elisa Prado", "bill_value": "R$ 180,00", "qualification_score": 90},
                QUALIFYING,
            ),
        ),
        stage="DESQUALIFICADO",
        name="Elisa Prado",
        fields={"Valor Conta Energia": "180"},
    ),
    Conversation(
        who="Fábio, score too low",
        phone="+5581981110006",
        shows="disqualified by the score",
        turns=(
            Said("Só estou curioso", {"name": "Fábio Nunes", "qualification_score": 35}, QUALIFYING),
            Said("Não confio muito nisso", {}, {"objections_raised": ["desconfiança"]}),
        ),
        stage="DESQUALIFICADO",
        name="Fábio Nunes",
        tags=("objecao_desconfiança",),
    ),
    Conversation(
        who="Gabriela, meeting booked",
        phone="+5581981110007",
        shows="a booked meeting moves the card by itself",
        turns=(
            Said(
                "Quero minha própria usina",
                {"name": "Gabriela Rocha", "chosen_flow": "Instalação Usina Própria"},
                CHOOSING,
            ),
            Said(
                "Pode ser terça às 14h",
                {"bill_value": 6200, "qualification_score": 91},
                BOOKING | {"meeting": SCHEDULED},
            ),
        ),
        stage="REUNIÃO AGENDADA",
        name="Gabriela Rocha",
        fields={"Valor Conta Energia": "6200", "Solução Solar": "Usina Própria"},
        tags=("fluxo_instalação_usina_própria",),
    ),
    Conversation(
        who="Hugo, booked, then only talks",
        phone="+5581981110008",
        shows="the card stays in the meeting's stage whatever is said afterwards",
        turns=(
            Said(
                "Fechado, terça",
                {"name": "Hugo Teles", "bill_value": 3900},
                BOOKING | {"meeting": SCHEDULED | {"id": "evt_demo_2"}},
            ),
            Said("Tenho mais uma dúvida sobre o lote", {}, CHOOSING),
            Said("E se o prazo atrasar?", {}, {"objections_raised": ["timing"]}),
        ),
        stage="REUNIÃO AGENDADA",
        name="Hugo Teles",
        fields={"Valor Conta Energia": "3900"},
        tags=("objecao_timing",),
    ),
    Conversation(
        who="Íris, only talks of a meeting",
        phone="+5581981110009",
        shows="talk of a meeting books none: the card stays where it was",
        turns=(
            Said("Quero entender as opções", {"name": "Íris Melo", "chosen_flow": "Compra com Desconto"}, PRESENTED),
            Said("Talvez a gente marque algo", {}, BOOKING),
        ),
        stage="EM QUALIFICAÇÃO",
        name="Íris Melo",
        fields={"Solução Solar": "Compra com Desconto"},
        tags=("fluxo_compra_com_desconto",),
    ),
    Conversation(
        who="João, score not known yet",
        phone="+5581981110010",
        shows="not knowing is never failing: without a score he stays in qualification",
        turns=(Said("Sou o dono, decido sozinho", {"name": "João Silva", "is_decision_maker": True}, QUALIFYING),),
        stage="EM QUALIFICAÇÃO",
        name="João Silva",
    ),
    Conversation(
        who="Karina, a seller takes over",
        phone="+5581981110011",
        shows="a seller drags her card to ATENDIMENTO HUMANO in Kommo, and the agent falls silent",
        turns=(Said("Quero fechar hoje, posso falar com alguém?", {"name": "Karina Pires"}, PRESENTED),),
        dragged_to="ATENDIMENTO HUMANO",
        afterwards=(Said("Alguém aí?"),),
        is_silent=True,
        stage="ATENDIMENTO HUMANO",
        name="Karina Pires",
    ),
    Conversation(
        who="Leandro, never answers",
        phone="+5581981110012",
        shows="three follow-ups reach the agent, nobody answers, and the lead is given up",
        turns=(
            Said("Quanto custa?", {"name": "Leandro Sá"}),
            Said("Depende da sua conta de luz. Quanto vem por mês?", {}, PRESENTED, "outbound"),
        ),
        follow_ups=3,
        stage="NÃO INTERESSADO",
        name="Leandro Sá",
    ),
    Conversation(
        who="Marina, nobody reports her",
        phone="+5581981110013",
        shows="no code: Evolution API and Cal.com tell by themselves, and her booking moves the card",
        turns=(
            Said("Oi! Ainda dá para marcar uma visita?", heard_by="evolution"),
            Said("Dá sim, Marina! Escolha um horário no link.", direction="outbound", heard_by="evolution"),
            Said("Marquei, obrigada!", heard_by="evolution"),
            Said("(a booking in Cal.com)", heard_by="calcom"),
        ),
        stage="REUNIÃO AGENDADA",
        name="Marina Costa",
    ),
    Conversation(
        who="Nádia, wholly inside Kommo",
        phone="+5581981110014",
        shows="ears and mouth: she writes in Kommo's chat; the agent books, which moves the card, and answers there",
        turns=(Said("Oi! Minha conta vem R$ 4.800. Dá para conversar na terça às 14h?", heard_by=KOMMO),),
        stage="REUNIÃO AGENDADA",
        name="Nádia Lopes",
        fields={"Valor Conta Energia": "4800"},
        chat=(
            "Oi! Minha conta vem R$ 4.800. Dá para conversar na terça às 14h?",
            "Com essa conta compensa muito. Marquei nossa conversa para terça às 14h!",
        ),
    ),
)
