"""`lsn_flores_{src}_{tgt}`: translation of FLORES-200, scored by sacrebleu.

BLEU needs words. sacrebleu's default tokenizer, 13a, finds them in scripts that put spaces between
them and use ASCII punctuation; `TOKENIZERS` says what is taken for the others. chrF++ needs none.
sacrebleu's signatures go into the task's metadata, and so into the results file, under `configs`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import sacrebleu
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lsn_eval.lm_tasks.base import LsnTask
from lsn_eval.lm_tasks.evaluated_languages import LANGUAGES, Language
from lsn_eval.lm_tasks.local_data import LocalDataError, json_rows, local_file
from lsn_eval.storage.outside_files import read_text

DATASET = "openlanguagedata/flores_plus"

TOKENIZERS = {
    **dict.fromkeys(("Latn", "Cyrl", "Grek"), "13a"),
    **dict.fromkeys(("Hans", "Hant"), "zh"),
    **dict.fromkeys(("Jpan", "Hang", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"), "char"),
}
"""sacrebleu's tokenizer by the script of the target language; `intl` for every other script."""

LINES = "lines"
_SPAN = re.compile(r"([0-9]{1,7})(?:-([0-9]{1,7}))?")

WHERE = (
    "unpack the FLORES-200 release (https://dl.fbaipublicfiles.com/nllb/flores200_dataset.tar.gz) "
    "in the data folder, or run: python scripts/fetch_data.py flores200"
)


class FloresTask(LsnTask):
    """One pair of languages: from the YAML, or `flores_pair` of the metadata."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        super().__init__(config)
        signatures = {"sacrebleu": signatures_of(self.tokenizer)}
        self.set_config("metadata", {**self.metadata, **signatures})
        if (lines := self.metadata.get(LINES)) is not None:
            self.VERSION = f"{self.metadata['version']}+lines-{lines}"  # it stands in the signature

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """The splits of the pair: devtest, and dev where examples are shown."""
        names = self.metadata.get("flores_names") or {}
        pair = dataset_kwargs or _pair(self.metadata.get("flores_pair"))
        self.source = language(str(pair["source"]), names)
        self.target = language(str(pair["target"]), names)
        self.tokenizer = tokenizer_for(self.target.script, self.metadata.get("bleu_tok"))
        super().download({})

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """Sentences of the official release, `flores200_dataset/devtest/deu_Latn.devtest`."""
        return self._splits(partial(read_sentences, root))

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """Sentences of FLORES+, which is gated: accept its terms, and log in."""
        return self._splits(hub_sentences)

    def _splits(
        self, read: Callable[[Language, str], dict[str, str]]
    ) -> dict[str, datasets.Dataset]:
        splits = ["devtest"] + (["dev"] if self.fewshot_cfg.split == "dev" else [])
        rows = {x: self._rows(read(self.source, x), read(self.target, x)) for x in splits}
        if (lines := self.metadata.get(LINES)) is not None:
            rows["devtest"] = rows["devtest"].select(positions(lines, len(rows["devtest"])))
        return rows

    def _rows(self, source: dict[str, str], target: dict[str, str]) -> datasets.Dataset:
        if list(source) != list(target):
            raise LocalDataError(
                f"{self.source.name} has {len(source)} sentences and {self.target.name} "
                f"{len(target)}, or they are not the same ones: take both from the same release"
            )
        languages = {
            "source_language": self.source.name,
            "target_language": self.target.name,
            "article": "an" if self.source.name[0] in "AEIOU" else "a",
        }
        return datasets.Dataset.from_list(
            [
                {"id": number, "source": sentence, "target": target[number], **languages}
                for number, sentence in source.items()
            ]
        )

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
        """The translation beside its reference, for the scores of the corpus."""
        hypothesis = first_line(results[0])
        return {
            "bleu": (hypothesis, doc["target"], self.tokenizer),
            "chrf++": (hypothesis, doc["target"]),
        }


def positions(lines: Any, count: int) -> list[int]:
    """The sentences, from 0, that the metadata `lines` choose: the first N, or `3,17,20-25`.

    Raises:
        LocalDataError: anything else, a line twice, or one that is not there.
    """
    chosen: list[int] = []
    whole = isinstance(lines, int) and not isinstance(lines, bool)
    for part in (f"1-{lines}" if whole else str(lines)).split(","):
        if not (span := _SPAN.fullmatch(part.strip())):
            raise LocalDataError(
                f'lines is {lines!r}; 100 (the first) or "3,17,20-25" was expected'
            )
        first, last = int(span[1]), int(span[2] or span[1])
        if not 1 <= first <= last <= count:
            raise LocalDataError(f"lines names {part.strip()}, and there are lines 1 to {count}")
        chosen += range(first - 1, last)
    if len(set(chosen)) < len(chosen):
        raise LocalDataError(f"lines is {lines!r}, which names a line twice")
    return chosen


def first_line(generated: str) -> str:
    """The first line with anything on it: a FLORES sentence is one line."""
    return next((line.strip() for line in generated.split("\n") if line.strip()), "")


def corpus_bleu(items: Sequence[tuple[str, str, str]]) -> float:
    """BLEU of the corpus; items are translation, reference and tokenizer."""
    hypotheses, references, tokenizers = zip(*items, strict=True)
    return float(BLEU(tokenize=tokenizers[0]).corpus_score(hypotheses, [references]).score)


def corpus_chrf(items: Sequence[tuple[str, str]]) -> float:
    """chrF++ of the corpus: chrF with word bigrams."""
    hypotheses, references = zip(*items, strict=True)
    return float(CHRF(word_order=2).corpus_score(hypotheses, [references]).score)


def signatures_of(tokenizer: str) -> dict[str, str]:
    """sacrebleu's own signature of each metric."""
    found = {}
    for name, metric in (("bleu", BLEU(tokenize=tokenizer)), ("chrf++", CHRF(word_order=2))):
        metric.corpus_score(["-"], [["-"]])  # it knows the number of references only then
        found[name] = str(metric.get_signature())
    return found


def tokenizer_for(script: str, given: Any = None) -> str:
    """The tokenizer that metadata names, else the one for the script."""
    if given is None:
        return TOKENIZERS.get(script, "intl")
    if given not in BLEU.TOKENIZERS:
        raise LocalDataError(
            f"bleu_tok is {given!r}; sacrebleu {sacrebleu.__version__} has "
            f"{', '.join(BLEU.TOKENIZERS)}"
        )
    return str(given)


def language(code: str, names: dict[str, str]) -> Language:
    """A language by its ISO code, or by its FLORES code and a name for prompts.

    Raises:
        LocalDataError: neither is known.
    """
    for known in LANGUAGES.values():
        if code in (known.iso, known.flores, known.flores_plus):
            return known
    if code in names and "_" in code:
        return Language(code, str(names[code]), code)
    raise LocalDataError(
        f"language {code!r} is not among {', '.join(LANGUAGES)}; others are named by their FLORES "
        'code and a name for prompts: --metadata \'{"flores_pair": "en-yor_Latn", "flores_names": '
        '{"yor_Latn": "Yoruba"}}\''
    )


def _pair(given: Any) -> dict[str, str]:
    source, dash, target = str(given or "").partition("-")
    if not (source and dash and target):
        raise LocalDataError(
            f"flores_pair is {given!r}; two languages were expected: "
            '--metadata \'{"flores_pair": "de-fr"}\''
        )
    return {"source": source, "target": target}


def read_sentences(root: Path, of: Language, split: str) -> dict[str, str]:
    """Sentences by number, from the official release or from FLORES+ as JSON lines."""
    official = [
        f"flores200_dataset/{split}/{code}.{split}" for code in dict.fromkeys((of.flores, of.hub))
    ]
    path = local_file(root, [*official, f"flores_plus/{split}/{of.hub}.jsonl"], WHERE)
    if path.suffix == ".jsonl":
        return {str(row.value.get("id")): row.text("text") for row in json_rows(path)}
    # By line feed alone: a sentence may hold what else Python takes for the end of a line.
    lines = read_text(path, LocalDataError).removesuffix("\n").split("\n")
    empty = [number for number, line in enumerate(lines, start=1) if not line.strip()]
    if empty:
        raise LocalDataError(f"{path}, line {empty[0]} is empty; one sentence a line was expected")
    return {str(number): line.strip() for number, line in enumerate(lines, start=1)}


def hub_sentences(of: Language, split: str) -> dict[str, str]:
    """Sentences by number, from FLORES+ on the Hub."""
    try:
        rows = datasets.load_dataset(DATASET, of.hub, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise LocalDataError(
            f"{DATASET} ({of.hub}, {split}) cannot be loaded ({error}); it is gated: accept its "
            f"terms at huggingface.co/datasets/{DATASET} and set HF_TOKEN. Or {WHERE}"
        ) from error
    return {str(row["id"]): str(row["text"]) for row in rows}
