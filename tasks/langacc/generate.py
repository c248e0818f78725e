"""Write two tasks a language and their groups: `python tasks/langacc/generate.py`."""

from __future__ import annotations

import json
from pathlib import Path

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


def main() -> None:
    """A language is whatever has openings."""
    for language, prompts in PROMPTS.items():
        write(f"lsn_langacc_{language}", "_free_template_yaml", language, f"  seeds: {SEEDS}")
        lines = [f"    - {json.dumps(prompt, ensure_ascii=False)}" for prompt in prompts]
        name = f"lsn_langacc_prompted_{language}"
        write(name, "_prompted_template_yaml", language, "  prompts:", *lines)
    for name in ("lsn_langacc", "lsn_langacc_prompted"):
        group = ["# Written by generate.py.", f"group: {name}", "task:"]
        group += [f"  - {name}_{language}" for language in PROMPTS]
        group += ["aggregate_metric_list:", "  - metric: lsn_language_accuracy"]
        group += ["    aggregation: mean", "    weight_by_size: false"]
        group += ["metadata:", "  version: 1.0"]
        (FOLDER / f"{name}.yaml").write_text("\n".join(group) + "\n", encoding="utf-8")


def write(task: str, template: str, language: str, *more: str) -> None:
    """One task's file."""
    lines = ["# Written by generate.py.", f"include: {template}", f"task: {task}"]
    lines += ["dataset_kwargs:", f"  language: {language}", *more]
    (FOLDER / f"{task}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
