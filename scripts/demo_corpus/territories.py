"""What CLDR knows about a territory: names, currency, language, a city, first day of the week."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cache

from babel import Locale
from babel.languages import get_territory_language_info
from babel.numbers import get_territory_currencies

CURRENCY_DATE = datetime.date(2025, 1, 1)
"""Currencies are those in use on this day, so that the text does not change with the calendar."""

CITY_ZONES: dict[str, str] = {
    "AL": "Europe/Tirane", "AM": "Asia/Yerevan", "AO": "Africa/Luanda",
    "AR": "America/Buenos_Aires", "AT": "Europe/Vienna", "AU": "Australia/Sydney",
    "AZ": "Asia/Baku", "BD": "Asia/Dhaka", "BE": "Europe/Brussels", "BO": "America/La_Paz",
    "BR": "America/Sao_Paulo", "BW": "Africa/Gaborone", "BY": "Europe/Minsk",
    "CA": "America/Toronto", "CL": "America/Santiago", "CN": "Asia/Shanghai",
    "CO": "America/Bogota", "CU": "America/Havana", "CZ": "Europe/Prague", "DE": "Europe/Berlin",
    "DK": "Europe/Copenhagen", "EC": "America/Guayaquil", "EE": "Europe/Tallinn",
    "EG": "Africa/Cairo", "ES": "Europe/Madrid", "ET": "Africa/Addis_Ababa",
    "FI": "Europe/Helsinki", "FR": "Europe/Paris", "GE": "Asia/Tbilisi", "GH": "Africa/Accra",
    "GR": "Europe/Athens", "HN": "America/Tegucigalpa", "HR": "Europe/Zagreb",
    "HU": "Europe/Budapest", "ID": "Asia/Jakarta", "IE": "Europe/Dublin", "IN": "Asia/Calcutta",
    "IS": "Atlantic/Reykjavik", "IT": "Europe/Rome", "JO": "Asia/Amman", "JP": "Asia/Tokyo",
    "KE": "Africa/Nairobi", "KG": "Asia/Bishkek", "KH": "Asia/Phnom_Penh", "KR": "Asia/Seoul",
    "KZ": "Asia/Almaty", "LA": "Asia/Vientiane", "LK": "Asia/Colombo", "LT": "Europe/Vilnius",
    "LV": "Europe/Riga", "LY": "Africa/Tripoli", "MA": "Africa/Casablanca",
    "MX": "America/Mexico_City", "MY": "Asia/Kuala_Lumpur", "MZ": "Africa/Maputo",
    "NG": "Africa/Lagos", "NI": "America/Managua", "NP": "Asia/Katmandu",
    "NZ": "Pacific/Auckland", "PE": "America/Lima", "PK": "Asia/Karachi", "PL": "Europe/Warsaw",
    "PT": "Europe/Lisbon", "PY": "America/Asuncion", "RO": "Europe/Bucharest",
    "RS": "Europe/Belgrade", "RU": "Europe/Moscow", "RW": "Africa/Kigali", "SA": "Asia/Riyadh",
    "SE": "Europe/Stockholm", "SI": "Europe/Ljubljana", "SY": "Asia/Damascus",
    "TH": "Asia/Bangkok", "TJ": "Asia/Dushanbe", "TM": "Asia/Ashgabat",
    "TZ": "Africa/Dar_es_Salaam", "UG": "Africa/Kampala", "UY": "America/Montevideo",
    "UZ": "Asia/Tashkent", "VE": "America/Caracas", "VN": "Asia/Saigon", "ZM": "Africa/Lusaka",
}  # fmt: skip
"""Territory code to the time zone whose CLDR exemplar city the text names.

Chosen so that the names need no article in English, German and Dutch ("in Austria"; not "in the
Netherlands"), with one currency, and with a city whose name is not the territory's.
"""

TERRITORIES: tuple[str, ...] = tuple(sorted(CITY_ZONES))


@dataclass(frozen=True)
class TerritoryFacts:
    """What the templates may say about one territory, in one language."""

    name: str
    city: str
    currency: str
    currency_code: str
    language: str
    week_start: str


@cache
def territory_facts(territory: str, language: str) -> TerritoryFacts:
    """CLDR's facts about ``territory`` (ISO 3166 code), worded in ``language``.

    Raises:
        ValueError: the territory is not in ``CITY_ZONES``, or CLDR lacks a fact about it.
    """
    if territory not in CITY_ZONES:
        raise ValueError(f"unknown territory {territory!r}: add it and its time zone to CITY_ZONES")
    locale = Locale(language)
    zone = CITY_ZONES[territory]
    # CLDR leaves a city out where its name is the time zone's own.
    city = locale.time_zones.get(zone, {}).get("city") or zone.rsplit("/", 1)[-1].replace("_", " ")
    currency = get_territory_currencies(territory, CURRENCY_DATE)[0]
    spoken = official_language(territory)
    week_start = Locale.parse(f"und_{territory}").first_week_day
    return TerritoryFacts(
        name=locale.territories[territory],
        city=city.replace("\u00ad", ""),
        currency=locale.currencies[currency],
        currency_code=currency,
        language=locale.languages[spoken],
        week_start=locale.days["stand-alone"]["wide"][week_start],
    )


def official_language(territory: str) -> str:
    """The official language that most people of ``territory`` use, as CLDR counts them."""
    ranked = sorted(
        (-float(info["population_percent"] or 0), language)
        for language, info in get_territory_language_info(territory).items()
        if info["official_status"] in ("official", "de_facto_official")
    )
    if not ranked:
        raise ValueError(f"CLDR lists no official language for {territory!r}: remove it")
    return ranked[0][1]
