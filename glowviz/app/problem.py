"""A Problem is a refusal told to a person: what, where, what was expected and what to do."""

from dataclasses import dataclass


@dataclass
class Problem(Exception):
    """Raised by anything the app calls when it cannot answer; routes turn it into JSON with `status`."""

    what: str
    where: str = ""
    expected: str = ""
    remedy: str = ""
    status: int = 400

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.where, self.expected, self.remedy) if part)

    def payload(self) -> dict[str, object]:
        """Return the four parts as the page shows them."""
        return {"what": self.what, "where": self.where, "expected": self.expected, "remedy": self.remedy}
