"""`ticker worker`: a process of `ticker serve --workers N`, started by it, with its settings as the first message.

Nobody else starts it: it does without the parser of arguments, which would make it start a tenth later.
"""

from __future__ import annotations

import faulthandler
import signal
import socket
from collections.abc import Sequence

import trio

from ticker.commands.descriptors import raise_descriptor_limit
from ticker.commands.logs import configure_logging
from ticker.commands.memory import tune_memory
from ticker.commands.outcome import outcome_of
from ticker.commands.signals import on_stop_signal
from ticker.commands.streams import write_stdout_later
from ticker.errors import ConfigError, sole
from ticker.net.clocks import on_running_clock
from ticker.server.blocked_loop import interrupt_blocking_feeds
from ticker.server.service import serve as run_service
from ticker.server.worker import Worker
from ticker.supervisor.channel import Channel
from ticker.supervisor.messages import TO_CHILD, Settings, ToChild, Unusable

_LAST_WORD_SECONDS = 1.0
_NOT_BY_HAND = "`ticker worker` is started by `ticker serve --workers N`, not by hand"


def run(arguments: Sequence[str]) -> int:
    """Run a worker with the arguments `--name NAME --channel DESCRIPTOR` to its end; return its exit code."""
    return outcome_of(lambda: _worker(_descriptor(arguments)))


def _descriptor(arguments: Sequence[str]) -> int:
    match arguments:
        case ["--name", _, "--channel", number] if number.isdecimal():  # the name is for those who list processes
            return int(number)
        case _:
            raise ConfigError(_NOT_BY_HAND)


@on_running_clock
async def _worker(channel: int) -> int:
    faulthandler.enable(2)  # the supervisor aborts a worker that is blocked; its log then says where it was
    connection = _connection(channel)
    settings = await connection.receive()
    if not isinstance(settings, Settings):
        return 0  # the supervisor has gone
    write_stdout_later()
    configure_logging(settings.config.log_format, settings.name)
    tune_memory()
    unusable = None
    try:
        await _run(Worker(connection, settings), connection)
    except* ConfigError as group:
        unusable = Unusable(str(sole(group)))
    if unusable is None:
        return 0
    connection.post(unusable)
    with trio.move_on_after(_LAST_WORD_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run_sender)
            await connection.finish()
            nursery.cancel_scope.cancel()
    return 2


def _connection(descriptor: int) -> Channel[ToChild]:
    try:
        return Channel(socket.socket(fileno=descriptor), TO_CHILD)
    except (OSError, ValueError):
        raise ConfigError(_NOT_BY_HAND) from None


async def _run(this: Worker, connection: Channel[ToChild]) -> None:
    config = this.settings.config
    async with trio.open_nursery() as background:
        background.start_soon(connection.run_sender)
        background.start_soon(this.obey)
        background.start_soon(this.say_alive)
        with interrupt_blocking_feeds() as watchdog, trio.open_signal_receiver(signal.SIGUSR2):
            async with on_stop_signal(lambda: background.start_soon(this.leave)):
                background.start_soon(watchdog.keep_turning)
                raise_descriptor_limit(config.limits.max_connections)
                await run_service(config, this.stop, this.reloads, this.manager, worker=this)
        background.cancel_scope.cancel()
