"""Download the data of the tasks, as released, into the folder that `data_root` names.

    python scripts/fetch_data.py --data-root DIR flores200 xquad xnli mvicuna
    python scripts/fetch_data.py --data-root DIR wikipedia --languages de zh

A file appears under its name when it is whole and its SHA-256 is right, never before. What is
expected is the checksum below where one is known; else the one that the first download wrote to
`DIR/checksums.json`, which later downloads, on other machines too if the file goes along, must
match. An interrupted download goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import IncompleteRead
from pathlib import Path

CHECKSUMS = "checksums.json"
TIMEOUT = 60


class FetchError(Exception):
    """A download that did not give the file that was expected."""


@dataclass(frozen=True)
class File:
    """One file of a release."""

    path: str
    """Below the data folder."""
    url: str
    sha256: str | None = None
    """None: not known to us; the first download is trusted, and remembered."""
    unpacked: str | None = None
    """The file or folder below the data folder that an archive makes."""


_FLORES = "https://dl.fbaipublicfiles.com/nllb/flores200_dataset.tar.gz"
_XNLI = "https://dl.fbaipublicfiles.com/XNLI/"
_XQUAD = "https://raw.githubusercontent.com/google-deepmind/xquad/master/"
_CONFUSION = (
    "https://raw.githubusercontent.com/for-ai/language-confusion/"
    "0cfdbb4a64502648938c456b2fa9689968f22298/"
)
_TANG = "https://raw.githubusercontent.com/RUCAIBox/Language-Specific-Neurons/main/data/mvicuna/"
_RACIA = "https://raw.githubusercontent.com/racia/Language-Specific-Neurons/main/data/mvicuna/"

# Computed from copies of the released files.
_XQUAD_SHA256 = {
    "de": "990b5d746746ed65ed4702ea5f35f99ffa4e2f1c390c07d003642acd937916f9",
    "en": "e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29",
    "es": "dcbae93ec3a9f4b9e78fd834a171d6f96c1a875e10e15b7530b7e4ef4971e37e",
    "tr": "92179a564774b7696100d144c1e10870d0a966b6fccbdd254a65b9d2ab1971cc",
    "zh": "691d0b3359bc6b8faa8de931dfdfe21d50a65861ae348e32a0d1a0190b0c8835",
}
_MVICUNA_SHA256 = {
    "de": "8fd41d7e957b248cee020aa7875b202ee045c5c6372c609bae85cedf9cfe863f",
    "en": "b5ad91e4f24626314400d2bd6a850d063f3e605ccee215e975c462345b1ebe5c",
    "es": "661171553886f3b0bfd444ad0d767b664919b4f429aa43099ff384df4bcc759f",
    "fr": "d4f291e51ae10e268ba75af6a3e0aa07cb94002dc5a827aec6e66b8be7bd2562",
    "tr": "654a181a043265b2ef70d9a7c50e17dbaafce573f48e07d5133836ec1c549eef",
    "zh": "09ff0209dd36387114102823dc6f1a2f0c290218f9c320a79700d3bb888a39b6",
}

RELEASES: dict[str, list[File]] = {
    "flores200": [
        File(
            "downloads/flores200_dataset.tar.gz",
            _FLORES,
            # Not computed by us: as several public repositories record it, all alike.
            "b8b0b76783024b85797e5cc75064eb83fc5288b41e9654dabc7be6ae944011f6",
            unpacked="flores200_dataset",
        )
    ],
    "xnli": [File("downloads/XNLI-1.0.zip", f"{_XNLI}XNLI-1.0.zip", unpacked="XNLI-1.0")],
    # Its training set by machine translation: few-shot examples alone need it.
    "xnli_mt": [
        File("downloads/XNLI-MT-1.0.zip", f"{_XNLI}XNLI-MT-1.0.zip", unpacked="XNLI-MT-1.0")
    ],
    "xquad": [
        File(f"xquad/xquad.{code}.json", f"{_XQUAD}xquad.{code}.json", _XQUAD_SHA256.get(code))
        for code in ["ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh"]
    ],
    "language_confusion": [
        File(
            "downloads/language_confusion.zip",
            f"{_CONFUSION}test_sets.zip",
            "3425337489fa65ff15d977e981e9748c86ce8e88ef0f4457ecdb4a65d8702712",
            unpacked="test_sets",
        ),
        File(
            "language_confusion/words",
            f"{_CONFUSION}words",
            "1ec8230beef2a7c955742b089fc3cea2833866cf5482bf018d7c4124eef104bd",
        ),
    ],
    "mvicuna": [
        File(f"mvicuna/{code}.txt", f"{base}{code}.txt", _MVICUNA_SHA256.get(code))
        for base, codes in ((_TANG, "en es fr id ja vi zh"), (_RACIA, "de tr"))
        for code in codes.split()
    ],
}


def fetch(file: File, root: Path) -> Path:
    """Download `file` below `root`, or check it if it is there, and unpack it.

    Raises:
        FetchError: no connection, a part of the file, or another file than expected.
    """
    place = root / file.path
    expected = file.sha256 or remembered(root).get(file.path)
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(place.name + ".part")
        download(file.url, part)
        found = sha256_of(part)
        if expected is not None and found != expected:
            part.unlink()
            raise FetchError(wrong(file.url, found, expected))
        part.replace(place)
        if expected is None:
            remember(root, file.path, found)
            print(f"{file.path}: sha256 {found} from now on ({root / CHECKSUMS})")
    elif (found := sha256_of(place)) != expected:
        if expected is not None:
            raise FetchError(wrong(str(place), found, expected))
        remember(root, file.path, found)
    if file.unpacked and not (root / file.unpacked).exists():
        unpack(place, file.unpacked, root)
    return place


def wrong(what: str, found: str, expected: str) -> str:
    """The message about a checksum."""
    return (
        f"{what} has sha256 {found}, expected was {expected}. Delete it and try again; if the "
        f"release has changed on purpose, remove its line from {CHECKSUMS} or this script"
    )


def download(url: str, part: Path) -> None:
    """Fetch `url` to `part`, going on from what is there of the same version."""
    tag_file = part.with_name(part.name + ".etag")
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "lsn_eval"})
    if have and tag_file.is_file():
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag_file.read_text("utf-8"))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            going_on = answer.status == 206 and _starts_at(answer.headers, have)
            if answer.status == 206 and not going_on:
                part.unlink()
                raise FetchError(f"{url}: the server went on from another place; try again")
            length = answer.headers.get("Content-Length")
            whole = int(length) + (have if going_on else 0) if length else None
            if not going_on:
                tag = answer.headers.get("ETag", "")
                # A weak tag does not promise the same bytes.
                tag_file.unlink(missing_ok=True)
                if tag and not tag.startswith("W/"):
                    tag_file.write_text(tag, "utf-8")
            with part.open("ab" if going_on else "wb") as out:
                shutil.copyfileobj(answer, out, 1 << 20)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # what is there is no start of what the server has
            part.unlink()
        raise FetchError(f"{url}: {error.code} {error.reason}; try again later") from error
    except (OSError, IncompleteRead) as error:
        raise FetchError(f"{url}: {error}; run this again to go on") from error
    got = part.stat().st_size
    if whole is not None and got != whole:
        raise FetchError(f"{url}: {got} of {whole} bytes came; run this again to go on")
    tag_file.unlink(missing_ok=True)


def _starts_at(headers: object, position: int) -> bool:
    given = str(headers.get("Content-Range", ""))  # type: ignore[attr-defined]
    return given.startswith(f"bytes {position}-")


def sha256_of(path: Path) -> str:
    """Of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered(root: Path) -> dict[str, str]:
    """Checksums that earlier downloads wrote."""
    path = root / CHECKSUMS
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def remember(root: Path, path: str, sha256: str) -> None:
    """Add one, without ever leaving half a file."""
    known = {**remembered(root), path: sha256}
    new = root / f"{CHECKSUMS}.part"
    new.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n", "utf-8")
    new.replace(root / CHECKSUMS)


def unpack(archive: Path, unpacked: str, root: Path) -> None:
    """Unpack beside, and move into place when all is there."""
    beside = root / f".unpacking-{unpacked}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as file:  # it keeps members inside the folder
                file.extractall(beside)
        else:
            with tarfile.open(archive) as file:
                file.extractall(beside, filter="data")
        if not (beside / unpacked).exists():
            raise FetchError(f"{archive} holds no {unpacked}; is it the release?")
        (beside / unpacked).replace(root / unpacked)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise FetchError(f"{archive} cannot be unpacked ({error}); delete it") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def fetch_articles(language: str, root: Path) -> Path:
    """The held-out Wikipedia articles that the perplexity tasks choose from, as JSON lines."""
    from lsn_eval.lm_tasks.wikippl import held_out, hub_articles

    place = root / "wikipedia" / f"{language}.jsonl"
    if place.is_file():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(place.name + ".part")
    with part.open("w", encoding="utf-8") as out:
        for article in held_out(hub_articles(language)):
            # Escaped, so that every line end is the end of a row.
            out.write(json.dumps({"id": article.identity, "text": article.text}) + "\n")
    part.replace(place)
    remember(root, f"wikipedia/{language}.jsonl", sha256_of(place))
    return place


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what is named; 1 if something could not be fetched."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("releases", nargs="+", choices=[*RELEASES, "wikipedia"])
    parser.add_argument("--data-root", type=Path, required=True, metavar="DIR")
    parser.add_argument("--languages", nargs="+", default=[], help="for wikipedia")
    options = parser.parse_args(arguments)
    if ("wikipedia" in options.releases) != bool(options.languages):
        parser.error("wikipedia and --languages go together")
    options.data_root.mkdir(parents=True, exist_ok=True)
    failed = 0
    for release in dict.fromkeys(options.releases):
        for file in RELEASES.get(release, []):
            try:
                print(fetch(file, options.data_root))
            except FetchError as error:
                print(f"error: {error}", file=sys.stderr)
                failed = 1
    for language in options.languages:
        print(fetch_articles(language, options.data_root))
    return failed


if __name__ == "__main__":
    sys.exit(main())
