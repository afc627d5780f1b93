"""Images on their way through a pool of workers, and what they are refused for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from pixelwise.serving.messages import Done, Failed, Order
from pixelwise.serving.problems import Problem, status_of


class Ticket:
    """An image on its way.

    Args:
        order: What is asked for.

    Attributes:
        future: Receives the answer, or a `Problem`.
        is_suspect: Whether a worker died, or was too slow, while it had this image and others.
        deaths: Number of workers that died while they had this image alone.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.future: Future[Done] = Future()
        self.is_suspect, self.deaths = False, 0

    def answer(self, reply: Done | Failed) -> None:
        """Pass the reply of a worker on."""
        if isinstance(reply, Done):
            self._end(lambda: self.future.set_result(reply))
        else:
            self.refuse(Problem(status_of(reply.code), reply.code, reply.message, reply.help))

    def refuse(self, problem: Problem) -> None:
        """End it with an error."""
        self._end(lambda: self.future.set_exception(problem))

    def _end(self, act: Callable[[], None]) -> None:
        # Once it runs it can no longer be cancelled, so that nobody sets it in between.
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            act()


def slow() -> Problem:
    """S615 for an image that takes too long."""
    return Problem(
        504,
        "S615",
        "the image takes longer than the server allows (`timeout`)",
        "send a smaller image; whoever runs the server can raise `timeout`",
    )


def deadly() -> Problem:
    """D136 for an image that workers die of."""
    return Problem(
        422,
        "D136",
        "image: the process that predicts it ends, each time",
        "it is damaged in a way that its decoder does not survive, or needs more memory than there is: write it again "
        "with another program, or send a smaller image",
    )
