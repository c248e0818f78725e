"""Interventions on the embedded model, in Python: `python examples/intervene.py`."""

import torch

from lsn_eval import intervene, load_model


def main() -> None:
    """The same German text scored, and continued, under four conditions."""
    model, tokenizer = load_model("lsn_demo", dtype="float32")
    text = "Berlin ist eine Stadt in Deutschland."
    ids = tokenizer(f"{tokenizer.eos_token}{text}", return_tensors="pt").input_ids.to(model.device)
    for condition in ("none", "de:zero", "random1-de:zero", "de:zero/nl:p90"):
        with intervene(model, "demo/planted", condition) as report, torch.no_grad():
            loss = model(ids, labels=ids).loss
            written = model.generate(ids, max_new_tokens=30, do_sample=False)
        continued = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
        print(f"{condition}: perplexity {loss.exp():.2f}, {report.changed} values changed")
        print(f"    ...{continued}")


if __name__ == "__main__":
    main()
