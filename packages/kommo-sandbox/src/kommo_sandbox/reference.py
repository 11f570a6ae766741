"""The account every sandbox starts with: a solar energy sales pipeline in Brazil, still without Desqualificado."""

from __future__ import annotations

from kommo_sandbox.entities import (
    CONTACTS,
    LEADS,
    LOST_STATUS_ID,
    WON_STATUS_ID,
    Enum,
    Field,
    Pipeline,
    Status,
    User,
)
from kommo_sandbox.store import Store

ADMIN_ID = 11087123
PIPELINE_ID = 11672895
INCOMING_STATUS_ID = 89709455

STATUSES = [
    (INCOMING_STATUS_ID, "Etapa de leads de entrada", "#c1c1c1"),
    (89709459, "Novo Lead", "#99ccff"),
    (89709463, "Em Qualificação", "#ffff99"),
    (89709467, "Qualificado", "#deff81"),
    (89709595, "Reunião Agendada", "#ffcc66"),
    (90421387, "Atendimento Humano", "#f3beff"),
    (89709599, "Não Interessado", "#ffc8c8"),
    (WON_STATUS_ID, "Ganho", "#CCFF66"),
    (LOST_STATUS_ID, "Perdido", "#D5D8DB"),
]
OTHER_PIPELINE_ID = 11690011
OTHER_STATUSES = [
    (89820101, "Etapa de leads de entrada", "#c1c1c1"),
    (89820105, "Vistoria Agendada", "#d6eaff"),
    (89820109, "Em Instalação", "#ebffb1"),
    (WON_STATUS_ID, "Ganho", "#CCFF66"),
    (LOST_STATUS_ID, "Perdido", "#D5D8DB"),
]
SOLUTIONS = [
    (326358, "Usina Própria"),
    (326360, "Fazenda Solar"),
    (326362, "Consórcio"),
    (326364, "Consultoria"),
    (326366, "Não Definido"),
    (1078618, "Aluguel de Lote"),
    (1078620, "Compra com Desconto"),
    (1078622, "Usina Investimento"),
]
PHONE_ENUMS = [
    (908101, "WORK"),
    (908103, "WORKDD"),
    (908105, "MOB"),
    (908107, "FAX"),
    (908109, "HOME"),
    (908111, "OTHER"),
]
EMAIL_ENUMS = [(908121, "WORK"), (908123, "PRIV"), (908125, "OTHER")]
UTM_CODES = ["UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM", "REFERRER"]


def load(store: Store) -> None:
    """Fill an empty store with the reference account."""
    store.admin_id = ADMIN_ID
    for user in (
        User(ADMIN_ID, "Integração", "integracao@example.com", is_admin=True),
        User(11087201, "Ana Ribeiro", "ana@example.com"),
        User(11087205, "Bruno Tavares", "bruno@example.com"),
    ):
        store.users[user.id] = user
    store.loss_reasons = {
        8001: "Preço alto",
        8003: "Fechou com concorrente",
        8005: "Sem interesse",
        8007: "Sem retorno",
    }
    store.task_types = {1: "Follow-up", 2: "Reunião"}
    store.bots = {565: "Boas-vindas", 571: "Pesquisa de satisfação"}
    _add_pipeline(store, PIPELINE_ID, "Funil de Vendas", STATUSES, is_main=True)
    _add_pipeline(store, OTHER_PIPELINE_ID, "Pós-venda", OTHER_STATUSES, is_main=False)
    _add_fields(store)


def _add_pipeline(
    store: Store, pipeline_id: int, name: str, statuses: list[tuple[int, str, str]], *, is_main: bool
) -> None:
    pipeline = Pipeline(pipeline_id, name, sort=1 if is_main else 2, is_main=is_main)
    for index, (status_id, status_name, color) in enumerate(statuses):
        closed = status_id in (WON_STATUS_ID, LOST_STATUS_ID)
        pipeline.statuses[status_id] = Status(
            id=status_id,
            name=status_name,
            pipeline_id=pipeline_id,
            # Won and lost stay behind everything else, whatever is added later.
            sort=10_000 + status_id if closed else (index + 1) * 10,
            color=color,
            type=1 if index == 0 else 0,
            is_editable=index > 0 and not closed,
        )
    store.pipelines[pipeline_id] = pipeline


def _add_fields(store: Store) -> None:
    solution_enums = {id_: Enum(id_, text, sort) for sort, (id_, text) in enumerate(SOLUTIONS, start=1)}
    lead_fields = [
        Field(392802, "WhatsApp", "text", LEADS, sort=501),
        Field(392804, "Valor Conta Energia", "numeric", LEADS, sort=502),
        Field(395520, "Link do evento no Google Calendar", "url", LEADS, sort=503),
        Field(392808, "Solução Solar", "select", LEADS, sort=504, enums=solution_enums),
    ]
    for index, code in enumerate(UTM_CODES):
        lead_fields.append(
            Field(
                436_797 + 2 * index,
                code.lower(),
                "tracking_data",
                LEADS,
                sort=510 + index,
                code=code,
                is_predefined=True,
            )
        )
    store.fields[LEADS] = {field.id: field for field in lead_fields}
    contact_fields = [
        Field(436_701, "Cargo", "text", CONTACTS, sort=501, code="POSITION", is_predefined=True),
        _multitext(436_703, "Telefone", "PHONE", PHONE_ENUMS, sort=502),
        _multitext(436_705, "E-mail", "EMAIL", EMAIL_ENUMS, sort=503),
    ]
    store.fields[CONTACTS] = {field.id: field for field in contact_fields}


def _multitext(field_id: int, name: str, code: str, enums: list[tuple[int, str]], *, sort: int) -> Field:
    options = {id_: Enum(id_, text, index, code=text) for index, (id_, text) in enumerate(enums, start=1)}
    return Field(field_id, name, "multitext", CONTACTS, sort=sort, code=code, enums=options, is_predefined=True)
