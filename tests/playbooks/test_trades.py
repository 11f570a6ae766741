"""Six trades that differ, each played against the local Kommo; docs/playbooks.md tells of them what is seen here."""

from __future__ import annotations

from bridge.configuration import yaml_file
from leads.models import Pipeline
from tests.conftest import amount
from tests.playbooks.office import page
from tests.repository import ROOT

ANA, BETO, CAIO, DORA, EVA = (f"+5511999990{number:03d}" for number in range(1, 6))
LUZ, MEMO, NINA, OLGA = (f"+5255123400{number:02d}" for number in range(1, 5))
PAT, QUINN, ROSE, SAM = (f"+1212555010{number}" for number in range(1, 5))
TRADES = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yaml"))


def test_the_page_tells_of_every_playbook_and_of_no_other():
    assert len(TRADES) == 6
    for trade in TRADES:
        conversations, messages = page(trade)
        assert len(conversations) >= 4 and messages, trade


def test_the_trades_really_differ():
    """No two judge by the same criteria, or have the same stages, hours or messages."""
    pipelines = [yaml_file.parse((ROOT / "playbooks" / f"{trade}.yaml").read_bytes()).pipelines[0] for trade in TRADES]
    for part in ("stages", "qualification", "flows", "fields", "sequences", "quiet_hours"):
        assert len({repr(getattr(pipeline, part)) for pipeline in pipelines}) == len(TRADES), part


def test_solar(office):
    solar = office("solar")
    solar.turn(
        "Ana chooses to buy at a discount",
        ANA,
        "estágio_1_apresentar_soluções",
        name="Ana",
        chosen_flow="Compra com Desconto",
    )
    solar.turn(
        "Ana tells her bill, 4,500, and scores 82",
        ANA,
        "qualificação",
        bill_value=4500,
        qualification_score=82,
        objections=["preço"],
    )
    solar.turn("Beto's bill is 180", BETO, "qualificação", name="Beto", bill_value=180, qualification_score=90)
    solar.turn("Caio scores 40", CAIO, "qualificação", name="Caio", qualification_score=40)
    solar.books("Ana books a meeting", ANA, days=7)
    solar.turn("Ana goes on talking", ANA, "qualificação")
    assert (solar.rows, solar.messages("reengagement", "meeting_reminders")) == page("solar")
    cards = solar.cards()
    assert {phone: card["status_name"].upper() for phone, card in cards.items()} == {
        ANA: "REUNIÃO AGENDADA",
        BETO: "DESQUALIFICADO",
        CAIO: "DESQUALIFICADO",
    }
    assert set(cards[ANA]["tags"]) == {"fluxo_compra_com_desconto", "objecao_preço"}


def test_a_clinic(office):
    clinic = office("clinic")
    clinic.turn("Ana says hello", ANA, "saudação", name="Ana")
    clinic.turn(
        "Beto has Unimed and wants a general appointment",
        BETO,
        "convênio",
        name="Beto",
        chosen_flow="Clínica Geral",
        custom={"convenio": "Unimed"},
    )
    clinic.turn(
        "Caio, 40, asks for the paediatrician",
        CAIO,
        "convênio",
        name="Caio",
        chosen_flow="Pediatria",
        custom={"convenio": "Unimed", "idade": 40},
    )
    clinic.turn(
        "Dora wants exams and has no referral yet",
        DORA,
        "escolha de horário",
        name="Dora",
        chosen_flow="Exames",
        custom={"convenio": "Particular"},
    )
    clinic.books("Dora is booked all the same", DORA, days=7)
    clinic.turn("Eva has chest pain", EVA, "urgência", name="Eva", objections=["dor"])
    assert (clinic.rows, clinic.messages("retomada", "lembretes")) == page("clinic")
    cards = clinic.cards()
    assert cards[BETO]["fields"]["Especialidade"] == "Clínico"
    assert amount(cards[CAIO]["fields"]["Idade"]) == "40"
    assert cards[EVA]["tags"] == ["receio_dor"]
    assert not clinic.may_reply(EVA) and clinic.may_reply(DORA)


def test_an_estate_agent(office):
    agency = office("real_estate")
    agency.turn("Ana says hello", ANA, "recepção", name="Ana")
    agency.turn("Ana wants to rent in Pinheiros", ANA, "perfil", chosen_flow="Locação", custom={"bairro": "Pinheiros"})
    agency.turn("Ana earns 5,000", ANA, "crédito", custom={"renda": 5000})
    agency.turn(
        "Beto wants to buy, and the bank said no",
        BETO,
        "crédito",
        name="Beto",
        chosen_flow="Compra",
        custom={"bairro": "Moema", "credito_aprovado": False},
        objections=["juros"],
    )
    agency.turn("Beto writes again: the bank agreed", BETO, "crédito", custom={"credito_aprovado": True})
    agency.books("Ana is to see a flat", ANA, days=7)
    agency.books("Ana calls the visit off", ANA, days=7, status="cancelled")
    agency.turn("Caio makes an offer", CAIO, "proposta", name="Caio", chosen_flow="Lançamento")
    assert (agency.rows, agency.messages("retomada", "visita")) == page("real_estate")
    cards = agency.cards()
    assert cards[ANA]["fields"]["Interesse"] == "Alugar"
    assert amount(cards[ANA]["fields"]["Renda familiar"]) == "5000"
    assert set(cards[BETO]["tags"]) == {"interesse_compra", "receio_juros"}
    assert not agency.may_reply(CAIO)


def test_a_school(office):
    school = office("school")
    school.turn("Luz asks for German", LUZ, "nivel", name="Luz", chosen_flow="Alemán")
    school.turn("Luz is 31", LUZ, "horario", custom={"edad": 31, "horario": "noche"})
    school.turn(
        "Memo, 14, can come in the evening only",
        MEMO,
        "horario",
        name="Memo",
        chosen_flow="Inglés para jóvenes",
        custom={"edad": 14, "horario": "noche"},
    )
    school.turn("Memo can come in the afternoon after all", MEMO, "horario", custom={"horario": "tarde"})
    school.books("Luz comes to a trial class", LUZ, days=7)
    school.turn("Luz asks how to pay", LUZ, "inscripción")
    school.turn("Nina asks for a scholarship", NINA, "beca", name="Nina", objections=["precio"])
    school.turn("Olga is 9", OLGA, "nivel", name="Olga", chosen_flow="Francés", custom={"edad": 9})
    assert (school.rows, school.messages("seguimiento", "recordatorios")) == page("school")
    cards = school.cards()
    assert cards[LUZ]["fields"]["Curso"] == "Alemán"
    assert cards[NINA]["tags"] == ["duda_precio"]
    assert not school.may_reply(NINA)


def test_a_car_dealer(office):
    dealer = office("car_dealer")
    dealer.turn("Ana asks for a model", ANA, "modelo", name="Ana", chosen_flow="Seminovo", custom={"modelo": "Onix"})
    dealer.turn("Ana pays by instalments", ANA, "pagamento", custom={"pagamento": "financiado", "entrada": 12000})
    dealer.books("Ana books a test drive", ANA, days=7)
    dealer.turn("Ana has a car to give in part exchange", ANA, "usado na troca")
    dealer.turn("Beto has a car to give in part exchange", BETO, "usado na troca", name="Beto")
    dealer.turn("Caio asks for the last price", CAIO, "preço", name="Caio", objections=["concorrente"])
    dealer.turn(
        "Dora pays with bitcoin", DORA, "pagamento", name="Dora", custom={"modelo": "Kicks", "pagamento": "bitcoin"}
    )
    assert (dealer.rows, dealer.messages("rapido", "test_drive")) == page("car_dealer")
    cards = dealer.cards()
    assert cards[ANA]["fields"]["Forma de pagamento"] == "Financiado"
    assert amount(cards[ANA]["fields"]["Valor de entrada"]) == "12000"
    assert cards[CAIO]["tags"] == ["objecao_concorrente"]
    assert not dealer.may_reply(CAIO) and dealer.may_reply(DORA)


def test_an_agency(office):
    agency = office("agency")
    agency.turn(
        "Pat spends 5,000 a month and scores 70",
        PAT,
        "discovery",
        name="Pat",
        qualification_score=70,
        custom={"monthly_budget": 5000, "company": "Acme"},
    )
    agency.turn(
        "Pat decides alone and gives an e-mail", PAT, "budget", is_decision_maker=True, email="pat@acme.example"
    )
    agency.turn(
        "Quinn has 500 a month",
        QUINN,
        "budget",
        name="Quinn",
        qualification_score=80,
        custom={"monthly_budget": 500},
        objections=["price"],
    )
    agency.turn(
        "Rose wants paid media and has an agency",
        ROSE,
        "booking",
        name="Rose",
        chosen_flow="Paid media",
        qualification_score=60,
        is_decision_maker=True,
        email="rose@shop.example",
        custom={"monthly_budget": 9000, "current_agency": "Other & Co"},
    )
    agency.books("Pat books a call", PAT, days=7)
    agency.turn("Sam complains", SAM, "complaint", name="Sam")
    assert (agency.rows, agency.messages("cadence", "call")) == page("agency")
    cards = agency.cards()
    assert amount(cards[PAT]["fields"]["Monthly budget"]) == "5000"
    assert cards[PAT]["fields"]["Work e-mail"] == "pat@acme.example"
    assert cards[QUINN]["tags"] == ["objection_price"]
    assert not agency.may_reply(SAM)
    # A client is noted and judged by nobody, and the agent leaves them to their account manager.
    clients = Pipeline.objects.get(slug="clients")
    agency.pipeline = clients
    agency.turn("Pat's colleague, a client, writes", "+12125550199", "budget", custom={"monthly_budget": 1})
    assert agency.rows[-1][1] == "ACTIVE CLIENT"
    assert not agency.may_reply("+12125550199")
