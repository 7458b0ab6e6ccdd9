"""Every gallery card has a picture, and it is of the model that the card opens."""

from glowviz.app.pictures import pictures
from glowviz.app.theme import FAMILIES
from glowviz.gallery import cards


def test_every_card_has_its_picture() -> None:
    drawn = pictures()
    assert set(drawn) == {card.name for card in cards()}, "draw them anew with: python -m glowviz.app.pictures"
    for card in cards():
        boxes = drawn[card.name]
        assert 1 < len(boxes) <= max(60, card.nodes + 8)
        assert all(w > 0 and h > 0 and 0 <= family < len(FAMILIES) for _, _, w, h, family in boxes)
