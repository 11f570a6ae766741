"""Lists as files: the whole filtered list, whatever its length, and never a formula."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone, translation
from hypothesis import example, given
from hypothesis import strategies as st

from bridge import roles
from bridge.admin.export import HARMLESS, _Echo, columns_of, line_of, safe
from bridge.models import Account, Card
from bridge.reasons import in_words
from leads.models import Lead
from tests.bridge.admin.people import client_of
from tests.conftest import drain, record

NOW = timezone.now()
LEADS = "/admin/leads/lead/"


def csv_of(answer):
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\tMaria", "'\tMaria"),
        ("Joao;=cmd|'/c calc'!A1;", "Joao;'=cmd|'/c calc'!A1;"),
        ("a\n@b", "a\n'@b"),
        ('a; "-1', "a;' \"-1"),
        ("a,＝b", "a,'＝b"),
        ("\u2003=1", "'\u2003=1"),
        ("a;\x0b\u200b@b", "a;'\x0b\u200b@b"),
        ("\ufeff\u3000-1+b", "'\ufeff\u3000-1+b"),
        ("+5581999990000", "+5581999990000"),
        ("-12.5", "-12.5"),
        ("Maria", "Maria"),
        (None, ""),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_no_cell_is_a_formula(typed, written):
    assert safe(typed) == written


TYPED = st.text(
    alphabet=st.sampled_from("aé1 =+-@;,|\t\r\n\"'＝\x0b\x0c\x7f\u00a0\u2003\u2028\u200b\ufeff"), max_size=12
)
NOT_SEEN = " \x0b\x0c\x7f\u00a0\u2003\u2028\u200b\ufeff"


@given(st.lists(TYPED, min_size=1, max_size=3))
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_whatever_separator_a_spreadsheet_reads_by_no_cell_of_it_is_a_formula(separator, row):
    line = csv.writer(_Echo()).writerow(line_of(row))

    for cells in csv.reader(io.StringIO(line, newline=""), delimiter=separator):
        for cell in cells:
            assert not cell.lstrip(NOT_SEEN).startswith(("=", "+", "-", "@", "＝")) or HARMLESS.match(cell)


@given(TYPED)
@example("1+cmd|'/c calc'!A1;")
@pytest.mark.parametrize("number", ["+5581999990000", "-12.5"])
def test_a_number_before_a_comma_begins_no_formula_with_what_follows(number, name):
    for row in ((number, name), (name, number, name)):
        line = csv.writer(_Echo()).writerow(line_of(row))
        for cells in csv.reader(io.StringIO(line, newline=""), delimiter=";"):
            for cell in cells:
                assert not cell.startswith((number[0], "=", "@")) or HARMLESS.match(cell)


def test_a_manager_takes_the_filtered_list_out_and_it_is_on_the_record(pipeline):
    record(pipeline, "+5581990000001", name="=HOJE()", bill_value=4500)
    record(
        pipeline, "+5581990000002", name="Rita", context={"conversation_stage": "qualificação"}, is_decision_maker=True
    )
    manager = client_of(roles.MANAGER)

    rows = csv_of(manager.get(LEADS, {"_export": "csv"}))

    assert {row["name"] for row in rows} == {"'=HOJE()", "Rita"}
    assert {row["phone"] for row in rows} == {"+5581990000001", "+5581990000002"}
    assert [line.change_message for line in LogEntry.objects.all()] == ["Took the list out as csv"]


EXPORTED = ("leads/lead", "leads/event", "followups/enrollment", "bridge/card", "bridge/delivery")


@pytest.mark.parametrize("kind", ["csv", "sheet"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_file_that_staff_take_out_holds_a_formula_however_it_is_read(pipeline, account, separator, kind):
    """Whole files, with their heads, ids and JSON, in which strangers have chosen names, facts and words."""
    signs = ["=1+1", "+1|2", "-1|2", "@a", "＝a", "\t=a", "a;=b", "a\n@b", 'a";"=b', "a,+b|c", "a;\t-b|c", "\";'=a"]
    for number, text in enumerate(signs):
        record(pipeline, f"+558199000{number:04d}", name=text, custom={text: text, "k": {"a": text}}, chosen_flow=text)
    manager = client_of(roles.MANAGER)
    for page in EXPORTED:
        answer = manager.get(f"/admin/{page}/", {"_export": kind}, headers={"accept-language": "pt-br"})
        file_text = b"".join(answer.streaming_content).decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(file_text, newline=""), delimiter=separator))
        assert len(lines) > 1 or page in ("followups/enrollment", "bridge/delivery")
        for cell in (cell for line in lines for cell in line):
            assert not cell.lstrip(NOT_SEEN).startswith(("=", "+", "-", "@", "＝")) or HARMLESS.match(cell), (
                page,
                cell,
            )


def test_a_list_longer_than_a_page_is_taken_out_whole_in_a_constant_number_of_queries(
    pipeline, django_assert_max_num_queries
):
    stage = pipeline.stages.order_by("rank").first()
    Lead.objects.bulk_create(
        Lead(
            pipeline=pipeline,
            stage=stage,
            phone=f"+55819{number:08d}",
            phone_key=f"+55819{number:08d}",
            stage_set_at=NOW,
            created_at=NOW,
            updated_at=NOW,
        )
        for number in range(5000)
    )
    manager = client_of(roles.MANAGER)

    with django_assert_max_num_queries(20):
        rows = csv_of(manager.get(LEADS, {"_export": "csv"}))

    assert len({row["phone"] for row in rows}) == 5000


def test_a_workbook_holds_text_and_numbers_and_no_formula(pipeline):
    record(pipeline, "+5581990000001", name="=HOJE()", bill_value=4500)

    answer = client_of(roles.MANAGER).get(LEADS, {"_export": "xlsx"})

    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "=HOJE()" in sheet
    assert "<f>" not in sheet
    assert "<v>4500</v>" in sheet


@pytest.mark.parametrize("role", [roles.READER, roles.SELLER])
def test_below_a_manager_nobody_takes_lists_out(full, role):
    client = client_of(role)
    assert client.get(LEADS, {"_export": "csv"}).status_code == 403
    assert "_export" not in client.get(LEADS).content.decode()


def test_no_file_has_a_column_of_secrets():
    names = {name for name, _ in columns_of(Account)}
    assert "base_url" in names
    assert not names & {"access_token", "refresh_token", "client_secret", "webhook_secret"}


# --- What people open


def lines_of(answer, separator):
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=separator))


@pytest.mark.parametrize(
    ("language", "separator", "worth", "head"),
    [("pt-br", ";", "4500,50", "moeda"), ("es", ";", "4500,50", "moneda"), ("en", ",", "4500.50", "currency")],
)
def test_what_a_spreadsheet_opens_is_written_as_its_reader_writes(pipeline, account, language, separator, worth, head):
    record(pipeline, "+5581990000001", name="Rita", bill_value="4500.50", is_decision_maker=True)
    drain(account)
    manager = client_of(roles.MANAGER)

    answer = manager.get(LEADS, {"_export": "sheet"}, headers={"accept-language": language})
    [row] = lines_of(answer, separator)

    assert worth in row.values()
    assert row[head] == "BRL"
    with translation.override(language):
        assert str(Card.State.IN_SYNC.label) in row.values()


def test_what_programs_read_stays_as_it_is_stored_whatever_the_language(pipeline, account):
    record(pipeline, "+5581990000001", name="Rita", bill_value="4500.50")
    drain(account)
    manager = client_of(roles.MANAGER)

    answer = manager.get(LEADS, {"_export": "csv"}, headers={"accept-language": "pt-br"})
    [row] = lines_of(answer, ",")

    assert {"4500.50", "in_sync", "BRL"} <= set(row.values())


def test_the_workbook_says_states_and_reasons_in_the_language_of_its_reader(pipeline, account):
    record(pipeline, "+5581990000001", name="Rita")
    Lead.objects.update(decision_reason="moved in Kommo to GANHO")
    drain(account)
    answer = client_of(roles.MANAGER).get(LEADS, {"_export": "xlsx"}, headers={"accept-language": "pt-br"})
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    with translation.override("pt-br"):
        assert in_words("moved in Kommo to GANHO") in sheet
        assert str(Card.State.IN_SYNC.label) in sheet
    assert "in_sync" not in sheet
