"""A W&B server on this host that answers, or does what a server in trouble does."""

import gzip
import json
import re
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Literal, Self

Behaviour = Literal["answer", "fail", "silent", "drop"]
"""Answer as W&B does; 500 to everything; take the request and never answer; close the connection."""


class WandbServer:
    """Knows of W&B's protocol what a run needs to be online, and keeps what arrives.

    Args:
        behaviour: What it does from the start.
        trouble: A request whose body this is true of changes the behaviour to ``later``, this request included.
        later: See ``trouble``.
    """

    def __init__(
        self,
        behaviour: Behaviour = "answer",
        *,
        trouble: Callable[[str], bool] = lambda _: False,
        later: Behaviour = "silent",
    ):
        self.behaviour = behaviour
        self.trouble = trouble
        self.later = later
        self.runs: list[str] = []
        self.artifacts: list[str] = []
        self.history: dict[str, dict[int, dict[str, Any]]] = {}
        self.closing = Event()

    def __enter__(self) -> Self:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": self}))
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that gives up is what the tests are about
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a run is online here."""
        return {"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": self.url, "no_proxy": "127.0.0.1"}

    def curve(self, run: str, key: str) -> list[float]:
        """Every value of one metric that arrived for a run, in order."""
        rows = self.history.get(run, {})
        return [rows[line][key] for line in sorted(rows) if key in rows[line]]

    def answer(self, path: str, body: str) -> dict[str, Any]:
        if path == "/graphql":
            return {"data": self._query(json.loads(body))}
        stream = re.fullmatch(r"/files/.*/(\w+)/file_stream", path)
        if stream:
            chunk = json.loads(body).get("files", {}).get("wandb-history.jsonl", {})
            rows = self.history.setdefault(stream[1], {})
            rows |= {line: json.loads(row) for line, row in enumerate(chunk.get("content", []), chunk.get("offset", 0))}
        return {}

    def _query(self, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked.get("variables") or {}
        if "upsertBucket" in asked["query"]:
            self.runs += [given["name"]] * (given["name"] not in self.runs)
            project = {"id": "project", "name": given["project"], "entity": {"id": "entity", "name": "tester"}}
            bucket = {"id": given["name"], "name": given["name"], "displayName": given["displayName"]}
            return {"upsertBucket": {"bucket": bucket | {"project": project, "historyLineCount": 0}, "inserted": True}}
        if "createArtifact(" in asked["query"]:
            self.artifacts.append(given["input"]["artifactCollectionName"])
            artifact = {"id": "artifact", "state": "COMMITTED", "artifactSequence": {"id": "x", "latestArtifact": None}}
            return {"createArtifact": {"artifact": artifact}}
        if "createRunFiles" in asked["query"]:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in given["files"]]
            return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}
        return {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: WandbServer

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        body = self._body()
        if self.state.trouble(body):
            self.state.behaviour = self.state.later
        behaviour = self.state.behaviour
        if behaviour == "silent":
            self.state.closing.wait()
        if behaviour in ("silent", "drop"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        answer = json.dumps(self.state.answer(self.path, body) if behaviour == "answer" else {}).encode()
        self.send_response(200 if behaviour == "answer" else 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _handle  # noqa: N815

    def _body(self) -> str:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data
        return data.decode("utf-8", "replace")
