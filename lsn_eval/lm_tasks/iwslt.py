"""`lsn_iwslt_{src}_{tgt}`: translation of IWSLT 2017's TED talks, as that of FLORES."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import datasets

from lsn_eval.lm_tasks.evaluated_languages import Language
from lsn_eval.lm_tasks.flores import FloresTask
from lsn_eval.lm_tasks.local_data import LocalDataError, json_rows, local_file
from lsn_eval.storage.outside_files import read_text

WHERE = (
    "IWSLT 2017 is at https://wit3.fbk.eu/2017-01: lay the test sets of the pair's archive there, "
    "or write JSON lines with the Hub's column (IWSLT/iwslt2017): translation"
)
_SEGMENT = re.compile(r'<seg id="([0-9]+)">(.*?)</seg>')


class IwsltTask(FloresTask):
    """One pair of languages; prompt, scores and `lines` are those of FLORES."""

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """`iwslt2017/en-de/IWSLT17.TED.tst*.en-de.de.xml`, of the release, every year after the
        other; or `iwslt2017/en-de.test.jsonl`."""
        pairs = [
            f"{a.iso}-{b.iso}" for a, b in ((self.source, self.target), (self.target, self.source))
        ]
        read = partial(_sentences, root / "iwslt2017", pairs)
        return self._splits(lambda of, split: read(of))

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """There is a loading script alone, which `datasets` runs no more.

        Raises:
            LocalDataError: always.
        """
        raise LocalDataError(
            f'IWSLT 2017 needs local data: --metadata \'{{"data_root": "DIR"}}\' or LSN_EVAL_DATA='
            f"DIR, with iwslt2017/en-de in it; {WHERE}"
        )


def _sentences(folder: Path, pairs: list[str], of: Language) -> dict[str, str]:
    """Sentences by file and number, of the first of `pairs` that is there."""
    for pair in pairs:
        if files := sorted((folder / pair).glob(f"IWSLT17.TED.tst*.{pair}.{of.iso}.xml")):
            found = {}
            for file in files:
                year = file.name.split(".")[2]
                for number, text in _SEGMENT.findall(read_text(file, LocalDataError)):
                    found[f"{year}.{number}"] = text.strip()
            if not found:
                raise LocalDataError(f"{files[0]} holds no <seg>; {WHERE}")
            return found
    looked = [*(f"{pair}/IWSLT17.TED.tst2010.{pair}.{of.iso}.xml" for pair in pairs[:1]),
              *(f"{pair}.test.jsonl" for pair in pairs)]  # fmt: skip
    rows = json_rows(local_file(folder, looked, WHERE))
    return {str(n): row.fields("translation").text(of.iso) for n, row in enumerate(rows, start=1)}
