"""ticker/net/addresses.py and listeners.py: addresses to listen on, and the files of Unix sockets."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from ticker.errors import ConfigError
from ticker.net.addresses import Address, parse_address
from ticker.net.listeners import listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8443", ("127.0.0.1", 8443, "", 0o660, False)),
        ("[::]:0", ("::", 0, "", 0o660, False)),
        ("http://localhost:80", ("localhost", 80, "", 0o660, True)),
        ("unix:/run/ticker.sock", ("", 0, "/run/ticker.sock", 0o660, False)),
        ("http://unix:/run/ticker.sock", ("", 0, "/run/ticker.sock", 0o660, True)),
        ("http://unix:/run/a b.sock?mode=600", ("", 0, "/run/a b.sock", 0o600, True)),
        ("unix:/x?mode=0777", ("", 0, "/x", 0o777, False)),
    ],
)
def test_an_address_is_a_host_and_port_or_a_path(text: str, address: tuple[str, int, str, int, bool]) -> None:
    assert parse_address(text) == Address(text, *address)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://localhost:80", "give HOST:PORT"),
        ("http://localhost", "give HOST:PORT"),
        ("http://localhost:80/", "give HOST:PORT"),
        ("http://http://a:1", "give HOST:PORT"),
        ("unix:ticker.sock", "give the whole path of a Unix socket"),
        ("unix:", "give the whole path of a Unix socket"),
        ("unix:/a\0b", "give the whole path of a Unix socket"),
        ("unix:/" + "x" * 107, "at most 107 bytes"),
        ("unix:/x?mode=888", r"\?mode=660, the permissions of the file"),
        ("unix:/x?", r"\?mode=660, the permissions of the file"),
        ("unix:/x?owner=me", r"\?mode=660, the permissions of the file"),
    ],
)
def test_what_is_no_address_is_refused_with_a_remedy(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)


@given(st.text(max_size=40), st.sampled_from(["", "http://", "unix:", "http://unix:/", "unix:/a?mode="]))
@example("\udcff" * 40, "unix:/")
def test_any_text_is_an_address_or_refused(text: str, scheme: str) -> None:
    try:
        address = parse_address(scheme + text)
    except ConfigError:
        return
    assert bool(address.host) is not bool(address.path)


class File:
    """A file, seen from outside."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def mode(self) -> int | None:
        return stat.S_IMODE(self.path.stat().st_mode) if self.path.exists() else None

    def remove(self) -> None:
        self.path.unlink()

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def read(self) -> str:
        return self.path.read_text()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.sock"


async def test_the_file_has_its_mode_and_goes_with_the_listener(path: Path) -> None:
    for option, mode in (("", 0o660), ("?mode=600", 0o600), ("?mode=666", 0o666)):
        (listener,) = await listen(parse_address(f"unix:{path}{option}"))
        assert File(path).mode == mode
        assert listener.url("/v1/stream") == f"wss+unix:{path}:/v1/stream"
        assert listener.page_url("/") == f"https+unix:{path}:/"
        async with await trio.open_unix_socket(path), await listener.accept():
            pass
        await listener.aclose()
        assert File(path).mode is None


async def test_a_file_that_nobody_listens_on_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    (listener,) = await listen(parse_address(f"http://unix:{path}"))
    assert listener.url("/v1/stream") == f"ws+unix:{path}:/v1/stream"
    async with await trio.open_unix_socket(path), await listener.accept():
        pass
    await listener.aclose()


async def test_a_file_that_another_program_listens_on_or_that_is_no_socket_stays(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ConfigError, match="another program listens there; give another path with --listen"):
            await listen(parse_address(f"unix:{path}"))
        assert File(path).mode is not None
    File(path).remove()
    File(path).write("precious")
    with pytest.raises(ConfigError, match="there is a file that is no socket"):
        await listen(parse_address(f"unix:{path}"))
    assert File(path).read() == "precious"


async def test_a_folder_that_is_not_there_is_said(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file or directory; give a path in a folder"):
        await listen(parse_address(f"unix:{path.parent}/nowhere/t.sock"))


async def test_the_file_of_a_successor_is_not_removed(path: Path) -> None:
    (first,) = await listen(parse_address(f"unix:{path}"))
    File(path).remove()
    (second,) = await listen(parse_address(f"unix:{path}"))
    await first.aclose()
    async with await trio.open_unix_socket(path), await second.accept():
        pass
    File(path).remove()  # by somebody else
    await second.aclose()


async def test_plain_listeners_have_urls_without_tls() -> None:
    (listener,) = await listen(parse_address("http://127.0.0.1:0"))
    port = listener.socket.getsockname()[1]
    assert listener.url("/v1/stream") == f"ws://127.0.0.1:{port}/v1/stream"
    assert listener.page_url("/") == f"http://127.0.0.1:{port}/"
    assert repr(listener) == "<Listener on http://127.0.0.1:0>"
    await listener.aclose()


async def test_a_name_that_turns_out_to_be_for_others_is_not_listened_on_without_tls() -> None:
    with pytest.raises(ConfigError, match="is no address of this machine alone"):
        await listen(parse_address("http://0.0.0.0:0"))
