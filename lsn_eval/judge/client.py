"""One request to the judge, sent again where that can help.

The client's own retries are switched off: they would not send again after a reply that is no JSON,
could not be told to stop, and start at half a second whatever the server is.

Requests run in an event loop in a thread of its own, because only there can one be ended wherever
it is: a server that sends a byte now and then never runs into a time-out of reading.
"""

from __future__ import annotations

import email.utils
import json
import logging
import math
import random
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from lsn_eval.judge.keys import VARIABLE, Key, redacted_logs
from lsn_eval.judge.settings import JudgeError, JudgeSettings
from lsn_eval.judge.usage import Usage
from lsn_eval.storage.outside_files import Fields, decoded, parse_json
from lsn_eval.visible_text import one_line, shortened

log = logging.getLogger(__name__)

LONGEST_DELAY = 60.0
LONGEST_RETRY_AFTER = 300.0
MOST_BYTES = 1 << 22
"""Of a reply: 4 MiB. A long one has some ten thousand."""
PATIENCE = 5
"""A request may take so many times the time-out, whatever has come by then."""
_MOST_TOKENS = 1 << 40
_AGAIN = frozenset({408, 409, 425, 429})
_HOPELESS = frozenset({401, 403, 404})
_MESSAGE_CHARACTERS = 300


class RequestFailed(Exception):
    """This request got no reply; another may."""


class JudgeUnusable(RequestFailed):
    """No request will get a reply: a wrong key, an unknown model."""


class _Transient(Exception):
    def __init__(self, what: str, retry_after: float | None = None) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class JudgeClient:
    """Sends requests from any number of threads, and counts them in `usage`.

    Raises:
        JudgeError: no key, or the package `openai` is missing.
    """

    def __init__(self, settings: JudgeSettings, usage: Usage) -> None:
        self._key = Key.from_environment()
        written = json.dumps([settings.model, settings.endpoint, dict(settings.parameters)])
        if self._key.redact(written) != written:
            raise JudgeError(
                f"the key in {VARIABLE} is also in the name of the model, the endpoint or the "
                "parameters, which are written into results; take it out there"
            )
        try:
            import openai
            from anyio.from_thread import start_blocking_portal
        except ImportError as error:
            raise JudgeError(
                "the judge needs the package openai; run: pip install 'lsn-eval[judge]'"
            ) from error
        self._openai = openai
        self._settings, self._usage = settings, usage
        try:
            self._client = openai.AsyncOpenAI(
                api_key=self._key.reveal(),
                base_url=settings.endpoint,
                timeout=settings.timeout,
                max_retries=0,
                # What is packed cannot be bounded before it is unpacked.
                default_headers={"Accept-Encoding": "identity"},
                http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [_bound]}),
            )
        except Exception as error:
            reason = f"the endpoint {settings.endpoint!r} cannot be used ({error})"
            raise JudgeError(self._key.redact(reason)) from None
        self._open = ExitStack()
        self._portal = self._open.enter_context(start_blocking_portal())
        self._open.enter_context(redacted_logs(self._key))
        self._open.callback(self._portal.call, self._client.close)
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """The endpoint."""
        return str(self._client.base_url)

    def stop(self) -> None:
        """Send nothing more; whoever waits for a retry gives up."""
        self._stopped.set()

    def close(self) -> None:
        """Close connections."""
        self._open.close()

    def complete(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        """The judge's reply: its text, why it ended, its counts of tokens, and the model that the
        server says it was (an alias may point elsewhere one day).

        Raises:
            RequestFailed: none came, after all retries.
            JudgeUnusable: none will come.
        """
        first = self._settings.first_delay
        for attempt in range(self._settings.retries + 1):
            if self._stopped.is_set():
                raise RequestFailed("stopped")
            with self._lock:
                self._usage.requests += 1
            # An error is returned, not raised, so that no traceback shows the client's exception:
            # its text is the server's, which may repeat the key.
            answer = self._portal.call(self._answer, messages)
            if isinstance(answer, dict):
                return answer
            if not isinstance(answer, _Transient):
                raise answer
            if attempt == self._settings.retries:
                break
            delay = min(first * 2**attempt, LONGEST_DELAY) * random.uniform(0.5, 1)
            if answer.retry_after:
                delay = answer.retry_after + random.uniform(0, first / 4)
            with self._lock:
                self._usage.retried[str(answer)] += 1
            log.info("judge: %s; again in %.1f s", answer, delay)
            self._stopped.wait(delay)
        raise RequestFailed(f"{answer}, after {self._settings.retries} retries")

    async def _answer(self, messages: list[dict[str, str]]) -> dict[str, Any] | Exception:
        from anyio import fail_after

        longest = PATIENCE * self._settings.timeout
        try:
            with fail_after(longest):
                response = await self._client.chat.completions.with_raw_response.create(
                    model=self._settings.model,
                    messages=messages,  # type: ignore[arg-type]
                    # The endpoint's own names, so that none has to be known to the client.
                    extra_body=dict(self._settings.parameters),
                )
            return self._read(response.content)
        except JudgeError:
            return _Transient("reply is no chat completion")
        except TimeoutError:
            return RequestFailed(f"no whole reply within {longest:g} s")
        except RequestFailed as error:
            return error
        except self._openai.APIStatusError as error:
            return self._status(error)
        except self._openai.APITimeoutError:
            return _Transient("time-out")
        except self._openai.APIConnectionError:
            return _Transient("connection failed")
        except Exception as error:
            # What a server sends may break any layer of the client, with errors of its own.
            return RequestFailed(self._short(f"{type(error).__name__}: {error}"))

    def _status(self, error: Any) -> Exception:
        code = int(error.status_code)
        if code in _AGAIN or code >= 500:
            after = _retry_after(error.response.headers)
            if after is not None and after > LONGEST_RETRY_AFTER:
                return RequestFailed(f"HTTP {code}, to be asked again in {after:.0f} s")
            return _Transient(f"HTTP {code}", after)
        said = self._short(str(error))
        if code in _HOPELESS:
            return JudgeUnusable(
                f"the judge {self._settings.model!r} at {self.base_url} refuses: {said}; check "
                f"{VARIABLE}, OPENAI_BASE_URL and the name of the model"
            )
        return RequestFailed(said)

    def _short(self, text: str) -> str:
        # First without the key, then cut: a cut could leave a part of it.
        return shortened(one_line(self._key.redact(text)), _MESSAGE_CHARACTERS)

    def _read(self, body: bytes) -> dict[str, Any]:
        if len(body) >= MOST_BYTES:
            raise RequestFailed(f"the reply is longer than {MOST_BYTES:,} bytes")
        document = parse_json(decoded(body, "reply", JudgeError), "reply", JudgeError)
        answer = Fields(document, "reply", JudgeError)
        choices = answer.list("choices")
        choice = Fields(choices[0] if choices else None, "choice", JudgeError)
        text = choice.fields("message").value.get("content")
        usage = answer.value.get("usage")
        counts = usage if isinstance(usage, Mapping) else {}
        return {
            "text": self._text(text) or "",
            "finish_reason": self._text(choice.value.get("finish_reason")),
            "model": self._text(answer.value.get("model")),
            "prompt_tokens": _count(counts.get("prompt_tokens")),
            "completion_tokens": _count(counts.get("completion_tokens")),
        }

    def _text(self, value: Any) -> str | None:
        return self._key.redact(value) if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if known else None


async def _bound(response: Any) -> None:
    """Before a reply is read: no more of it than `MOST_BYTES`, as the UTF-8 that JSON is."""
    response.encoding = "utf-8"
    response.headers.pop("content-encoding", None)
    whole = response.aiter_raw

    async def beginning(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        left = MOST_BYTES
        async for piece in whole(chunk_size):
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                break
        await response.aclose()

    response.aiter_raw = beginning


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks for, in one of the three ways there are."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value, seconds = headers.get(name, ""), math.nan
        with suppress(ValueError, TypeError, OverflowError):
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        with suppress(ValueError):
            seconds = float(value) / unit
        if 0 <= seconds < math.inf:
            return seconds
    return None
