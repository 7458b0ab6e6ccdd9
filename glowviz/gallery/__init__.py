"""The gallery is a list of small models that glowviz builds by itself, each with a card that says what it answers."""

from glowviz.gallery.cards import Card, card, cards

__all__ = ["Card", "card", "cards"]
