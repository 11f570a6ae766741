"""An agent whose conversations live in Kommo's chats: the bridge hears and speaks, this answers one question.

    BRIDGE=https://bridge.example KEY=… AGENT_WEBHOOK_SECRET=whsec_… python kommo_chat_agent.py --port 9000

Any model goes behind `answer`. Needs requests and standardwebhooks.
"""

from __future__ import annotations

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from standardwebhooks import Webhook

BRIDGE, KEY = os.environ["BRIDGE"], os.environ["KEY"]


def answer(lead: dict[str, Any], said: list[dict[str, Any]]) -> str:
    """Return what to say to a lead who wrote this; empty for nothing. Ask your model here."""
    name = (lead["name"] or "").split(" ")[0]
    return f"{name or 'Olá'}, você escreveu {len(said)} mensagem(ns). Qual o valor da sua conta de luz?"


def say(lead: dict[str, Any], text: str, key: str) -> None:
    """Say it through the pipeline's channel; with the same key it is said once. The bridge asks the gate itself."""
    headers = {"Authorization": f"Api-Key {KEY}", "Idempotency-Key": key}
    url = f"{BRIDGE}/api/v1/leads/{lead['id']}/messages/"
    told = requests.post(url, json={"text": text}, headers=headers, timeout=30)
    # 409: a person has the lead by now. 422: no channel leads to them. Both are told to staff by the bridge.
    if told.status_code not in (409, 422):
        told.raise_for_status()


class Listener(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = Webhook(os.environ["AGENT_WEBHOOK_SECRET"]).verify(body.decode(), dict(self.headers))
        data = event["data"]
        is_ours = event["type"] == "message.received" and data["may_reply"]
        if is_ours and (text := answer(data["lead"], data["messages"])):
            say(data["lead"], text, key=self.headers["webhook-id"])
        reply = json.dumps({}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Listener).serve_forever()
