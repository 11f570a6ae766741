"""Configuration files tests start from."""

from __future__ import annotations

from pathlib import Path

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
SOLAR = (PLAYBOOKS / "solar.yaml").read_text(encoding="utf-8")
CLINIC = (PLAYBOOKS / "clinic.yaml").read_text(encoding="utf-8")
# As the contract with everybody outside has it.
CONTRACT = """\
pipelines:
  - slug: solar
    name: Funil de Vendas
    kommo_pipeline_id: 11672895          # optional until kommo_connect
    default: true
    locale: pt_BR
    time_zone: America/Sao_Paulo
    phone_region: BR
    meeting_stage: meeting_scheduled
    stages:                               # the first is where a new lead starts; order is rank; automatic moves never go to a lower rank unless `reachable_from_anywhere`
      - {key: new,               name: NOVO LEAD}
      - {key: qualifying,        name: EM QUALIFICAÇÃO}
      - {key: qualified,         name: QUALIFICADO}
      - {key: disqualified,      name: DESQUALIFICADO, reachable_from_anywhere: true}
      - {key: meeting_scheduled, name: REUNIÃO AGENDADA}
      - {key: human_handoff,     name: ATENDIMENTO HUMANO, pauses_agent: true, protected: true}
      - {key: not_interested,    name: NÃO INTERESSADO, reachable_from_anywhere: true, on_reply: qualifying}
    stage_mappings:                       # conversation stage -> what the bridge does; first match wins
      - {conversation_stage: estágio_1_apresentar_soluções, move_to: qualifying}
      - {conversation_stage: estágio_2_aguardando_escolha,  move_to: qualifying}
      - {conversation_stage: qualificação, decide: qualification}
      - {conversation_stage: agendamento,  move_to: meeting_scheduled, only_if: meeting}   # only_if: meeting | always
    qualification:
      min_score: 70
      criteria:
        - {field: bill_value, operator: gte, value: 400, required: false, disqualifies: true}
    flows: [Instalação Usina Própria, Aluguel de Lote, Compra com Desconto, Usina Investimento]
    fields:                               # lead attribute -> Kommo custom field
      - {attribute: bill_value,  kommo_field: Valor Conta Energia, type: numeric}
      - {attribute: chosen_flow, kommo_field: Solução Solar, type: select, options: {Instalação Usina Própria: Usina Própria}}
    tags:
      - {attribute: chosen_flow, template: "fluxo_{value}"}
      - {attribute: objections,  template: "objecao_{value}"}
    sequences:
      - slug: reengagement
        starts_on: agent_unanswered
        steps: [{delay: PT30M, text: "…"}, {delay: PT24H, text: "…"}, {delay: PT48H, text: "…"}]
        give_up_after: PT24H
        give_up_stage: not_interested
      - slug: meeting_reminders
        starts_on: meeting_scheduled
        steps: [{before: PT24H, text: "…"}, {before: PT2H, text: "…"}]
    quiet_hours: {from: "20:00", to: "08:00", weekdays: [mon, tue, wed, thu, fri, sat]}
"""  # noqa: E501

SMALLEST = """\
pipelines:
  - slug: p
    name: P
    stages:
      - {key: new, name: NEW}
      - {key: next, name: NEXT}
"""
