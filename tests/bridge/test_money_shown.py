"""Amounts in the money of the account, as whoever reads them writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import translation

from bridge import account_traits, money_shown
from bridge.kommo.replies import AccountReply
from bridge.models import AccountPipeline


@pytest.mark.parametrize(
    ("language", "amount", "currency", "written"),
    [
        ("pt-br", "4500", "BRL", "R$ 4.500"),
        ("pt-br", "4500.5", "BRL", "R$ 4.500,50"),
        ("en", "4500", "BRL", "R$ 4,500"),
        ("en", "0.99", "USD", "$0.99"),
        ("pt-br", "1000000", "EUR", "€ 1.000.000"),
        ("es", "1234567", "MXN", "MXN 1.234.567"),
    ],
)
def test_an_amount_is_in_the_accounts_money_and_the_readers_language(
    account, pipeline, language, amount, currency, written
):
    account.currency = currency
    account.save()
    with translation.override(language):
        assert money_shown.written(Decimal(amount), pipeline).replace("\xa0", " ") == written


@pytest.mark.parametrize(("region", "currency"), [("BR", "BRL"), ("PT", "EUR"), ("US", "USD")])
def test_until_kommo_has_told_it_is_the_money_of_the_pipelines_country(pipeline, region, currency):
    pipeline.phone_region = region
    assert money_shown.currency_of(pipeline) == currency


def test_the_currencies_of_many_pipelines_take_one_query(account, pipeline, django_assert_num_queries):
    with django_assert_num_queries(1):
        money_shown.learn([pipeline])
        assert money_shown.currency_of(pipeline) == "BRL"


def test_connecting_learns_the_money_of_the_account(account):
    assert account.currency == "BRL"


def test_an_account_connected_before_learns_it_once(account):
    class Asked:
        calls = 0

        def account(self):
            self.calls += 1
            return AccountReply(1, "", "", 1, currency="MXN")

    account.currency, client = "", Asked()
    account_traits.look(account, client)
    account_traits.look(account, client)
    account.refresh_from_db()
    assert (account.currency, client.calls) == ("MXN", 1)


@pytest.mark.parametrize("currency", [None, "", "R$", "brl", "REAIS", 986])
def test_what_is_no_currency_is_not_taken_for_one(currency):
    reply = AccountReply.read({"id": 1, "name": "", "subdomain": "", "currency": currency})
    assert reply.currency == ""


def test_a_pipeline_without_an_account_has_money_too(pipeline):
    AccountPipeline.objects.all().delete()
    assert money_shown.currency_of(pipeline) == "BRL"
