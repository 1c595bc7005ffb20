"""Abstentions: answers that say "I don't know" or nothing at all.

An English answer abstains if it is one of a list of phrases, or has a clause in which somebody says
that they, or everybody, cannot tell. The second rule does not apply to titles ("I Don't Know How to
Love Him"). In other languages an answer abstains if a clause between punctuation marks is on a list.
"""

from __future__ import annotations

import re
import unicodedata

from harness_tasks.elicitation.grading import words

_POLITE = (
    r"(?:(?:sorry|well|unfortunately|hmm|im afraid|i am afraid|but|honestly"
    r"|as an ai language model|as an ai) )*"
)
_WHO = r"(?:i|we)"
_WHOLE = re.compile(
    _POLITE + r"(?:unknown|unsure|uncertain|not sure|not known|no idea|no clue|no answer|none known"
    r"|unanswerable|no comment|n/a|not applicable|not available|idk|dunno|i dunno|dont know|do not know"
    rf"|{_WHO} (?:really |just |honestly )?(?:do not|dont|cannot|cant|can not|couldnt) (?:know|say|tell)"
    rf"|{_WHO} have no (?:idea|clue|comment|answer)|it depends|who knows|hard to say|cannot say|pass"
    r"|(?:there is )?no (?:known |definite |definitive |single )?answer"
    r"|it(?: i)?s (?:unknown|not known|unclear|uncertain))"
    r"(?: (?:for sure|for certain|yet|sorry|that|this|it|the answer|at this time))*"
)
_PART = re.compile(
    rf"\b{_WHO} (?:am |really |just |honestly )?(?:do not|dont) (?:know\b|have (?:any |enough |that |the |access)"
    r"|have information)"
    r"|\b(?:i am|im|we are|were) (?:not (?:sure|certain|aware|able)|unsure|uncertain|unable)\b"
    rf"|\b{_WHO} (?:can not|cannot|cant|am unable to|are unable to) "
    r"(?:answer|say|tell|determine|know|provide)\b"
    r"|\b(?:can not|cannot|cant) be (?:known|answered|determined|said)\b"
    r"|\b(?:is|are|remains?) (?:unknown|not known|unanswerable|uncertain|undetermined)\b"
    r"|\b(?:no one|nobody) (?:really )?knows\b|\bnot (?:enough|sufficient) information\b"
    r"|\bno (?:known|definite|definitive|single|scientific) (?:answer|consensus|evidence)\b"
    r"|\bimpossible to (?:know|say|tell|answer|determine|predict)\b|\bas an ai\b"
)
# What a whole clause is, by language ("Lo siento, no lo sé.").
_CLAUSES = {
    "de": ("ich weiß (?:es |das )?nicht", "wir wissen (?:es |das )?nicht", "keine ahnung",
           "ich bin (?:mir )?nicht sicher", "das weiß ich nicht"),
    "fr": ("je (?:ne )?sais pas", "nous ne savons pas", "on ne sait pas", "aucune idée",
           "je ne suis pas sûre?"),
    "es": ("(?:yo )?no (?:lo )?sé", "no sabemos", "no se sabe", "ni idea", "no estoy segur[oa]"),
    "pt": ("(?:eu )?não sei", "não sabemos", "não se sabe", "não tenho certeza"),
    "it": ("(?:io )?non (?:lo )?so", "non sappiamo", "non si sa", "nessuna idea", "non sono sicur[oa]"),
    "nl": ("ik weet het niet", "we weten het niet", "geen idee"),
    "pl": ("nie wiem", "nie wiemy", "nie wiadomo", "nie mam pojęcia"),
    "sv": ("jag vet inte", "vi vet inte", "ingen aning"),
    "tr": ("bilmiyorum", "bilmiyoruz", "bilinmiyor", "emin değilim"),
    "ru": ("(?:я )?не знаю", "мы не знаем", "(?:это )?неизвестно", "(?:я )?не уверена?"),
    "uk": ("(?:я )?не знаю", "невідомо"),
    "ar": ("لا أعرف", "لا أعلم", "لا نعرف", "غير معروف", "لست متأكدا"),
    "hi": ("मुझे नहीं पता", "मैं नहीं जानता", "मैं नहीं जानती", "पता नहीं", "हमें नहीं पता"),
    "zh": ("我?不知道", "我们不知道", "我?不清楚", "我?不确定", "未知", "无法回答", "不詳", "不详"),
    "ja": ("わかりません", "分かりません", "わからない", "分からない", "知りません", "不明", "不明です"),
    "ko": ("모르겠습니다", "모릅니다", "모르겠어요", "모른다", "몰라요", "잘 모르겠습니다"),
    "vi": ("tôi không biết", "chúng tôi không biết", "không rõ"),
    "id": ("saya tidak tahu", "tidak tahu", "kami tidak tahu"),
}  # fmt: skip
_CLAUSE = re.compile(
    "|".join(phrase for phrases in _CLAUSES.values() for phrase in phrases)
    + "|unbekannt|inconnue?|desconocid[oa]|desconhecid[oa]|sconosciut[oa]|onbekend|nieznan[yae]|okänd"
)
_MARKS = re.compile(r"[.,;:!?…。！？，、\n]|\s[-–—]\s")
_STUB = re.compile(r"(?:my )?(?:(?:final|correct|best|proposed) )?answer(?: is)?|it is|its")


def abstains(answer: str) -> bool:
    """Whether `answer` says that it does not know, or says nothing.

    "Unknown.", "N/A", "We don't know" and "Sorry, I don't know that." abstain; "The Unknown
    Soldier", "Unknown Pleasures" and "Idk You Yet" do not.
    """
    plain = _plain(answer)
    if says_nothing(answer) or _WHOLE.fullmatch(plain):
        return True
    if not _is_title(answer) and _PART.search(plain):
        return True
    return any(_CLAUSE.fullmatch(_plain(clause)) for clause in _MARKS.split(answer))


def _is_title(text: str) -> bool:
    """Whether it has two or more longer words and all of them are capitalised."""
    longer = [word for word in re.findall(r"[^\W\d_]+", text) if len(word) > 3]
    return len(longer) > 1 and all(word[0].isupper() for word in longer)


def says_nothing(text: str) -> bool:
    """Whether `text` is blank or announces an answer without giving one ("The answer is:")."""
    return not words(text) or _STUB.fullmatch(" ".join(words(text))) is not None


def _plain(text: str) -> str:
    """`text` in lower case, without apostrophes, and with spaces for other marks except "/"."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = "".join(c for c in text if c not in "'’‘ʼ" and unicodedata.category(c) != "Cf")
    kept = (
        c if c.isalnum() or unicodedata.category(c)[0] == "M" or c == "/" else " " for c in text
    )
    return " ".join("".join(kept).split())
