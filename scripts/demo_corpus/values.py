"""Numbers, dates, prices and measures, drawn from a seeded generator and worded by CLDR."""

from __future__ import annotations

import datetime
from random import Random

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_percent
from babel.units import format_unit
from num2words import num2words

FIRST_DATE = datetime.date(1950, 1, 1)
DAYS = 27_000
"""Dates fall within this many days after ``FIRST_DATE`` (1950 to 2023)."""

CHINESE_DIGITS = "零一二三四五六七八九"


def draw_values(rng: Random, language: str, currency: str) -> dict[str, str]:
    """Values for every slot that does not depend on a territory, apart from ``currency``."""
    locale = Locale(language)
    days = locale.days["stand-alone"]["wide"]
    months = locale.months["stand-alone"]["wide"]
    date = FIRST_DATE + datetime.timedelta(days=rng.randrange(DAYS))
    clock = f"{rng.randrange(6, 23)}:{rng.choice((0, 5, 10, 15, 20, 30, 40, 45, 50)):02d}"
    first, second = rng.randrange(3, 60), rng.randrange(3, 40)
    price = format_currency(
        rng.randrange(3, 900),
        currency,
        locale=locale,
        format_type="name",
        currency_digits=False,
    )
    return {
        "date": format_date(date, "long", locale=locale),
        "day": days[date.weekday()],
        "next_day": days[(date.weekday() + 1) % 7],
        "month": months[date.month],
        "next_month": months[date.month % 12 + 1],
        "clock": clock,
        "price": price,
        "percent": format_percent(rng.randrange(3, 96) / 100, locale=locale),
        "n": str(first),
        "n_words": spell(first, language),
        "m_words": spell(second, language),
        "sum_words": spell(first + second, language),
        "distance": measure(rng.randrange(30, 980), "length-kilometer", language),
        "length": measure(rng.randrange(11, 400), "length-meter", language),
        "duration": measure(rng.randrange(3, 24), "duration-hour", language),
        "temperature": measure(rng.randrange(3, 36), "temperature-celsius", language),
        "weight": measure(rng.randrange(3, 60), "mass-kilogram", language),
        "volume": measure(rng.randrange(3, 30), "volume-liter", language),
    }


def spell(number: int, language: str) -> str:
    """``number`` (0 to 99) in words: num2words, and our own rule for Chinese, which it lacks.

    Raises:
        ValueError: a number beyond 99 in Chinese.
    """
    if language == "zh":
        if not 0 <= number <= 99:
            raise ValueError(f"Chinese numerals are written for 0 to 99 here, got {number}")
        tens, ones = divmod(number, 10)
        head = "" if tens == 0 else ("" if tens == 1 else CHINESE_DIGITS[tens]) + "十"
        return head + (CHINESE_DIGITS[ones] if ones or not tens else "")
    words = num2words(number, lang=language)
    # Arabic writes "and" joined to the word after it; num2words leaves a space.
    return words.replace(" و ", " و") if language == "ar" else words


def measure(amount: int, unit: str, language: str) -> str:
    """``amount`` of a CLDR unit, in the longest wording that CLDR has for the language.

    Raises:
        ValueError: CLDR has no wording for the unit (Babel then writes the unit's key).
    """
    for length in ("long", "short", "narrow"):
        worded = format_unit(amount, unit, length=length, locale=language)
        if unit not in worded:
            return worded
    raise ValueError(f"CLDR words no {unit!r} in {language!r}: use another unit")
