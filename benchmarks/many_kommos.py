"""`many_kommos.py COUNT FIRST_PIPELINE_ID`: many local Kommos, each with a port and a pipeline of its own.

Prints their addresses as a line of JSON, then serves until told to end. One process and one thread listen for all of
them, so that those nobody calls cost nothing: what is measured has the same processors.
"""

from __future__ import annotations

import json
import selectors
import signal
import sys

from kommo_sandbox.app import App
from kommo_sandbox.options import Options
from kommo_sandbox.sandbox import Sandbox
from kommo_sandbox.server import Handler, Server

HOST = "127.0.0.1"


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    count, first_pipeline_id = map(int, sys.argv[1:])
    servers = [_kommo(first_pipeline_id + number) for number in range(count)]
    print(json.dumps([f"http://{HOST}:{server.server_port}" for server in servers]), flush=True)
    with selectors.DefaultSelector() as listening:
        for server in servers:
            server.timeout = 0
            listening.register(server, selectors.EVENT_READ, server)
        while True:
            for ready, _ in listening.select():
                # Each connection goes on in a thread of its own.
                ready.data.handle_request()


def _kommo(pipeline_id: int) -> Server:
    sandbox = Sandbox(options=Options(requests_per_second=0))
    pipeline = sandbox.store.main_pipeline
    pipeline.id, sandbox.store.pipelines = pipeline_id, {pipeline_id: pipeline}
    for status in pipeline.statuses.values():
        status.pipeline_id = pipeline_id
    return Server(HOST, 0, App(sandbox), Handler)


if __name__ == "__main__":
    sys.exit(main())
