"""What each process of Keyfob does first, how it starts another one, and what other programs receive from it.

Every entry point calls `begin` before it imports more: `__main__`, the tools' helpers and the keychain
process. Afterwards, nothing in the current folder is imported or run: a cloned repository may contain its own
`json.py` or `git`, and tools run our helpers there. Imports only `os` and `sys`, because the fast path of
`keyfob token` uses this file.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FD_VARIABLE = "KEYFOB_PASSPHRASE_FD"
CREDENTIAL = "keyfob-passphrase"  # its name in systemd's LoadCredential=
CREDENTIALS = "CREDENTIALS_DIRECTORY"
_DUMP_FILTER = "/proc/self/coredump_filter"
# What the frozen app's bootloader sets, and another program must not see. It keeps the person's own value
# with _ORIG at the end.
_BUNDLE_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH")

_persons_path: str | None = None  # PATH as this process was given it, if `begin` changed it
_persons_core: tuple[int, int] | None = None  # RLIMIT_CORE likewise
_persons_filter: bytes | None = None


def begin() -> None:
    """Make this process safe. Idempotent; never raises. To be called before anything else is imported."""
    _open_standard_descriptors()
    _leave_current_folder()
    forbid_core_dumps()
    number = passphrase_descriptor()
    if number is not None:
        os.set_inheritable(number, False)  # not for the programs that we or our libraries start


def _open_standard_descriptors() -> None:
    """Opens descriptors 0 to 2 if the caller closed them: the next file that we open, a database even, would
    get such a number, and what we print would be written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def print_result(data: bytes) -> bool:
    """Write to stdout. False if that cannot be written; a reader that has gone is none of our business."""
    try:
        os.write(1, data)
    except BrokenPipeError:
        pass
    except OSError:
        return False
    return True


def _leave_current_folder() -> None:
    """Takes the current folder, and what PYTHONPATH and PATH name relative to it, out of `sys.path` and PATH.

    `python -m keyfob` puts the current folder first. The folder that this package was imported from stays,
    also if it is the current one. PATH is cleaned for programs that start others by name: libraries, `pass`,
    `xdg-open`.
    """
    global _persons_path
    relative = {""}
    try:
        relative.add(os.getcwd())
    except OSError:
        pass  # it was removed
    else:
        if not sys.flags.ignore_environment:
            named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
            relative |= {os.path.abspath(each) for each in named if each and not os.path.isabs(each)}
    relative.discard(package_root())
    sys.path[:] = [each for each in sys.path if each not in relative]
    path = os.environ.get("PATH")
    if path is not None:
        kept = os.pathsep.join(_absolute(path))
        if kept != path:
            _persons_path = path
            os.environ["PATH"] = kept
    if os.name == "nt":
        os.environ["NODEFAULTCURRENTDIRECTORYINEXEPATH"] = "1"  # else Windows looks there first


def forbid_core_dumps() -> None:
    """A crash must not write tokens to a disk. Idempotent; `restore_limits` undoes it.

    The limit holds for core files. If a program collects them, the kernel ignores the limit: the filter
    leaves all memory out of what that program gets. PR_SET_DUMPABLE is not used: it would hide /proc/PID of
    the app from the desktop's portals, which then refuse it, and from KeePassXC, which then warns of an
    unknown program.
    """
    global _persons_core, _persons_filter
    if os.name == "nt":
        return
    import resource

    first = _persons_core is None
    if _persons_core is None:
        _persons_core = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, _persons_core[1]))
    try:
        with open(_DUMP_FILTER, "rb", buffering=0) as file:
            found = file.read().strip()
        with open(_DUMP_FILTER, "wb", buffering=0) as file:
            file.write(b"0")
        if first:
            _persons_filter = found
    except OSError:
        pass  # not Linux, or a kernel without it


def persons_path() -> str | None:
    """PATH as this process was given it, for a command that the user runs through us."""
    return os.environ.get("PATH") if _persons_path is None else _persons_path


def _absolute(path: str) -> list[str]:
    """The folders of a PATH without its empty and its relative ones, which mean the current folder."""
    return [folder for folder in path.split(os.pathsep) if os.path.isabs(folder)]


# --- starting ourselves -------------------------------------------------------------------------------------


def package_root() -> str:
    """The folder that this package was imported from."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def own_command(module: str = "keyfob.__main__") -> tuple[str, ...]:
    """How to start `main` of a module of Keyfob: this program when frozen, else this interpreter, isolated
    (-I) from the current folder and the user's Python settings, on this very package. Arguments may follow.
    """
    if getattr(sys, "frozen", False):
        return (sys.executable,)
    # The package comes from its own folder, whatever else is installed; what it needs comes from there last,
    # so that nothing there replaces the standard library.
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import keyfob; sys.path.append(sys.path.pop(0)); "
        f"from {module} import main; sys.exit(main())"
    )
    return (sys.executable, "-I", "-c", code, package_root())


def frozen_command(name: str = "keyfob") -> str:
    """The path of a command of this frozen app that stays the same when the app is updated, for files of
    other programs: an autostart entry, a unit, a tool's settings. If the app does not update itself, it is
    the command on the PATH, or the one in this app's folder.
    """
    folder = os.path.dirname(sys.executable)
    root, kind = os.path.split(os.path.dirname(folder))
    if kind == "versions" and os.path.lexists(os.path.join(root, "current")):
        start = os.path.join(root, name)  # goes back to the version before, if a new one does not start
        return start if os.path.isfile(start) else os.path.join(root, "current", "bin", name)
    image = os.environ.get("APPIMAGE")
    if image and folder.startswith(os.environ.get("APPDIR", image) + os.sep):
        # This folder is gone when the app ends. Links to the image start the other commands.
        return image if name == "keyfob" else os.path.join(os.path.dirname(image), name)
    inside = os.path.join(folder, "bin", name)
    if not os.path.lexists(inside):  # Windows and macOS have no folder of links
        return os.path.join(folder, f"{name}.exe" if os.name == "nt" else name)
    found = find_program(name)
    if found is not None and os.path.realpath(found) == os.path.realpath(inside):
        return found
    return inside


def login_command() -> tuple[str, ...]:
    """What starts this Keyfob from an entry that stays: its installed command next to the interpreter, else
    the interpreter with the package.
    """
    if getattr(sys, "frozen", False):
        return (frozen_command(),)
    beside = os.path.join(os.path.dirname(sys.executable), "keyfob.exe" if os.name == "nt" else "keyfob")
    return (beside,) if os.path.exists(beside) else own_command()


# --- starting others ----------------------------------------------------------------------------------------


def find_program(name: str, path: str | None = None) -> str | None:
    """The absolute path of a program, None if there is none. A bare name is looked up in the absolute folders
    of `path` (default: PATH) alone, on Windows too; a name with a folder in it is what it says.
    """
    names = [name]
    if os.name == "nt":
        endings = [each for each in os.environ.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(";") if each]
        if not name.lower().endswith(tuple(each.lower() for each in endings)):
            names = [name + each for each in endings]
    if os.path.dirname(name):
        folders = [os.getcwd()]
    else:
        folders = _absolute(os.environ.get("PATH", os.defpath) if path is None else path)
    for folder in folders:
        for each in names:
            file = os.path.normpath(os.path.join(folder, each))
            if os.path.isfile(file) and os.access(file, os.X_OK):
                return file
    return None


def passphrase_descriptor(environ: Mapping[str, str] = os.environ) -> int | None:
    """The open descriptor that FD_VARIABLE names, None if there is none."""
    text = environ.get(FD_VARIABLE, "")
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 3:
        return None
    try:
        os.fstat(int(text))
    except OSError:
        return None
    return int(text)


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for another program: `environ` without the variables for the encrypted file's
    passphrase. systemd's credentials are left out as a whole if ours is among them.
    """
    child = {name: value for name, value in environ.items() if name != FD_VARIABLE}
    folder = child.get(CREDENTIALS)
    if folder and os.path.exists(os.path.join(folder, CREDENTIAL)):
        del child[CREDENTIALS]
    return child


def become_another() -> None:
    """To be called before another program takes this process's place: it gets the user's limits back, and not
    the passphrase's descriptor.
    """
    number = passphrase_descriptor()
    if number is not None:
        os.close(number)
    restore_limits()


def restore_limits() -> None:
    """Undo `forbid_core_dumps`, for another program that this process starts or becomes."""
    if _persons_core is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, _persons_core)
    if _persons_filter is not None:
        with open(_DUMP_FILTER, "wb", buffering=0) as file:
            file.write(b"0x" + _persons_filter)


def without_bundle(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` as it was before the frozen app's bootloader added to it. To be called once, at the start: a
    second call would take the person's own values for the bootloader's.
    """
    child = {name: value for name, value in environ.items() if not name.startswith("_PYI_")}
    for name in _BUNDLE_PATHS:
        original = child.pop(f"{name}_ORIG", None)
        child.pop(name, None)
        if original is not None:
            child[name] = original
    return child
