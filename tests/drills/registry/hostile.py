"""A registry in memory that misbehaves at random, and never takes a manifest that names what it does not have.

`Registry(random, base)` listens on the loopback; `base` is an OCI image layout, whose one image is `lib/base:1`. `begin(trial)` forgets
everything else and takes a `Trial`: how often something goes wrong, and how the registry behaves throughout. Each request then
meets one of the trial's faults, or none: PASSING are those that another attempt puts right, LASTING the others.
"""

import base64
import collections
import dataclasses
import gzip
import hashlib
import http.server
import json
import pathlib
import re
import socket
import struct
import sys
import threading
import urllib.parse

PASSING = [
    "reset", "hang up", "lose the answer", "429 seconds", "429 date", "429 garbage", "500", "503", "dribble", "no range", "no digest",
    "http 1.0", "forget uploads", "no mount",
]
LASTING = ["wrong byte", "short", "longer", "416", "gzip", "forget tokens"]


@dataclasses.dataclass
class Trial:
    """What one trial is like."""

    rate: float = 0.0
    faults: tuple = ()
    location: str = "path"
    token_uses: int = 0
    takes_mounts: bool = True


@dataclasses.dataclass
class Answer:
    """What is sent back."""

    status: int
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""


def digest_of(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


def refused(status, code):
    body = json.dumps({"errors": [{"code": code, "message": "the drill says so"}]}).encode()
    return Answer(status, {"Content-Type": "application/json"}, body)


class Registry:
    """The registry, and the server that it is."""

    def __init__(self, random, base):
        self.random, self.base = random, pathlib.Path(base)
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.begin(Trial())
        handler = type("Bound", (Handler,), {"registry": self})
        self.server = Server(("127.0.0.1", 0), handler)
        self.host = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def begin(self, trial):
        with self.lock:
            self.trial = trial
            self.blobs, self.manifests, self.tags = {}, {}, {}
            self.uploads, self.tokens, self.number = {}, {}, 0
            self.add_base()

    def behave(self):
        """Nothing goes wrong from now on."""
        with self.lock:
            self.trial = Trial()

    def add_base(self):
        for path in (self.base / "blobs/sha256").iterdir():
            body = path.read_bytes()
            try:
                kind = json.loads(body).get("mediaType") if len(body) < 100_000 else None
            except ValueError:
                kind = None
            if kind:
                self.manifests["lib/base", digest_of(body)] = (kind, body)
            else:
                self.blobs["lib/base", digest_of(body)] = body
        entry = json.loads((self.base / "index.json").read_text())["manifests"][0]
        self.tags["lib/base", "1"] = entry["digest"]

    def dangling(self):
        """Returns what tags lead to that is not there, or is not what its digest says."""
        wanted, missing = [(repository, digest) for (repository, _), digest in self.tags.items()], []
        while wanted:
            place = wanted.pop()
            if place in self.manifests and digest_of(self.manifests[place][1]) == place[1]:
                wanted += [(place[0], digest) for digest in references(self.manifests[place][1])]
            elif place not in self.blobs or digest_of(self.blobs[place]) != place[1]:
                missing.append(place)
        return missing

    def fault(self, method, path):
        if path.startswith("/token") or self.random.random() >= self.trial.rate:
            return None
        fault = self.random.choice(self.trial.faults)
        self.counts[fault] += 1
        return fault

    def next(self):
        self.number += 1
        return self.number


def references(body):
    document = json.loads(body)
    found = document.get("manifests", []) + document.get("layers", [])
    found += [document["config"]] if "config" in document else []
    return [entry["digest"] for entry in found]


class Server(http.server.ThreadingHTTPServer):
    """A server that does not mind clients who hang up."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    registry = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def serve(self):
        registry = self.registry
        with registry.lock:
            fault = registry.fault(self.command, self.path)
            cut = registry.random.randrange(200_000)
        length = int(self.headers.get("Content-Length", 0))
        is_cut = fault == "reset" and length > 0
        body = self.rfile.read(min(length, cut) if is_cut else length)
        if fault == "hang up":
            return self.reset()
        with registry.lock:
            if is_cut:
                self.keep(body)
            answer = None if is_cut else self.spoil(fault, self.answer(fault, body))
        if is_cut or fault == "lose the answer":
            return self.reset()
        self.send(answer, fault, cut)

    def keep(self, body):
        """Keeps what came of an upload whose connection breaks."""
        upload = self.registry.uploads.get(urllib.parse.urlsplit(self.path).path.rsplit("/", 1)[-1])
        if upload is not None and self.begins_at() in (None, len(upload)):
            upload.extend(body)

    def reset(self):
        """Closes the connection so that what is on its way is thrown away."""
        self.close_connection = True
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # The client was faster.
        self.connection.close()

    def answer(self, fault, body):
        """Carries a request out, if its fault lets it."""
        registry = self.registry
        if fault in ("500", "503", "416"):
            return refused(int(fault), "UNKNOWN")
        if fault and fault.startswith("429"):
            after = {"seconds": "0", "date": "Sun, 06 Nov 1994 08:49:37 GMT", "garbage": "soon"}[fault[4:]]
            return dataclasses.replace(refused(429, "TOOMANYREQUESTS"), headers={"Retry-After": after})
        if fault == "forget uploads":
            registry.uploads.clear()
        if fault == "forget tokens":
            registry.tokens.clear()
        split = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(split.query))
        if split.path == "/token":
            return self.token()
        if not self.may_enter():
            return self.challenge(split.path)
        found = re.fullmatch(r"/v2/(.+)/(blobs/uploads/?|blobs|manifests|tags|referrers)(?:/?([^/]*))?", split.path)
        if not found:
            return Answer(200, {}, b"{}")
        repository, kind, rest = found[1], found[2].strip("/"), urllib.parse.unquote(found[3] or "")
        if kind == "blobs/uploads":
            return self.upload(repository, rest, query, body, fault)
        if kind == "blobs":
            return self.blob(repository, rest, fault)
        if kind == "manifests":
            return self.manifest(repository, rest, body)
        return refused(404, "NAME_UNKNOWN")

    def may_enter(self):
        if not self.registry.trial.token_uses:
            return True
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        left = self.registry.tokens.get(token, 0)
        if left > 0:
            self.registry.tokens[token] = left - 1
        return left > 0

    def challenge(self, path):
        realm = f'Bearer realm="http://{self.registry.host}/token",service="drill"'
        return dataclasses.replace(refused(401, "UNAUTHORIZED"), headers={"WWW-Authenticate": realm})

    def token(self):
        wanted = "Basic " + base64.b64encode(b"me:secret").decode()
        if self.headers.get("Authorization") != wanted:
            return refused(401, "UNAUTHORIZED")
        token = f"token-{self.registry.next()}"
        self.registry.tokens[token] = self.registry.trial.token_uses
        return Answer(200, {"Content-Type": "application/json"}, json.dumps({"token": token, "expires_in": 300}).encode())

    def begins_at(self):
        said = self.headers.get("Content-Range", "").split("-")[0]
        return int(said) if said.isdigit() else None

    def upload(self, repository, name, query, body, fault):
        registry = self.registry
        if self.command == "POST":
            source = registry.blobs.get((query.get("from"), query.get("mount")))
            if source is not None and registry.trial.takes_mounts and fault != "no mount":
                registry.blobs[repository, query["mount"]] = source
                return self.created(repository, query["mount"])
            if fault == "no mount" and "mount" in query:
                return refused(404, "BLOB_UNKNOWN")
            name = f"upload-{registry.next()}"
            registry.uploads[name] = bytearray()
            return self.progress(repository, name, 202)
        upload = registry.uploads.get(name)
        if upload is None:
            return refused(404, "BLOB_UPLOAD_UNKNOWN")
        if self.command == "GET":
            return self.progress(repository, name, 204)
        if self.begins_at() not in (None, len(upload)):
            return self.progress(repository, name, 416)
        upload.extend(body)
        if self.command == "PATCH":
            return self.progress(repository, name, 202)
        content = bytes(registry.uploads.pop(name))
        if digest_of(content) != query.get("digest"):
            return refused(400, "DIGEST_INVALID")
        registry.blobs[repository, query["digest"]] = content
        return self.created(repository, query["digest"])

    def progress(self, repository, name, status):
        path = f"/v2/{repository}/blobs/uploads/{name}"
        location = {
            "path": path,
            "url": f"http://{self.registry.host}{path}",
            "query": f"{path}?state=a%2F{self.registry.next()}%2Bb",
            "relative": f"../uploads/{name}",
        }[self.registry.trial.location]
        last = max(len(self.registry.uploads[name]) - 1, 0)
        return Answer(status, {"Location": location, "Range": f"0-{last}"})

    def created(self, repository, digest):
        return Answer(201, {"Location": f"/v2/{repository}/blobs/{digest}", "Docker-Content-Digest": digest})

    def blob(self, repository, digest, fault):
        content = self.registry.blobs.get((repository, digest))
        if content is None:
            return refused(404, "BLOB_UNKNOWN")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        said = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not said or fault == "no range":
            return Answer(200, headers, content)
        first = int(said[1])
        headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return Answer(206, headers, content[first:])

    def manifest(self, repository, name, body):
        registry = self.registry
        digest = name if ":" in name else registry.tags.get((repository, name))
        if self.command == "PUT":
            return self.put_manifest(repository, name, body)
        if (repository, digest) not in registry.manifests:
            return refused(404, "MANIFEST_UNKNOWN")
        kind, content = registry.manifests[repository, digest]
        return Answer(200, {"Content-Type": kind, "Docker-Content-Digest": digest}, content)

    def put_manifest(self, repository, name, body):
        registry = self.registry
        digest = digest_of(body)
        if ":" in name and digest != name:
            return refused(400, "DIGEST_INVALID")
        places = [(repository, wanted) for wanted in references(body)]
        if not all(place in registry.blobs or place in registry.manifests for place in places):
            return refused(400, "MANIFEST_BLOB_UNKNOWN")
        registry.manifests[repository, digest] = (self.headers["Content-Type"], body)
        if ":" not in name:
            registry.tags[repository, name] = digest
        return Answer(201, {"Location": f"/v2/{repository}/manifests/{digest}", "Docker-Content-Digest": digest})

    def spoil(self, fault, answer):
        """Changes an answer on its way."""
        body = answer.body
        if fault == "wrong byte" and body:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1:]
        elif fault == "short":
            body = body[:-1]
        elif fault == "longer":
            body += b"x"
        elif fault == "gzip":
            answer.headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body)
        elif fault == "no digest":
            answer.headers.pop("Docker-Content-Digest", None)
        return dataclasses.replace(answer, body=body)

    def send(self, answer, fault, cut):
        is_old = fault == "http 1.0"
        head = "HTTP/1.%d %d -\r\n" % (0 if is_old else 1, answer.status)
        headers = dict(answer.headers)
        if not is_old and answer.status != 204:
            headers["Content-Length"] = str(len(answer.body))
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        body = b"" if self.command == "HEAD" or answer.status == 204 else answer.body
        try:
            self.wfile.write(head.encode())
            if fault == "dribble":
                for at in range(min(len(body), 2000)):
                    self.wfile.write(body[at:at + 1])
                self.wfile.write(body[2000:])
            else:
                self.wfile.write(body[:cut] if fault == "reset" else body)
        except OSError:
            self.close_connection = True  # The client has heard enough.
            return
        if fault == "reset":
            self.reset()
        if is_old:
            self.close_connection = True
