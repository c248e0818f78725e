"""`record`: one pass over texts per language, and what every neuron did meanwhile.

    stats = record("lsn_demo", texts={"de": "german.txt", "fr": french_texts}, tokens=1_000_000)
    stats.save("stats.safetensors")

The model is read by forward hooks that never write and are always removed. Nothing that is kept
grows with the corpus, but the responses of single texts where they are asked for.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import nn
from tqdm import tqdm

from lsn_eval.errors import RecordingError
from lsn_eval.masks.names import check_language_names
from lsn_eval.models.loading import load_model
from lsn_eval.models.weights import weights_fingerprint
from lsn_eval.recording.checkpoints import ARGUMENTS, Checkpoints, unfinished_folder
from lsn_eval.recording.estimate import RecordingEstimate, estimate
from lsn_eval.recording.language_recording import LanguageRecording, deferred_interrupt
from lsn_eval.recording.packing import RowSettings, RowStream
from lsn_eval.recording.processes import Processes
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.settings import RecordingSettings
from lsn_eval.recording.texts import Document, opened, source_of, token_array
from lsn_eval.recording.tokenizing import Encoding, tokenizer_doubt
from lsn_eval.statistics import ActivationStats
from lsn_eval.storage.whole_files import check_place, full_disk_reported
from lsn_eval.version import __version__

logger = logging.getLogger(__name__)

Texts = str | os.PathLike[str] | Iterable[str | Document] | Any
"""A file, a folder or a glob; texts or documents; or an integer tensor of token ids [token] or
[row, token]."""


def record(
    model: nn.Module | str | os.PathLike[str],
    tokenizer: Any = None,
    texts: Mapping[str, Texts] = MappingProxyType({}),
    *,
    column: str = "text",
    settings: RecordingSettings | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    progress: bool = False,
    command: str | None = None,
    **fields: Any,
) -> ActivationStats:
    """Run `texts` through `model` and keep statistics of its neurons.

    Args:
        model: a Hugging Face model of a family in `lsn_eval.models.families.FAMILIES`. It is run
            without its head, and afterwards it is as it was. Or its name or folder, or
            `lsn_demo`: then it is loaded as `load_model` does.
        tokenizer: its tokenizer; None where every language is given as token ids, and for that of
            a model by name.
        texts: per language.
        column: where texts are in JSON lines and Parquet files.
        settings: choices; or give the fields of `RecordingSettings` as keywords: `hookpoints`,
            `length`, `batch_size`, `pack`, `statistics`, `per_text`, `tokens` and so on.
        out: the file to write. Beside it the recording is put together, so that it can go on after
            a stop; without it nothing stays on disk.
        resume: go on with the unfinished recording beside `out`; texts must come again in order.
        force: write over the file at `out`.
        progress: show tokens per second and the time left.
        command: what the user typed, for the record.

    Raises:
        LsnError: a model that cannot be loaded.
        RecordingError: texts or settings that cannot be recorded, a recording in the way, a full
            disk, or a model that does not run as its family does.
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    fields |= {"column": column, "settings": settings, "out": out, "resume": resume}
    with _prepared(model, tokenizer, texts, force=force, **fields) as recording:
        with full_disk_reported(recording.out.parent, RecordingError):
            recording.record(progress=progress, command=command)
        # Arrays stay mapped, and with them the file, also once its name is gone.
        return ActivationStats.load(recording.out)


def estimate_recording(
    model: nn.Module | str | os.PathLike[str],
    tokenizer: Any = None,
    texts: Mapping[str, Texts] = MappingProxyType({}),
    *,
    own_p90: bool = False,
    **given: Any,
) -> RecordingEstimate:
    """What `record` would do with the same arguments; nothing is written.

    The beginning of every language's texts is read, and two batches of the first are run. Texts
    that can be read once, such as a generator's, are then used up.

    Args:
        own_p90: `count_above_thresholds` would follow.
        given: `column`, `settings`, `out`, `resume`, `force`, or fields of the settings.

    Raises:
        LsnError: the error that `record` would begin with.
    """
    with _prepared(model, tokenizer, texts, **given) as recording:
        return recording.estimated(own_p90=own_p90)


def check_target(target: Path, *, resume: bool, force: bool) -> None:
    """Raise RecordingError where nothing can, or should, be written to `target`."""
    check_place(target, RecordingError)
    if resume and target.exists() and not unfinished_folder(target).exists():
        raise RecordingError(
            f"{target} is finished, there is nothing to resume; to record anew, give another "
            "name, or --force without --resume"
        )
    check_place(target, RecordingError, force=force)


@contextmanager
def _prepared(
    model: Any,
    tokenizer: Any,
    texts: Mapping[str, Texts],
    *,
    resume: bool = False,
    force: bool = False,
    column: str = "text",
    settings: RecordingSettings | None = None,
    out: str | os.PathLike[str] | None = None,
    **fields: Any,
) -> Iterator[_Recording]:
    """The recording, once everything that can be checked before is."""
    if isinstance(fields.get("hookpoints"), str):
        fields["hookpoints"] = (fields["hookpoints"],)
    known = RecordingSettings.__dataclass_fields__
    if unknown := fields.keys() - known.keys():
        raise RecordingError(
            f"{', '.join(sorted(unknown))} is no setting of a recording; there are "
            f"{', '.join(known)}; dtype and device are load_model's"
        )
    settings = replace(settings or RecordingSettings(), **fields)
    if not isinstance(texts, Mapping) or not texts:
        raise RecordingError("no texts were given; give those of at least one language")
    check_language_names(texts, RecordingError)
    texts = {
        language: opened(given, column=column, line_ends=settings.pack)
        for language, given in texts.items()
    }
    if out is None and resume:
        raise RecordingError("resume needs the file that the recording was started for")
    if out is None and Processes.launched().count > 1:
        raise RecordingError("several processes need a file to write; give out=...")
    with ExitStack() as stack:
        if out is None:
            folder = tempfile.TemporaryDirectory(prefix="lsn_eval-", ignore_cleanup_errors=True)
            out = Path(stack.enter_context(folder)) / "stats.safetensors"
        target = Path(out)
        check_target(target, resume=resume, force=force)
        if isinstance(model, str | os.PathLike):
            model, tokenizer = load_model(model, tokenizer)
        yield _Recording(model, tokenizer, texts, settings, target, resume)


class _Recording:
    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        texts: Mapping[str, Texts],
        settings: RecordingSettings,
        out: Path,
        resume: bool,
    ) -> None:
        self.model = RecordedModel(model, settings.hookpoints)
        self.texts, self.settings, self.out, self.resume = texts, settings, out, resume
        if settings.per_text and (self.model.routed or self.model.described.narrower):
            raise RecordingError(
                "responses of single texts are recorded of layers that are equally wide and see "
                f"every token, and layers of this {self.model.described.type} model at "
                f"{', '.join(self.model.hookpoints)} are not; leave out per_text (--per-text), or "
                "record another hookpoint"
            )
        self.processes = Processes.launched()
        self.encoding = Encoding(
            tokenizer,
            special_tokens=settings.adds_special_tokens,
            skip_special_tokens=settings.skip_special_tokens,
            vocabulary=self.model.vocabulary,
        )
        if doubt := tokenizer_doubt(self.model.full, tokenizer, self.model.vocabulary):
            logger.warning("%s", doubt)
        self.length = self.model.length(settings.length)
        self.rows = {}
        for language, given in texts.items():  # raises before anything runs
            hold_out = settings.hold_out
            hold_out = getattr(given, "hold_out", False) if hold_out is None else hold_out
            self.rows[language] = RowSettings(self.length, settings.pack, settings.tokens, hold_out)
            if hasattr(given, "shape"):
                token_array(given, f"the texts of {language}")

    def estimated(self, *, own_p90: bool) -> RecordingEstimate:
        """What `record` would do."""
        folder = self._folders()[self.processes.rank]
        if folder.exists():
            Checkpoints(folder).started(self._arguments(None), resume=self.resume)
        streams = {language: self._stream(language) for language in self.texts}
        return estimate(
            self.model, streams, self.encoding, self.settings, self._batch_size(), own_p90
        )

    def _stream(self, language: str) -> RowStream:
        return RowStream(language, self.texts[language], self.encoding, self.rows[language])

    def _batch_size(self) -> int:
        wanted = self.settings.batch_size
        return self.model.batch_size(self.length) if wanted == "auto" else wanted

    def _folders(self) -> list[Path]:
        """Where each process puts its part together."""
        whole, count = unfinished_folder(self.out), self.processes.count
        parts = len(list(whole.glob("process-*")))
        if parts > (count if count > 1 else 0) or (count > 1 and (whole / ARGUMENTS).exists()):
            raise RecordingError(
                f"the unfinished recording in {whole} was made by another number of "
                f"processes than {count}; launch as many to go on with it, or delete that folder"
            )
        if count > 1 and self.settings.batch_size == "auto" and self.model.device.type != "cpu":
            raise RecordingError("several processes need one --batch-size; give a number")
        return [whole / f"process-{n}" for n in range(count)] if count > 1 else [whole]

    def record(self, *, progress: bool, command: str | None) -> None:
        """Record every language, and write `out` once all are there."""
        rank, folders = self.processes.rank, self._folders()
        self.processes.wait()
        own = Checkpoints(folders[rank])
        arguments = self._arguments(command)
        started = own.started(arguments, resume=self.resume)
        if started is None:
            own.note(started := arguments)
        try:
            batch_size = started.get("resolved_batch_size")
            if batch_size is None:
                batch_size = self._batch_size()
                own.note({**started, "resolved_batch_size": batch_size})
            with deferred_interrupt() as interrupted:
                for language in self.texts:
                    if not own.finished(language).exists():
                        self._record(language, own, batch_size, interrupted, progress and not rank)
        except BaseException:
            if own.empty:  # nothing to go on from, and nothing to be in the way
                own.remove()
            raise
        self.processes.wait()
        if rank == 0:
            files = [Checkpoints(at).finished(name) for name in self.texts for at in folders]
            stats = ActivationStats.merged([ActivationStats.load(file) for file in files])
            if not self.settings.keeps_sample:
                stats = replace(stats, samples={})
            replace(stats, provenance=self._provenance(stats, started)).save(self.out)
            Checkpoints(unfinished_folder(self.out)).remove()
        self.processes.wait()

    def _record(
        self,
        language: str,
        checkpoints: Checkpoints,
        batch_size: int,
        interrupted: threading.Event,
        shown: bool,
    ) -> None:
        asked, stream = self.settings.tokens, self._stream(language)
        shard = self.processes.shard(*self.settings.shard)
        recording = LanguageRecording(
            self.model, stream, self.encoding, self.settings, checkpoints,
            batch_size=batch_size, shard=shard,
        )  # fmt: skip
        bar = tqdm(
            desc=f"{language} ({list(self.texts).index(language) + 1}/{len(self.texts)})",
            initial=recording.tokens, unit="tok", unit_scale=True, disable=not shown,
        )  # fmt: skip

        def advance(tokens: int) -> None:
            if (expected := stream.expected) is not None:
                bar.total = max(expected // shard[1], bar.n + tokens)
            bar.update(tokens)

        try:
            recording.run(interrupted, advance)
            bar.total = bar.n
            if recording.share is not None:
                bar.set_postfix_str(f"{recording.share:.0%} of the model's own speed")
            keep = self.settings.keeps_sample or self.processes.count > 1
            result = recording.result(keep_sample=keep)
            if asked and stream.tokens + self.length <= asked:
                told = "the texts of %s have %d tokens, fewer than the %d asked for"
                logger.warning(told, language, stream.tokens, asked)
            result.save(checkpoints.finished(language))
        finally:
            recording.close()
            bar.close()

    def _provenance(self, stats: ActivationStats, started: Mapping[str, Any]) -> dict[str, Any]:
        settings = self.settings
        packages = ("torch", "transformers", "tokenizers")
        return {
            "corpora": stats.provenance["corpora"],
            "dtype": self.model.dtype,
            "weights_fingerprint": started["compared"]["weights_fingerprint"],
            "tokenizer": getattr(self.encoding.tokenizer, "name_or_path", None),
            "settings": {
                "length": self.length,
                "pack": settings.pack,
                "special_tokens": settings.adds_special_tokens,
                "skip_special_tokens": settings.skip_special_tokens,
            },
            "quantiles": "tokens with the smallest hashes of corpus, row and position",
            "versions": {"lsn_eval": __version__} | {name: version(name) for name in packages},
            "command": started["command"],
        }

    def _arguments(self, command: str | None) -> dict[str, Any]:
        compared = asdict(self.settings)
        # When states are saved makes no difference to what is recorded.
        del compared["checkpoint_seconds"]
        return {
            "compared": {
                "model": self.model.described.name,
                "model_type": self.model.described.type,
                "weights_fingerprint": weights_fingerprint(self.model.full),
                "dtype": self.model.dtype,
                "texts": {language: source_of(texts) for language, texts in self.texts.items()},
                "processes": self.processes.count,
                **compared,
            },
            "command": command,
        }
