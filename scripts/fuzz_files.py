"""Mutated files against every reader of files from outside.

    python scripts/fuzz_files.py --files 20000 --seed 0

A file is mutated (`fuzz_mutations.py`) and read (`fuzz_readers.py`). It must end in one of the
package's own errors, or be accepted with what a strict second reading finds in it; in `SECONDS` and
without `MEGABYTES` more memory. Anything else is printed and makes the exit status 1.
`tests/end_to_end/test_mutated_files.py` runs a few hundred of them.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fuzz_mutations import mutated
from fuzz_readers import Reader, readers

from lsn_eval.errors import LsnError

SECONDS = 10
MEGABYTES = 2048


class TooLong(Exception):
    """A reader that did not come to an end."""


@contextmanager
def _bounded() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(reader: Reader, path: Path) -> str:
    """`refused`, `accepted`, or what is wrong with how the reader took the file."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with _bounded():
            read = reader.read(path)
    except LsnError:
        return "refused"
    except TooLong:
        return f"not done after {SECONDS} s"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}"[
            :300
        ]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) // 1024
    if grown > MEGABYTES:
        return f"{grown} MB of memory"
    try:
        same = reader.agrees(path, read)
    except Exception as error:
        return f"accepted, and the second reading fails: {type(error).__name__}: {error}"[:300]
    return "accepted" if same else "accepted with other content than the file's"


def fuzz(
    files: int, seed: int | str, folder: Path, only: str = ""
) -> tuple[Counter[Any], list[str]]:
    """Counts by reader and outcome, and a line for every file that ended badly (kept there)."""
    counts: Counter[Any] = Counter()
    wrong = []
    chosen = [reader for reader in readers() if only in reader.name]
    for reader in chosen:
        sound = folder / f"sound{reader.suffix}"
        sound.write_bytes(reader.content)
        if (found := outcome(reader, sound)) != "accepted":
            wrong.append(f"{reader.name}: a sound file: {found}")
    for number in range(files):
        reader = chosen[number % len(chosen)]
        choose = random.Random(f"{seed}/{number}")
        path = folder / f"mutated{reader.suffix}"
        path.write_bytes(mutated(reader.content, choose))
        found = outcome(reader, path)
        counts[reader.name, found if found in ("refused", "accepted") else "wrong"] += 1
        if found not in ("refused", "accepted"):
            kept = folder / f"wrong_{seed}_{number}{reader.suffix}"
            path.rename(kept)
            wrong.append(f"{reader.name}, {kept}: {found}")
    return counts, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of a reader's name")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "mutated_files")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    counts, wrong = fuzz(given.files, given.seed, given.keep, given.only)
    print("| reader | files | refused | accepted and confirmed | wrong |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in dict.fromkeys(name for name, _ in counts):
        row = [counts[name, kind] for kind in ("refused", "accepted", "wrong")]
        print(f"| {name} | {sum(row)} | {' | '.join(map(str, row))} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\n{given.files} files, {time.monotonic() - began:.0f} s, peak memory {peak} MB")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
