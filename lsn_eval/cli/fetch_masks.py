"""`lsn-eval fetch-masks`: masks that others published, by pinned checksum."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fetch_masks(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names from the list; without any, the list.")
    ] = None,
    to: Annotated[
        Path, typer.Option("--out", "--to", help="Folder; made if it is not there.")
    ] = Path("masks"),
    mirror: Annotated[
        str | None,
        typer.Option(
            help="A server that has the files under OWNER/NAME/COMMIT/PATH.",
            show_default="raw.githubusercontent.com",
        ),
    ] = None,
) -> None:
    """Fetch masks that others published, and convert them.

    Files are of a pinned commit and checksum. What is there already is checked and not fetched
    again.

    Example: lsn-eval fetch-masks

    Example: lsn-eval fetch-masks llama-2-7b mistral-7b --out masks
    """
    from lsn_eval.masks.published import MIRROR, PUBLISHED, fetch_published
    from lsn_eval.wording.text_tables import aligned

    if not names:
        rows = [["name", "model", "languages", "from"]]
        for name, of in PUBLISHED.items():
            origin = "/".join(of.release[0].split("/")[:2])
            rows.append([name, of.model or f"a {of.model_type}", ",".join(of.languages), origin])
        print("\n".join(aligned(rows, len(rows[0]))))
    for name in names or ():
        print(f"written: {fetch_published(name, to, mirror=mirror or MIRROR)}")
