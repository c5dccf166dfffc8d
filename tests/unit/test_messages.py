"""Messages carry an id and a version; whatever else arrives is refused, not believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import UsageError
from jobs.messages import decode_summarize, decode_validate, encode
from jobs.store.jobs import new_id

ANYTHING = st.dictionaries(
    st.sampled_from(["v", "id", "text"]), st.none() | st.integers() | st.text() | st.booleans()
)


def test_there_and_back() -> None:
    job_id = new_id()
    assert decode_validate(encode(job_id)) == job_id
    for number in (1, 2**63 - 1):
        assert decode_summarize(encode(number)) == number


@given(ANYTHING)
def test_nothing_else_gets_through(body: dict[str, object]) -> None:
    for decode, kind in ((decode_validate, str), (decode_summarize, int)):
        try:
            found = decode(body)
        except UsageError:
            continue
        assert isinstance(found, kind)
        assert body == {"v": 1, "id": found}


@pytest.mark.parametrize(
    "body",
    [
        *({"v": 1, "id": number} for number in (True, 0, -1, 1.0, 2**63, 10**400)),
        {"v": 2, "id": 1},
        {},
    ],
)
def test_no_shard(body: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        decode_summarize(body)
