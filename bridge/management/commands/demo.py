from __future__ import annotations

import json
import os
import shutil
import signal
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from bridge.demo import agent, messengers
from bridge.demo.beginning import LOGIN, PASSWORD
from bridge.demo.checking import Agent, Verdict, card_of, check, said_in_chat
from bridge.demo.conversations import CONVERSATIONS, KOMMO, Conversation, Said
from bridge.demo.stage import TRIES, Stage, StageError, free_port
from bridge.installed_paths import MODULE

T = TypeVar("T")

# Nothing moved for so long: what is missing then does not come.
PATIENCE_SECONDS = 120
PAUSE_SECONDS = 1.2
# Between the follow-ups of a sequence: checked in a moment, or slow enough to be watched.
HURRY_SECONDS, WATCH_SECONDS = 2, 8
# Whoever writes in Kommo's chat is answered after so long a pause.
DEBOUNCE_SECONDS = "1"


class Command(BaseCommand):
    help = (
        "Play conversations against a local Kommo, web server, worker and agent as separate processes on a fresh "
        "database. Keeps running until Ctrl-C; with --once, checks card by card and ends."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="play, check every card, print a table, and end")
        parser.add_argument("--port", type=int, default=8000, help="of the web server (default %(default)s)")
        parser.add_argument("--sandbox-port", type=int, default=8010, help="of the local Kommo (default %(default)s)")
        parser.add_argument("--agent-port", type=int, default=8020, help="of the demo's agent (default %(default)s)")

    def handle(self, *, once: bool, port: int, sandbox_port: int, agent_port: int, **_: Any) -> None:
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, _interrupt)
        directory = Path(settings.BASE_DIR) / "data" / "demo"
        try:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
        except OSError as error:
            raise CommandError(
                f"{directory} cannot be made anew ({error}): remove it, or play as its owner."
            ) from error
        agent_port, secret = self._port(agent_port), "whsec_" + b64encode(os.urandom(24)).decode()
        self.agent_port, self.secret = agent_port, secret
        self.agent_url = f"http://127.0.0.1:{agent_port}"
        stage = Stage(
            directory,
            web_port=self._port(port),
            sandbox_port=self._port(sandbox_port),
            extra={
                "AGENT_WEBHOOK_URL": f"{self.agent_url}/",
                "AGENT_WEBHOOK_SECRET": secret,
                "AGENT_DEBOUNCE_SECONDS": DEBOUNCE_SECONDS,
            },
            say=self.stdout.write,
        )
        try:
            with stage:
                self._play(stage, once)
        except StageError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def _port(self, preferred: int) -> int:
        port = free_port(preferred)
        if preferred and port != preferred:
            self.stdout.write(f"Port {preferred} is taken; using {port}.")
        return port

    def _play(self, stage: Stage, once: bool) -> None:
        self.key = self._set_up(stage, seconds=HURRY_SECONDS if once else WATCH_SECONDS, with_past=not once)
        if not once:
            self._say_where(stage)
        self.stdout.write(f"Playing {len(CONVERSATIONS)} conversations …")
        for conversation in CONVERSATIONS:
            self.stdout.write(f"  {conversation.who}")
            self._tell(stage, conversation, conversation.turns, slowly=not once)
        for conversation in CONVERSATIONS:
            if conversation.dragged_to:
                self._drag(stage, conversation)
                self._tell(stage, conversation, conversation.afterwards, slowly=not once)
        verdicts = self._wait_for_cards(stage)
        self._print(verdicts)
        wrong = [verdict for verdict in verdicts if verdict.problems]
        if once:
            if wrong:
                raise CommandError(f"{len(wrong)} of {len(verdicts)} cards are not as they should be.")
            self.stdout.write(f"All {len(verdicts)} cards are as their conversations say.")
            return
        self._say_where(stage)
        self.stdout.write("Ctrl-C stops everything.")
        while True:
            time.sleep(3600)

    def _set_up(self, stage: Stage, *, seconds: int, with_past: bool) -> str:
        self.stdout.write("Making a fresh database; starting a local Kommo, the agent, the web server and the worker …")
        # Processes start while others are at work: a machine has more than one core.
        stage.start_sandbox(waits=False)
        begun = json.loads(stage.manage("demo_begin", str(stage.directory), "--seconds", str(seconds)))
        key: str = begun["key"]
        self.ways_in = begun["ways_in"]
        command = [*MODULE, agent.__name__, "--port", str(self.agent_port), "--secret", self.secret]
        stage.start("agent", [*command, "--bridge", stage.web_url, "--key", key])
        stage.wait_for_sandbox()
        stage.manage_patiently("kommo_connect", "--create-missing", "--webhook-url", stage.web_url)
        # From a card on the board to why it stands there, and from there back to the card.
        _post(f"{stage.sandbox_url}/_sandbox/options", {"card_link": f"{stage.web_url}/admin/leads/card/{{id}}/"})
        stage.start_web(waits=False)
        if with_past:
            self.stdout.write("Playing sixty days of a company's life …")
            stage.manage("demo_history")
        stage.wait_for("agent", f"{self.agent_url}/heard")
        stage.wait_for_web()
        stage.start_worker()
        return key

    def _tell(self, stage: Stage, conversation: Conversation, turns: tuple[Said, ...], *, slowly: bool) -> None:
        for number, turn in enumerate(turns):
            part = "said" if turns is conversation.turns else "afterwards"
            if turn.heard_by == KOMMO:
                self._write_in_kommo(stage, conversation, turn)
            elif turn.heard_by:
                _hear(stage, self.ways_in[turn.heard_by], conversation, turn, number)
            else:
                _report(stage, self.key, conversation, turn, f"{conversation.phone}/{part}/{number}")
            if slowly:
                time.sleep(PAUSE_SECONDS)
                by_whom = f", heard by {turn.heard_by} itself" if turn.heard_by else ""
                self.stdout.write(f"      “{turn.text}”{by_whom}")

    def _write_in_kommo(self, stage: Stage, conversation: Conversation, turn: Said) -> None:
        """Write in the card's chat as the lead does, and see the agent answer there. The first words bring the card."""
        url = f"{stage.sandbox_url}/_sandbox/leads"
        number = card_of(stage.sandbox_url, conversation)
        if number is None:
            number = int(_post(url, {"name": conversation.name, "phone": conversation.phone})["id"])
        after = len(said_in_chat(stage.sandbox_url, number)) + 1
        _post(f"{url}/{number}/message", {"direction": "incoming", "text": turn.text})
        self._wait(lambda: len(said_in_chat(stage.sandbox_url, number)) > after, "nobody answered in Kommo's chat")

    def _drag(self, stage: Stage, conversation: Conversation) -> None:
        """Move the conversation's card in Kommo as a seller does, and see the agent fall silent."""
        self.stdout.write(f"  A seller drags the card of {conversation.name} to {conversation.dragged_to} …")
        number = self._wait(lambda: card_of(stage.sandbox_url, conversation), "a card has not reached Kommo")
        _post(f"{stage.sandbox_url}/_sandbox/leads/{number}/move", {"stage": conversation.dragged_to})
        self._wait(lambda: not self._may_reply(stage, conversation.phone), "the agent was not silenced")

    def _wait(self, look: Callable[[], T], otherwise: str) -> T:
        """Return what `look` returns once it is something. Raises StageError when it stays nothing."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := _patiently(look)):
            if time.monotonic() > deadline:
                raise StageError(f"{otherwise} within {PATIENCE_SECONDS} s")
            time.sleep(0.3)
        return found

    def _may_reply(self, stage: Stage, phone: str) -> bool:
        answer = requests.get(
            f"{stage.web_url}/api/v1/agent/may-reply/",
            params={"phone": phone},
            headers={"Authorization": f"Api-Key {self.key}"},
            timeout=30,
        )
        answer.raise_for_status()
        return bool(answer.json()["may_reply"])

    def _wait_for_cards(self, stage: Stage) -> list[Verdict]:
        """Return the verdicts once every card is right, or as they are when nothing has moved for a long time."""
        self.stdout.write("Waiting until everything has reached Kommo and the agent …")
        last: list[Verdict] = []
        moved_at = time.monotonic()
        while time.monotonic() - moved_at < PATIENCE_SECONDS:
            found = _patiently(lambda: self._verdicts(stage)) or last
            if found and not any(verdict.problems for verdict in found):
                return found
            if found != last:
                last, moved_at = found, time.monotonic()
            time.sleep(0.5)
        return last

    def _verdicts(self, stage: Stage) -> list[Verdict]:
        heard = requests.get(f"{self.agent_url}/heard", timeout=30).json()
        return check(stage.sandbox_url, Agent(heard, lambda phone: self._may_reply(stage, phone)))

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

    def _say_where(self, stage: Stage) -> None:
        self.stdout.write(
            f"\n  Board in the local Kommo   {stage.sandbox_url}/\n"
            f"  Admin                      {stage.web_url}/admin/   login {LOGIN}, password {PASSWORD}\n"
            f"  API                        {stage.web_url}/api/docs/\n"
            f"  What the agent was sent    {stage.directory / 'agent.log'}\n\n"
            "  Move a card yourself:\n"
            f"    curl {stage.web_url}/api/v1/interactions/ -H 'Authorization: Api-Key {self.key}' \\\n"
            '      -H \'Content-Type: application/json\' -d \'{"lead": {"phone": "+55 81 99999-0000", '
            '"name": "Maria Souza", "qualification_score": 82}, '
            '"context": {"conversation_stage": "qualificação"}}\'\n'
        )


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = requests.post(url, json=body, timeout=30)
    if not answer.ok:
        raise StageError(f"the local Kommo answered {answer.status_code}: {answer.text[:300]}")
    return dict(answer.json())


def _hear(stage: Stage, path: str, conversation: Conversation, turn: Said, number: int) -> None:
    answer = requests.post(f"{stage.web_url}{path}", json=messengers.body(conversation, turn, number), timeout=30)
    if not answer.ok:
        raise StageError(f"the way in answered {answer.status_code}")


def _report(stage: Stage, key: str, conversation: Conversation, turn: Said, message_id: str) -> None:
    body: dict[str, Any] = {
        "lead": {"phone": conversation.phone, **turn.lead},
        "message": {"id": message_id, "direction": turn.direction, "text": turn.text},
    }
    if turn.context:
        body["context"] = turn.context
    for number in range(1, TRIES + 1):
        try:
            answer = requests.post(
                f"{stage.web_url}/api/v1/interactions/",
                json=body,
                headers={"Authorization": f"Api-Key {key}"},
                timeout=60,
            )
        except requests.RequestException as error:
            if number == TRIES:
                raise StageError(f"the API does not answer: {error}") from error
            continue
        # Told again it acts once: the message has an id.
        if answer.status_code not in (429, 503) or number == TRIES:
            break
        time.sleep(float(answer.headers.get("Retry-After", "1")))
    if not answer.ok:
        raise StageError(f"the API answered {answer.status_code}: {answer.text[:300]}")


def _patiently(look: Callable[[], T]) -> T | None:
    """Return what `look` returns; None while somebody does not answer: a busy machine takes its time."""
    try:
        return look()
    except requests.RequestException:
        return None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
