"""Compiles the native `keyfob-token` (packaging/launcher), and the program that fuzzes it.

Used by build/launcher, build/fuzz-launcher and build/bench. Runs on a bare `python3`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "packaging" / "launcher"
SOURCE = FOLDER / "keyfob-token.c"
FUZZED = FOLDER / "fuzz.c"
CORPUS = FOLDER / "corpus"
STRICT = "-std=c11 -Wall -Wextra -Wconversion -Werror".split()
HARDENED = (
    "-O2 -fPIE -fstack-protector-strong -fstack-clash-protection -ffunction-sections -fno-ident "
    "-static-pie -s -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--build-id=none"
).split()
# Only x86 has it.
FLOW = {"x86_64": ["-fcf-protection"], "aarch64": ["-mbranch-protection=standard"]}
SANITIZED = "-g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all".split()


class CompilerError(Exception):
    """There is no compiler, or it refused. The text says what to do."""


def launcher(out: Path) -> str:
    """Compile `keyfob-token` to `out`, static and position-independent; the name of the C library that is in
    it. The same compiler makes the same bytes, whatever the folders. Raises CompilerError.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = os.uname().machine
    flags = [*STRICT, *HARDENED, *FLOW.get(machine, [])]
    musl = _musl()
    if musl is None:
        _compile([_compiler(), *flags, "-D_FORTIFY_SOURCE=2", SOURCE.name, "-o", str(out)])
        return "the system's C library"
    # musl-gcc knows no -static-pie: it would start such a program as a dynamic one.
    include, library = musl
    gcc = _compiler()
    own = _asked(gcc, "-print-file-name=include"), _asked(gcc, "-print-libgcc-file-name")
    objects = [str(library / name) for name in ("rcrt1.o", "crti.o", "crtn.o")]
    _compile(
        [gcc, *flags, "-Wl,--no-dynamic-linker", "-nostdinc", "-isystem", str(include), "-isystem", own[0],
         "-nostdlib", *objects[:2], SOURCE.name, str(library / "libc.a"), own[1], objects[2], "-o", str(out)]
    )  # fmt: skip
    return "musl"


def fuzzer(out: Path, *, libfuzzer: bool) -> None:
    """Compile the fuzzed part under the address and undefined-behaviour sanitizers: with libFuzzer (clang),
    or as a program that reads the files it is given (any compiler). Raises CompilerError.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if libfuzzer:
        compiler, what = shutil.which("clang"), ["-fsanitize=fuzzer,address,undefined"]
        if compiler is None:
            raise CompilerError("clang is needed. Install it, for example: sudo apt-get install clang")
    else:
        compiler, what = _compiler(), ["-DREADS_FILES", "-fsanitize=address,undefined"]
    _compile([compiler, *STRICT, *SANITIZED, *what, FUZZED.name, "-o", str(out)])


def _musl() -> tuple[Path, Path] | None:
    """The folders of musl's headers and libraries, if it is installed beside another C library."""
    wrapper = shutil.which("musl-gcc")
    found = re.search(r'-specs "([^"]+)"', Path(wrapper).read_text("utf-8")) if wrapper else None
    if found is None:
        return None
    specs = Path(found[1])
    include = re.search(r"-isystem (/\S+)", specs.read_text("utf-8"))
    if include is None or not (specs.parent / "rcrt1.o").exists():
        return None
    return Path(include[1]), specs.parent


def _compiler() -> str:
    """`$CC`, else gcc, else cc."""
    for name in (os.environ.get("CC"), "gcc", "cc"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise CompilerError(
        "There is no C compiler. Install one, for example: sudo apt-get install gcc musl-tools"
    )


def _asked(compiler: str, question: str) -> str:
    return subprocess.run([compiler, question], capture_output=True, text=True, check=True).stdout.strip()


def _compile(words: Sequence[str]) -> None:
    # From the source's folder: no path of this machine gets into the program.
    done = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompilerError(f"{words[0]} failed:\n{done.stderr.strip()[-2000:]}")
