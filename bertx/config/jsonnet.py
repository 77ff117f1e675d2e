"""Evaluates Jsonnet and JSON files; the only module that knows which Jsonnet library is used."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertx.errors import ConfigError

MAX_FILES = 200
MAX_BYTES = 4_000_000
_MAX_STACK = 500
_POSITION = re.compile(r"^(?P<where>.*?:\(?\d+(?::\d+)?)\)?(?:-\(?[\d:]+\)?)?(?=[\s:])")


def evaluate(path: Path, ext_vars: Mapping[str, str] | None = None, import_paths: Sequence[Path] = ()) -> Any:
    """Evaluates a Jsonnet or JSON file.

    Args:
        path: The file; its own folder and what is below may be imported.
        ext_vars: What `std.extVar` gives, always strings.
        import_paths: Further folders to import from.

    Raises:
        ConfigError: The file cannot be read or evaluated; the first line has the place.
    """
    text = read_source(path)
    if path.suffix == ".json":
        return _json(str(path), text)
    return evaluate_snippet(str(path), text, ext_vars, import_paths, folder=path.parent)


def evaluate_config(
    path: Path, ext_vars: Mapping[str, str] | None = None, import_paths: Sequence[Path] = ()
) -> dict[str, Any]:
    """Evaluates a file that must hold an object; otherwise as `evaluate`."""
    value = evaluate(path, ext_vars, import_paths)
    if not isinstance(value, dict):
        raise ConfigError(
            f"{path}: a config must be an object {{...}}, but this file gives {_type_name(value)}"
        )
    return value


def evaluate_snippet(
    name: str,
    text: str,
    ext_vars: Mapping[str, str] | None = None,
    import_paths: Sequence[Path] = (),
    *,
    folder: Path | None = None,
) -> Any:
    """Evaluates Jsonnet text.

    Args:
        name: What to call the text in messages.
        text: The source.
        ext_vars: What `std.extVar` gives.
        import_paths: Folders to import from.
        folder: The folder that imports are relative to; None allows only `import_paths`.

    Raises:
        ConfigError: The text cannot be evaluated.
    """
    import _jsonnet

    imports = _Imports([*([folder] if folder is not None else []), *import_paths])
    try:
        made = _jsonnet.evaluate_snippet(
            name, text, ext_vars=dict(ext_vars or {}), import_callback=imports.load, max_stack=_MAX_STACK
        )
        return json.loads(made)
    except RuntimeError as error:
        raise ConfigError(_message(name, str(error), imports.refusal)) from None
    except ValueError as error:  # a zero byte or half a character in the text or in an external variable
        raise ConfigError(f"{name}: cannot be evaluated: {error}") from None
    except RecursionError:
        raise ConfigError(f"{name}: the result is nested too deeply") from None


def read_source(path: Path) -> str:
    """Reads a config file as text.

    Raises:
        ConfigError: It is missing, a folder, empty, too large or not UTF-8.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; the current folder is {Path.cwd()}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: a folder; name the config file inside it") from None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); expected a Jsonnet or JSON file"
        ) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: {len(raw)} bytes; a config may have {MAX_BYTES} at most")
    return _decoded(str(path), raw)


def _decoded(name: str, raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{name}:{line}: not UTF-8 (byte 0x{raw[error.start]:02x}); save it as UTF-8"
        ) from None
    if not text.strip():
        raise ConfigError(f"{name}: the file is empty; expected an object {{...}}")
    return text


class _Imports:
    """Finds imported files inside the allowed folders only, symbolic links resolved."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = list(folders)
        self.roots = [folder.resolve() for folder in folders]
        self.files: set[str] = set()
        self.bytes = 0
        self.refusal: str | None = None

    def load(self, folder: str, wanted: str) -> tuple[str, bytes]:
        """Serves `import`, `importstr` and `importbin`; an exception here becomes a Jsonnet error."""
        try:
            return self._load(folder, wanted)
        except ConfigError as error:
            self.refusal = self.refusal or str(error)
            raise RuntimeError(str(error)) from None

    def _load(self, folder: str, wanted: str) -> tuple[str, bytes]:
        for start in [Path(folder), *self.folders]:
            path = Path(os.path.normpath(start / wanted))
            inside = any(path.resolve().is_relative_to(root) for root in self.roots)
            if not inside and start == Path(folder):
                allowed = ", ".join(str(root) for root in self.folders) or "no folder"
                raise ConfigError(
                    f'import "{wanted}" leaves the folders that may be imported from ({allowed})'
                )
            if inside and path.is_file():
                return str(path), self._read(path, wanted)
        raise ConfigError(f'import "{wanted}": no such file in {", ".join(str(f) for f in self.folders)}')

    def _read(self, path: Path, wanted: str) -> bytes:
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise ConfigError(f'import "{wanted}": cannot be read ({error.strerror})') from None
        self.files.add(str(path))
        self.bytes += len(raw)
        if len(self.files) > MAX_FILES or self.bytes > MAX_BYTES:
            raise ConfigError(
                f'import "{wanted}": a config may import {MAX_FILES} files and {MAX_BYTES} bytes at most'
            )
        return raw.removeprefix(b"\xef\xbb\xbf")


def _message(name: str, raw: str, refusal: str | None) -> str:
    """Rewrites a Jsonnet error as `file:line:column: what`, with a short stack after it."""
    kind, _, rest = raw.strip().partition(": ")
    lines = rest.splitlines()
    stack = [line.strip() for line in lines if line.startswith("\t")]
    text = " ".join(line.strip() for line in lines if not line.startswith("\t") and line.strip()).rstrip(".")
    found = _POSITION.match(text if kind == "STATIC ERROR" else (stack[0] + " " if stack else ""))
    where = found.group("where").replace("(", "") if found else name
    if kind == "STATIC ERROR" and found:
        text = text[found.end() :].lstrip(": ")
    text = refusal or _plainer(text)
    calls = list(dict.fromkeys(re.sub(r"\s+", " ", line) for line in stack[1:] if _POSITION.match(line)))
    return "\n".join([f"{where}: {text}", *(f"  called from {line}" for line in calls[:5])])


def _plainer(text: str) -> str:
    missing = re.fullmatch(r"undefined external variable: (.*)", text, flags=re.IGNORECASE)
    if missing:
        variable = missing.group(1)
        return f'external variable "{variable}" has no value: --ext-var {variable}=VALUE is missing'
    if text.startswith("max stack frames exceeded"):
        return f"endless recursion, or an import of itself (more than {_MAX_STACK} calls deep)"
    return text[:1].lower() + text[1:]


def _json(name: str, text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise ConfigError(f'{name}: the key "{key}" stands twice in one object')
            seen[key] = value
        return seen

    def refuse(constant: str) -> Any:
        raise ConfigError(f"{name}: {constant} is no JSON number; expected a finite number")

    def finite(number: str) -> float:
        return float(number) if math.isfinite(float(number)) else refuse(number)

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_float=finite)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except ValueError:
        raise ConfigError(f"{name}: a number has more digits than can be read") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None


def _type_name(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
