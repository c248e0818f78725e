"""Languages of the tasks, as Wikipedia, FLORES-200 and FLORES+ call them.

Those of the papers on language neurons, of XNLI and of XQuAD, and a few large ones more.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """A language by its ISO 639-1 code (also the name of its Wikipedia)."""

    iso: str
    name: str
    """In English, as prompts say it."""
    flores: str
    """Code in FLORES-200: ISO 639-3, then the script."""
    flores_plus: str = ""
    """Code in FLORES+ where that differs."""

    @property
    def hub(self) -> str:
        """Code in FLORES+."""
        return self.flores_plus or self.flores

    @property
    def script(self) -> str:
        """ISO 15924."""
        return self.flores.rpartition("_")[2]


_TABLE = """
ar Arabic arb_Arab
bg Bulgarian bul_Cyrl
bn Bengali ben_Beng
ca Catalan cat_Latn
cs Czech ces_Latn
da Danish dan_Latn
de German deu_Latn
el Greek ell_Grek
en English eng_Latn
es Spanish spa_Latn
et Estonian est_Latn ekk_Latn
eu Basque eus_Latn
fa Persian pes_Arab
fi Finnish fin_Latn
fr French fra_Latn
he Hebrew heb_Hebr
hi Hindi hin_Deva
hu Hungarian hun_Latn
id Indonesian ind_Latn
it Italian ita_Latn
ja Japanese jpn_Jpan
ko Korean kor_Hang
nl Dutch nld_Latn
no Norwegian nob_Latn
pl Polish pol_Latn
pt Portuguese por_Latn
ro Romanian ron_Latn
ru Russian rus_Cyrl
sv Swedish swe_Latn
sw Swahili swh_Latn
ta Tamil tam_Taml
th Thai tha_Thai
tr Turkish tur_Latn
uk Ukrainian ukr_Cyrl
ur Urdu urd_Arab
vi Vietnamese vie_Latn
zh Chinese zho_Hans cmn_Hans
"""

LANGUAGES = {row.split()[0]: Language(*row.split()) for row in _TABLE.strip().splitlines()}
"""By ISO code."""
