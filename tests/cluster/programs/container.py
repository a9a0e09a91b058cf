"""What a pod may run: an HTTP server that answers as it is told, and says what it is asked.

It is told by ANSWERS, a JSON object: for each path the codes to answer with, one after the other;
the last one stands for all that follow, "hang" for no answer, and a path that is not in it for 200.
IGNORES_TERM=1 lets it ignore SIGTERM, which otherwise ends it with exit code 3.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWERS: dict[str, list[int | str]] = json.loads(os.environ.get("ANSWERS", "{}"))


def say(what: str) -> None:
    os.write(1, f"> {what}\n".encode())


def terminate(number: int, frame: object) -> None:
    say("SIGTERM")
    if not os.environ.get("IGNORES_TERM"):
        os._exit(3)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        say(f"GET {self.path}")
        answers = ANSWERS.get(self.path, [200])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer == "hang":
            threading.Event().wait()
        self.send_response(int(answer))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
        """Say nothing else."""


signal.signal(signal.SIGTERM, terminate)
with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
    say("begins")
    server.serve_forever()
