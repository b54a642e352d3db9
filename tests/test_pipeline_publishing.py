"""The commands for readers are commands of `genlab`, and say in their help what they make."""

from click.testing import CliRunner

from genlab.pipeline import publishing
from genlab.pipeline.cli import main


def test_every_command_is_one_of_genlab():
    made = {command.name for command in publishing.COMMANDS}
    assert made == {"build", "pdf", "page", "publish", "release"}
    listed = CliRunner().invoke(main, ["--help"]).output
    for command in publishing.COMMANDS:
        assert main.commands[command.name] is command and f"\n  {command.name} " in listed
    assert "genlab.pipeline.cli" not in {c.callback.__module__ for c in publishing.COMMANDS}
