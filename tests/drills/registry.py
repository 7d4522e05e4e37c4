"""A registry of one image: an image layout, served on this machine, which counts what it is asked for."""

import collections
import http.server
import json
import threading
import time


class Registry:
    """Serves the blobs of a layout as the repository `base`; the tag `latest` is what its index names first."""

    def __init__(self, layout, pause_seconds=0.0):
        self.blobs = layout / "blobs" / "sha256"
        self.pause_seconds = pause_seconds
        self.index = json.loads((layout / "index.json").read_text())["manifests"][0]
        self.asked = collections.Counter()
        self.mutex = threading.Lock()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                registry.answer(self, has_body=False)

            def do_GET(self):
                registry.answer(self, has_body=True)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.image = f"127.0.0.1:{self.server.server_port}/base:latest"

    def find(self, path):
        """Returns the digest that a request is for, and whether it is for a blob."""
        parts = path.strip("/").split("/")
        if len(parts) != 4 or parts[:2] != ["v2", "base"]:
            return None, False
        digest = self.index["digest"] if parts[3] == "latest" else parts[3]
        return digest, parts[2] == "blobs"

    def answer(self, request, has_body):
        """Answers one request; a blob is sent in two parts, with a pause in between."""
        digest, is_blob = self.find(request.path)
        file = self.blobs / digest.split(":")[1] if digest else None
        if file is None or not file.is_file():
            request.send_response(200 if request.path.rstrip("/") == "/v2" else 404)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        content = file.read_bytes()
        kind = "application/octet-stream" if is_blob else json.loads(content)["mediaType"]
        request.send_response(200)
        for name, value in [("Content-Type", kind), ("Docker-Content-Digest", digest), ("Content-Length", len(content))]:
            request.send_header(name, str(value))
        request.end_headers()
        if has_body:
            self.send(request, (digest, is_blob), content)

    def send(self, request, what, content):
        with self.mutex:
            self.asked[what] += 1
        half = len(content) // 2
        try:
            request.wfile.write(content[:half])
            if what[1]:
                time.sleep(self.pause_seconds)
            request.wfile.write(content[half:])
        except OSError:
            request.close_connection = True  # Who asked has gone.

    def take_blobs(self):
        """Returns how often each blob was sent since this was asked last."""
        with self.mutex:
            asked = {digest: times for (digest, is_blob), times in self.asked.items() if is_blob}
            self.asked.clear()
        return asked
