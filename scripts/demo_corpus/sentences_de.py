"""German sentence templates, by kind; a slot in braces is filled with a CLDR fact or value."""

# Feminine and neuter nouns only: their nominative and accusative are the same.
ITEMS = (
    "ein Buch", "eine Fahrkarte", "eine Lampe", "ein Brot", "eine Tasche", "ein Hemd", "eine Uhr",
    "ein Wörterbuch", "ein Paar Schuhe", "eine Kiste Äpfel",
)  # fmt: skip

TEMPLATES: dict[str, tuple[str, ...]] = {
    "place": (
        "{a_city} ist eine Stadt in {a}.",
        "Dieser Bericht kommt aus {a_city} in {a}.",
        "Viele Reisende beginnen ihre Fahrt durch {a} in {a_city}.",
        "Mein Bruder wohnt seit Jahren in {a}, nicht weit von {a_city}.",
    ),
    "pair": (
        "Die Währung von {b} heißt {b_currency}.",
        "Unsere Nachbarn sind letztes Jahr von {a} nach {b} gezogen.",
        "Am {day} spielt die Mannschaft aus {a} gegen die Mannschaft aus {b}.",
        "Ihre Tante kommt aus {b} und spricht mit ihr {b_language}.",
        "Etwa {percent} der Gäste kommen aus {b}.",
    ),
    "currency": (
        "Das Geld in {a} heißt {a_currency}.",
        "Wer in {a} einkauft, sieht auf den Scheinen das Wort {a_currency}.",
        "Banken schreiben {a_code}, wenn sie die Währung von {a} meinen.",
    ),
    "language": (
        "Eine Amtssprache von {a} ist {a_language}.",
        "Die meisten Schilder in {a_city} sind auf {a_language} geschrieben.",
        "Vor der Reise haben wir ein wenig {a_language} gelernt.",
    ),
    "week": (
        "In {a} beginnt die Woche am {a_week_start}.",
        "Dort ist der {a_week_start} der erste Tag der Woche.",
    ),
    "price": (
        "Auf dem Markt kostet {item} {price}.",
        "Sie hat {price} für {item} bezahlt.",
        "Früher war {item} billiger, jetzt zahlt man dafür {price}.",
    ),
    "travel": (
        "Die Straße von der Küste nach {a_city} ist {distance} lang.",
        "Die Fahrt nach {b_city} dauert {duration}.",
        "Unser Flugzeug startet um {clock} Uhr in {a_city} und fliegt nach {b_city}.",
    ),
    "weather": (
        "Am {day} steigt die Temperatur auf {temperature}.",
        "Die Wahrscheinlichkeit für Regen beträgt heute {percent}.",
        "Die Nacht war kalt, aber nun zeigt das Thermometer {temperature}.",
    ),
    "calendar": (
        "Auf den {day} folgt der {next_day}.",
        "Nach dem {month} kommt der {next_month}.",
        "Wenn heute {day} ist, dann ist morgen {next_day}.",
    ),
    "date": (
        "Das Museum wurde am {date} eröffnet.",
        "Der Brief wurde am {date} geschrieben, das war ein {day}.",
        "Die alte Brücke wurde am {date} um {clock} Uhr gesperrt.",
    ),
    "number": (
        "Die Zahl {n} schreibt man {n_words}.",
        "Wenn man {n_words} und {m_words} zusammenzählt, erhält man {sum_words}.",
        "Im Garten hat sie {n_words} Vögel gezählt.",
    ),
    "measure": (
        "Das Paket wiegt {weight}.",
        "In das Fass im Keller passen {volume}.",
        "Die neue Brücke über den Fluss ist {length} lang.",
    ),
}
