"""A server on loopback that speaks OpenAI's chat completions, and misbehaves on demand."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

MODEL = "tiny-vlm"
TOKENS = (
    "A",
    " B",
    "B",
    "C",
    "\nA",
    "D",
    "The",
    " answer",
    "Sure",
    "I",
    "E",
    "F",
    "(",
    "1",
    "2",
    "Yes",
    "No",
    "?",
    "*",
    "`",
)
HANG = 30.0


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Message
    body: dict[str, Any]

    @property
    def is_question(self) -> bool:
        return self.path.partition("?")[0].endswith("/chat/completions")

    @property
    def picture(self) -> str:
        """The data URI of the first picture, or nothing."""
        for part in self.body["messages"][-1]["content"]:
            if part["type"] == "image_url":
                return str(part["image_url"]["url"])
        return ""

    @property
    def text(self) -> str:
        return str(self.body["messages"][-1]["content"][-1]["text"])

    @property
    def pixels(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(self.picture.partition(",")[2]))))


@dataclass(frozen=True)
class Reply:
    """Behaviour for a request: answer, perhaps late, in part or slowly, hang, or drop the connection.

    `pace` is the number of seconds before each byte, of the headers too if `is_slow_from_the_start`.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int = 0
    drops: bool = False
    pace: float = 0.0
    is_slow_from_the_start: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def refusal(status: int, message: str, **more: Any) -> Reply:
    """An error as OpenAI's servers say it."""
    return Reply(status, {"error": {"message": message, "type": "error", "param": None, "code": None, **more}})


def distribution(picture: str, text: str) -> dict[str, float]:
    """Log-probabilities of `TOKENS`, which depend on every pixel and every letter; a hundredth is left to others."""
    seed = hashlib.sha256(f"{picture}|{text}".encode()).digest()
    weights = np.random.default_rng(list(seed)).gamma(1.0, size=len(TOKENS)) + 0.01
    return {token: math.log(0.99 * weight / weights.sum()) for token, weight in zip(TOKENS, weights, strict=True)}


def completion(shown: list[dict[str, Any]] | None, **more: Any) -> Reply:
    """A chat completion of one token, the first one shown."""
    content = None if shown is None else [{**shown[0], "top_logprobs": shown}] if shown else []
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "logprobs": {"content": content}}
    return Reply(body={"object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], **more})


def answer(asked: Asked, *, most: int = 20, wide: bool = True) -> Reply:
    """Answer as a server that knows nothing but the API; `most` top log-probabilities."""
    if asked.path.endswith("/models"):
        return Reply(body={"data": [{"id": MODEL, "root": "org/tiny-vlm", "created": 7}, {"id": "other"}]})
    if not asked.is_question:
        return Reply(404, {"detail": "Not Found"})
    ranked = sorted(distribution(asked.picture, asked.text).items(), key=lambda entry: -entry[1])
    shown = [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in ranked]
    return completion(shown[: min(most, asked.body["top_logprobs"])])


class OpenAIServer:
    """The server; `behave` may be changed while it runs.

    Attributes
    ----------
    behave : callable
        From a request to what is done with it.
    asked : list of Asked
        All requests in the order in which they came.
    most_at_once : int
        The most questions that were there at the same time.
    """

    def __init__(self) -> None:
        self.behave: Callable[[Asked], Reply] = answer
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else each answer waits for the acknowledgement of its headers.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._serve({})

            def do_POST(self) -> None:
                self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _serve(self, body: dict[str, Any]) -> None:
                asked = Asked(self.command, self.path, self.headers, body)
                with owner._counted(asked):
                    reply = owner.behave(asked)
                    owner._closing.wait(reply.delay)
                self._write(reply)

            def _write(self, reply: Reply) -> None:
                if reply.drops:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                content = reply.content
                try:
                    self.send_response(reply.status)
                    for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    if reply.is_slow_from_the_start:
                        head, self._headers_buffer = b"".join(self._headers_buffer), []
                        self._write_slowly(head, reply.pace)
                    self.end_headers()
                    self._write_slowly(content[: len(content) - reply.cut], reply.pace)
                except OSError:  # the client did not wait
                    self.close_connection = True
                if reply.cut:
                    self.close_connection = True

            def _write_slowly(self, content: bytes, pace: float) -> None:
                if not pace:
                    self.wfile.write(content)
                    return
                for byte in content:
                    if owner._closing.wait(pace):
                        return
                    self.wfile.write(bytes([byte]))

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def questions(self) -> list[Asked]:
        """The chat completions that were asked for."""
        return [asked for asked in self.asked if asked.is_question]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def _counted(self, asked: Asked) -> Iterator[None]:
        with self._lock:
            self.asked.append(asked)
            self._at_once += asked.is_question
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= asked.is_question
