"""An independent public client works against the sandbox as against an account."""

from __future__ import annotations

import asyncio

from aioamocrm import AmoCRMClient, Contact, Lead, LongLivedToken, MemoryTokenStorage, OAuth2

from sandbox_calls import QUALIFIED


def test_it_creates_updates_lists_and_tags_leads(api):
    async def use() -> None:
        auth = LongLivedToken("sandbox-token")
        async with AmoCRMClient(base_url=api.url, auth=auth, rate_limit=None) as amo:
            assert (await amo.account.get()).id == 30000001
            [lead] = await amo.leads.create([Lead(name="Maria", price=5000)])
            [contact] = await amo.contacts.create([Contact(name="Maria Souza")])
            assert contact.id
            await amo.leads.update([Lead(id=lead.id, name="Maria Souza", status_id=QUALIFIED)])
            await amo.leads.update([Lead(id=lead.id, tags_to_add=[{"name": "fluxo_a"}])])
            listed = [
                listed_lead async for listed_lead in amo.leads.iterate(filter={"id": [lead.id]}, with_=["contacts"])
            ]
            assert [(listed_lead.name, listed_lead.price, listed_lead.status_id) for listed_lead in listed] == [
                ("Maria Souza", 5000, QUALIFIED)
            ]
            pipelines = await amo.pipelines.list()
            assert pipelines[0].id == 11672895

    asyncio.run(use())
    [lead] = api.control("GET", "leads").json()["leads"]
    assert lead["tags"] == ["fluxo_a"]


def test_it_gets_and_refreshes_tokens(api):
    api.options(strict_tokens=True)
    code = api.staff("oauth/code")["code"]

    async def use() -> None:
        oauth = OAuth2(
            client_id="sandbox-client",
            client_secret="sandbox-secret",
            redirect_uri="https://bridge.example/oauth/",
            storage=MemoryTokenStorage(),
        )
        async with AmoCRMClient(base_url=api.url, auth=oauth, rate_limit=None) as amo:
            await amo.exchange_code(code)
            assert (await amo.account.get()).id == 30000001
            api.staff("tokens/expire")
            assert (await amo.account.get()).id == 30000001

    asyncio.run(use())
