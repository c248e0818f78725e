"""English sentence templates, by kind; a slot in braces is filled with a CLDR fact or value."""

ITEMS = (
    "a book", "a ticket", "a lamp", "a loaf of bread", "an umbrella", "a kettle", "a scarf",
    "a dictionary", "a pair of shoes", "a box of apples",
)  # fmt: skip

TEMPLATES: dict[str, tuple[str, ...]] = {
    "place": (
        "{a_city} is a city in {a}.",
        "This report comes from {a_city} in {a}.",
        "Many travellers begin their trip through {a} in {a_city}.",
        "My brother has lived in {a} for years, not far from {a_city}.",
    ),
    "pair": (
        "The people of {b} pay with the {b_currency}.",
        "Our neighbours moved from {a} to {b} last year.",
        "On {day} the team from {a} will play against the team from {b}.",
        "Her aunt comes from {b} and taught her {b_language}.",
        "About {percent} of the visitors come from {b}.",
    ),
    "currency": (
        "The currency of {a} is called the {a_currency}.",
        "Anyone who shops in {a} needs the {a_currency}.",
        "Banks write {a_code} when they mean the {a_currency}.",
    ),
    "language": (
        "An official language of {a} is {a_language}.",
        "Most of the signs in {a_city} are written in {a_language}.",
        "Before the journey we learned a few words of {a_language}.",
    ),
    "week": (
        "In {a} the week begins on {a_week_start}.",
        "There {a_week_start} is the first day of the week.",
    ),
    "price": (
        "At the market {item} costs {price}.",
        "She paid {price} for {item}.",
        "Last year {item} was cheaper, but now it costs {price}.",
    ),
    "travel": (
        "The road from the coast to {a_city} is {distance} long.",
        "The journey to {b_city} takes {duration}.",
        "Our plane leaves {a_city} at {clock} and flies to {b_city}.",
    ),
    "weather": (
        "On {day} the temperature will rise to {temperature}.",
        "The chance of rain is {percent} today.",
        "The night was cold, but now the thermometer shows {temperature}.",
    ),
    "calendar": (
        "After {day} comes {next_day}.",
        "The month of {month} is followed by {next_month}.",
        "If today is {day}, then tomorrow is {next_day}.",
    ),
    "date": (
        "The museum was opened on {date}.",
        "The letter was written on {date}, which was a {day}.",
        "The old bridge was closed on {date} at {clock}.",
    ),
    "number": (
        "The number {n} is written as {n_words}.",
        "If you add {n_words} and {m_words}, you get {sum_words}.",
        "She counted {n_words} birds in the garden.",
    ),
    "measure": (
        "The parcel weighs {weight}.",
        "The barrel in the cellar holds {volume}.",
        "The new bridge over the river is {length} long.",
    ),
}
