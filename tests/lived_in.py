"""An account of Kommo that people have lived in for years: three hundred cards of every shape we know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kommo_sandbox.entities import Pipeline, Status
from kommo_sandbox.staff import Kommo
from kommo_sandbox.store import Store

NEW, QUALIFYING, QUALIFIED, MEETING, HANDOFF, NOT_INTERESTED = (
    89709459, 89709463, 89709467, 89709595, 90421387, 89709599,
)  # fmt: skip
WON, LOST = 142, 143
PLACE, AFTER_SALES, INSTALLING = 11672895, 11690011, 89820109
OLD_PIPELINE, OLD_STAGE = 11690999, 89820999
WHATSAPP, BILL, LINK, SOLUTION = 392802, 392804, 395520, 392808
# Options of “Solução Solar”: one our flows have the name of, and one nobody has mapped.
RENT, UNMAPPED = 1078618, 326366
ROBOT = 0


@dataclass
class Inhabitant:
    """One card with what is known of it from outside: how it looked before we came, and who is reached by it."""

    kind: str
    kommo_id: int
    before: dict[str, Any]
    phones: list[str] = field(default_factory=list)
    status_id: int = NEW

    @property
    def in_care(self) -> bool:
        return self.status_id == HANDOFF


@dataclass
class LivedIn:
    kommo: Kommo
    inhabitants: list[Inhabitant] = field(default_factory=list)
    account: Any = None
    pipeline: Any = None
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def of(self, *kinds: str) -> list[Inhabitant]:
        return [inhabitant for inhabitant in self.inhabitants if inhabitant.kind in kinds]

    def number(self) -> str:
        return f"+55819{88000000 + next(self._numbers)}"

    def move_in(self, kind: str, *, phones: list[str] | None = None, **body: Any) -> Inhabitant:
        numbers = [self.number()] if phones is None else phones
        made = self.kommo.post("leads", {"name": f"{kind} {len(self.inhabitants)}", "phones": numbers, **body})
        inhabitant = Inhabitant(kind, made["id"], {}, numbers, made["status_id"])
        self.inhabitants.append(inhabitant)
        return inhabitant

    def remember(self) -> None:
        leads = {lead["id"]: lead for lead in self.kommo.leads()}
        for inhabitant in self.inhabitants:
            inhabitant.before = leads[inhabitant.kommo_id]

    def changed(self) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
        """Return the cards that look otherwise than before, by what they looked like before and now."""
        leads = {lead["id"]: lead for lead in self.kommo.leads()}
        return {
            inhabitant.kommo_id: (inhabitant.before, leads[inhabitant.kommo_id])
            for inhabitant in self.inhabitants
            if leads[inhabitant.kommo_id] != inhabitant.before
        }


def value(field_id: int, content: Any) -> dict[str, Any]:
    key = "enum_id" if field_id == SOLUTION else "value"
    return {"field_id": field_id, "values": [{key: content}]}


def live_in(kommo: Kommo, store: Store, *, rounds: int = 15) -> LivedIn:
    """Fill the account: twenty-three shapes, `rounds` of each."""
    home = LivedIn(kommo)
    old = Pipeline(OLD_PIPELINE, "Funil de 2019", 90, is_main=False)
    old.statuses[OLD_STAGE] = Status(OLD_STAGE, "Proposta", OLD_PIPELINE, 10, "#fffeb2")
    store.pipelines[OLD_PIPELINE] = old
    for at in range(rounds):
        for kind, body in SHAPES.items():
            made = body(home, at)
            home.move_in(kind, **made)
        _second_contact(home)
        _twice(home)
    # Put away only now: nothing is made in an archived pipeline.
    old.is_archive = True
    home.remember()
    return home


def _second_contact(home: LivedIn) -> None:
    inhabitant = home.move_in("two contacts", stage="Em Qualificação")
    number = home.number()
    home.kommo.post(f"leads/{inhabitant.kommo_id}/main_contact", {"name": "Marido", "phone": number})
    inhabitant.phones.append(number)


def _twice(home: LivedIn) -> None:
    """One person who has written to two sellers, and has a card of each; the newer one is worked on."""
    older = home.move_in("the older of two", stage="Não Interessado")
    home.move_in("the newer of two", phones=older.phones, stage="Em Qualificação")


Shape = Callable[[LivedIn, int], dict[str, Any]]

SHAPES: dict[str, Shape] = {
    "made by staff": lambda home, at: {"custom_fields_values": [value(BILL, str(300 + 50 * at))], "price": 1000},
    "made by a form": lambda home, at: {"user_id": ROBOT, "name": f"Lead do site {at}"},
    "in human care": lambda home, at: {"stage": "Atendimento Humano", "custom_fields_values": [value(BILL, "777")]},
    "in human care without a name": lambda home, at: {"stage": "Atendimento Humano", "name": ""},
    "qualified": lambda home, at: {
        "stage": "Qualificado",
        "tags": ["fluxo_aluguel_de_lote", "objecao_preço", "vip"],
        "custom_fields_values": [value(BILL, "4500"), value(SOLUTION, RENT)],
    },
    "our tags alone": lambda home, at: {"tags": ["fluxo_usina_própria", "objecao_prazo"]},
    "foreign tags": lambda home, at: {"tags": ["Indicação", "2019", "quente"]},
    "an option nobody mapped": lambda home, at: {"custom_fields_values": [value(SOLUTION, UNMAPPED)]},
    "an absurd number": lambda home, at: {"custom_fields_values": [value(BILL, "5581999990000"[: 13 + at % 2] + "0")]},
    "a link of staff": lambda home, at: {"custom_fields_values": [value(LINK, f"https://calendar.example/{at}")]},
    "won": lambda home, at: {"status_id": WON},
    "lost": lambda home, at: {"status_id": LOST},
    "after sales": lambda home, at: {"pipeline_id": AFTER_SALES, "status_id": INSTALLING},
    "in an archived pipeline": lambda home, at: {"pipeline_id": OLD_PIPELINE, "status_id": OLD_STAGE},
    "without a contact": lambda home, at: {"phones": []},
    "three numbers": lambda home, at: {"phones": [home.number() for _ in range(3)]},
    "a phone in a field": lambda home, at: {"phones": [], "custom_fields_values": [value(WHATSAPP, home.number())]},
    "an odd name": lambda home, at: {"name": ["  Ana  ", "🌞 Sol", "x" * 255, "+55 81 3333-4444", "null"][at % 5]},
    "not interested": lambda home, at: {"stage": "Não Interessado"},
    "in incoming leads": lambda home, at: {"incoming": True},
}
