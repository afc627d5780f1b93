from __future__ import annotations

import pytest

from pixelwise.serving.messages import Done, Failed, Order
from pixelwise.serving.problems import Problem
from pixelwise.serving.tickets import Ticket, deadly, slow

ORDER = Order(number=1, content=b"")
DONE = Done(number=1, media="", content=b"", size=(1, 1))


@pytest.mark.parametrize(
    ("code", "status"),
    [("D101", 422), ("D120", 413), ("D151", 503), ("K466", 422), ("K463", 500), ("R280", 500), ("X1", 500)],
)
def test_errors_of_workers_become_problems(code, status):
    ticket = Ticket(ORDER)
    ticket.answer(Failed(number=1, code=code, message="what", help="how"))
    with pytest.raises(Problem) as caught:
        ticket.future.result(0)
    assert (caught.value.status, caught.value.code) == (status, code)


def test_the_first_answer_counts_and_none_after_it_was_given_up():
    ticket = Ticket(ORDER)
    ticket.answer(DONE)
    ticket.refuse(slow())
    assert ticket.future.result(0) == DONE
    given_up = Ticket(ORDER)
    assert given_up.future.cancel()
    given_up.answer(DONE)
    given_up.refuse(deadly())
    assert given_up.future.cancelled()
