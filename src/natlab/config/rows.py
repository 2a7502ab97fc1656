"""What a row of `config/systems.yaml` says, alone and with a scale. A row is the file's mapping, held to its schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from natlab import families
from natlab.families import member

AUTOREGRESSIVE = "transformer"
ROLES = ("teacher", "student")  # the stages that stand alone; others say what differs from these
# The parts of the non-autoregressive architecture, by the key of the row that names them: family and default.
PARTS = {"lengths": ("length", "difference"), "fill": ("fill", "copy")}
OPTIONAL = {"codebook": "codebook"}  # those that it need not have
HEADS = ("links", "deep_supervision")  # what else it may have, true or false
OBJECTIVE = "xe"
SHARES = {"updates": "share", "warmup": "warmup_share"}  # the keys of a training that say a part of another's number
LAYERS = ("learned_positions", "activation", "scale_embeddings")  # what a size may say of the layers
BROUGHT = {"length": "architecture.lengths", "masking": "predictor"}  # the key that brings a term, by the term


def architecture(row: Mapping[str, Any]) -> dict[str, Any]:
    """Its architecture: name and, of a non-autoregressive one, each part's name and options, whether it has a head
    that predicts what the input masks, and whether it has links."""
    given = member(row["architecture"])
    if given["name"] == AUTOREGRESSIVE:
        return given
    parts = {key: member(given.get(key, default)) for key, (_, default) in PARTS.items()}
    parts |= {key: member(given[key]) for key in OPTIONAL if key in given}
    # which system predicts the tokens makes no difference to the training
    return {**given, **parts, "masking": "predictor" in row, "links": given.get("links", False)}


def scaled(architecture: Mapping[str, Any], scale: Mapping[str, Any]) -> dict[str, Any]:
    """An architecture at a scale, which may say how many codes stand for those of its codebook."""
    codebook = architecture.get("codebook")
    if codebook is None:
        return dict(architecture)
    named = (families.defaults("codebook", codebook["name"]) | codebook)["size"]
    return {**architecture, "codebook": codebook | {"size": scale.get("codes", {}).get(str(named), named)}}


def is_autoregressive(row: Mapping[str, Any]) -> bool:
    return member(row["architecture"])["name"] == AUTOREGRESSIVE


def target(row: Mapping[str, Any]) -> str:
    """The name of its proxy target."""
    return member(row["target"])["name"]


def objective(row: Mapping[str, Any]) -> dict[str, Any]:
    """Its objective's name and options."""
    return member(row.get("objective", OBJECTIVE))


def terms(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The terms added to its objective: those its architecture brings, with the row's options, then the row's
    others."""
    made = architecture(row)
    here = {"length": families.trait("length", made["lengths"]["name"], "predicted"), "masking": made["masking"]}
    brought = [name for name in BROUGHT if here[name]]
    own = {term["name"]: term for term in map(member, row.get("terms", ()))}
    return list({**{name: {"name": name} for name in brought}, **own}.values())


def members(row: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(key of the row, family, name and options) of all parts that a system is composed of."""
    found = [("target", "target", member(row["target"]))]
    if is_autoregressive(row):
        return found
    made = architecture(row)
    families_of = {key: family for key, (family, _) in PARTS.items()} | OPTIONAL
    found += [(f"architecture.{key}", family, made[key]) for key, family in families_of.items() if key in made]
    if "input" in row:
        found.append(("input", "input", member(row["input"])))
    found.append(("objective", "objective", objective(row)))
    own = {member(term)["name"] for term in row.get("terms", ())}
    return found + [("terms" if term["name"] in own else BROUGHT[term["name"]], "term", term) for term in terms(row)]


def offers(row: Mapping[str, Any]) -> set[str]:
    """What its architecture and its parts offer to the others."""
    if is_autoregressive(row):
        made = {"autoregressive"}
    else:
        heads = {"masking": "masking head", "links": "links"}
        made = {"parallel"} | {offered for key, offered in heads.items() if architecture(row)[key]}
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
        found += of_option if given.get(option) not in (None, False) else ()
    return found


def chooses(row: Mapping[str, Any]) -> bool:
    """Whether it chooses its target among candidates."""
    return families.trait("target", target(row), "references") == "candidates"


def runs_kernels(row: Mapping[str, Any]) -> bool:
    """Whether choosing its targets or inputs, its objective or a term runs `natlab.kernels`."""
    if is_autoregressive(row):
        return False
    of = [("target", target(row)), ("input", member(row["input"])["name"]), ("objective", objective(row)["name"])]
    of += [("term", term["name"]) for term in terms(row)]
    return any(families.trait(family, name, "kernels", False) for family, name in of)


def parallel(row: Mapping[str, Any]) -> dict[str, Any]:
    """What only a non-autoregressive system has."""
    own = {"input": member(row["input"]), "objective": objective(row), "terms": terms(row)}
    return own | {key: row[key] for key in ("start",) if key in row}


def stages(scale: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The stages of a scale, by name."""
    return {**{name: scale[name] for name in (*ROLES, "finetune")}, **scale.get("stages", {})}


def stage(row: Mapping[str, Any]) -> str:
    """The name of the stage that it is trained in."""
    default = "teacher" if is_autoregressive(row) else "finetune" if "start" in row else "student"
    return row.get("stage", default)


def training(row: Mapping[str, Any], scale: Mapping[str, Any], dataset: str | None = None) -> dict[str, Any]:
    """How it is trained: as the scale says for its stage, or for this dataset, and as it says itself otherwise. A stage
    that the scale has not got, which it need not have for systems that it does not train, says nothing."""
    named, role = stage(row), ROLES[not is_autoregressive(row)]
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


def size(row: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """The name of its size: the scale's for its role, or what stands at this scale for the one it names."""
    named = row.get("size")
    return training(row, scale)["size"] if named is None else scale.get("sizes", {}).get(named, named)
