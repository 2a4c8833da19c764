"""Mutations of parameters, pins, workflow and prose."""

import json
import re

import yaml

from tests.trials.mutations.text import word
from tests.trials.mutations.world import World


def parameter(world: World) -> str | None:
    """Another value of one parameter, in the base or in a preset."""
    path = world.pick("params/*.yml")
    assert path is not None
    text = path.read_text()
    leaves = [(keys, node) for keys, node in _leaves(yaml.compose(text)) if keys[0] not in ("seeds", "purpose")]
    numbers = [
        (keys, node) for keys, node in leaves if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    ]
    if not numbers:
        return None
    keys, node = world.chance.choice(numbers)
    old = yaml.safe_load(node.value)
    new = world.chance.randint(2, 60) if isinstance(old, int) else round(world.chance.uniform(0.001, 0.02), 6)
    path.write_text(text[: node.start_mark.index] + repr(new) + text[node.end_mark.index :])
    if not world.shown():
        path.write_text(text)
        return None
    return f"{'.'.join(keys)}: {old} → {new} in {world.name(path)}"


def parameter_layout(world: World) -> str | None:
    """A comment, an empty line, another order of keys, or another spelling of a value."""
    path = world.pick("params/*.yml")
    assert path is not None
    text, chance = path.read_text(), world.chance
    lines = text.splitlines()
    number = chance.randrange(len(lines))
    deed = chance.choice(["comment", "line", "order", "spelling"])
    if deed == "comment":
        lines.insert(number, f"# {word(chance)}: 7")
    elif deed == "line":
        lines.insert(number, "")
    elif deed == "order":
        same = [i for i in range(len(lines) - 1) if _leaf_line(lines[i]) == _leaf_line(lines[i + 1]) != ""]
        if not same:
            return None
        place = chance.choice(same)
        lines[place], lines[place + 1] = lines[place + 1], lines[place]
    else:
        floats = [node for _, node in _leaves(yaml.compose(text)) if node.tag.endswith(":float")]
        if not floats:
            return None
        node = chance.choice(floats)
        lines = f"{text[: node.start_mark.index]}+{text[node.start_mark.index :]}".splitlines()
    after = "\n".join(lines) + "\n"
    if "++" in after or yaml.safe_load(after) != yaml.safe_load(text):
        return None
    path.write_text(after)
    return f"{deed} in {world.name(path)}"


def pin(world: World) -> str:
    """Another version of one package, of one nobody imports too."""
    path = world.root / "requirements.lock"
    lines = path.read_text().splitlines()
    number = world.chance.choice([i for i, line in enumerate(lines) if "==" in line and not line.startswith("#")])
    name = lines[number].split("==")[0]
    lines[number] = f"{name}=={world.chance.randint(0, 99)}.{world.chance.randint(0, 10**6)}"
    path.write_text("\n".join(lines) + "\n")
    return f"{lines[number]} in the lock"


def pin_layout(world: World) -> str:
    """Comments, order, spelling and markers of the lock."""
    path, chance = world.root / "requirements.lock", world.chance
    lines = path.read_text().splitlines()
    deed = chance.choice(["comment", "order", "spelling", "marker"])
    pins = [i for i, line in enumerate(lines) if "==" in line and not line.startswith("#")]
    number = chance.choice(pins)
    if deed == "comment":
        lines.insert(number, f"# {word(chance)}==1.0")
    elif deed == "order":
        chance.shuffle(lines)
    elif deed == "spelling":
        name, _, rest = lines[number].partition("==")
        lines[number] = f"{chance.choice([name.upper(), name.replace('-', '_'), name + ' '])}== {rest}"
    else:
        lines[number] = re.split(r"[#;]", lines[number])[0].rstrip() + chance.choice(
            ['  ; python_version >= "3.8"', "  # why"]
        )
    path.write_text("\n".join(lines) + "\n")
    return f"{deed} in the lock"


def workflow_words(world: World) -> str | None:
    """What the workflow says of a stage, or a comment in it: nothing depends on that but pages."""
    path = world.root / "paper/workflow.yml"
    lines = path.read_text().splitlines()
    said = [i for i, line in enumerate(lines) if line.strip().startswith("says:")]
    number = world.chance.choice(said)
    if world.chance.random() < 0.5:
        lines.insert(number, f"    # {word(world.chance)}")
    else:
        lines[number] = f"    says: {word(world.chance)}."
    path.write_text("\n".join(lines) + "\n")
    return f"line {number + 1} of paper/workflow.yml"


def command(world: World) -> str | None:
    """Another command of one stage that does the same, or a variable of all that none of them reads."""
    path = world.root / "paper/workflow.yml"
    text = path.read_text()
    modules = re.findall(r"python -m (\S+)", text)
    if world.chance.random() < 0.3 or not modules:
        path.write_text(text.replace("environment:", f"environment:\n  {word(world.chance).upper()}: x", 1))
        return "a variable more in paper/workflow.yml"
    module = world.chance.choice(modules)
    path.write_text(text.replace(f"python -m {module}", f"python -B -m {module}"))
    return f"the command of {module}"


def seeds(world: World) -> str | None:
    """Other runs in the study."""
    path = world.root / f"params/{world.reader.preset}.yml"
    text = path.read_text()
    new = world.chance.choice(["[1, 2]", "[2, 1]", "[1, 2, 3]", "[1, 2, 3, 4]"])
    after = re.sub(r"(?m)^seeds: .*$", f"seeds: {new}", text)
    path.write_text(after)
    return f"seeds: {new}" if after != text else None


def prose(world: World) -> str | None:
    """A sentence more on a page, in a notebook's text, or in a file nobody prints."""
    path = world.pick(world.chance.choice(["*.qmd", "*.md", "chapters/*.ipynb"]))
    if path is None:
        return None
    if path.suffix != ".ipynb":
        path.write_text(f"{path.read_text()}\nOne more sentence on {word(world.chance)}.\n")
        return f"a sentence in {world.name(path)}"
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    world.chance.choice(cells)["source"] += ["\n", f"One more sentence on {word(world.chance)}."]
    path.write_text(json.dumps(notebook, indent=1))
    return f"a sentence in {world.name(path)}"


def notebook_leftovers(world: World) -> str | None:
    """Outputs, counts and layout that an editor leaves in a notebook."""
    path = world.pick("chapters/*.ipynb")
    if path is None:
        return None
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["execution_count"] = world.chance.randint(1, 99)
            cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": [word(world.chance)]}]
    path.write_text(json.dumps(notebook, indent=world.chance.choice([1, 2, None])))
    return f"outputs left in {world.name(path)}"


def notebook_code(world: World) -> str | None:
    """A line more in a code cell."""
    path = world.pick("chapters/*.ipynb")
    if path is None:
        return None
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and not cell["metadata"].get("tags")]
    world.chance.choice(cells)["source"].insert(0, f"{word(world.chance)} = {world.chance.random()!r}\n")
    path.write_text(json.dumps(notebook, indent=1))
    return f"a code cell of {world.name(path)}"


WRITTEN = [parameter, parameter, parameter_layout, parameter_layout, pin, pin_layout, workflow_words, command, seeds,
           prose, notebook_leftovers]  # fmt: skip


def _leaves(node: yaml.Node | None, keys: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], yaml.ScalarNode]]:
    if isinstance(node, yaml.MappingNode):
        return [leaf for key, value in node.value for leaf in _leaves(value, (*keys, key.value))]
    return [(keys, node)] if isinstance(node, yaml.ScalarNode) else []


def _leaf_line(line: str) -> str:
    """The indentation of a line that is a key with a plain value, else nothing."""
    found = re.match(r"(\s+)\w+: [^{\[#>|&*\s]", line)
    return found[1] if found else ""
