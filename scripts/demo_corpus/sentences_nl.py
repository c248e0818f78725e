"""Dutch sentence templates, by kind; a slot in braces is filled with a CLDR fact or value."""

ITEMS = (
    "een boek", "een kaartje", "een lamp", "een brood", "een paraplu", "een waterkoker",
    "een sjaal", "een woordenboek", "een paar schoenen", "een kist appels",
)  # fmt: skip

TEMPLATES: dict[str, tuple[str, ...]] = {
    "place": (
        "{a_city} is een stad in {a}.",
        "Dit verslag komt uit {a_city} in {a}.",
        "Veel reizigers beginnen hun tocht door {a} in {a_city}.",
        "Mijn broer woont al jaren in {a}, niet ver van {a_city}.",
    ),
    "pair": (
        "De munteenheid van {b} heet {b_currency}.",
        "Onze buren zijn vorig jaar van {a} naar {b} verhuisd.",
        "Op {day} speelt de ploeg uit {a} tegen de ploeg uit {b}.",
        "Haar tante komt uit {b} en praat met haar in het {b_language}.",
        "Ongeveer {percent} van de bezoekers komt uit {b}.",
    ),
    "currency": (
        "Het geld in {a} heet {a_currency}.",
        "Wie in {a} boodschappen doet, ziet op de biljetten het woord {a_currency}.",
        "Banken schrijven {a_code} als ze de munt van {a} bedoelen.",
    ),
    "language": (
        "Een officiële taal van {a} is het {a_language}.",
        "De meeste borden in {a_city} zijn in het {a_language} geschreven.",
        "Voor de reis hebben we een beetje {a_language} geleerd.",
    ),
    "week": (
        "In {a} begint de week op {a_week_start}.",
        "Daar is {a_week_start} de eerste dag van de week.",
    ),
    "price": (
        "Op de markt kost {item} {price}.",
        "Zij heeft {price} betaald voor {item}.",
        "Vroeger was {item} goedkoper, nu betaal je er {price} voor.",
    ),
    "travel": (
        "De weg van de kust naar {a_city} is {distance} lang.",
        "De reis naar {b_city} duurt {duration}.",
        "Ons vliegtuig vertrekt om {clock} uur uit {a_city} en vliegt naar {b_city}.",
    ),
    "weather": (
        "Op {day} stijgt de temperatuur tot {temperature}.",
        "De kans op regen is vandaag {percent}.",
        "De nacht was koud, maar nu wijst de thermometer {temperature} aan.",
    ),
    "calendar": (
        "Na {day} komt {next_day}.",
        "De maand {month} wordt gevolgd door {next_month}.",
        "Als het vandaag {day} is, dan is het morgen {next_day}.",
    ),
    "date": (
        "Het museum werd op {date} geopend.",
        "De brief is geschreven op {date}, dat was een {day}.",
        "De oude brug werd op {date} om {clock} uur afgesloten.",
    ),
    "number": (
        "Het getal {n} schrijf je als {n_words}.",
        "Als je {n_words} en {m_words} bij elkaar optelt, krijg je {sum_words}.",
        "In de tuin heeft ze {n_words} vogels geteld.",
    ),
    "measure": (
        "Het pakje weegt {weight}.",
        "Het vat in de kelder bevat {volume}.",
        "De nieuwe brug over de rivier is {length} lang.",
    ),
}
