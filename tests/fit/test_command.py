"""What the command does to the process that it runs in."""

import signal

from scconv_lab.cli import main


def test_a_process_that_runs_a_command_keeps_its_own_answer_to_sigterm() -> None:
    mine = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert main(["fit", "--trainer.devices", "0"]) == 2
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, mine)
