"""Masks that others published, fetched by pinned commit and checksum, and converted."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from lsn_eval.errors import MaskError
from lsn_eval.masks.imports import import_lists
from lsn_eval.storage.whole_files import check_folder, whole_file

MIRROR = "https://raw.githubusercontent.com"
_TIMEOUT = 60
_MOST_BYTES = 1 << 24
"""Of an answer that is no mask; the largest file has 393,198."""

_TANG = (
    "RUCAIBox/Language-Specific-Neurons/fdeca23acd53d7a4de5ca3f7a1b66ef94d7e19a7",
    "en zh fr es vi id ja",
)
_NJUNLP = (
    "NJUNLP/Language-Neurons-Alignment/f3d4d765eb61d0d9945580f1c928dab7983be0a5",
    "en ru es fr de zh ja bn th sw",
)


class Published(NamedTuple):
    """One released file: `list[language][layer]` of neuron indices."""

    model: str | None
    """On the Hub; None where the release does not say which."""
    model_type: str
    layers: int
    width: int
    named: int
    """Languages in the file: the first of those that the release numbers."""
    file: str
    sha256: str
    release: tuple[str, str] = _TANG
    """Repository and commit; languages in order."""

    @property
    def languages(self) -> list[str]:
        """In file order."""
        return self.release[1].split()[: self.named]


PUBLISHED = {
    "bloom-7b": Published(
        "bigscience/bloom-7b1", "bloom", 30, 16384, 6, "BLOOM-7B.neuron.pth",
        "c2d74f87588e650225d3a2571b3fd3db1895ef5778b31e2102ba4a42f0dee44b",
    ),
    "llama-2-7b": Published(
        "meta-llama/Llama-2-7b-hf", "llama", 32, 11008, 7, "LLaMA-2-7B.neuron.pth",
        "6653cb977fb85a5e61b21dd8f08480e7d69a18bdabdd6e374a56203b5c018c0d",
    ),
    "llama-2-13b": Published(
        "meta-llama/Llama-2-13b-hf", "llama", 40, 13824, 7, "LLaMA-2-13B.neuron.pth",
        "695ce7d2da665ac05eeb8267a50765edcb315cb961afd93a318c48c0ebccb8a0",
    ),
    "llama-2-70b": Published(
        "meta-llama/Llama-2-70b-hf", "llama", 80, 28672, 6, "LLaMA-2-70B.neuron.pth",
        "a5384631cffaa335e5ea78b3c7d1c747af5e87f0b74d25a491a8ebac5cf94dc8",
    ),
    "mistral-7b": Published(
        "mistralai/Mistral-7B-v0.1", "mistral", 32, 14336, 6, "Mistral-7B.neuron.pth",
        "6ff1c4e00294319ff0788071b587f36dea8816f870bbd0923be8b5d90055a39b",
    ),
    "mistral-7b-mgsm": Published(
        None, "mistral", 32, 14336, 10,
        "activation_masks/mgsm/0.01-0.109375/mask.Mistral-de76d14562b1da1ba0e52d5b245cf9c0859e2af3",
        "1d5e7296dc4789910887cc78d1b2706638342b16010db0234f7b04dd24ede745",
        _NJUNLP,
    ),
    "opt-6.7b": Published(
        "facebook/opt-6.7b", "opt", 32, 16384, 6, "OPT-6.7B.neuron.pth",
        "c4ea974dc94e9d72014e6b9bd29a632973e5c66908daf7023e215efb9d1277b1",
    ),
    "phi-2": Published(
        "microsoft/phi-2", "phi", 32, 10240, 6, "Phi-2-2.7B.neuron.pth",
        "e8a7d0ca8cf032d748b433c26d902d9580cb941b455c0a7644251f5267c6457e",
    ),
}  # fmt: skip
"""By name. Every checksum was computed of the file at the commit."""


def fetch_published(name: str, folder: Path, *, mirror: str = MIRROR) -> Path:
    """Download a published mask unless it is there, and convert it to `NAME.safetensors`.

    The released file is kept beside it as `NAME.pth`. It is a pickle: it is read only after its
    checksum is right, and then as plain tensors alone.

    Args:
        folder: made if it is not there.
        mirror: a server that has the files under `OWNER/NAME/COMMIT/PATH`.

    Returns:
        The mask file.

    Raises:
        MaskError: an unknown name, no connection, or another file than expected; of what came
            nothing is left.
    """
    if name not in PUBLISHED:
        raise MaskError(f"no published mask is called {name!r}; there are {', '.join(PUBLISHED)}")
    published = PUBLISHED[name]
    released, target = folder / f"{name}.pth", folder / f"{name}.safetensors"
    check_folder(folder, MaskError)
    folder.mkdir(parents=True, exist_ok=True)
    url = f"{mirror.rstrip('/')}/{published.release[0]}/{published.file}"
    there = released.is_file()
    content = released.read_bytes() if there else _downloaded(url, released)
    if (found := hashlib.sha256(content).hexdigest()) != published.sha256:
        raise MaskError(
            f"{released if there else url} has sha256 {found} ({len(content):,} bytes), expected "
            f"was {published.sha256}; nothing of it was used: "
            + ("delete it and run this again" if there else "try again, or get it elsewhere")
        )
    if not there:
        with whole_file(released, MaskError) as file:
            file.write(content)
    origin = {"release": published.release[0], "sha256": published.sha256}
    mask = import_lists(
        released, languages=published.languages, origin=origin, layers=published.layers,
        width=published.width, name=published.model, model_type=published.model_type,
    )  # fmt: skip
    mask.save(target)
    return target


def _downloaded(url: str, to: Path) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "lsn_eval"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return bytes(answer.read(_MOST_BYTES))
    except (OSError, HTTPException, ValueError) as error:
        code = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        raise MaskError(
            f"{url} cannot be fetched ({code}{getattr(error, 'reason', error)}); without a network "
            f"get the file elsewhere, put it at {to}, and run this again"
        ) from error
