"""Questions of many clients, answered several at a time by one thread."""

import asyncio
import queue
import threading
from concurrent.futures import Future
from typing import Final

from booru_pipeline.errors import BooruError
from booru_pipeline.model.suggest.answer import Answer
from booru_pipeline.model.suggest.asking import Asker, Request

_AT_ONCE: Final = 32
_WAITING: Final = 512
_PATIENCE_S: Final = 20.0


class TooMany(BooruError):
    """More questions wait than can be answered in time."""


class Questions:
    """A queue of questions, and the thread that answers what has come in meanwhile, together."""

    def __init__(self) -> None:
        """Start the thread."""
        self._queue: queue.Queue[tuple[Asker, Request, Future[Answer | BooruError]]] = queue.Queue(_WAITING)
        threading.Thread(target=self._answer_all, name="questions", daemon=True).start()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._queue.qsize()

    async def ask(self, asker: Asker, request: Request) -> Answer:
        """The answer to a question.

        Raises:
            TooMany: Too many wait, or it was not answered in time.
            BooruError: It is no question; see `Asker.ask`.
        """
        answered: Future[Answer | BooruError] = Future()
        try:
            self._queue.put_nowait((asker, request, answered))
            async with asyncio.timeout(_PATIENCE_S):
                answer = await asyncio.wrap_future(answered)
        except (queue.Full, TimeoutError) as error:
            raise TooMany("too many questions at once. Ask again in a moment.") from error
        if isinstance(answer, BooruError):
            raise answer
        return answer

    def _answer_all(self) -> None:
        while True:
            asked = [self._queue.get()]
            while len(asked) < _AT_ONCE and not self._queue.empty():
                asked.append(self._queue.get())
            asked = [one for one in asked if one[2].set_running_or_notify_cancel()]
            for asker in {id(one[0]): one[0] for one in asked}.values():
                own = [one for one in asked if one[0] is asker]
                try:
                    answers = asker.ask([request for _, request, _ in own])
                except Exception as error:  # a fault of ours must not end the thread that answers everybody
                    for _, _, answered in own:
                        answered.set_exception(error)
                else:
                    for (_, _, answered), answer in zip(own, answers, strict=True):
                        answered.set_result(answer)
