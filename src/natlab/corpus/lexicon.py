"""Words of the grammar corpus: English beside inflected German, each entry with its alternatives, the usual one first.

Entries are written as a dictionary of German writes them, alternatives separated by " / ":

- a noun with its article, and its oblique form where the declension is weak: ``der Nachbar, Nachbarn``;
- a verb in the third person singular, its particle after it, ``(dat)`` where it governs the dative: ``sieht zu (dat)``;
- a place as preposition and noun: ``in die Kneipe`` is "in der Kneipe", ``in der Laden`` is "im Laden".
"""

from dataclasses import dataclass

GENDERS = {"der": "m", "die": "f", "das": "n"}
PRONOUNS = {"m": "er", "f": "sie", "n": "es"}
RELATIVES = {"m": "der", "f": "die", "n": "das"}

# Determiner by case, then gender (masculine, feminine, neuter), singular.
DETERMINERS = {
    "the": {"nom": "der die das", "acc": "den die das", "dat": "dem der dem"},
    "this": {"nom": "dieser diese dieses", "acc": "diesen diese dieses", "dat": "diesem dieser diesem"},
    "a": {"nom": "ein eine ein", "acc": "einen eine ein", "dat": "einem einer einem"},
}
# Adjective endings: weak after "der" and "dieser", mixed after "ein".
ENDINGS = {
    "weak": {"nom": "e e e", "acc": "en e e", "dat": "en en en"},
    "mixed": {"nom": "er e es", "acc": "en e es", "dat": "en en en"},
}
# Prepositions with the dative article, contracted where German contracts them.
PREPOSITIONS = {"in": "im|in der|im", "an": "am|an der|am", "auf": "auf dem|auf der|auf dem"}


@dataclass(frozen=True)
class Noun:
    """A German noun in the singular; ``oblique`` is its accusative and dative."""

    word: str
    gender: str
    oblique: str


@dataclass(frozen=True)
class Verb:
    """A German verb: its finite form, its particle ("" if it has none) and the case of its object."""

    finite: str
    particle: str
    case: str


@dataclass(frozen=True)
class Adjective:
    """An adjective. Two on one ``scale`` never describe one thing; ``too``: "zu ..." can be said of a thing."""

    predicative: str
    stem: str
    scale: str
    kinds: frozenset[str]
    too: bool


def _by_gender(forms: list[str], gender: str) -> str:
    return forms["mfn".index(gender)]


def determiner(english: str, gender: str, case: str) -> str:
    """The German determiner for the English one ("the", "this", "a")."""
    return _by_gender(DETERMINERS[english][case].split(), gender)


def inflected(adjective: Adjective, english_determiner: str, gender: str, case: str) -> str:
    """The attributive form of an adjective after a determiner."""
    endings = ENDINGS["mixed" if english_determiner == "a" else "weak"]
    return adjective.stem + _by_gender(endings[case].split(), gender)


def _noun(text: str) -> Noun:
    article, word, *oblique = text.replace(",", "").split()
    return Noun(word, GENDERS[article], oblique[0] if oblique else word)


def _nouns(entry: str) -> tuple[Noun, ...]:
    return tuple(_noun(text) for text in entry.split(" / "))


def _verbs(entry: str) -> tuple[Verb, ...]:
    verbs = []
    for text in entry.split(" / "):
        finite, *particle = text.removesuffix(" (dat)").split()
        verbs.append(Verb(finite, "".join(particle), "dat" if text.endswith(" (dat)") else "acc"))
    return tuple(verbs)


def _places(entry: str) -> tuple[tuple[str, ...], ...]:
    places = []
    for text in entry.split(" / "):
        preposition, rest = text.split(maxsplit=1)
        noun = _noun(rest)
        places.append((*_by_gender(PREPOSITIONS[preposition].split("|"), noun.gender).split(), noun.oblique))
    return tuple(places)


def _phrases(entry: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(text.split()) for text in entry.split(" / "))


def _adjective(german: str, scale: str, kinds: str, too: bool = False) -> Adjective:
    predicative, *stem = german.split()
    return Adjective(predicative, stem[0] if stem else predicative, scale, frozenset(kinds.split()), too)


PERSONS = {
    english: _nouns(entry)
    for english, entry in {
        "man": "der Mann",
        "woman": "die Frau",
        "child": "das Kind",
        "girl": "das Mädchen",
        "boy": "der Junge, Jungen",
        "guest": "der Gast",
        "doctor": "die Ärztin / der Arzt",
        "teacher": "der Lehrer / die Lehrerin",
        "neighbour": "die Nachbarin / der Nachbar, Nachbarn",
        "student": "der Student, Studenten / die Studentin",
        "cook": "der Koch / die Köchin",
        "customer": "die Kundin / der Kunde, Kunden",
    }.items()
}

_THINGS = {
    "thing": {
        "car": "das Auto / der Wagen",
        "boat": "das Boot / der Kahn",
        "bicycle": "das Fahrrad",
        "machine": "die Maschine / das Gerät / der Apparat",
        "television": "der Fernseher / das Fernsehgerät",
        "lamp": "die Lampe",
        "clock": "die Uhr",
        "bag": "die Tasche / der Beutel",
        "box": "die Kiste / der Karton",
        "sofa": "das Sofa / die Couch",
        "table": "der Tisch",
        "cup": "die Tasse / der Becher",
        "parcel": "das Paket / die Sendung",
        "photo": "das Foto / die Aufnahme",
    },
    "text": {
        "letter": "der Brief / das Schreiben",
        "newspaper": "die Zeitung / das Blatt",
        "magazine": "die Zeitschrift / das Magazin",
        "note": "der Zettel / die Notiz",
        "book": "das Buch / der Band",
    },
    "food": {
        "cake": "der Kuchen / die Torte",
        "roll": "das Brötchen / die Semmel",
        "meal": "das Essen / die Mahlzeit",
    },
    "home": {
        "flat": "die Wohnung / das Apartment",
        "room": "das Zimmer / der Raum",
    },
}
NOUNS = PERSONS | {english: _nouns(entry) for things in _THINGS.values() for english, entry in things.items()}
KINDS = dict.fromkeys(PERSONS, "person") | {english: kind for kind, things in _THINGS.items() for english in things}

ADJECTIVES = {
    "old": _adjective("alt", "age", "thing text person", too=True),
    "new": _adjective("neu", "age", "thing text home"),
    "young": _adjective("jung", "age", "person"),
    "small": _adjective("klein", "size", "thing food home", too=True),
    "big": _adjective("groß", "size", "thing food home", too=True),
    "heavy": _adjective("schwer", "weight", "thing", too=True),
    "expensive": _adjective("teuer teur", "price", "thing food home", too=True),
    "cheap": _adjective("billig", "price", "thing food home"),
    "beautiful": _adjective("schön", "look", "thing home"),
    "long": _adjective("lang", "size", "text", too=True),
    "short": _adjective("kurz", "size", "text", too=True),
    "important": _adjective("wichtig", "weight", "text"),
    "fresh": _adjective("frisch", "age", "food"),
    "friendly": _adjective("freundlich", "mood", "person"),
    "tired": _adjective("müde müd", "state", "person"),
    "ill": _adjective("krank", "state", "person"),
    "rich": _adjective("reich", "price", "person"),
}

# English verb: German verbs; what can be its object. "person" stands for every person.
_VERBS = {
    "buys": ("kauft", "car boat bicycle machine television lamp clock bag box sofa table cup newspaper book cake roll"),
    "needs": ("braucht", "car boat bicycle machine lamp clock bag box table cup newspaper book flat room"),
    "sells": ("verkauft", "car boat bicycle machine television lamp clock bag sofa table magazine book cake roll flat"),
    "repairs": ("repariert", "car boat bicycle machine television lamp clock bag sofa table"),
    "rents": ("mietet", "car boat flat room"),
    "opens": ("öffnet / macht auf", "bag box parcel letter"),
    "closes": ("macht zu / schließt", "bag box parcel"),
    "discards": (
        "wirft weg / sortiert aus / entsorgt",
        "lamp clock bag box sofa table cup photo letter newspaper magazine note cake",
    ),
    "examines": ("sieht an / schaut an / betrachtet", "car boat bicycle machine clock bag sofa photo letter flat room"),
    "tests": ("testet / probiert aus", "car boat bicycle machine television sofa"),
    "cleans": ("reinigt / macht sauber", "car boat bicycle machine lamp bag sofa table cup flat room"),
    "presents": ("stellt vor / führt vor / präsentiert", "car boat bicycle machine television photo book magazine"),
    "produces": ("produziert / stellt her / fertigt an", "boat bicycle machine lamp clock bag sofa table cup"),
    "paints": ("streicht / malt an", "boat bicycle box table room"),
    "borrows": ("leiht aus / borgt", "car boat bicycle bag book magazine"),
    "activates": ("schaltet ein / macht an", "machine television lamp"),
    "serves": ("richtet an / trägt auf / serviert", "cake roll meal"),
    "eats": ("verspeist / isst auf", "cake roll meal"),
    "sends": ("schickt ab / gibt auf / versendet", "parcel letter"),
    "reads": ("liest durch / studiert", "letter newspaper magazine note book"),
    "greets": ("begrüßt", "person"),
    "invites": ("lädt ein", "person"),
    "calls": ("ruft an / kontaktiert", "person"),
    "visits": ("besucht / sucht auf", "person"),
    "watches": ("beobachtet / sieht zu (dat)", "person"),
    "supports": ("unterstützt / steht bei (dat) / hilft (dat)", "person"),
}
VERBS = {english: _verbs(entry) for english, (entry, _) in _VERBS.items()}
OBJECTS = {
    english: tuple(PERSONS) if objects == "person" else tuple(objects.split())
    for english, (_, objects) in _VERBS.items()
}

PLACES = {
    english: _places(entry)
    for english, entry in {
        "in the park": "in der Park",
        "in the garden": "in der Garten",
        "at the market": "auf der Markt",
        "at the station": "an der Bahnhof",
        "in the restaurant": "in das Restaurant / in die Gaststätte",
        "in the shop": "in das Geschäft / in der Laden",
        "in the pub": "in die Kneipe / in das Wirtshaus",
        "at the party": "auf das Fest / auf die Feier",
        "in the village": "in das Dorf / in die Ortschaft",
    }.items()
}

# Fixed expressions: the words of one alternative belong together.
TIMES = {
    english: _phrases(entry)
    for english, entry in {
        "today": "heute / am heutigen Tag",
        "tomorrow": "morgen / am morgigen Tag",
        "now": "jetzt / in diesem Augenblick",
        "every day": "jeden Tag / Tag für Tag",
        "on Monday": "am Montag",
        "late in the evening": "am späten Abend / zu später Stunde",
        "after work": "nach der Arbeit / nach Feierabend",
        "now and then": "ab und zu / hin und wieder / dann und wann",
        "sooner or later": "früher oder später / über kurz oder lang",
        "immediately": "auf der Stelle / ohne jede Verzögerung",
    }.items()
}
MANNERS = {
    english: _phrases(entry)
    for english, entry in {
        "with pleasure": "mit großer Freude / mit großem Vergnügen",
        "voluntarily": "aus freien Stücken / aus eigenem Antrieb",
        "in a hurry": "in großer Eile / mit hohem Tempo",
        "without help": "ohne fremde Hilfe / auf eigene Faust",
    }.items()
}
OPENINGS = {
    english: _phrases(entry)
    for english, entry in {
        "no problem": "kein Problem / natürlich gern",
        "hello": "guten Tag / grüß Gott",
        "oh dear": "meine Güte / lieber Himmel",
    }.items()
}
BOTH = _phrases("sowohl {} als auch {} / nicht nur {} , sondern auch {} / ebenso {} wie {}")
# What joins two clauses, the verb staying second.
CONNECTIVES = {"and": "und", "but": "doch"}
