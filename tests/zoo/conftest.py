"""A Hub on 127.0.0.1 that the installed `huggingface_hub` client talks to, and small modules."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlparse

import pytest

TOKEN = "hf_the_right_one"


class Repository:
    """Commits of {path: bytes}, and what each revision points to."""

    def __init__(self, private: bool = False) -> None:
        self.private = private
        self.commits: dict[str, dict[str, bytes]] = {}
        self.refs: dict[str, str] = {}
        self.extra_listed: list[str] = []  # paths that only the listing has

    def commit(self, files: dict[str, bytes], revision: str = "main") -> str:
        before = self.commits.get(self.refs.get(revision, ""), {})
        sha = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits[sha] = {**before, **files}
        self.refs[revision] = sha
        return sha

    def at(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.refs.get(revision)


class Hub(ThreadingHTTPServer):
    """The Hub's routes that pulling, listing and pushing use."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}  # large files by sha256
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.cuts: dict[str, list[int]] = {}  # part of a path -> bytes until the next cuts

    def add(self, name: str, folder: Path, path: str = "", **options) -> str:
        """Put a module's folder into a repository."""
        files = {f"{path}/{p.name}".lstrip("/"): p.read_bytes() for p in sorted(folder.iterdir())}
        return self.repository(name, **options).commit(files)

    def repository(self, name: str, **options) -> Repository:
        return self.repositories.setdefault(name, Repository(**options))

    def stop(self) -> None:
        """Be gone: also for connections that the client keeps."""
        from huggingface_hub.utils import reset_sessions

        self.shutdown()
        self.server_close()
        reset_sessions()

    def asked(self, part: str, method: str = "GET") -> list[str | None]:
        """The Range headers of the requests for a path."""
        return [r for m, path, r in self.requests if m == method and part in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        url = urlparse(self.path)
        path = unquote(url.path)
        self.server.requests.append((self.command, path, self.headers.get("Range")))
        if path == "/api/models":
            return self._list(parse_qs(url.query))
        if match := re.fullmatch(r"/large/(\w+)", path):
            return self._send_file(self.server.stored[match[1]], {"ETag": f'"{match[1]}"'})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self._info(match[1], match[2] or "main")
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(*match.groups())
        return self._error(404, "EntryNotFound")

    def do_POST(self):
        path = unquote(urlparse(self.path).path)
        self.server.requests.append((self.command, path, None))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" and not path.startswith("/check"):
            return self._error(401, None, "Invalid username or password.")
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._json({"warnings": [], "errors": []})
        if path.startswith("/check/"):
            return self._json({})
        if match := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return self._batch(json.loads(body))
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/(.+)", path)
        repository = self.server.repositories[match[1]]
        if match[3] != "main" and match[3] not in repository.refs:
            return self._error(404, "RevisionNotFound")
        if match[2] == "preupload":
            modes = [
                {
                    "path": f["path"],
                    "shouldIgnore": False,
                    "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular",
                }
                for f in json.loads(body)["files"]
            ]
            return self._json({"files": modes})
        return self._commit(repository, match[3], body)

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.command, self.path, None))
        assert self.path == f"/upload/{hashlib.sha256(content).hexdigest()}"
        self.server.stored[self.path.rsplit("/", 1)[1]] = content
        self._json({})

    def _list(self, query):
        found = []
        for name, repository in self.server.repositories.items():
            readme = repository.commits[repository.at("main")].get("README.md", b"").decode()
            header = readme.split("---\n")[1] if readme.startswith("---\n") else ""
            card = {k: json.loads(v) for k, v in re.findall(r"^(\w+): (\[.*\])$", header, re.M)}
            base = re.search(r'base_model: "(.*)"', header)
            tags = {*card.get("tags", ()), *card.get("language", ())}
            tags |= {f"base_model:{base[1]}"} if base else set()
            owner = query.get("author", [name.split("/")[0]])[0]
            if set(query.get("filter", ())) <= tags and name.startswith(f"{owner}/"):
                found.append({"id": name, "tags": sorted(tags), "cardData": card})
        self._json(found)

    def _allowed(self, name) -> Repository | None:
        repository = self.server.repositories.get(name)
        token = self.headers.get("Authorization")
        if repository is None or (repository.private and token != f"Bearer {TOKEN}"):
            self._error(401 if token is None else 404, "RepoNotFound", "Repository not found")
            return None
        return repository

    def _info(self, name, revision):
        if (repository := self._allowed(name)) is None:
            return
        if (sha := repository.at(revision)) is None:
            return self._error(404, "RevisionNotFound")
        paths = [*repository.commits[sha], *repository.extra_listed]
        self._json({"id": name, "sha": sha, "siblings": [{"rfilename": p} for p in paths]})

    def _resolve(self, name, revision, path):
        if (repository := self._allowed(name)) is None:
            return
        if (sha := repository.at(revision)) is None:
            return self._error(404, "RevisionNotFound")
        content = repository.commits[sha].get(path)
        if content is None:
            return self._error(404, "EntryNotFound", headers={"X-Repo-Commit": sha})
        if not path.endswith(".safetensors"):
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            return self._send_file(content, {"ETag": f'"{blob}"', "X-Repo-Commit": sha})
        digest = hashlib.sha256(content).hexdigest()
        self.server.stored.setdefault(digest, content)
        self._reply(
            302,
            b"",
            {
                "X-Repo-Commit": sha,
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{self.server.url}/large/{digest}",
            },
        )

    def _send_file(self, content, headers):
        """The bytes, from the Range's start; where a cut is due, the connection drops after it."""
        start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range") or "bytes=0-")[1])
        if start >= len(content) > 0:
            return self._reply(416, b"", {})
        rest = content[start:]
        headers = {**headers, "Content-Length": str(len(rest))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        cuts = next((c for part, c in self.server.cuts.items() if part in self.path and c), None)
        cut = cuts.pop(0) if cuts and self.command == "GET" else None
        self._reply(206 if start else 200, rest[:cut], headers)
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True

    def _create(self, body):
        name = f"{body['organization']}/{body['name']}"
        if name in self.server.repositories:
            return self._json({"url": f"{self.server.url}/{name}", "error": "is there"}, 409)
        self.server.repository(name, private=bool(body.get("private"))).commit(
            {".gitattributes": b"*.safetensors filter=lfs\n"}
        )
        self._json({"url": f"{self.server.url}/{name}"})

    def _batch(self, body):
        assert body["operation"] == "upload"
        objects = [
            {
                **one,
                "actions": {
                    "upload": {"href": f"{self.server.url}/upload/{one['oid']}"},
                    "verify": {"href": f"{self.server.url}/check/{one['oid']}"},
                },
            }
            for one in body["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, repository, revision, body):
        files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                assert value["encoding"] == "base64"
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
        sha = repository.commit(files, revision)
        self._json({"commitUrl": f"{self.server.url}/x/y/commit/{sha}", "commitOid": sha})

    def _json(self, value, status=200):
        self._reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, status, code, message="", headers=None):
        extra = {"X-Error-Code": code} if code else {}
        self._reply(status, b"{}", {**extra, "X-Error-Message": message, **(headers or {})})

    def _reply(self, status, content, headers):
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub of this test's own, with the client of this process and its children turned to it."""
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import reset_sessions

    server = Hub()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    home = tmp_path / "hf"
    changed = {
        "ENDPOINT": server.url,
        "HF_HUB_OFFLINE": False,
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
    }
    for key, value in changed.items():
        monkeypatch.setattr(constants, key, value)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    reset_sessions()  # the client made its sessions for the Hub that was set before
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of polyrank's own."""
    monkeypatch.setenv("POLYRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("POLYRANK_ZOO", raising=False)
    return tmp_path / "cache" / "zoo"


@pytest.fixture
def module(tmp_path):
    """Make a module folder without torch: module(name="ky", base="tiny", **card) -> folder."""
    return lambda name="ky", **options: make_module(tmp_path / "made", name, **options)


@pytest.fixture
def knows(tmp_path):
    """knows("known", weights) -> a zoo whose index says which weights the base of that name has."""

    def write(base, weights):
        root = tmp_path / "knows"
        (root / base / "base").mkdir(parents=True, exist_ok=True)
        (root / base / "base" / "config.json").write_text("{}")
        bases = {base: {"weights": weights, "vocabulary": "81aa" * 4}}
        (root / "index.json").write_text(json.dumps({"version": 1, "bases": bases, "modules": []}))
        return root

    return write


@pytest.fixture
def offline(monkeypatch):
    """Switch the network off for this process's client."""
    from huggingface_hub import constants
    from huggingface_hub.utils import reset_sessions

    def switch() -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        reset_sessions()

    yield switch
    reset_sessions()


def make_module(root, name="ky", base="tiny", role="language", seed=0, size=3000, **changes):
    import numpy as np
    from safetensors.numpy import save_file

    from polyrank.base import Fingerprint
    from polyrank.modules.card import Data, ModuleCard, write_card

    card = ModuleCard(
        role=role,
        kind="adapter",
        name=name,
        language=name if role == "language" else "en",
        base=base,
        base_fingerprint=Fingerprint("3f9c" * 4, "81aa" * 4),
        recipe={"command": "none: random weights", "seed": seed},
        **{"data": (Data("nothing", "CC0-1.0", 0),), **changes},
    )
    folder = root / card.full_name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random, width = np.random.default_rng(seed), 2 * int(size**0.5 / 2)  # about `size` numbers
    shapes = {
        "adapter_down.0.weight": (width // 2, width), "adapter_down.0.bias": (width // 2,),
        "adapter_up.weight": (width, width // 2), "adapter_up.bias": (width,),
    }  # fmt: skip
    layer = f"bert.encoder.layer.0.output.adapters.{name}"
    tensors = {
        f"{layer}.{part}": random.normal(size=shape).astype("float32")
        for part, shape in shapes.items()
    }
    save_file(tensors, folder / "adapter.safetensors", {"format": "pt"})
    config = {
        "name": name, "hidden_size": width, "model_type": "bert", "version": "adapters.1.3.0",
        "config": {
            "non_linearity": "relu", "original_ln_before": True, "original_ln_after": True,
            "residual_before_ln": True, "output_adapter": True, "reduction_factor": 2.0,
        },
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config) + "\n")
    write_card(folder, card)
    return folder


def left(folder: Path) -> list[str]:
    """Files under a folder, locks apart."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".locks" not in path.parts
    )


@pytest.fixture
def files_left():
    return left


@pytest.fixture
def token():
    return TOKEN


@pytest.fixture
def environment():
    """Of a child process: this one's, as it is when asked."""
    return lambda **more: {**os.environ, **more}
