"""What a row of `config/systems.yaml` says, alone and with a scale. A row is the file's mapping, held to its schema."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from natlab import families
from natlab.families import member
from natlab.models.architectures import ARCHITECTURES, Architecture

ROLES = ("teacher", "student")  # the stages that stand alone; others say what differs from these
SHARES = {"updates": "share", "warmup": "warmup_share"}  # the keys of a training that say a part of another's number
LAYERS = ("learned_positions", "activation", "scale_embeddings")  # what a size may say of the layers
BROUGHT = {"length": "architecture.lengths", "masking": "predictor"}  # the key that brings a term, by the term


def kind(row: Mapping[str, Any]) -> Architecture:
    """What its architecture is, offers and takes."""
    return ARCHITECTURES[member(row["architecture"])["name"]]


def architecture(row: Mapping[str, Any]) -> dict[str, Any]:
    """Its architecture: name, each part's name and options, further options and, where a row may name a predictor,
    whether it has a head that predicts what the input masks."""
    given, of = member(row["architecture"]), kind(row)
    parts = {key: member(given.get(key, default)) for key, (_, default) in of.parts.items() if key in given or default}
    # which system predicts the tokens makes no difference to the training
    head = {"masking": "predictor" in row} if "predictor" in of.keys else {}
    options = {key: default for key, default in of.options.items() if default is not None}
    return {**options, **given, **parts, **head}


def scaled(architecture: Mapping[str, Any], scale: Mapping[str, Any]) -> dict[str, Any]:
    """An architecture at a scale, which may say how many codes stand for those of its codebook."""
    codebook = architecture.get("codebook")
    if codebook is None:
        return dict(architecture)
    named = (families.defaults("codebook", codebook["name"]) | codebook)["size"]
    return {**architecture, "codebook": codebook | {"size": scale.get("codes", {}).get(str(named), named)}}


def target(row: Mapping[str, Any]) -> str:
    """The name of its proxy target."""
    return member(row["target"])["name"]


def objective(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Its objective's name and options; None of an architecture that takes none."""
    default = kind(row).objective
    return None if default is None else member(row.get("objective", default))


def terms(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The terms added to its objective: those its architecture brings, with the row's options, then the row's
    others."""
    made = architecture(row)
    here = {
        "length": "lengths" in made and families.trait("length", made["lengths"]["name"], "predicted"),
        "masking": made.get("masking", False),
    }
    brought = [name for name in BROUGHT if here[name]]
    own = {term["name"]: term for term in map(member, row.get("terms", ()))}
    return list({**{name: {"name": name} for name in brought}, **own}.values())


def members(row: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(key of the row, family, name and options) of all parts that a system is composed of."""
    made, loss = architecture(row), objective(row)
    found = [("target", "target", member(row["target"]))]
    found += [(f"architecture.{key}", family, made[key]) for key, (family, _) in kind(row).parts.items() if key in made]
    if "input" in row:
        found.append(("input", "input", member(row["input"])))
    if loss is not None:
        found.append(("objective", "objective", loss))
    own = {member(term)["name"] for term in row.get("terms", ())}
    return found + [("terms" if term["name"] in own else BROUGHT[term["name"]], "term", term) for term in terms(row)]


def offers(row: Mapping[str, Any]) -> set[str]:
    """What its architecture and its parts offer to the others."""
    heads = {"masking": "masking head", "links": "links"}
    made = {offered for key, offered in heads.items() if architecture(row).get(key)}.union(kind(row).offers)
    made |= {"start"} if "start" in row else set()
    return made.union(*(families.trait(family, part["name"], "offers", ()) for _, family, part in members(row)))


def unmet(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """(key of the row, family, member, need) of all that a part of a system needs and nothing of it offers."""
    offered = offers(row)
    for key, family, part in members(row):
        for need in needs(family, part["name"], part):
            if need not in offered:
                yield key, family, part["name"], need


def needs(family: str, name: str, given: Mapping[str, Any]) -> list[str]:
    """What a member needs with the options that it is ``given``: some bring needs of their own, if they are set."""
    found = list(families.trait(family, name, "needs", ()))
    for option, of_option in families.trait(family, name, "option_needs", {}).items():
        value = given.get(option)  # which may be 0, and is set then
        found += () if value is None or value is False else of_option
    return found


def decodes(decoding: Mapping[str, Any], row: Mapping[str, Any], traits: Iterable[str] = ()) -> bool:
    """Whether a system of this row has all that a decoding needs, and its kind these ``traits``."""
    enough = all(families.trait("decoding", decoding["kind"], trait, False) for trait in traits)
    return enough and offers(row).issuperset(needs("decoding", decoding["kind"], decoding))


def chooses(row: Mapping[str, Any]) -> bool:
    """Whether it chooses its target among candidates."""
    return families.trait("target", target(row), "references") == "candidates"


def runs_kernels(row: Mapping[str, Any]) -> bool:
    """Whether choosing its targets or inputs, its objective or a term runs `natlab.kernels`."""
    return any(families.trait(family, part["name"], "kernels", False) for _, family, part in members(row))


def learning(row: Mapping[str, Any]) -> dict[str, Any]:
    """How it learns, of what its architecture takes of a row."""
    takes, loss = kind(row).keys, objective(row)
    given = {key: member(row[key]) for key in ("input",) if key in row}
    given |= {} if loss is None else {"objective": loss}
    given |= {"terms": terms(row)} if "terms" in takes else {}
    return given | {key: row[key] for key in ("start",) if key in row}


def stages(scale: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The stages of a scale, by name."""
    return {**{name: scale[name] for name in (*ROLES, "finetune")}, **scale.get("stages", {})}


def stage(row: Mapping[str, Any]) -> str:
    """The name of the stage that it is trained in."""
    return row.get("stage", "finetune" if "start" in row else _role(row))


def training(row: Mapping[str, Any], scale: Mapping[str, Any], dataset: str | None = None) -> dict[str, Any]:
    """How it is trained: as the scale says for its stage, or for this dataset, and as it says itself otherwise. A stage
    that the scale has not got, which it need not have for systems that it does not train, says nothing."""
    named, role = stage(row), _role(row)
    own = scale.get("datasets", {}).get(dataset, {})
    blocks = [stages(scale), own]
    said = [block.get(name, {}) for name in ([named] if named in ROLES else [role, named]) for block in blocks]
    found: dict[str, Any] = {}
    for part in (*said, row.get("training", {})):
        # a number takes the place of what was said before as a share
        shares = {share for key, share in SHARES.items() if key in part}
        found = {key: value for key, value in found.items() if key not in shares} | part
    found["updates"] = max(1, round(found["updates"] * found.pop("share", 1)))
    if "warmup_share" in found:
        found["warmup"] = round(found["updates"] * found.pop("warmup_share"))
    return found


def _role(row: Mapping[str, Any]) -> str:
    return ROLES[not kind(row).teaches]


def size(row: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """The name of its size: the scale's for its role, or what stands at this scale for the one it names."""
    named = row.get("size")
    return training(row, scale)["size"] if named is None else scale.get("sizes", {}).get(named, named)
