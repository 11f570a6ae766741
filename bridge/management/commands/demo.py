from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from bridge.demo.checking import Verdict, check
from bridge.demo.conversations import CONVERSATIONS, Conversation
from bridge.demo.stage import Stage, StageError, free_port, until

LOGIN, PASSWORD = "demo", "demo-only-here"
ARRIVE_WITHIN_SECONDS = 60
PAUSE_SECONDS = 1.2


class Command(BaseCommand):
    help = (
        "Play conversations against a local Kommo, web server and worker as separate processes on a fresh database. "
        "Keeps running until Ctrl-C; with --once, checks card by card and ends."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="play, check every card, print a table, and end")
        parser.add_argument("--port", type=int, default=8000, help="of the web server (default %(default)s)")
        parser.add_argument("--sandbox-port", type=int, default=8010, help="of the local Kommo (default %(default)s)")

    def handle(self, *, once: bool, port: int, sandbox_port: int, **_: Any) -> None:
        signal.signal(signal.SIGTERM, _interrupt)
        directory = Path(settings.BASE_DIR) / "data" / "demo"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        stage = Stage(directory, web_port=free_port(port), sandbox_port=free_port(sandbox_port))
        try:
            with stage:
                self._play(stage, once)
        except StageError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def _play(self, stage: Stage, once: bool) -> None:
        key = self._set_up(stage)
        if not once:
            self._say_where(stage, key)
        self.stdout.write(f"Playing {len(CONVERSATIONS)} conversations …")
        for conversation in CONVERSATIONS:
            self.stdout.write(f"  {conversation.who}")
            for number, said in enumerate(conversation.said):
                _report(stage, key, conversation, number)
                if not once:
                    time.sleep(PAUSE_SECONDS)
                    self.stdout.write(f"      “{said.text}”")
        verdicts = self._wait_for_cards(stage)
        self._print(verdicts)
        wrong = [verdict for verdict in verdicts if verdict.problems]
        if once:
            if wrong:
                raise CommandError(f"{len(wrong)} of {len(verdicts)} cards are not as they should be.")
            self.stdout.write(f"All {len(verdicts)} cards are as their conversations say.")
            return
        self._say_where(stage, key)
        self.stdout.write("Ctrl-C stops everything.")
        while True:
            time.sleep(3600)

    def _set_up(self, stage: Stage) -> str:
        self.stdout.write("Making a fresh database …")
        stage.manage("migrate", "--verbosity", "0")
        stage.manage(
            "createsuperuser", "--noinput", "--username", LOGIN, "--email", "demo@example.com",
            DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        )  # fmt: skip
        self.stdout.write("Starting a local Kommo, the web server and the worker …")
        stage.start_sandbox()
        stage.manage("kommo_connect", "--create-missing", "--webhook-url", stage.web_url)
        key = stage.manage("api_key", "demo-agent")
        stage.start_web()
        stage.start_worker()
        return key

    def _wait_for_cards(self, stage: Stage) -> list[Verdict]:
        """Return the verdicts once every card is right, or as they are when time is up."""
        self.stdout.write("Waiting until everything has reached Kommo …")
        last: list[Verdict] = []

        def all_right() -> bool:
            last[:] = check(stage.sandbox_url)
            return not any(verdict.problems for verdict in last)

        until(all_right, within_seconds=ARRIVE_WITHIN_SECONDS, every_seconds=0.5)
        return last

    def _print(self, verdicts: list[Verdict]) -> None:
        width = max(len(verdict.conversation.who) for verdict in verdicts)
        stages = max(len(verdict.stage) for verdict in verdicts)
        self.stdout.write(f"\n     {'conversation':<{width}}  {'stage in Kommo':<{stages}}  card")
        for verdict in verdicts:
            mark = "✗" if verdict.problems else "✓"
            self.stdout.write(
                f"  {mark}  {verdict.conversation.who:<{width}}  {verdict.stage:<{stages}}  {verdict.card}"
            )
            self.stdout.write(f"     {'':<{width}}  {'':<{stages}}  {verdict.conversation.shows}")
            for problem in verdict.problems:
                self.stdout.write(f"     {'':<{width}}  {'':<{stages}}  → {problem}")
        self.stdout.write("")

    def _say_where(self, stage: Stage, key: str) -> None:
        self.stdout.write(
            f"\n  Board in the local Kommo   {stage.sandbox_url}/\n"
            f"  Admin                      {stage.web_url}/admin/   login {LOGIN}, password {PASSWORD}\n"
            f"  API                        {stage.web_url}/api/docs/\n\n"
            "  Move a card yourself:\n"
            f"    curl {stage.web_url}/api/v1/interactions/ -H 'Authorization: Api-Key {key}' \\\n"
            '      -H \'Content-Type: application/json\' -d \'{"lead": {"phone": "+55 81 99999-0000", '
            '"name": "Maria Souza", "qualification_score": 82}, '
            '"context": {"conversation_stage": "qualificação"}}\'\n'
        )


def _report(stage: Stage, key: str, conversation: Conversation, number: int) -> None:
    said = conversation.said[number]
    body: dict[str, Any] = {
        "lead": {"phone": conversation.phone, **said.lead},
        "message": {"id": f"{conversation.phone}/{number}", "direction": said.direction, "text": said.text},
    }
    if said.context:
        body["context"] = said.context
    answer = requests.post(
        f"{stage.web_url}/api/v1/interactions/",
        json=body,
        headers={"Authorization": f"Api-Key {key}"},
        timeout=30,
    )
    if not answer.ok:
        raise StageError(f"the API answered {answer.status_code}: {answer.text[:300]}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
