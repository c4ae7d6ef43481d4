"""What the frozen app leaves out of all that PyInstaller finds. Pure rules; the spec and `app.py` apply them.

PyInstaller takes whatever a plugin of Qt or a module of Python can load, and the libraries of the build
machine for it: GTK for a theme that the window does not use, drivers for screens without a window system,
translations.
"""

import re

# Modules that nothing in Keyfob imports at run time. readline is also under the GPL.
EXCLUDED_MODULES = [
    "tkinter", "readline", "curses", "pdb", "doctest", "pydoc", "unittest", "lib2to3", "idlelib", "distutils",
    "setuptools", "pkg_resources", "hatchling", "pytest", "PIL", "numpy", "rich", "requests",
    "httpx2", "mcp", "multiprocessing", "flask.testing", "werkzeug.debug", "keyfob.testing",
]  # fmt: skip

# PyInstaller's own start code that costs time at each start and that nothing here needs: it lets `inspect`
# show sources, `pkgutil` list modules, `multiprocessing` start workers, names Qt's folders.
FREED_HOOKS = {
    "pyi_rth_inspect", "pyi_rth_pkgutil", "pyi_rth_multiprocessing", "pyi_rth_pyside6",
    "pyi_rth_cryptography_openssl",
}  # fmt: skip

# Plugins by folder. A folder that is not named is left out.
QT_PLUGINS = {
    "iconengines": {"svgicon"},
    "imageformats": {"gif", "ico", "jpeg", "svg", "webp"},  # avatars and pictures of mods; PNG is built in
    "networkinformation": {"networkmanager"},
    "platforminputcontexts": {"composeplatforminputcontextplugin", "ibusplatforminputcontextplugin"},
    "platforms": {"offscreen", "wayland", "wayland-egl", "wayland-generic", "xcb"},
    "platformthemes": {"xdgdesktopportal"},  # gtk3 would bring the build machine's GTK along
    "wayland-decoration-client": {"adwaita", "bradient"},
    "wayland-graphics-integration-client": {"qt-plugin-wayland-egl"},
    "wayland-shell-integration": {"xdg-shell"},
    "xcbglintegrations": {"xcb-egl-integration", "xcb-glx-integration"},
}
_PLUGIN = re.compile(r"PySide6/Qt/plugins/([^/]+)/lib(.+)\.so$")
_QT_LIBRARY = re.compile(r"(?:^|/)libQt6(\w+)\.so")
# Libraries of Qt for screens without a window system.
QT_LEFT_OUT = {"EglFSDeviceIntegration", "EglFsKmsSupport", "EglFsKmsGbmSupport"}
_DATA_LEFT_OUT = re.compile(
    r"PySide6/Qt/(translations|qml|resources)/|\.pyi$|/py\.typed$|^certifi/py\.typed$|\.c$|\.pxd$|\.pyx$"
)
# What installers write about how and where they installed; it would differ between machines.
_METADATA_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}

# Libraries that the system has to bring, for the reasons beside them.
LEFT_TO_SYSTEM = re.compile(
    r"lib("
    r"c|m|dl|pthread|rt|util|resolv|nsl|anl|BrokenLocale|crypt"  # glibc: one for all of a process
    r"|stdc\+\+|gcc_s"  # the graphics driver wants its own, which may be newer
    r"|GL|EGL|GLX|GLdispatch|OpenGL|GLESv2|drm|gbm|vulkan|wayland-\w+"  # the driver's and compositor's
    r"|X11|X11-xcb|xcb|Xau|Xdmcp|Xext"  # the base of X, on every system with a screen
    r"|glib-2\.0|gthread-2\.0|gobject-2\.0|gio-2\.0|gmodule-2\.0|pcre2-8"  # one main loop for a process
    r"|dbus-1|systemd|cap|gcrypt|gpg-error|lz4"  # speaks to the system's own daemons
    r"|fontconfig|freetype|expat|png16"  # reads the system's configuration and caches
    r"|gssapi_krb5|krb5|k5crypto|krb5support|com_err|keyutils"  # reads the system's Kerberos settings
    r"|z|zstd|brotlidec|brotlicommon"
    r")\.so(\.|$)|ld-linux"
)  # fmt: skip


def is_kept(name: str) -> bool:
    """Whether a file goes into the frozen app. `name` is its path in the app's folder of libraries."""
    plugin = _PLUGIN.search(name)
    if plugin:
        return plugin[2].removeprefix("q") in {
            each.removeprefix("q") for each in QT_PLUGINS.get(plugin[1], ())
        }
    library = _QT_LIBRARY.search(name)
    if library and library[1] in QT_LEFT_OUT:
        return False
    return _DATA_LEFT_OUT.search(name) is None


def is_metadata_kept(name: str) -> bool:
    """Whether a file of a package's own description (`NAME.dist-info/`) goes along."""
    return name.rpartition("/")[2] not in _METADATA_LEFT_OUT


def is_systems(library: str) -> bool:
    """Whether a library, by its soname, is left to the system."""
    return LEFT_TO_SYSTEM.match(library) is not None
