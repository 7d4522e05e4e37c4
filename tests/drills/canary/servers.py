"""Servers that want to know who asks: registries, a server of files and repositories, a cache service."""

import base64
import hashlib
import http.server
import json
import pathlib
import threading
import urllib.parse


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Server:
    """A server on this machine that keeps what it was sent: all heads and forms, by which others' secrets are found."""

    def __init__(self, handler):
        self.heads, self.refused = [], 0
        here = self

        class Handler(handler):
            server_of = here

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def seen(self):
        return "\n".join(self.heads).encode()


class Answering(http.server.BaseHTTPRequestHandler):
    """What all of them do: answers, bodies, and a note of each head."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, body):
        """Keeps the head of a request, and what a form says."""
        is_form = "form" in self.headers.get("Content-Type", "")
        form = body.decode() if is_form else ""
        self.server_of.heads.append(f"{self.path}\n{self.headers}{form}")

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def handle_one(self):
        body = self.body()
        self.note(body)
        path = urllib.parse.urlsplit(self.path)
        self.serve(path.path, dict(urllib.parse.parse_qsl(path.query)), body)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = handle_one


class Files(Server):
    """Files below a directory; each prefix of a path has a header that must come."""

    def __init__(self, directory, wanted):
        self.directory, self.wanted = pathlib.Path(directory), wanted
        super().__init__(FilesHandler)


class FilesHandler(Answering):
    def serve(self, path, _query, _body):
        server = self.server_of
        wanted = next((header for prefix, header in server.wanted.items() if path.startswith(prefix)), None)
        if wanted and self.headers.get("Authorization") != wanted:
            server.refused += 1
            return self.answer(401, WWW_Authenticate='Basic realm="files"')
        file = server.directory / path.lstrip("/")
        return self.answer(200, file.read_bytes()) if file.is_file() else self.answer(404)


class Registry(Server):
    """A registry in memory: `wanted` is the header that must come, `realm` says whether a token server gives it."""

    def __init__(self, wanted, refresh_token=None, access_token=None):
        self.wanted, self.refresh_token, self.access_token = wanted, refresh_token, access_token
        self.blobs, self.manifests = {}, {}
        super().__init__(RegistryHandler)

    def put_layout(self, repository, layout):
        """Takes an image over from a layout: its first tag becomes `latest`."""
        blobs = pathlib.Path(layout) / "blobs/sha256"
        for blob in blobs.iterdir():
            self.blobs[f"sha256:{blob.name}"] = blob.read_bytes()
        entry = json.loads((pathlib.Path(layout) / "index.json").read_text())["manifests"][0]
        self.manifests[f"{repository}:latest"] = entry["digest"]


class RegistryHandler(Answering):
    def serve(self, path, query, body):
        server = self.server_of
        if path == "/token":
            return self.token(query, body)
        if self.headers.get("Authorization") != server.wanted:
            server.refused += 1
            return self.answer(401, b"{}", WWW_Authenticate=self.challenge(path))
        if path == "/v2/":
            return self.answer(200, b"{}")
        repository, _, rest = path.removeprefix("/v2/").rpartition("/manifests/")
        if repository:
            return self.manifest(repository, rest, body)
        repository, _, rest = path.removeprefix("/v2/").partition("/blobs/")
        return self.blob(repository, rest, query, body) if rest else self.answer(404, b"{}")

    def challenge(self, path):
        server = self.server_of
        if not server.refresh_token:
            return 'Basic realm="registry"'
        repository = path.removeprefix("/v2/").rsplit("/manifests/")[0].split("/blobs/")[0]
        return (f'Bearer realm="http://{server.address}/token",service="canary",'
                f'scope="repository:{repository}:pull,push"')

    def token(self, query, body):
        server = self.server_of
        form = dict(urllib.parse.parse_qsl(body.decode())) | query
        if form.get("refresh_token") != server.refresh_token:
            server.refused += 1
            return self.answer(401, b"{}")
        granted = {"access_token": server.access_token, "token": server.access_token, "expires_in": 300}
        return self.answer(200, json.dumps(granted).encode())

    def manifest(self, repository, reference, body):
        server = self.server_of
        if self.command == "PUT":
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            server.blobs[digest] = body
            server.manifests[f"{repository}:{reference}"] = digest
            return self.answer(201, Location=self.path, Docker_Content_Digest=digest)
        digest = server.manifests.get(f"{repository}:{reference}", reference)
        found = server.blobs.get(digest)
        if found is None:
            return self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        kind = json.loads(found).get("mediaType", "application/vnd.oci.image.manifest.v1+json")
        return self.answer(200, found, Content_Type=kind, Docker_Content_Digest=digest)

    def blob(self, repository, rest, query, body):
        server = self.server_of
        if not rest.startswith("uploads"):
            found = server.blobs.get(rest)
            return self.answer(404, b"{}") if found is None else self.answer(200, found, Docker_Content_Digest=rest)
        place = f"/v2/{repository}/blobs/uploads/one"
        if self.command == "PUT":
            digest = query["digest"]
            server.blobs[digest] = self.sent(body)
            return self.answer(201, Location=f"/v2/{repository}/blobs/{digest}")
        server.blobs[self.client_address] = self.sent(body) if self.command == "PATCH" else b""
        return self.answer(202, Location=place, Range=f"0-{max(0, len(body) - 1)}")

    def sent(self, body):
        """Returns what one connection has sent of a blob, with this."""
        return self.server_of.blobs.pop(self.client_address, b"") + body


class Actions(Server):
    """A cache service that has nothing and takes nothing."""

    def __init__(self):
        super().__init__(ActionsHandler)


class ActionsHandler(Answering):
    def serve(self, _path, _query, _body):
        self.answer(403, b'{"msg":"no"}', Content_Type="application/json")
