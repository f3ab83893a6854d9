import pytest

from scconv_lab.errors import UserError
from scconv_lab.terminal.command_parser import CommandParser


@pytest.fixture
def parser() -> CommandParser:
    parser = CommandParser("lift", description="Lift a weight.", way_out="ask for help")
    parser.add_argument("--weight", type=int)
    parser.add_argument("--format", choices=("a", "b"))
    return parser


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wieght", "3"], r"lift has no option '--wieght'; did you mean '--weight'\?"),
        (["--weight"], r"lift: argument --weight: expected one argument; ask for help"),
        (["--weight", "x"], r"lift: argument --weight: invalid int value: 'x'; ask for help"),
        (["--format", "c"], r"lift: argument --format: invalid choice: 'c'.*; ask for help"),
        (["more"], r"lift: unrecognized arguments: more; ask for help"),
        (["--wei", "3"], r"lift has no option '--wei'"),
    ],
)
def test_a_mistake_is_one_message(parser: CommandParser, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parser.parse_args(arguments)


def test_what_is_right_is_read(parser: CommandParser) -> None:
    assert vars(parser.parse_args(["--weight", "3"])) == {"weight": 3, "format": None}
