"""Receivers of follow-ups on loopback, and a conversation at hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from followups import dispatch
from followups.models import Enrollment, Sequence, Step
from leads import interaction_values, interactions
from leads.interaction_values import Direction, Message
from leads.models import Lead, Pipeline, Stage
from leads.phone import parse

# A Tuesday, ten in the morning in São Paulo.
TUESDAY = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
MARIA = "+5511999990000"


class Receiver:
    """An HTTP server that notes what it gets and answers as told: (status, body) per call, then the last again."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, Any]] = [(200, {})]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                data = json.dumps(answer).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:9/")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.requests]

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def agent(receiver: Receiver, settings: Any) -> Receiver:
    """The agent, answering at once."""
    settings.AGENT_WEBHOOK_URL = receiver.url
    settings.AGENT_WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    return receiver


class Conversation:
    """One lead's story on a clock the test moves."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.now = pipeline, TUESDAY

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)

    def _record(self, phone: str, **more: Any) -> Lead:
        self.pipeline.refresh_from_db()
        interaction = interaction_values.Interaction(phone=parse(phone, region="BR"), occurred_at=self.now, **more)
        return interactions.record(interaction, pipeline=self.pipeline, now=self.now).lead

    def lead_writes(self, text: str = "Oi", phone: str = MARIA, **more: Any) -> Lead:
        return self._record(phone, message=Message(Direction.INBOUND, text=text), **more)

    def agent_writes(self, phone: str = MARIA, **more: Any) -> Lead:
        return self._record(phone, message=Message(Direction.OUTBOUND, text="Olá"), **more)

    def person_writes(self, phone: str = MARIA) -> Lead:
        return self._record(phone, message=Message(Direction.STAFF, text="Aqui é a Ana"))

    def meeting(self, status: str, starts_at: datetime | None = None, phone: str = MARIA) -> Lead:
        meeting = interaction_values.Meeting(status=status, id="evt", starts_at=starts_at)
        return self._record(phone, context={"meeting": meeting})

    def tick(self) -> None:
        """Send what is due now, as a worker would, and nothing that falls due later."""
        moment = self.now
        dispatch.fire(holder="test", until=moment + timedelta(seconds=1), clock=_Ticking(moment))

    def run(self, until: timedelta) -> None:
        """Let time pass, looking every minute something falls due."""
        end = self.now + until
        while True:
            due = Enrollment.objects.filter(state="waiting", held=False, next_at__lte=end).order_by("next_at").first()
            if due is None or due.next_at is None:
                break
            self.now = max(self.now, due.next_at)
            self.tick()
        self.now = end


class _Ticking:
    """A clock that stands, until a task that waits for something has looked at it often enough."""

    def __init__(self, moment: datetime) -> None:
        self._moment, self._looks = moment, 0

    def __call__(self) -> datetime:
        self._looks += 1
        return self._moment if self._looks < 2000 else self._moment + timedelta(days=1)


@pytest.fixture
def conversation(pipeline: Pipeline, agent: Receiver, monkeypatch: pytest.MonkeyPatch) -> Conversation:
    monkeypatch.setattr(dispatch, "STAY_FOR", timedelta(0))
    # One thread: a database in memory belongs to its connection, and the receiver is fast.
    return Conversation(pipeline)


@pytest.fixture
def clinic(conversation: Conversation) -> Conversation:
    """The same person, known in a second pipeline that follows up at the same times."""
    theirs = Pipeline.objects.create(slug="clinica", name="Clínica")
    Stage.objects.create(pipeline=theirs, key="novo", name="NOVO", rank=1)
    sequence = Sequence.objects.create(pipeline=theirs, slug="retomada", starts_on=Sequence.StartsOn.AGENT_UNANSWERED)
    for position in (1, 2):
        Step.objects.create(sequence=sequence, position=position, delay=timedelta(minutes=30), text=f"Passo {position}")
    return Conversation(theirs)


@pytest.fixture
def enrollment_of() -> Callable[..., Enrollment]:
    def find(lead: Lead, purpose: str = Sequence.StartsOn.AGENT_UNANSWERED) -> Enrollment:
        return Enrollment.objects.filter(lead=lead, purpose=purpose).latest("pk")

    return find
