"""A stand-in of the hub that takes submissions as pull requests."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """Takes commits to `lab/submissions` and keeps their files; everything else is not there."""

    def __init__(self, status: int = 200) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.summary = ""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hub.requests.append(self.path)
                if not self.path.startswith("/api/datasets/lab/submissions/"):
                    return self.send(404, {"error": "no"}, {"X-Error-Code": "RepoNotFound"})
                if status != 200:
                    return self.send(status, {"error": "no"})
                if "/preupload/" in self.path:
                    asked = [one["path"] for one in json.loads(body)["files"]]
                    files = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in asked]
                    return self.send(200, {"files": files})
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "header":
                        hub.summary = line["value"]["summary"]
                    else:
                        hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                address = f"{hub.endpoint}/datasets/lab/submissions"
                return self.send(
                    200,
                    {
                        "commitUrl": f"{address}/commit/{'a' * 40}",
                        "commitOid": "a" * 40,
                        "pullRequestUrl": f"{address}/discussions/7",
                    },
                )

            def send(self, code: int, answer: object, headers: dict[str, str] | None = None) -> None:
                data = json.dumps(answer).encode()
                self.send_response(code)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
