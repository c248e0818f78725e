"""What counts as a secret among settings, and that it is masked."""

from __future__ import annotations

import json
import urllib.parse

import pytest

from lsn_eval.results.settings import run_settings
from lsn_eval.storage.masked_secrets import masked, without


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"token": "abc", "dtype": "auto"}, {"token": "***", "dtype": "auto"}),
        ({"token": True, "max_length": 5}, {"token": True, "max_length": 5}),
        ({"x": {"api_key": "abc", "y": ["hf_abcdef"]}}, {"x": {"api_key": "***", "y": ["***"]}}),
        ({"think_end_token": "</think>"}, {"think_end_token": "</think>"}),
        ({"header": "X: Bearer abc.def"}, {"header": "X: ***"}),
        ({"url": "https://me:pass@host/x"}, {"url": "https://***@host/x"}),
        ({"note": "see sk-abcdefgh123 there"}, {"note": "see *** there"}),
        ({"name": "task-sk-learn"}, {"name": "task-sk-learn"}),
    ],
)
def test_masked(given, expected):
    assert masked(given) == expected


SECRET = "sk-a/b_C=ü"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        SECRET.replace("/", "\\/"),
        SECRET.replace("s", "\\u0073"),
        SECRET.replace("/", "\\u002F"),
        json.dumps(SECRET),
        json.dumps(json.dumps(json.dumps(SECRET.replace("b", "\\u0062")))),
        "".join(f"\\u{ord(letter):04x}" for letter in SECRET),
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote(urllib.parse.quote(SECRET, safe="")),
        SECRET.replace("-", "%2d"),
        SECRET.replace("s", "\\x73"),
        SECRET.replace("s", "&#115;").replace("k", "&#x6B;"),
    ],
)
def test_a_secret_is_found_however_it_is_written(written):
    assert without(f"key={written}&x", [SECRET]).strip('key=&x"\\') == "***"


def test_what_is_no_secret_stays():
    text = "sk-a/b %73k-A/b_C=ü \\u0073k"
    assert without(text, [SECRET, ""]) == text


@pytest.mark.parametrize("as_text", [False, True])
def test_no_key_stands_among_the_settings_that_a_refusal_names(as_text):
    arguments = {"pretrained": "x", "token": "abc", "revision": "main"}
    given = ",".join(f"{k}={v}" for k, v in arguments.items()) if as_text else arguments
    found = run_settings({"config": {"model_args": given}, "configs": {}}, "task")
    assert found["model arguments"] == "revision=main,token=***"
