"""The rules of the pipeline that comes installed, as plain values."""

from __future__ import annotations

from decimal import Decimal

from leads.rules import Criterion, MappingAction, MappingRule, OnlyIf, QualificationRule, Rules, StageKind, StageRule

STAGES = (
    StageRule("new", "NOVO LEAD", 0),
    StageRule("qualifying", "EM QUALIFICAÇÃO", 1),
    StageRule("qualified", "QUALIFICADO", 2),
    StageRule("disqualified", "DESQUALIFICADO", 3, reachable_from_anywhere=True),
    StageRule("meeting_scheduled", "REUNIÃO AGENDADA", 4),
    StageRule("human_handoff", "ATENDIMENTO HUMANO", 5, pauses_agent=True, protected=True),
    StageRule("not_interested", "NÃO INTERESSADO", 6, reachable_from_anywhere=True, on_reply="qualifying"),
    StageRule("won", "GANHO", 7, kind=StageKind.WON),
    StageRule("lost", "PERDIDO", 8, kind=StageKind.LOST),
)
RULES = Rules(
    pipeline="solar",
    stages=STAGES,
    mappings=(
        MappingRule(1, "estágio_1_apresentar_soluções", MappingAction.MOVE, "qualifying"),
        MappingRule(2, "qualificação", MappingAction.QUALIFY),
        MappingRule(3, "agendamento", MappingAction.MOVE, "meeting_scheduled", OnlyIf.MEETING),
        MappingRule(4, "início", MappingAction.NOTHING),
    ),
    qualification=QualificationRule(Decimal(70), (Criterion(1, "bill_value", "gte", 400, disqualifies=True),)),
    meeting_stage="meeting_scheduled",
)
