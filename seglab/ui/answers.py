"""One queue before the models: each question is worked on once, answers are kept while they fit."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar


class Weighed(Protocol):
    """An answer that knows how much memory it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes."""


T = TypeVar("T", bound=Weighed)
Key = tuple[Any, ...]  # what a question is


class AnswerQueue(Generic[T]):
    """Answers of one kind, shared by all sessions.

    Args:
        pool: works on questions; several queues may share it, so that models never run beside each other.
        failed: makes an answer of the reason why there is none; one failing question hides no other.
        max_bytes: how much may be kept; asked anew each time. The youngest answer always stays.
    """

    def __init__(self, pool: ThreadPoolExecutor, failed: Callable[[str], T], max_bytes: Callable[[], int]) -> None:
        self._pool, self._failed, self._max_bytes = pool, failed, max_bytes
        self._lock = threading.Lock()
        self._answers: OrderedDict[Key, T] = OrderedDict()
        self._running: dict[Key, Future[None]] = {}

    def ask(self, key: Key, work: Callable[[], T], at_once: Callable[[], T | None] = lambda: None) -> T | None:
        """Return the answer to a question, or none while it is being worked on.

        Args:
            key: what the question is.
            work: answers it, in the pool.
            at_once: an answer that is there already, if any; taken before any work.
        """
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
            if key in self._running:
                return None
            if (answer := at_once()) is not None:
                self._keep(key, answer)
                return answer
            self._running[key] = self._pool.submit(self._work, key, work)
        return None

    def peek(self, key: Key) -> T | None:
        """Return an answer that is kept, without asking for it."""
        with self._lock:
            return self._answers.get(key)

    def _work(self, key: Key, work: Callable[[], T]) -> None:
        try:
            answer = work()
        except Exception as error:  # whatever upset it becomes the reason that the page shows
            text = str(error).strip()
            answer = self._failed(text.splitlines()[0] if text else type(error).__name__)
        with self._lock:
            self._running.pop(key, None)
            self._keep(key, answer)

    def _keep(self, key: Key, answer: T) -> None:
        self._answers[key] = answer
        while sum(a.nbytes for a in self._answers.values()) > self._max_bytes() and len(self._answers) > 1:
            self._answers.popitem(last=False)

    def forget(self, unwanted: Callable[[Key, T], bool]) -> None:
        """Drop answers, so that they are worked on again when asked for."""
        with self._lock:
            for key in [key for key, answer in self._answers.items() if unwanted(key, answer)]:
                del self._answers[key]
