"""`client_work.py CLIENT URL COUNT`: create leads by one public client, run by benchmarks/other_clients.py.

Runs in an environment of the clients' own and imports nothing of this project. Ends with 3 where the client is missing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

BATCH = 50
NOT_THERE = 3


def by_aioamocrm(url: str, leads: list[dict[str, Any]]) -> None:
    from aioamocrm import AmoCRMClient, LongLivedToken

    async def create() -> None:
        async with AmoCRMClient(base_url=url, auth=LongLivedToken("sandbox-token")) as client:
            await client.leads.create(leads, batch_size=BATCH)

    asyncio.run(create())


def by_amochka(url: str, leads: list[dict[str, Any]]) -> None:
    from amochka import AmoCRMClient, CacheConfig

    os.environ |= {"AMOCRM_ACCESS_TOKEN": "sandbox-token", "AMOCRM_EXPIRES_AT": "4102444800"}
    # It takes Kommo's own addresses alone.
    client = AmoCRMClient("https://sandbox.kommo.com", cache_config=CacheConfig.disabled(), disable_logging=True)
    client.base_url = url
    for start in range(0, len(leads), BATCH):
        client.create_leads(leads[start : start + BATCH])


def by_amocrm_api(url: str, leads: list[dict[str, Any]]) -> None:
    from amocrm.v2.entity.lead import LeadsInteraction

    class Tokens:
        def get_access_token(self) -> str:
            return "sandbox-token"

    class Leads(LeadsInteraction):
        def _get_url(self, path: str) -> str:
            return f"{url}/api/v4/{path}"

    interaction = Leads(token_manager=Tokens())
    # One a call is what it can.
    for lead in leads:
        interaction.create(lead)


WORK = {"aioamocrm": by_aioamocrm, "amochka": by_amochka, "amocrm-api": by_amocrm_api}


def main() -> int:
    _, client, url, count = sys.argv
    try:
        WORK[client](url, [{"name": f"Pessoa {number}", "price": 100} for number in range(int(count))])
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        return NOT_THERE
    return 0


if __name__ == "__main__":
    sys.exit(main())
