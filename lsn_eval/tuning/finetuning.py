"""`finetune`: adapters on a mask's neurons, on controls and on whole layers, made in the same way.

    lsn-eval finetune --model MODEL --mask FILE --language en --data lsn_xnli_en --out FOLDER

Each adapter begins with the model's own files and the same seed, and is an ordinary peft adapter in
a folder called by its neurons: `en`, `random1-en`, `full`; and `none` where a head or whole layers
are trained beside the neurons: these alone. Finished ones are not made again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsn_eval.conditions import ALL_NEURONS, Condition, plan
from lsn_eval.errors import TuningError
from lsn_eval.harness.lsn_classifier import CLASSES, pair_text
from lsn_eval.lm_tasks.training_examples import Examples, training_examples
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.hookpoints import ModelHookpoints
from lsn_eval.models.loading import check_device, empty_model, load_model
from lsn_eval.models.resolving import resolve
from lsn_eval.models.weights import files_identity
from lsn_eval.results.model_records import MADE_AT, RECORD_FILE, tuning_of
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.results.signatures import mask_record
from lsn_eval.storage.shipped import model_place
from lsn_eval.storage.whole_files import check_folder, whole_folder
from lsn_eval.tuning.settings import TuningSettings, digest
from lsn_eval.tuning.updates import LAYERS, Update, adapted, updates_of, whole_layers
from lsn_eval.version import __version__
from lsn_eval.wording.lists import listed
from lsn_eval.wording.numbers import exact, plain
from lsn_eval.wording.shown import Shown

_NO_LABEL = -100
"""Of a token that has no part in the loss."""
_BYTES_TRAINED = 16
"""Of a number that is trained: itself, its gradient and Adam's two, in float32."""


@dataclass(frozen=True)
class Adapter:
    """One adapter of a run."""

    name: str
    """Of its folder: whose neurons."""
    condition: str
    """In results."""
    neurons: dict[str, dict[str, int]]
    """By hookpoint and layer."""
    updates: dict[str, Update]


@dataclass(frozen=True, repr=False)
class TuningOutcome(Shown):
    """The adapters of a run."""

    out: Path
    digest: str
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the folder's name, as they lie in it; without a loss where it is not made yet."""

    def summary(self) -> tuple[str, list[list[str]]]:
        """By adapter its neurons, the numbers that training moves, the memory of weights, adapter
        and optimiser (activations come on top), and the mean loss."""
        rows = [["adapter", "in results", "neurons", "trained", "GiB", "mean loss", "seconds"]]
        for name, record in self.records.items():
            neurons = sum(sum(layers.values()) for layers in record["neurons"].values())
            size = plain(record["memory"] / 2**30)
            numbers = (f"{neurons:,}", f"{record['trainable']:,}", size)
            became = (exact(record.get("loss")), exact(record.get("seconds")))
            rows.append([name, record["condition"], *numbers, *became])
        return f"{self.out}, tuned-{self.digest}", rows


def finetune(
    model: str | os.PathLike[str],
    mask: NeuronMask | str | os.PathLike[str],
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    languages: Sequence[str] | None = None,
    controls: int = 1,
    only: Iterable[str] | None = None,
    head: bool = False,
    layers: Sequence[str] | None = None,
    whole: Sequence[str] = (),
    documents: int | None = None,
    settings: TuningSettings | None = None,
    revision: str | None = None,
    device: str | None = None,
    progress: bool = True,
    dry_run: bool = False,
) -> TuningOutcome:
    """Tune a model's language neurons, as many random ones, and the same layers as a whole.

    Args:
        model: a folder or a name on the Hub, or `lsn_demo`.
        data: what is trained on, see `lsn_eval.lm_tasks.training_examples`.
        out: folder of the adapters' folders.
        languages: whose neurons, together; by default the mask's only language.
        controls: random adapters; of each language as many neurons, layer by layer.
        only: names of the adapters to make, of those that there are.
        head: train a classification head on premise and hypothesis, in place of prompts.
        layers: hookpoints of the linear layers that a neuron's rows and columns are tuned in; by
            default all that it has: `mlp.gate`, `mlp.up` and `mlp.down` inside an MLP.
        whole: hookpoints, or `attn`, whose layers every adapter tunes as a whole besides.
        documents: of the data, the first.
        settings: how; see `TuningSettings`.
        device: cpu, or cuda; by default the best there is.
        dry_run: say what there is to train and the memory that it takes, and train nothing.

    Raises:
        LsnError: model, mask, data, layers or settings do not fit; `out` holds another run's
            adapters; or training moved nothing.
    """
    settings, target, name = settings or TuningSettings(), Path(out), os.fspath(model)
    check_device(device, TuningError)
    check_folder(target, TuningError)
    _check_peft()
    neurons = NeuronMask.load(mask)
    examples = training_examples(os.fspath(data), head=head, most=documents)
    empty = empty_model(name, revision=revision or "main")
    found = resolve(empty)
    shared: dict[str, Any] = {
        "version": __version__,
        "model": {"name": name, "revision": revision, "type": found.model_type},
        "mask": mask_record(neurons, mask),
        "languages": _languages(neurons, languages),
        "data": examples.described(),
        "head": head,
        "layers": list(layers or LAYERS),
        "whole": list(whole),
        "separate": bool(head or whole),
        "settings": settings.described(),
    }
    # Not what lies in folders of the model's own: adapters may.
    files = [file for file in files_identity(name) if "/" not in file[0]]
    shared["digest"] = digest({**shared, "mask": neurons.digest, "files": files})
    of_head = empty.config.get_text_config().hidden_size * CLASSES if head else 0
    made = TuningOutcome(target, shared["digest"])
    dtype = getattr(torch, settings.dtype, empty.config.dtype or torch.float32)
    weights = sum(of.numel() for of in empty.parameters()) * dtype.itemsize
    for adapter in _adapters(neurons, found, shared, controls, only):
        updates = adapter.updates.values()
        trained = of_head + sum(update.parameters(settings.rank) for update in updates)
        held = of_head + settings.rank * sum(sum(update.shape) for update in updates)
        record = {
            **shared,
            "condition": adapter.condition,
            "neurons": adapter.neurons,
            "trainable": trained,
            "memory": weights + held * _BYTES_TRAINED,
        }
        place = target / adapter.name
        check_folder(place, TuningError, ours=tuning_of)
        if before := tuning_of(place):
            if before.get("digest") != shared["digest"]:
                raise TuningError(
                    f"{place} was made with other weights, data or settings "
                    f"(tuned-{before.get('digest')}, and this is tuned-{shared['digest']}); give "
                    "another folder"
                )
            record = before
        elif not dry_run:
            record |= _made(adapter, record, examples, place, settings, device, progress)
        made.records[adapter.name] = record
    return made


def _check_peft() -> None:
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise TuningError(
            "tuning needs peft, which is not installed: pip install 'lsn-eval[tuning]'"
        ) from error


def _languages(mask: NeuronMask, asked: Sequence[str] | None) -> list[str]:
    if asked is None and len(mask.languages) > 1:
        raise TuningError(
            f"the mask has several languages ({', '.join(mask.languages)}): say whose neurons are "
            f"to be tuned, e.g. --language {mask.languages[0]}"
        )
    return list(dict.fromkeys(asked or mask.languages))


def _adapters(
    mask: NeuronMask,
    found: ModelHookpoints,
    shared: dict[str, Any],
    controls: int,
    only: Iterable[str] | None,
) -> list[Adapter]:
    """Those that are asked for, in the order in which they are made.

    Raises:
        LsnError: neurons, layers or names that are not there.
    """
    languages, tuned = shared["languages"], f"tuned-{shared['digest']}"
    mask.check_model(found)
    whole = whole_layers(found, shared["whole"])
    if len(whole) == 0 < len(shared["whole"]):
        raise TuningError(f"no layer is at {', '.join(shared['whole'])}; give attn or mlp.up")
    adapters = []
    numbered = [[f"random{k + 1}-{x}" for x in languages] for k in range(controls)]
    for whos in (languages, *numbered):
        condition = "/".join(f"{who}:zero" for who in whos)  # any that names the neurons
        planned = plan(mask, Condition.parse(condition))
        neurons = {place: write.indices for place, write in planned.writes.items()}
        updates = updates_of(found, neurons, shared["layers"])
        if twice := sorted(updates.keys() & whole.keys()):
            raise TuningError(f"{twice[0]} was to be tuned as a whole and by neurons; give one")
        name = "+".join(whos)
        adapters.append(
            Adapter(
                name,
                condition.replace(":zero", f":{tuned}"),
                planned.neurons_per_layer(),
                {**updates, **whole},
            )
        )
    own = adapters[0]
    widths = {at: {of: found.width(at, of) for of in layers} for at, layers in own.neurons.items()}
    every = {at: Update(update.shape) for at, update in own.updates.items()}
    adapters.append(Adapter(ALL_NEURONS, f"{ALL_NEURONS}:{tuned}", widths, every))
    if shared["separate"]:
        none = np.zeros(0, np.int64)
        rest = whole or {at: Update(x.shape, rows=none) for at, x in own.updates.items()}
        adapters.insert(0, Adapter(NO_CONDITION, NO_CONDITION, {}, rest))
    names = [adapter.name for adapter in adapters]
    wanted = names if only is None else list(only)
    if unknown := [name for name in wanted if name not in names]:
        raise TuningError(f"there is no adapter {', '.join(unknown)}; there are {listed(names, 9)}")
    return [adapter for adapter in adapters if adapter.name in wanted]


def _made(
    adapter: Adapter,
    record: dict[str, Any],
    examples: Examples,
    place: Path,
    settings: TuningSettings,
    device: str | None,
    progress: bool,
) -> dict[str, Any]:
    """Train it and write its folder; what is to be added to the record."""
    import transformers

    began, head = time.monotonic(), record["head"]
    transformers.set_seed(settings.seed)
    model, tokenizer = _loaded(record["model"], settings.dtype, device, head=head)
    read = (_tokens(row, tokenizer, ends=examples.ends) for row in examples.rows)
    rows = [given for given in read if len(given["input_ids"]) <= settings.max_length]
    if not rows:
        raise TuningError(
            f"no example of {examples.source} has at most {settings.max_length} tokens; give a "
            "larger --max-length"
        )
    tuned = adapted(
        model, adapter.updates, settings.rank, settings.alpha, "SEQ_CLS" if head else "CAUSAL_LM"
    )
    with whole_folder(place, TuningError) as unfinished:
        arguments = settings.arguments(str(unfinished), cpu=model.device.type == "cpu")
        arguments.disable_tqdm = not progress
        if arguments.gradient_checkpointing:
            tuned.enable_input_require_grads()
        collator: Any = transformers.DataCollatorWithPadding(tokenizer)
        if not head:
            collator = transformers.DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=_NO_LABEL)
        trainer = transformers.Trainer(tuned, arguments, train_dataset=rows, data_collator=collator)
        trainer.remove_callback(transformers.PrinterCallback)
        loss = trainer.train().training_loss
        moved = sum(
            int(value.count_nonzero())
            for name, value in tuned.state_dict().items()
            if ".lora_B." in name
        )
        # transformers leaves steps without a finite loss out of its mean.
        finite = all(bool(of.isfinite().all()) for of in tuned.parameters() if of.requires_grad)
        if not (moved or adapter.name == NO_CONDITION) or not finite:
            became = f"its loss was {loss:g}" if finite else "some are no finite numbers now"
            raise TuningError(
                f"{adapter.name}: training moved {moved} numbers, and {became}; "
                "give another learning rate, more examples or more neurons"
            )
        tuned.peft_config["default"].base_model_name_or_path = record["model"]["name"]
        tuned.save_pretrained(str(unfinished), save_embedding_layers=False)
        added = {
            "loss": loss,
            "left_out": len(examples.rows) - len(rows),
            "seconds": time.monotonic() - began,
            MADE_AT: time.time(),
        }
        document = json.dumps({**record, **added}, indent=2, ensure_ascii=False)
        (unfinished / RECORD_FILE).write_text(f"{document}\n", "utf-8")
    return added


def _loaded(
    about: dict[str, Any], dtype: str, device: str | None, *, head: bool
) -> tuple[Any, Any]:
    """The model as its files have it, with a fresh head where one is wanted."""
    import transformers

    model, tokenizer = load_model(
        about["name"], revision=about["revision"], dtype=dtype, device=device
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    if head:
        place, kind = model_place(about["name"]), transformers.AutoModelForSequenceClassification
        model = kind.from_pretrained(
            place, revision=about["revision"], num_labels=CLASSES, dtype=model.dtype
        ).to(model.device)
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def _tokens(row: Any, tokenizer: Any, *, ends: bool) -> dict[str, Any]:
    """What the model is given of an example.

    The loss of prompts is of the answer alone. A prompt without a token begins, as lm-eval's do,
    with the token that texts begin with.
    """
    if len(row) == 3:
        premise, hypothesis, label = row
        given = dict(tokenizer(pair_text(premise, hypothesis, tokenizer)))
        given = {"input_ids": given["input_ids"], "labels": label}
    else:
        prompt, answer = row
        shown = prompt.rstrip()  # spaces are of the next token, as lm-eval reads them
        asked = tokenizer(shown)["input_ids"]
        whole = tokenizer(prompt + answer)["input_ids"]
        if not asked:
            first = tokenizer.bos_token_id
            asked = [tokenizer.eos_token_id if first is None else first]
            whole = [*asked, *whole]
        if ends and whole[-1] != tokenizer.eos_token_id:
            whole.append(tokenizer.eos_token_id)
        given = {"input_ids": whole, "labels": [_NO_LABEL] * len(asked) + whole[len(asked) :]}
    return given | {"attention_mask": [1] * len(given["input_ids"])}
