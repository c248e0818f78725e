"""Language codes: what a model's label means, and which labels count as the language asked for."""

from __future__ import annotations

_TWO_LETTERS = (
    "aar:aa abk:ab afr:af aka:ak amh:am arg:an ara:ar arb:ar asm:as ava:av aym:ay ayr:ay aze:az "
    "azj:az bak:ba bel:be ben:bn bis:bi bod:bo bos:bs bre:br bul:bg cat:ca ces:cs cha:ch che:ce "
    "chv:cv cmn:zh cor:kw cos:co cym:cy dan:da deu:de div:dv dzo:dz ekk:et ell:el eng:en epo:eo "
    "est:et eus:eu ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fry:fy ful:ff gla:gd gle:ga glg:gl "
    "glv:gv grn:gn gug:gn guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy "
    "ibo:ig ido:io iku:iu ile:ie ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn "
    "kas:ks kat:ka kau:kr kaz:kk khk:mn khm:km kik:ki kin:rw kir:ky kmr:ku kom:kv kon:kg kor:ko "
    "kua:kj kur:ku lao:lo lat:la lav:lv lvs:lv lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg mah:mh "
    "mal:ml mar:mr mkd:mk mlg:mg plt:mg mlt:mt mon:mn mri:mi msa:ms zsm:ms mya:my nau:na nav:nv "
    "nbl:nr nde:nd ndo:ng nep:ne npi:ne nld:nl nno:nn nob:nb nor:no nya:ny oci:oc oji:oj ori:or "
    "ory:or orm:om gaz:om oss:os pan:pa pes:fa pli:pi pol:pl por:pt pus:ps pbt:ps que:qu quy:qu "
    "roh:rm ron:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slv:sl sme:se smo:sm sna:sn snd:sd "
    "som:so sot:st spa:es sqi:sq als:sq srd:sc srp:sr ssw:ss sun:su swa:sw swh:sw swe:sv tah:ty "
    "tam:ta tat:tt tel:te tgk:tg tgl:tl fil:tl tha:th tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr "
    "twi:tw uig:ug ukr:uk urd:ur uzb:uz uzn:uz ven:ve vie:vi vol:vo wln:wa wol:wo xho:xh yid:yi "
    "ydd:yi yor:yo zha:za zho:zh zul:zu"
)
"""ISO 639-3 to ISO 639-1, with the individual language that stands for a macro-language in GlotLID
(`cmn`, `arb`, `pes`, `zsm`, ...)."""

_ISO_639_1 = dict(pair.split(":") for pair in _TWO_LETTERS.split())
ISO_639_1 = frozenset(_ISO_639_1.values()) | frozenset(["ae", "bh", "bm", "cr", "cu", "ii"])
"""Every code of two letters; the last six are of no label of a model."""
_OLD = {"iw": "he", "in": "id", "ji": "yi"}  # withdrawn ISO 639-1 codes
_BIBLIOGRAPHIC = (
    "alb:sq arm:hy baq:eu bur:my chi:zh cze:cs dut:nl fre:fr geo:ka ger:de gre:el ice:is mac:mk "
    "mao:mi may:ms per:fa rum:ro slo:sk tib:bo wel:cy"
)
"""ISO 639-2/B, where it differs from ISO 639-3."""
_OTHERS = _OLD | dict(pair.split(":") for pair in _BIBLIOGRAPHIC.split())
_WIKIPEDIA = {"als": "gsw"}  # lid.176's `als` is the Alemannic Wikipedia, not Tosk Albanian

MEMBERS: dict[str, frozenset[str]] = {
    "ar": frozenset({"acm", "acq", "aeb", "ajp", "apc", "apd", "ars", "ary", "arz"}),
    "az": frozenset({"azb"}),
    "fa": frozenset({"prs"}),
    "ku": frozenset({"ckb", "sdh"}),
    "lv": frozenset({"ltg"}),
    "no": frozenset({"nb", "nn"}),
    "sw": frozenset({"swc"}),
    "uz": frozenset({"uzs"}),
    "zh": frozenset({"wuu", "yue"}),
}
"""Macro-languages: the codes that count as a language besides its own. Indonesian is a member of
Malay in ISO 639-3, but is asked for by a name of its own: `id` and `ms` are kept apart, and so are
`hr`, `bs` and `sr`. A member asked for by its own code takes that code alone."""


def of_label(label: str) -> str:
    """The code of a fastText label: `__label__deu_Latn` and `__label__de` are `de`."""
    language, _, script = label.removeprefix("__label__").partition("_")
    if not script and language in _WIKIPEDIA:
        return _WIKIPEDIA[language]
    return of_language(language)


def of_language(language: str) -> str:
    """The shortest code of a language given by any of its ISO 639 codes."""
    language = language.lower()
    return _ISO_639_1.get(language) or _OTHERS.get(language) or language


def counts_as(detected: str, language: str) -> bool:
    """Whether the code `detected` is an answer in `language`, both as `of_label` gives them."""
    return detected == language or detected in MEMBERS.get(language, ())
