"""The suggestions: each can be asked for as it stands, and says where its figure is from."""

from seglab.labels import SPACES
from seglab.predict.catalogue import suggestions
from seglab.predict.sources.hub import named


def test_each_suggestion_is_a_name_of_the_hub_with_data_licence_and_a_cited_figure() -> None:
    found = suggestions()
    assert len({one.name for one in found}) == len(found) > 5
    for one in found:
        assert named(one.name) == (one.name, None)
        assert one.label_space in SPACES
        assert 0 < one.miou < 100
        assert one.url.startswith("https://")
        assert all((one.data, one.licence, one.miou_of, one.citation))
