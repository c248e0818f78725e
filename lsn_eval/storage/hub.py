"""Files of ours in repositories of the Hugging Face Hub.

`hf:OWNER/NAME@REVISION` stands wherever a mask or statistics file does; `hf:OWNER/NAME/FILE` where
a repository holds several. What is fetched is kept in huggingface_hub's own cache, which answers
without a network too.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any, ClassVar, Self

from lsn_eval.errors import LsnError
from lsn_eval.storage.masked_secrets import masked
from lsn_eval.wording.shown import Shown

PREFIX = "hf:"
_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:/([\w./-]+))?(?:@([\w./-]+))?")
_COMMIT = re.compile(r"/snapshots/([0-9a-f]{40})/")


def is_on_hub(name: Any) -> bool:
    """Whether this names a file in a repository."""
    return isinstance(name, str | os.PathLike) and os.fspath(name).startswith(PREFIX)


def fetched(name: str, file: str, error: type[LsnError], token: str | None = None) -> Path:
    """The file that `name` stands for, `file` where it names none; fetched where it is not there.

    Raises:
        LsnError: `error`, where there is no such repository, revision or file, or no access.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise error(
            f"{name!r} is no file on the Hub: hf:OWNER/NAME@REVISION was expected, a file in it as "
            "hf:OWNER/NAME/FILE@REVISION"
        )
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    repository, inside, revision = match.groups()
    try:
        return Path(hf_hub_download(repository, inside or file, revision=revision, token=token))
    except (OSError, ValueError, EntryNotFoundError) as cause:
        raise error(f"{name} cannot be fetched: {_reason(cause)}") from cause


def pinned(name: str, path: Path) -> str:
    """`name` with the commit that it stood for, so that it means the same tomorrow."""
    commit = _COMMIT.search(path.as_posix())
    return f"{name.partition('@')[0]}@{commit[1]}" if commit else name


class OnHub(Shown):
    """What is saved to one file and can be shared as a repository of its own."""

    FILE: ClassVar[str]
    """What the file is called there."""
    ERROR: ClassVar[type[LsnError]]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file."""
        raise NotImplementedError

    @staticmethod
    def load(path: Any) -> Any:
        """Read a file, or one on the Hub."""
        raise NotImplementedError

    def card(self, name: str) -> str:
        """What stands in the repository's README.md."""
        raise NotImplementedError

    @classmethod
    def from_pretrained(cls, name: str, *, revision: str | None = None) -> Self:
        """Read `OWNER/NAME`, or `OWNER/NAME/FILE`, from the Hub.

        Args:
            revision: a commit, tag or branch; a commit says the same tomorrow.

        Raises:
            LsnError: it cannot be fetched, or is no such file.
        """
        loaded: Self = cls.load(f"{PREFIX}{name}" + (f"@{revision}" if revision else ""))
        return loaded

    def push_to_hub(self, name: str, *, private: bool = False, token: str | None = None) -> str:
        """Write it with its card to the repository `OWNER/NAME`, which is made if there is none.

        Returns:
            `hf:OWNER/NAME@COMMIT`, which `load` and `mask=` read.

        Raises:
            LsnError: the repository cannot be written.
        """
        from huggingface_hub import HfApi

        api = HfApi(token=token)
        try:
            with tempfile.TemporaryDirectory() as folder:
                self.save(Path(folder) / self.FILE)
                (Path(folder) / "README.md").write_text(self.card(name), "utf-8")
                api.create_repo(name, private=private, exist_ok=True)
                done = api.upload_folder(
                    repo_id=name, folder_path=folder, commit_message=f"{self.FILE} by lsn_eval"
                )
        except Exception as cause:  # the HTTP client's own among them
            raise self.ERROR(f"{name} cannot be written on the Hub: {_reason(cause)}") from cause
        return f"{PREFIX}{name}@{done.oid}"


def _reason(cause: Exception) -> str:
    """The first line of an error of huggingface_hub, without keys, and what helps."""
    status = getattr(getattr(cause, "response", None), "status_code", None)
    advice = {
        401: "; log in (hf auth login) or set HF_TOKEN",
        403: "; your token may not do this",
        404: "; is it private, or misspelt? Log in with hf auth login where it is private",
    }.get(status or 0, "")
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return f"{masked(lines[0])}{advice}"
