"""A Problem of the app is the compiler's Problem with the HTTP status it is answered with."""

from glowviz.compiler.problem import Problem as CompilerProblem


class Problem(CompilerProblem):
    """What is wrong, where, what was expected, and what to do (`remedy`); `status` is the answer's."""

    def __init__(
        self, what: str, where: str = "", expected: str = "", remedy: str = "", status: int = 400
    ) -> None:
        super().__init__(what, where, expected, remedy)
        self.status = status


def payload_of(problem: CompilerProblem) -> dict[str, object]:
    """Return the four parts as the page shows them."""
    return {"what": problem.what, "where": problem.where, "expected": problem.expected, "remedy": problem.do}
