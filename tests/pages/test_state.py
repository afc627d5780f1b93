from pixelwise.pages.state import State, state_of


def test_the_address_of_the_first_page_says_nothing():
    assert State().address() == "/runs"
    assert state_of([], []) == State()


def test_a_state_survives_its_address():
    state = State(sort="gmacs", reverse=True, axis="minutes", pinned=("b", "a"), hidden=("c",), chosen=("a",))
    pairs = [tuple(pair.split("=")) for pair in state.address().partition("?")[2].split("&")]
    assert state_of(pairs, "abc") == state


def test_what_an_address_may_not_say_is_ignored():
    query = [("sort", "name"), ("axis", "miou"), ("pin", "unknown"), ("pin", "a"), ("pin", "a"), ("x", "y")]
    assert state_of(query, ["a"]) == State(pinned=("a",))


def test_a_heading_sorts_and_then_reverses():
    assert State().sorted_by("gmacs") == "/runs?sort=gmacs"
    assert State(sort="gmacs").sorted_by("gmacs") == "/runs?sort=gmacs&reverse=1"
    assert State(sort="gmacs", reverse=True).sorted_by("gmacs") == "/runs?sort=gmacs"


def test_of_three_that_are_chosen_the_last_two_stay():
    assert State(chosen=("a", "b")).toggled("chosen", "c") == "/runs?with=b&with=c"
    assert State(chosen=("a", "b")).toggled("chosen", "a") == "/runs?with=b"
    assert State(pinned=("a",)).toggled("hidden", "b") == "/runs?pin=a&hide=b"
