#!/usr/bin/env python3
"""A token server for Debian's docker-registry (distribution's "Token Authentication Specification").

Usage: token_server.py DIRECTORY [PUBLIC]. The directory has token.key and token.crt (PEM; the registry trusts the
certificate) and users (lines of user:password); the address that it listens on is written to its file `address`, and every request to its file `log`. It
answers GET (user and password as basic authentication, or nobody) and POST (OAuth 2: password and refresh tokens).
Anybody may pull from repositories that begin with PUBLIC (public/); users may do everything.
"""

import base64
import http.server
import json
import pathlib
import subprocess
import sys
import time
import urllib.parse

SERVICE = "registry.test"
LIFETIME_S = 60

directory = pathlib.Path(sys.argv[1])
public = sys.argv[2] if len(sys.argv) > 2 else "public/"
users = dict(line.split(":", 1) for line in (directory / "users").read_text().splitlines())


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificate():
    lines = (directory / "token.crt").read_text().splitlines()
    return "".join(line for line in lines if not line.startswith("-----"))


def granted(user, scopes):
    access = []
    for scope in scopes:
        kind, name, actions = scope.rsplit(":", 1)[0].split(":", 1) + [scope.rsplit(":", 1)[1]]
        wanted = actions.split(",")
        allowed = wanted if user else [a for a in wanted if a == "pull" and name.startswith(public)]
        access.append({"type": kind, "name": name, "actions": allowed})
    return access


def token(user, scopes):
    now = int(time.time())
    header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate()]}
    claims = {"iss": "issuer.test", "sub": user or "", "aud": SERVICE, "nbf": now - 10, "iat": now,
              "exp": now + LIFETIME_S, "jti": str(time.time_ns()), "access": granted(user, scopes)}
    text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", directory / "token.key"],
                            input=text.encode(), capture_output=True, check=True)
    return f"{text}.{encoded(signed.stdout)}"


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def give(self, user, query):
        # Several scopes come as several parameters, or as one with spaces between them.
        scopes = [scope for value in query.get("scope", []) for scope in value.split()]
        value = {"token": token(user, scopes), "expires_in": LIFETIME_S}
        value["access_token"] = value["token"]
        if user and (query.get("offline_token") == ["true"] or query.get("access_type") == ["offline"]):
            value["refresh_token"] = f"refresh-{user}"
        self.answer(200, value)

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user = None
        said = self.headers.get("Authorization")
        if said:
            user, _, password = base64.b64decode(said.removeprefix("Basic ")).decode().partition(":")
            if users.get(user) != password:
                return self.answer(401, {"details": "incorrect username or password"})
        self.give(user, query)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        query = urllib.parse.parse_qs(body)
        user = query.get("username", [""])[0]
        if query.get("grant_type") == ["refresh_token"]:
            user = query["refresh_token"][0].removeprefix("refresh-")
            known = user in users
        else:
            known = user in users and users[user] == query.get("password", [""])[0]
        if not known:
            return self.answer(401, {"error": "invalid_grant"})
        self.give(user, query)

    def log_message(self, form, *values):
        with (directory / "log").open("a") as log:
            log.write(form % values + "\n")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
(directory / "address").write_text("%s:%d" % server.server_address)
server.serve_forever()
