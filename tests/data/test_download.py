import socket

import pytest

from scconv_lab.data import download
from scconv_lab.data.download import download_into
from scconv_lab.errors import UserError


def test_whole_or_absent(tmp_path):
    target = tmp_path / "deep" / "set"
    with download_into(target, "here") as folder:
        (folder / "set").mkdir()
        (folder / "set" / "file").write_text("x")
        assert not target.exists()
    assert (target / "file").read_text() == "x"
    assert list(target.parent.iterdir()) == [target]


def test_the_first_of_two_processes_wins(tmp_path):
    target = tmp_path / "set"
    with download_into(target, "here") as late:
        (late / "set").mkdir()
        (late / "set" / "late").touch()
        with download_into(target, "here") as early:
            (early / "set").mkdir()
            (early / "set" / "early").touch()
    assert [path.name for path in target.iterdir()] == ["early"]


def test_a_stalled_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "STALL_S", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,  # takes connections and never answers
        pytest.raises(UserError, match="timed out"),
        download_into(tmp_path / "set", "there"),
        socket.create_connection(server.getsockname()) as client,
    ):
        client.recv(1)
    assert socket.getdefaulttimeout() is None
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/set"), download_into(tmp_path / "file" / "set", "here"):
        pass


def test_defects_of_ours_stay_what_they_are(tmp_path):
    with pytest.raises(KeyError), download_into(tmp_path / "set", "here"):
        raise KeyError
    assert not list(tmp_path.iterdir())
