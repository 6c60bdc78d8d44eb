"""Every command's help shows an example of its own."""

import re
from importlib.metadata import version

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from cli.main import app

COMMANDS = ("up", "demo", "generate", "jobs", "judges", "models", "scenarios", "gateway", "gpu-worker", "judge-worker")


def help_of(*command: str) -> str:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    return re.sub(r"\s+", " ", shown.stdout)


def test_the_program_lists_its_commands_and_shows_how_to_begin() -> None:
    text = help_of()
    assert "Example: maxwell up, then in another terminal maxwell generate 'a red apple' --scenario teacher" in text
    for command in COMMANDS:
        assert f"│ {command} " in text


def test_no_command_is_without_a_test_here() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    assert set(group.commands) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_shows_an_example(command: str) -> None:
    text = help_of(command)
    example = text.partition("Example: ")[2].partition("╭")[0]
    assert f"maxwell {command}" in example


def test_a_judge_is_tried_by_a_command_of_judges() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    judges = group.commands["judges"]
    assert isinstance(judges, TyperGroup)
    assert set(judges.commands) == {"test"}
    assert "Example: maxwell judges test local" in help_of("judges", "test")


def test_no_command_shows_the_help() -> None:
    shown = CliRunner().invoke(app, [])
    assert "Usage: " in shown.output


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"maxwell {version('maxwell')}\n"
