"""Russian sentence templates, by kind; a slot in braces is filled with a CLDR fact or value.

CLDR gives names in the nominative, so the sentences are built to need no other case.
"""

# Inanimate masculine nouns only: their nominative and accusative are the same.
ITEMS = (
    "билет", "словарь", "зонт", "чайник", "шарф", "журнал", "свежий хлеб", "новый стол",
    "тёплый свитер", "большой арбуз",
)  # fmt: skip

TEMPLATES: dict[str, tuple[str, ...]] = {
    "place": (
        "{a_city} — это город, страна — {a}.",
        "На карте отмечены страна {a} и город {a_city}.",
        "Первая остановка нашей поездки по стране {a} — город {a_city}.",
        "Мой брат давно живёт в стране {a}, рядом с городом {a_city}.",
    ),
    "pair": (
        "В стране {b} в ходу {b_currency}.",
        "В прошлом году наши соседи сменили страну: раньше была {a}, теперь {b}.",
        "В программе соревнований есть матч {a} — {b}.",
        "Родина её тёти — {b}, а родной язык — {b_language}.",
        "Примерно {percent} гостей приехали из страны {b}.",
    ),
    "currency": (
        "Деньги в стране {a} называются так: {a_currency}.",
        "Национальная валюта здесь — {a_currency}.",
        "В банках вместо слов «{a_currency}» пишут {a_code}.",
    ),
    "language": (
        "Один из официальных языков страны {a} — {a_language}.",
        "Язык большинства вывесок в городе {a_city} — {a_language}.",
        "Перед поездкой мы открыли учебник, на обложке было написано: {a_language}.",
    ),
    "week": (
        "Первый день недели в стране {a} — {a_week_start}.",
        "Неделю там открывает {a_week_start}.",
    ),
    "price": (
        "На рынке {item} стоит {price}.",
        "Она заплатила за {item} {price}.",
        "Раньше {item} стоил дешевле, а теперь цена — {price}.",
    ),
    "travel": (
        "Длина дороги от побережья до города {a_city} — {distance}.",
        "Поездка в город {b_city} занимает {duration}.",
        "Самолёт {a_city} — {b_city} вылетает в {clock}.",
    ),
    "weather": (
        "Сегодня {day}, днём воздух прогреется, будет {temperature}.",
        "Вероятность дождя сегодня — {percent}.",
        "Ночь была холодной, но сейчас на термометре {temperature}.",
    ),
    "calendar": (
        "Сегодня {day}, а завтра {next_day}.",
        "Сначала идёт {month}, потом {next_month}.",
        "Если сегодня {day}, то завтра будет {next_day}.",
    ),
    "date": (
        "Дата открытия музея — {date}",
        "На письме стоят дата и день недели: {day}, {date}",
        "Старый мост закрыли в {clock}, дата — {date}",
    ),
    "number": (
        "Число {n} пишется так: {n_words}.",
        "Если сложить {n_words} и {m_words}, получится {sum_words}.",
        "Она записала, сколько птиц было в саду: {n_words}.",
    ),
    "measure": (
        "Посылка весит {weight}.",
        "Бочка в подвале вмещает {volume}.",
        "Длина нового моста через реку — {length}.",
    ),
}
