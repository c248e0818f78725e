"""A stand-in for the Hub's interface on loopback: repositories, revisions, files, tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import datasets
import pytest
from huggingface_hub import constants, hf_api

from builders.loopback import answering

TOKEN = "hf_standin0123456789"


class Hub:
    """`commits[repository]` is a list of (commit, files), the newest last."""

    def __init__(self) -> None:
        self.commits: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.private: set[str] = set()
        self.url = ""

    def files(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        for commit, files in reversed(self.commits[repository]):
            if revision in ("main", commit):
                return commit, files
        return None


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, status: int, document: Any = None, **headers: str) -> None:
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        @property
        def known(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {TOKEN}"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/api/validate-yaml":
                return self.answer(200, {"errors": [], "warnings": []})
            if not self.known:
                return self.answer(401, {"error": "Invalid credentials"})
            if self.path == "/api/repos/create":
                given = json.loads(body)
                name = "/".join(filter(None, [given.get("organization"), given["name"]]))
                if name in hub.commits:
                    return self.answer(409, {"url": f"{hub.url}/{name}"})
                hub.commits[name] = [("0" * 40, {})]
                if given.get("private") or given.get("visibility") == "private":
                    hub.private.add(name)
                return self.answer(200, {"url": f"{hub.url}/{name}"})
            kinds = r"/api/(?:models|datasets)/"
            match = re.fullmatch(rf"{kinds}([^/]+/[^/]+)/(preupload|commit)/main", self.path)
            if match is None:
                return self.answer(404, {"error": f"no {self.path}"})
            name, what = match.groups()
            if what == "preupload":
                files = [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
                return self.answer(200, {"files": files})
            files = dict(hub.commits[name][-1][1])
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            commit = hashlib.sha1(body).hexdigest()
            hub.commits[name].append((commit, files))
            url = f"{hub.url}/{name}/commit/{commit}"
            return self.answer(200, {"success": True, "commitOid": commit, "commitUrl": url})

        def do_GET(self) -> None:
            listed = re.match(r"/api/datasets/([^/]+/[^/]+)/tree/main", self.path)
            if listed and self.known and listed[1] in hub.commits:
                _, files = hub.commits[listed[1]][-1]
                entries = [
                    {"type": "file", "path": path, "oid": "0" * 40, "size": len(content)}
                    for path, content in files.items()
                ]
                return self.answer(200, entries)
            match = re.fullmatch(
                r"(?:/datasets)?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", unquote(self.path)
            )
            if match is None:
                return self.answer(404, {"error": f"no {self.path}"})
            name, revision, file = match.groups()
            if name not in hub.commits or (name in hub.private and not self.known):
                return self.answer(401, {"error": "not found"}, X_Error_Code="RepoNotFound")
            found = hub.files(name, revision)
            if found is None:
                return self.answer(404, {"error": "none"}, X_Error_Code="RevisionNotFound")
            commit, files = found
            if file not in files:
                return self.answer(404, {"error": "none"}, X_Error_Code="EntryNotFound")
            tag = hashlib.sha1(files[file]).hexdigest()
            return self.answer(200, files[file], ETag=f'"{tag}"', X_Repo_Commit=commit)

        do_HEAD = do_GET

    return Handler


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A running Hub without repositories."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    with answering(server) as hub.url:
        yield hub


@contextmanager
def hub_in_place(patch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """A Hub in place of the real one, a token for it and an empty cache."""
    with hub_server() as hub:
        patch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        # What these read when they were imported.
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        patch.setattr(hf_api.api, "endpoint", hub.url)
        patch.setenv("HF_TOKEN", TOKEN)
        yield hub
