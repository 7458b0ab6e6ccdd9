"""The text form of both IRs: printer and parser side by side."""

from glowviz.compiler.text.contents import Contents, hashed_payloads, keep, text_of, write_glow
from glowviz.compiler.text.literals import payload_text, quoted, type_text, value_name
from glowviz.compiler.text.parser import parse_graph, parse_program
from glowviz.compiler.text.printer import (
    buffer_text,
    instruction_text,
    node_text,
    print_graph,
    print_program,
    statement_text,
)
from glowviz.compiler.text.scanner import TextProblem

__all__ = [
    "Contents", "TextProblem", "buffer_text", "hashed_payloads", "instruction_text", "keep", "node_text",
    "parse_graph", "parse_program", "payload_text", "print_graph", "print_program", "quoted", "statement_text",
    "text_of", "type_text", "value_name", "write_glow",
]
