"""Write two tasks a language and their groups: `python tasks/langacc/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write

FOLDER = Path(__file__).resolve().parent
SEEDS = 100

PROMPTS = {
    "ar": [
        "الطقس اليوم", "في الصباح الباكر", "أهم شيء في الحياة هو", "كانت المدينة القديمة",
        "عندما كنت صغيرا", "يقول العلماء إن", "لكي تطبخ حساء جيدا", "أحب هذا الكتاب لأنه",
    ],
    "de": [
        "Das Wetter ist heute", "Früh am Morgen", "Das Wichtigste im Leben ist",
        "Die alte Stadt war", "Als ich klein war,", "Die Forscher sagen, dass",
        "Um eine gute Suppe zu kochen,", "Ich mag dieses Buch, weil",
    ],
    "en": [
        "The weather today is", "Early in the morning", "The most important thing in life is",
        "The old town was", "When I was little,", "The researchers say that",
        "To cook a good soup,", "I like this book because",
    ],
    "es": [
        "El tiempo hoy está", "Por la mañana temprano", "Lo más importante en la vida es",
        "La ciudad antigua era", "Cuando yo era pequeño,", "Los investigadores dicen que",
        "Para cocinar una buena sopa,", "Me gusta este libro porque",
    ],
    "fr": [
        "Le temps aujourd'hui est", "Tôt le matin", "La chose la plus importante dans la vie est",
        "La vieille ville était", "Quand j'étais petit,", "Les chercheurs disent que",
        "Pour préparer une bonne soupe,", "J'aime ce livre parce que",
    ],
    "id": [
        "Cuaca hari ini", "Pagi-pagi sekali", "Hal terpenting dalam hidup adalah",
        "Kota tua itu", "Ketika saya masih kecil,", "Para peneliti mengatakan bahwa",
        "Untuk memasak sup yang enak,", "Saya suka buku ini karena",
    ],
    "it": [
        "Il tempo oggi è", "La mattina presto", "La cosa più importante nella vita è",
        "La città vecchia era", "Quando ero piccolo,", "I ricercatori dicono che",
        "Per cucinare una buona zuppa,", "Mi piace questo libro perché",
    ],
    "ja": [
        "今日の天気は", "朝早く", "人生で一番大切なことは", "その古い町は",
        "子供のころ、私は", "研究者たちによると", "おいしいスープを作るには",
        "この本が好きな理由は",
    ],
    "nl": [
        "Het weer is vandaag", "Vroeg in de ochtend", "Het belangrijkste in het leven is",
        "De oude stad was", "Toen ik klein was,", "De onderzoekers zeggen dat",
        "Om een goede soep te koken,", "Ik vind dit boek leuk omdat",
    ],
    "pt": [
        "O tempo hoje está", "De manhã cedo", "A coisa mais importante na vida é",
        "A cidade antiga era", "Quando eu era pequeno,", "Os pesquisadores dizem que",
        "Para cozinhar uma boa sopa,", "Gosto deste livro porque",
    ],
    "ru": [
        "Погода сегодня", "Рано утром", "Самое важное в жизни", "Старый город был",
        "Когда я был маленьким,", "Исследователи говорят, что", "Чтобы сварить хороший суп,",
        "Мне нравится эта книга, потому что",
    ],
    "tr": [
        "Bugün hava", "Sabah erkenden", "Hayatta en önemli şey", "Eski şehir",
        "Ben küçükken", "Araştırmacılar diyor ki", "İyi bir çorba pişirmek için",
        "Bu kitabı seviyorum çünkü",
    ],
    "vi": [
        "Thời tiết hôm nay", "Vào sáng sớm", "Điều quan trọng nhất trong cuộc sống là",
        "Thành phố cổ", "Khi tôi còn nhỏ,", "Các nhà nghiên cứu nói rằng",
        "Để nấu một món súp ngon,", "Tôi thích cuốn sách này vì",
    ],
    "zh": [
        "今天的天气", "清晨的时候", "人生中最重要的事情是", "那座古老的城市",
        "我小时候", "研究人员说", "要做一碗好汤", "我喜欢这本书，因为",
    ],
}  # fmt: skip
"""Eight openings, the same in every language."""


def files() -> dict[str, str]:
    """Text of every YAML file by its name; a language is whatever has openings."""
    written = {}
    for family in ("lsn_langacc", "lsn_langacc_prompted"):
        names = [f"{family}_{language}" for language in PROMPTS]
        written |= group(family, names, means=["lsn_language_accuracy"])
    for language, prompts in PROMPTS.items():
        free = {"language": language, "seeds": SEEDS}
        written |= task(f"lsn_langacc_{language}", "_free_template_yaml", free)
        prompted = {"language": language, "prompts": prompts}
        written |= task(f"lsn_langacc_prompted_{language}", "_prompted_template_yaml", prompted)
    return written


if __name__ == "__main__":
    write(FOLDER, files())
