"""`lsn_iwslt_{src}_{tgt}`: translation of IWSLT 2017's TED talks, as that of FLORES."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import datasets

from lsn_eval.lm_tasks.base import LsnTask
from lsn_eval.lm_tasks.flores import FloresTask
from lsn_eval.lm_tasks.local_data import LocalDataError, json_rows, local_file
from lsn_eval.storage.outside_files import read_text

_SEGMENT = re.compile(r'<seg id="([0-9]+)">(.*?)</seg>')


class IwsltTask(FloresTask):
    """One pair of languages; prompt, scores and `lines` are those of FLORES."""

    WHERE = (
        "IWSLT 2017 is at https://wit3.fbk.eu/2017-01: lay the test sets of a pair's archive into "
        "iwslt2017/en-de there, or write JSON lines with the Hub's column (IWSLT/iwslt2017), "
        "translation"
    )

    hub = LsnTask.hub  # there is a loading script alone, which `datasets` runs no more

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """`iwslt2017/en-de/IWSLT17.TED.tst*.en-de.de.xml`, of the release, every year after the
        other; or `iwslt2017/en-de.test.jsonl`."""
        return self._splits(lambda of, split: self._sentences(root / "iwslt2017", of.iso))

    def _sentences(self, folder: Path, code: str) -> dict[str, str]:
        """Sentences by file and number; the archive of the other direction will do."""
        one, other = self.source.iso, self.target.iso
        pairs = f"{one}-{other}", f"{other}-{one}"
        for pair in pairs:
            if files := sorted((folder / pair).glob(f"IWSLT17.TED.tst*.{pair}.{code}.xml")):
                found = {
                    f"{file.name.split('.')[2]}.{number}": text.strip()
                    for file in files
                    for number, text in _SEGMENT.findall(read_text(file, LocalDataError))
                }
                if not found:
                    raise LocalDataError(f"{files[0]} holds no <seg>; {self.WHERE}")
                return found
        looked = [f"{pairs[0]}/IWSLT17.TED.tst2010.{pairs[0]}.{code}.xml"]
        looked += [f"{pair}.test.jsonl" for pair in pairs]
        rows = json_rows(local_file(folder, looked, self.WHERE))
        return {str(n): row.fields("translation").text(code) for n, row in enumerate(rows, start=1)}
