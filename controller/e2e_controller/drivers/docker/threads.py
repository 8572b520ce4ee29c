"""A bounded pool of daemon threads."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Semaphore, Thread
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Work = tuple[Future[Any], Callable[[], Any]]


class DaemonPool(Executor):
    """Like `ThreadPoolExecutor`, but a call that hangs in an engine never keeps the process from ending."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._idle = Semaphore(0)
        self._threads: list[Thread] = []
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._closed = False

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queues a call. Called from one thread only, the event loop's."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        future: Future[T] = Future()
        self._work.put((future, lambda: function(*args, **kwargs)))
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
            thread = Thread(target=self._serve, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Lets the threads end after what they do now; with `cancel_futures` what waits is dropped."""
        self._closed = True
        with suppress(Empty):  # a thread may take the last at the same time
            while cancel_futures:
                if (work := self._work.get_nowait()) is not None:
                    work[0].cancel()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
            del work, future, call
            if self._work.empty():
                self._idle.release()
