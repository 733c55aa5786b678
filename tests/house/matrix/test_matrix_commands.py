"""The command line: an operator's, every one of them, and what it writes is written under the command's name."""

import ast
import json
from importlib import import_module
from pathlib import Path

from click.testing import CliRunner

import telepsych
from house.matrix.test_matrix_live import check_lines
from telepsych.cli import COMMANDS, all_doors, main
from telepsych.server.permissions import permissions

LINES = permissions().of("command")
ROOMS = Path(telepsych.__path__[0])


def test_every_command_has_a_line_and_every_line_its_command() -> None:
    check_lines("command", LINES, {door.name for door in all_doors() if door.kind == "command"})


def test_no_command_acts_as_a_person() -> None:
    """A unit that a command opens has a `command` or the `system` as its actor, so that the audit says who it was."""
    modules = {place.split(":")[0] for place in COMMANDS.values()}
    beside = {".".join(one.relative_to(ROOMS).with_suffix("").parts) for one in ROOMS.rglob("*_commands.py")}
    for module in sorted(modules | beside):
        for call in units_opened(ROOMS / f"{module.replace('.', '/')}.py"):
            assert is_no_person(module, call.args[0]), f"{module}: begin({ast.unparse(call.args[0])})"


def is_no_person(module: str, actor: ast.expr) -> bool:
    if isinstance(actor, ast.Name):
        return bool(getattr(import_module(f"telepsych.{module}"), actor.id).is_system)
    return ast.unparse(actor).removeprefix("actor.").startswith(("command(", "system("))


def units_opened(place: Path) -> list[ast.Call]:
    tree = ast.parse(place.read_text(encoding="utf-8"))
    return [
        node for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func).endswith("practice.begin") and node.args
    ]  # fmt: skip


def test_the_matrix_sees_units_that_commands_open() -> None:
    """Or else the test above would look at nothing."""
    assert sum(len(units_opened(place)) for place in ROOMS.rglob("*commands.py")) >= 2


def test_the_table_can_be_printed() -> None:
    """`telepsych routes --policy` says for every door and persona what is expected."""
    said = json.loads(CliRunner().invoke(main, ["routes", "--policy", "--json"]).stdout)
    assert len(said["doors"]) == len(permissions().expectations)
    assert all(set(cells) == set(said["personas"]) for door in said["doors"] for cells in door["cells"].values())
    (sync,) = (one for one in said["doors"] if one["name"] == "GET /api/conversations/<conversation_id>/sync")
    assert sync["cells"]["general"]["guardian"] == "allowed"
    assert sync["cells"]["confidential"]["guardian"] == "missing"
    text = CliRunner().invoke(main, ["routes", "--policy"]).stdout
    assert all(line.name in text for line in permissions().expectations)
