#!/usr/bin/env python3
"""Looks for secrets everywhere but where they were asked for: a canary for each source of one.

    drill.py CAREEN WORK [SEED [COUNT]]

It runs as an ordinary user, in WORK, upon the image layout WORK/base. COUNT times it builds with a secret from every
source: files and variables (mounted, and as variables), an SSH key, logins of registries (a file, a helper, a token),
servers of files and repositories (URLs and secrets for them), proxies, a cache service. The build succeeds, is done
again from the cache, fails, and is refused. Meanwhile all processes are looked at a hundred times a second; then all
files that were left, the registries' blobs, what was said, and what each server was sent that was for another one.
Every canary is looked for as it is, in base64, as digits and as in a URL, and in what is compressed and packed.

That the looking finds something is shown first: secrets are planted in each of these places and forms.
"""

import base64
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import scan
import servers

careen, work = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
count = int(sys.argv[4]) if len(sys.argv) > 4 else 1

# One canary for each source.
SOURCES = """file file_elsewhere variable plain_variable basic_login helper_login refresh_token access_token url_password
file_token git_token git_password proxy actions_token wrong_login""".split()

STEP = """set -eu
cat /run/secrets/file /run/secrets/file_elsewhere > /dev/null
test -n "$TOKEN" -a -n "$PLAIN" -a -n "$HTTP_PROXY" -a -S "$SSH_AUTH_SOCK"
test "$(cat /x)" = content -a "$(cat /y)" = content -a "$(cat /r/f)" = content -a "$(cat /s/f)" = content
echo ready; sleep 1"""

SECRETS = """--mount=type=secret,id=file --mount=type=secret,id=file_elsewhere,mode=0444 \\
 --mount=type=secret,id=variable,env=TOKEN --mount=type=secret,id=plain_variable,env=PLAIN --mount=type=ssh"""


class Round:
    """One set of canaries, and the places that they may be in and those that they may not."""

    def __init__(self, number):
        self.place = work / f"round-{number}"
        chance = random.Random(seed * 1000 + number)
        self.canaries = {name: b"%032x" % chance.getrandbits(128) for name in SOURCES}
        self.vault, self.left = self.place / "vault", self.place / "left"
        for directory in (self.vault, self.left / "tmp", self.left / "home", self.place / "context", self.place / "www"):
            directory.mkdir(parents=True)
        self.lay_out_vault()
        self.lay_out_servers()

    def text(self, name):
        return self.canaries[name].decode()

    def lay_out_vault(self):
        """Makes what the user has in secret: files, a key, logins, and a helper that knows one."""
        for name in ("file", "file_elsewhere", "git_token", "file_token"):
            (self.vault / name).write_bytes(self.canaries[name])
        key = self.vault / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
        # The key itself: 32 bytes, the first half of what stands before the comment.
        lines = key.read_text().splitlines()[1:-1]
        raw = base64.b64decode("".join(lines))
        public = base64.b64decode((self.vault / "key.pub").read_text().split()[1])[-32:]
        self.canaries["ssh_key"] = raw[raw.rindex(public) - 32:raw.rindex(public)]
        helper = self.vault / "docker-credential-canary"
        helper.write_text(f'#!/bin/sh\ncat > /dev/null\nexec cat {self.vault}/helper.json\n')
        helper.chmod(0o755)
        (self.vault / "helper.json").write_text(json.dumps({"Username": "u", "Secret": self.text("helper_login")}))

    def lay_out_servers(self):
        www = self.place / "www"
        for name in ("url", "token"):
            (www / name).mkdir()
            (www / name / "file").write_text("content")
        for name in ("git", "giturl"):
            repository(www / name)
        # What a secret says of a server goes before what a URL says, so these are two.
        self.files = servers.Files(www, {
            "/token/": "Bearer " + self.text("file_token"),
            "/git/": servers.basic("x-access-token", self.text("git_token")),
        })
        self.urls = servers.Files(www, {
            "/url/": servers.basic("u", self.text("url_password")),
            "/giturl/": servers.basic("u", self.text("git_password")),
        })
        self.basic = servers.Registry(servers.basic("u", self.text("basic_login")))
        self.helper = servers.Registry(servers.basic("u", self.text("helper_login")))
        token = self.text("access_token")
        self.tokens = servers.Registry(f"Bearer {token}", self.text("refresh_token"), token)
        self.actions = servers.Actions()
        self.basic.put_layout("base", work / "base")
        self.logins(self.vault / "docker", "basic_login", {self.helper.address: "canary"})
        self.logins(self.vault / "wrong", "wrong_login", {})
        # Which secrets each of them may be sent.
        self.own = {
            self.files: {"file_token", "git_token"},
            self.urls: {"url_password", "git_password"},
            self.basic: {"basic_login", "wrong_login"},
            self.helper: {"helper_login"},
            self.tokens: {"refresh_token", "access_token"},
            self.actions: {"actions_token"},
        }

    def logins(self, directory, basic, helpers):
        directory.mkdir()
        auth = base64.b64encode(f"u:{self.text(basic)}".encode()).decode()
        auths = {self.basic.address: {"auth": auth}, self.tokens.address: {"identitytoken": self.text("refresh_token")}}
        (directory / "config.json").write_text(json.dumps({"auths": auths, "credHelpers": helpers}))

    def dockerfile(self):
        files, urls, host = self.files.address, self.urls.address, f"{self.basic.address}/base"
        return f"""FROM {host} AS whole
ADD http://u:{self.text('url_password')}@{urls}/url/file /x
ADD http://{files}/token/file /y
ADD http://{files}/git/.git#main /r
ADD http://u:{self.text('git_password')}@{urls}/giturl/.git#main /s
RUN {SECRETS} <<EOR
{STEP}
EOR

FROM whole AS failing
RUN {SECRETS} cat /run/secrets/file > /dev/null && test -z "$TOKEN"
"""

    def environment(self, login="docker"):
        """Returns what the user's shell has in its environment."""
        return {
            "PATH": f"{self.vault}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.left / "home"), "TMPDIR": str(self.left / "tmp"), "CAREEN_STORE": str(self.left / "store"),
            "DOCKER_CONFIG": str(self.vault / login), "VARIABLE": self.text("variable"),
            "plain_variable": self.text("plain_variable"),
            "HTTP_PROXY": f"http://u:{self.text('proxy')}@127.0.0.1:9", "NO_PROXY": "127.0.0.1",
            "ACTIONS_RUNTIME_TOKEN": f"e30.e30.{self.text('actions_token')}", "ACTIONS_CACHE_SERVICE_V2": "true",
            "ACTIONS_RESULTS_URL": f"http://{self.actions.address}/", "ACTIONS_CACHE_URL": f"http://{self.actions.address}/",
        }

    def build(self, target, progress, name, login="docker", more=()):
        """Builds with everything, and returns the exit code. What is said goes into files that are looked at."""
        vault, left, files = self.vault, self.left, self.files.address
        command = [
            careen, "build", "--network=none", f"--progress={progress}", "--target", target, "--explain-cache",
            "--secret", f"id=file,src={vault}/file", "--secret", f"id=file_elsewhere,src={vault}/file_elsewhere",
            "--secret", "id=variable,env=VARIABLE", "--secret", "id=plain_variable",
            "--secret", f"id=GIT_AUTH_TOKEN.{files},src={vault}/git_token",
            "--secret", f"id=HTTP_AUTH_TOKEN_{files},src={vault}/file_token", "--ssh", f"default={vault}/key",
            "--build-arg", "HTTP_PROXY", "--metadata-file", f"{left}/{name}.metadata.json",
            "--event-log", f"{left}/{name}.events", "--timeline", f"{left}/{name}.timeline.json",
            "--log-dir", f"{left}/{name}.logs", *more, "-f", "-", str(self.place / "context"),
        ]
        with open(left / f"{name}.said", "wb") as said:
            running = subprocess.Popen(command, env=self.environment(login), stdin=subprocess.PIPE, stdout=said,
                                       stderr=subprocess.STDOUT, cwd=self.place / "context")
            self.watch.users.add(running.pid)
            running.stdin.write(self.dockerfile().encode())
            running.stdin.close()
            return running.wait()

    def outputs(self, name):
        left = self.left
        return [
            "-t", f"{self.helper.address}/made:{name}", "--push", "-o", f"type=oci,dest={left}/{name}.tar",
            "-o", f"type=local,dest={left}/{name}.files", "--cache-to", f"type=local,dest={left}/{name}.cache,mode=max",
            "--cache-to", f"type=registry,ref={self.tokens.address}/cache:one,mode=max",
            "--cache-to", "type=gha,mode=max,ignore-error=true", "--cache-from", "type=gha",
        ]

    def builds(self):
        """Builds in every way, and returns what went otherwise than it should."""
        wrong = []
        for target, progress, name, login, more, succeeds in (
            ("whole", "plain", "first", "docker", self.outputs("first"), True),
            ("whole", "rawjson", "again", "docker", self.outputs("again"), True),
            ("failing", "plain", "failing", "docker", ["--on-failure=keep"], False),
            ("whole", "plain", "refused", "wrong", ["--pull", "--no-cache"], False),
        ):
            code = self.build(target, progress, name, login, more)
            if (code == 0) != succeeds:
                said = (self.left / f"{name}.said").read_text(errors="replace")
                wrong.append(f"the build `{name}` ended with {code}\n{said}")
        return wrong

    def store_blobs(self):
        """Puts what registries hold into files, to be looked at with the rest."""
        for name, registry in (("helper", self.helper), ("tokens", self.tokens)):
            (self.left / name).mkdir()
            for number, blob in enumerate(registry.blobs.values()):
                (self.left / name / str(number)).write_bytes(blob)
            yield len(registry.blobs)

    def history(self):
        with open(self.left / "history.said", "wb") as said:
            for words in (["history", "ls"], ["history", "logs"], ["history", "inspect"], ["debug", "ls"]):
                subprocess.run([careen, *words], env=self.environment(), stdout=said, stderr=subprocess.STDOUT)

    def run(self):
        """Returns what was found that should not be, and what was not done that should."""
        needles = scan.Needles(self.canaries)
        self.watch = scan.Watch(needles, {"proxy"})
        self.watch.start()
        wrong = self.builds()
        self.watch.stop()
        self.history()
        pushed = list(self.store_blobs())
        wrong += self.watch.leaks()
        # The Dockerfile itself says two of them; nothing that is made of it does.
        leaks, files = needles.below([self.left])
        wrong += leaks
        for server, own in self.own.items():
            others = needles.within(server.seen()) - own
            wrong += [f"{server.address} was sent {', '.join(sorted(others))}"] if others else []
            missing = own - {"wrong_login"} - needles.within(server.seen())
            wrong += [f"{server.address} was not sent {', '.join(sorted(missing))}"] if missing else []
        # Root sees what is in the environment of a step, another user nothing of its processes.
        if not ({"variable", "plain_variable", "proxy"} <= self.watch.steps or "closed" in self.watch.steps):
            wrong.append(f"the processes of the steps showed {sorted(self.watch.steps)} alone")
        if min(pushed) == 0:
            wrong.append(f"the registries hold {pushed} blobs")
        return wrong, files, self.watch.looks


def repository(directory):
    """Makes a git repository that can be served as files."""
    def git(*words):
        settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *settings, *words], cwd=directory, check=True, stdout=subprocess.DEVNULL)

    directory.mkdir()
    git("init", "-q")
    (directory / "f").write_text("content")
    git("add", "f")
    git("commit", "-q", "-m", "one")
    git("update-server-info")


def planted(round_):
    """Plants secrets in a layer, in each form and in a process; returns what the looking does not find."""
    place = round_.place / "planted"
    place.mkdir()
    needles = scan.Needles(round_.canaries)
    context = place / "context"
    context.mkdir()
    canary = round_.canaries["file"]
    spelled = {"plain": canary, "base64": base64.b64encode(b"u:" + canary), "digits": canary.hex().encode(),
               "url": b"".join(b"%%%02X" % byte for byte in canary)}
    missed = [f"a secret as {name}" for name, text in spelled.items() if needles.within(b"x" + text + b"y") != {"file"}]
    (context / "Dockerfile").write_text(
        "FROM base\nRUN --mount=type=secret,id=file cp /run/secrets/file /leak\n"
        "RUN --mount=type=secret,id=file echo said $(cat /run/secrets/file)\n")
    environment = dict(round_.environment(), CAREEN_STORE=str(place / "store"), HOME=str(place))
    made = subprocess.run(
        [careen, "build", "--network=none", "--progress=plain", "--build-context", f"base=oci-layout://{work}/base",
         "--secret", f"id=file,src={round_.vault}/file", "-o", f"type=oci,dest={place}/out.tar", str(context)],
        env=environment, capture_output=True)
    (place / "said").write_bytes(made.stdout + made.stderr)
    found, _ = needles.below([place])
    for name in ("out.tar", "said", "store/"):
        if not any(f"planted/{name}" in leak for leak in found):
            missed.append(f"a secret in {name}\n{(made.stderr).decode(errors='replace')}")
    return missed + planted_process(needles, canary)


def planted_process(needles, canary):
    watch = scan.Watch(needles)
    shown = subprocess.Popen(["sleep", "60"], env={"SHOWN": canary.decode()}, executable="/bin/sleep")
    time.sleep(0.2)
    watch.look()
    shown.kill()
    shown.wait()
    return [] if any("sleep 60: file" in leak.replace("`", "") for leak in watch.leaks()) else ["a secret of a process"]


def main():
    failures, files, looks = [], 0, 0
    for number in range(count):
        round_ = Round(number)
        failures += [f"not found where it was planted: {missed}" for missed in planted(round_)]
        wrong, looked_at, more = round_.run()
        failures, files, looks = failures + wrong, files + looked_at, looks + more
        if not wrong:
            remove(round_.place)
    print("\n".join(failures))
    print(f"canary: seed {seed}: {count} rounds, {len(SOURCES) + 1} sources, {files} files, {looks} looks at all "
          f"processes: {len(failures)} wrong")
    sys.exit(bool(failures))


def remove(place):
    """Removes a directory; files of a store may have ids that only another namespace reaches."""
    shutil.rmtree(place, ignore_errors=True)
    if place.exists():
        subprocess.run(["unshare", "--map-auto", "--map-root-user", "rm", "-rf", str(place)], check=False)


if __name__ == "__main__":
    main()
