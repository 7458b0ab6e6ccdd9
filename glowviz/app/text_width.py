"""How wide a text is in the bundled sans font, so that boxes are as wide on the server as they are drawn."""

from typing import Final

_FIRST: Final = 32
"""The tables begin at the space and end at the tilde; advance widths of the bundled Inter in 1/1000 em."""
_REGULAR_TEXT: Final = """
281 288 466 633 642 982 644 300 365 365 501 662 288 460 288 360 631 407 610 618 646 593 620 566 619 620 288 302
662 662 662 511 966 690 654 730 722 601 590 746 743 269 571 672 565 903 753 765 639 765 644 642 646 744 690 985
682 679 629 365 360 365 471 456 323 562 612 571 612 583 370 613 591 242 242 549 242 876 591 600 612 612 376 528
327 591 562 818 546 562 552 426 333 426 662
"""
_BOLD_TEXT: Final = """
252 321 523 644 650 1004 663 326 373 373 540 673 319 465 319 379 660 423 623 636 666 612 640 576 640 640 319 329
673 673 673 543 999 728 659 737 722 605 588 749 746 277 580 703 565 922 759 769 645 773 652 650 660 736 728 1020
720 713 652 373 379 373 481 469 351 574 624 583 624 591 389 625 612 262 262 569 262 900 612 609 624 624 397 549
353 612 587 839 569 588 566 455 359 455 673
"""
_REGULAR: Final = tuple(map(int, _REGULAR_TEXT.split()))
_BOLD: Final = tuple(map(int, _BOLD_TEXT.split()))
_OTHER: Final = 680
"""Signs such as × and →; wider alphabets are estimated by it."""


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of `text` in px at `size` px, weight 600 when `bold`, else 400; kerning is left out."""
    table = _BOLD if bold else _REGULAR
    end = _FIRST + len(table)
    units = sum(table[code - _FIRST] if _FIRST <= code < end else _OTHER for code in map(ord, text))
    return units * size / 1000
