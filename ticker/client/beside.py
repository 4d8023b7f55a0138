"""Contexts of Trio for tasks of asyncio, and functions of asyncio for tasks of Trio."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import copy_context
from typing import Any, Generic, TypeVar

import outcome
import trio

from ticker.client.guest import guest_run, settled
from ticker.errors import ConfigError

T = TypeVar("T")


@asynccontextmanager
async def entered(manager: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter a context of Trio for the block of an asyncio task, and leave it with the block.

    If the context ends by itself, with an error, the task is cancelled, and the error is raised where the block ends:
    so does Trio.
    """
    task = _running_task()
    async with guest_run(task.get_loop()) as run:
        context = _Context(manager, task.get_loop())
        interruption = _Interruption(task)
        with run.interrupts:
            trio.lowlevel.spawn_system_task(context.run)
        run.over.add_done_callback(context.process_over)
        raised: BaseException | None = None
        try:
            value = await context.value()
            context.ended.add_done_callback(interruption.interrupt)
            yield value
        except BaseException as error:  # noqa: BLE001  # raised below, unless another one comes before it
            raised = error
        context.ended.remove_done_callback(interruption.interrupt)
        with run.interrupts:
            context.scope.cancel()
        try:
            await settled(context.ended)
        except asyncio.CancelledError as cancelled:
            raised = cancelled
        if await interruption.undo(raised):
            raised = None
        fault = context.ended.result()
        if fault is not None and not isinstance(raised, asyncio.CancelledError):
            raised = fault
        if raised is not None:
            raise raised


class _Context(Generic[T]):
    """A context of Trio, held open by a task of Trio."""

    def __init__(self, manager: AbstractAsyncContextManager[T], loop: asyncio.AbstractEventLoop) -> None:
        self.scope = trio.CancelScope()
        self.ended: asyncio.Future[BaseException | None] = loop.create_future()
        """The error with which it has ended, if there is one."""
        self._manager = manager
        self._loop = loop
        self._entered: asyncio.Future[T] = loop.create_future()

    async def value(self) -> T:
        """Wait until it is entered. Raises its error."""
        both: list[asyncio.Future[Any]] = [self._entered, self.ended]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if self.ended.done() and (error := self.ended.result()) is not None:
            raise error
        return self._entered.result()

    async def run(self) -> None:
        """Hold it open until `scope` is cancelled, in a system task of Trio."""
        result = await outcome.acapture(self._hold)
        self._end(result.error if isinstance(result, outcome.Error) else None)

    async def _hold(self) -> None:
        with self.scope:
            async with self._manager as value:
                self._entered.set_result(value)
                await trio.sleep_forever()

    def process_over(self, over: asyncio.Future[outcome.Outcome[None]]) -> None:
        """The run of Trio has ended before this context has: Trio has failed."""
        result = over.result()
        self._end(result.error if isinstance(result, outcome.Error) else None)

    def _end(self, error: BaseException | None) -> None:
        if not self.ended.done() and not self._loop.is_closed():
            self.ended.set_result(error)


class _Interruption:
    """The cancellation of a task because what its block needs has ended, as `asyncio.timeout` does it."""

    def __init__(self, task: asyncio.Task[object]) -> None:
        self._task = task
        self._cancelling = task.cancelling()
        self._done = False

    def interrupt(self, _: object) -> None:
        """Cancel the task, unless another one leaves the block: a notebook has a task for each cell."""
        if not self._task.done():
            self._done = True
            self._task.cancel()

    async def undo(self, raised: BaseException | None) -> bool:
        """Take the cancellation back. Returns whether an exception is its effect, and has no other cause."""
        if not self._done:
            return False
        others = self._task.uncancel() > self._cancelling
        if isinstance(raised, asyncio.CancelledError):
            return not others
        if not others:
            with suppress(asyncio.CancelledError):  # it has not taken effect yet
                await asyncio.sleep(0)
        return False


def asked_in_loop(function: Callable[[], str | Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    """Return a function for Trio that has the running loop call this one, in a task with the present context.

    It raises the exceptions of this one, and cancels its task when it is cancelled.
    """
    loop, context = asyncio.get_running_loop(), copy_context()

    async def called() -> str:
        given = function()
        return await given if inspect.isawaitable(given) else given

    async def ask() -> str:
        over = trio.Event()
        result: list[outcome.Outcome[str]] = []

        async def answer() -> None:
            try:
                result.append(await outcome.acapture(called))
            finally:
                over.set()

        task = loop.create_task(answer(), context=context.copy())
        try:
            await over.wait()
        finally:
            task.cancel()
        if result and isinstance(result[0], outcome.Error) and not isinstance(result[0].error, Exception):
            raise RuntimeError(f"its task has ended with {type(result[0].error).__name__}")
        return result[0].unwrap()

    return ask


def _running_task() -> asyncio.Task[object]:
    """Return the present task of asyncio. Raises `ConfigError` if there is none."""
    with suppress(RuntimeError):
        task = asyncio.current_task()
        if task is not None and not trio.lowlevel.in_trio_task():
            return task
    raise ConfigError("ticker.aio: no task of asyncio runs here; with Trio use ticker.connect, otherwise asyncio.run")
