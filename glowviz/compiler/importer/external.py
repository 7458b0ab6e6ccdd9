"""External data is read from ordinary files below the model's own folder or among the uploaded ones, nowhere else."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import TensorProto

from glowviz.compiler.hashes import map_file
from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, told

_KEYS = frozenset({"location", "offset", "length", "checksum"})


class ExternalFiles:
    """Maps the side files of one model, each once. `files` (upload name to path) shuts out every folder."""

    def __init__(self, folder: Path | None, files: Mapping[str, Path] | None) -> None:
        self._folder, self._files = folder, files
        self._maps: dict[str, np.ndarray] = {}

    @property
    def locations(self) -> list[str]:
        """What was read so far, as the model names it."""
        return sorted(self._maps)

    def contents(self, tensor: TensorProto, size: int) -> np.ndarray:
        """The `size` bytes that a tensor keeps outside, still in the file."""
        entries = self._entries(tensor)
        location = entries.get("location", "")
        whole = self._mapped(location, tensor.name)
        offset = _number(entries.get("offset", "0"), "offset", tensor.name)
        length = _number(entries.get("length", str(size)), "length", tensor.name)
        if length != size:
            raise ImportProblem(
                f"External data of {told(tensor.name)} has {length:,} bytes", f"file {told(location)}",
                f"{size:,} bytes, as its shape says", RE_EXPORT,
            )
        if offset + length > whole.size:
            raise ImportProblem(
                f"External data of {told(tensor.name)} ends at byte {offset + length:,}", f"file {told(location)}",
                f"at most {whole.size:,}, the size of the file", "Copy the data file again; it may be cut short",
            )
        return whole[offset : offset + length]

    def _entries(self, tensor: TensorProto) -> dict[str, str]:
        entries: dict[str, str] = {}
        for entry in tensor.external_data:
            if entry.key not in _KEYS or entry.key in entries:
                raise ImportProblem(
                    f"External data of {told(tensor.name)} has the key {told(entry.key)!r} "
                    + ("twice" if entry.key in entries else "that ONNX does not know"),
                    f"initializer {told(tensor.name)}", "location, offset, length, checksum, each once", RE_EXPORT,
                )
            entries[entry.key] = entry.value
        return entries

    def _mapped(self, location: str, tensor: str) -> np.ndarray:
        if location not in self._maps:
            descriptor = self._open(location, tensor)
            try:
                status = os.fstat(descriptor)
                _check_file(status, location, tensor)
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    self._maps[location] = map_file(file) if status.st_size else np.zeros(0, np.uint8)
            finally:
                os.close(descriptor)
        return self._maps[location]

    def _open(self, location: str, tensor: str) -> int:
        try:
            if self._files is not None:
                return os.open(self._uploaded(location, tensor), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            return self._below(self._parts(location, tensor))
        except OSError as error:
            raise ImportProblem(
                f"The data file {told(location)} of {told(tensor)} cannot be read: {error.strerror}",
                "the model's folder", "an ordinary file, not a link",
                "Put the data file beside the model under this name",
            ) from None

    def _uploaded(self, location: str, tensor: str) -> Path:
        files = self._files or {}
        found = files.get(location) or files.get(location.replace("\\", "/").rsplit("/", 1)[-1])
        if found is None:
            raise ImportProblem(
                f"The weights of {told(tensor)} are in the file {told(location)}, which was not given", "the upload",
                f"{told(location)} among the files given", "Choose the model and its data files together",
            )
        return found

    def _parts(self, location: str, tensor: str) -> list[str]:
        if self._folder is None:
            raise ImportProblem(
                f"The weights of {told(tensor)} are in the file {told(location)}, but the model came without a folder",
                f"initializer {told(tensor)}", "a model opened by path", "Open the model by its path",
            )
        parts = [part for part in location.split("/") if part != "."]
        if not parts or "\0" in location or "\\" in location or ":" in location or {"", ".."} & set(parts):
            raise ImportProblem(
                f"The weights of {told(tensor)} point to {told(location)}", f"initializer {told(tensor)}",
                "a file below the model's own folder", "Move the data file beside the model and export again",
            )
        return parts

    def _below(self, parts: list[str]) -> int:
        """Open step by step, each step refusing links, so that nobody can swap a folder in between."""
        if os.open not in os.supports_dir_fd:
            return os.open(_without_links(self._folder or Path(), parts), os.O_RDONLY)
        here = os.open(self._folder or Path(), os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts[:-1]:
                deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = deeper
            return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
        finally:
            os.close(here)


def _without_links(folder: Path, parts: list[str]) -> Path:
    for part in parts:
        folder = folder / part
        if folder.is_symlink():
            raise OSError(0, "it is reached through a link")
    return folder


def _check_file(status: os.stat_result, location: str, tensor: str) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        what = "has a second name (hard link)" if stat.S_ISREG(status.st_mode) else "is no ordinary file"
        raise ImportProblem(
            f"The data file {told(location)} of {told(tensor)} {what}", "the model's folder",
            "an ordinary file with one name", "Copy the data file beside the model",
        )


def _number(text: str, key: str, tensor: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ImportProblem(
            f"External data of {told(tensor)} has the {key} {told(text)!r}", f"initializer {told(tensor)}",
            "a number of bytes, written in digits", RE_EXPORT,
        )
    return int(text)
