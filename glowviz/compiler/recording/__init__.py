"""The recording of a compilation: the compiler writes it, the app only reads."""

from glowviz.compiler.recording.records import Change, PassLog, Refusal, RefusalGroup, log, logging_to

__all__ = ["Change", "PassLog", "Refusal", "RefusalGroup", "log", "logging_to"]
