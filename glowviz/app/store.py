"""Recordings, models and uploads live in one folder of limited size, under names that only the server makes."""

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from glowviz.app.problem import Problem
from glowviz.compiler import hashes
from glowviz.compiler.folders import cache_folder

IDENTIFIER = re.compile(r"[0-9a-f]{32}")
CHUNK = 1 << 20
MODELS = (".onnx", ".pb", ".glow", ".glowrec")
GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What the store accepts, in bytes and files."""

    total: int = 20 * GIB
    upload: int = 4 * GIB
    files: int = 64


@dataclass(frozen=True)
class StoredModel:
    """A model that was uploaded: its main file, its side files by the names it calls them, and what it was called."""

    identifier: str
    main: Path
    title: str
    files: dict[str, Path]


class Store:
    """A folder that several server processes may share; nothing is kept in memory."""

    def __init__(self, folder: Path | None = None, limits: Limits | None = None) -> None:
        self.folder = folder or cache_folder() / "store"
        self.limits = limits or Limits()
        for name in ("recordings", "models", "uploads"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    # -- recordings ------------------------------------------------------------------------------
    def recording_path(self, identifier: str) -> Path:
        """Return where recording `identifier` lies or will lie; raises Problem on a malformed id."""
        return self.folder / "recordings" / f"{checked(identifier)}.glowrec"

    def recordings(self) -> list[tuple[str, Path]]:
        """Return (id, path) of every recording, the last used one first."""
        found = (self.folder / "recordings").glob("*.glowrec")
        by_use = sorted(found, key=last_used, reverse=True)
        return [(path.stem, path) for path in by_use if IDENTIFIER.fullmatch(path.stem)]

    def adopt(self, path: Path) -> str:
        """Link a recording from elsewhere on this machine into the store and return its id (its content's hash)."""
        identifier = file_hash([path])
        target = self.recording_path(identifier)
        if not target.exists():
            shutil.copyfile(path, target)
        return identifier

    def notes(self, identifier: str) -> dict[str, str]:
        """Return what is known of a recording beyond its file: title, weights ("trained", "seeded")."""
        path = self.recording_path(identifier).with_suffix(".json")
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def note(self, identifier: str, notes: dict[str, str]) -> None:
        """Keep `notes` beside recording `identifier`."""
        self.recording_path(identifier).with_suffix(".json").write_text(json.dumps(notes), encoding="utf-8")

    @staticmethod
    def recording_id(model_hash: str, options: Mapping[str, object]) -> str:
        """Return the id that the same model compiled with the same options always has."""
        text = json.dumps([model_hash, options], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    # -- uploads ---------------------------------------------------------------------------------
    def begin_upload(self) -> str:
        """Make an empty folder for the files of one model and return its id."""
        identifier = secrets.token_hex(16)
        (self.folder / "uploads" / identifier).mkdir()
        return identifier

    def receive(self, upload: str, name: str, stream: IO[bytes], length: int | None) -> int:
        """Write one file of an upload as it arrives; returns its size in bytes.

        The name is only kept as text (external data refers to it); on disk the file has a number.
        """
        folder = self._upload_folder(upload)
        names = self._names(folder)
        if name not in names and len(names) >= self.limits.files:
            raise Problem(
                f"This upload has more than {self.limits.files} files.",
                name,
                status=413,
                remedy="Pack the weights into fewer files.",
            )
        if length is not None and length > self.limits.upload:
            raise self._too_big(name, length)
        suffix = Path(flat_name(name)).suffix.lower()
        number = names.setdefault(name, f"{len(names)}{suffix if suffix in MODELS else '.bin'}")
        size = self._copy(stream, folder / number, name)
        (folder / "names.json").write_text(json.dumps(names))
        return size

    def finish_upload(self, upload: str) -> StoredModel:
        """Turn an upload into a stored model, keyed by what its files hold; asking again answers the same."""
        moved = self.folder / "uploads" / f"{checked(upload)}.model"
        if moved.exists():
            return self._stored(self.folder / "models" / moved.read_text())
        folder = self._upload_folder(upload)
        names = self._names(folder)
        if _main(names) is None:
            raise Problem("No model among the uploaded files.", ", ".join(names), "one .onnx file with its data files",
                          "Drop the .onnx file together with its external data.")
        identifier = file_hash([folder / names[name] for name in sorted(names)])
        target = self.folder / "models" / identifier
        if target.exists():
            shutil.rmtree(folder)
        else:
            folder.rename(target)
        moved.write_text(identifier)
        return self._stored(target)

    def keep_upload(self, upload: str) -> dict[str, object]:
        """Keep an upload of inputs, which needs no model; returns {kept (an id made of the contents), files}."""
        folder = self._upload_folder(upload)
        names = self._names(folder)
        if not names:
            raise Problem("No file has arrived.", "Run with", "a file", "Choose it again.")
        identifier = file_hash([folder / names[name] for name in sorted(names)])
        # files of other names may hold the same: what they are called is part of what is kept
        identifier = self.recording_id(identifier, {"names": sorted(names)})
        target = self.folder / "models" / identifier
        if target.exists():
            shutil.rmtree(folder)
        else:
            folder.rename(target)
        return {"kept": identifier, "files": sorted(names)}

    def kept_files(self, identifier: str) -> dict[str, Path]:
        """Return the files of what `keep_upload` kept, by name; nothing where they are gone."""
        folder = self.folder / "models" / checked(identifier)
        return {name: folder / number for name, number in self._names(folder).items()}

    def _stored(self, folder: Path) -> StoredModel:
        names = self._names(folder)
        main = _main(names)
        if main is None:
            raise Problem("This upload does not exist any more.", status=404, remedy="Drop the files again.")
        return StoredModel(folder.name, folder / names[main], main,
                           {name: folder / number for name, number in names.items() if name != main})

    def cancel_upload(self, upload: str) -> None:
        """Remove what has arrived of an upload."""
        shutil.rmtree(self._upload_folder(upload), ignore_errors=True)

    def _upload_folder(self, upload: str) -> Path:
        folder = self.folder / "uploads" / checked(upload)
        if not folder.is_dir():
            raise Problem("This upload does not exist any more.", status=404, remedy="Drop the files again.")
        return folder

    @staticmethod
    def _names(folder: Path) -> dict[str, str]:
        path = folder / "names.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def _copy(self, stream: IO[bytes], target: Path, name: str) -> int:
        size = 0
        with target.open("wb") as file:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > self.limits.upload:
                    target.unlink()
                    raise self._too_big(name, size)
                file.write(chunk)
        return size

    def _too_big(self, name: str, size: int) -> Problem:
        return Problem(
            f"{name} is too big for this server: {size / GIB:.1f} GiB.",
            name,
            f"At most {self.limits.upload / GIB:.1f} GiB.",
            "Open it by path on your own machine.",
            413,
        )

    # -- housekeeping ----------------------------------------------------------------------------
    def evict(self, keep: frozenset[str] = frozenset()) -> list[str]:
        """Delete the least recently used recordings and models until the folder is within its limit."""
        entries = sorted(self._entries(), key=lambda entry: last_used(entry[1]))
        total = sum(size for _, _, size in entries)
        gone = []
        for identifier, path, size in entries:
            if total <= self.limits.total or identifier in keep:
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            total -= size
            gone.append(identifier)
        return gone

    def _entries(self) -> Iterator[tuple[str, Path, int]]:
        for name in ("recordings", "models"):
            for path in (self.folder / name).iterdir():
                files = path.rglob("*") if path.is_dir() else [path]
                yield path.stem, path, sum(file.stat().st_size for file in files if file.is_file())

    def touch(self, identifier: str) -> None:
        """Mark a recording as used now; its time of writing stays, for jobs know a file by it."""
        path = self.recording_path(identifier)
        if path.exists():
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def last_used(path: Path) -> float:
    """Return when a file or folder of the store was last used, in seconds since 1970."""
    found = path.stat()
    return max(found.st_atime, found.st_mtime)


def checked(identifier: str) -> str:
    """Return the id if it is one that this server could have made, else raise Problem."""
    if not IDENTIFIER.fullmatch(identifier):
        raise Problem("That is not an id made by this server.", expected="32 hexadecimal digits.", status=404)
    return identifier


def _main(names: dict[str, str]) -> str | None:
    """Return the name of the file that is the model, among the files of one upload."""
    return next((name for name in names if name.lower().endswith(MODELS)), None)


def flat_name(name: str) -> str:
    """Return `name` without folders and without characters that mean something to a file system."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".") or "file"


def file_hash(paths: list[Path]) -> str:
    """Return the first 128 bits of the SHA-256 of the files' contents, as 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(hashes.file_hash(path)))
    return digest.hexdigest()[:32]
