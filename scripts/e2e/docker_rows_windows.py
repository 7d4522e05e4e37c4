"""docker_rows_windows.py REGISTRY REPOSITORY USERS: makes `latest` of its tag `linux`, with an entry for Windows and one for
`unknown/unknown`, as images of Docker Hub have them. A name without a slash is one of `library/`; the first line of USERS is who
asks for a token where the registry wants one."""

import base64
import hashlib
import json
import pathlib
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

registry, repository, users = sys.argv[1:]
if "/" not in repository:
    repository = f"library/{repository}"
root = f"http://{registry}/v2/{repository}"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def token():
    """Asks the token server that the registry names for one to pull and to push."""
    try:
        urllib.request.urlopen(f"http://{registry}/v2/")
        return None
    except urllib.error.HTTPError as error:
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', error.headers["WWW-Authenticate"]))
    scope = f"repository:{repository}:pull,push"
    query = urllib.parse.urlencode({"service": challenge["service"], "scope": scope})
    request = urllib.request.Request(f"{challenge['realm']}?{query}")
    user = pathlib.Path(users).read_text().splitlines()[0]
    request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
    return json.load(urllib.request.urlopen(request))["token"]


bearer = token()


def ask(method, url, body=None, media_type="application/octet-stream"):
    request = urllib.request.Request(url, data=body, method=method)
    request.add_header("Accept", f"{INDEX}, {MANIFEST}")
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    if body is not None:
        request.add_header("Content-Type", media_type)
    return urllib.request.urlopen(request)


def descriptor(media_type, body):
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    return {"mediaType": media_type, "digest": digest, "size": len(body)}


def put_blob(body):
    digest = descriptor("", body)["digest"]
    place = ask("POST", f"{root}/blobs/uploads/", b"").headers["Location"]
    if place.startswith("/"):
        place = f"http://{registry}{place}"
    ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", body)


def put_image(platform):
    config = json.dumps({**platform, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    put_blob(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [],
    }
    body = json.dumps(manifest).encode()
    found = descriptor(MANIFEST, body)
    ask("PUT", f"{root}/manifests/{found['digest']}", body, MANIFEST)
    return {**found, "platform": platform}


index = json.load(ask("GET", f"{root}/manifests/linux"))
index["manifests"] += [
    put_image({"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2340"}),
    put_image({"os": "unknown", "architecture": "unknown"}),
]
ask("PUT", f"{root}/manifests/latest", json.dumps(index).encode(), INDEX)
