"""Drives an application by what assistive technology sees. Runs under
Debian's own Python, which has its bindings.

Reads one JSON object a line on stdin and answers with one on stdout: {"ok": true, …} or {"ok": false,
"error": …}. Things are found by accessible name and role, in the process whose id is given, and only where
they are showing. Started by `support.screen_reader`; never imported.
"""

import json
import sys
import time

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # noqa: E402

MOST_NODES = 3000
# Where the name is not the text, the text is what a label says.
CONTAINERS = {"frame", "dialog", "alert", "window"}


def applications(pid):
    desktop = Atspi.get_desktop(0)
    desktop.clear_cache()
    for index in range(desktop.get_child_count()):
        try:
            child = desktop.get_child_at_index(index)
            if child is not None and child.get_process_id() == pid:
                yield child
        except GLib.Error:
            continue


def showing(node):
    return node.get_state_set().contains(Atspi.StateType.SHOWING)


def walk(node, depth=0, count=None):
    """Every showing node below, depth first, and itself."""
    count = count if count is not None else [0]
    count[0] += 1
    if count[0] > MOST_NODES:
        return
    yield node, depth
    for index in range(node.get_child_count()):
        try:
            child = node.get_child_at_index(index)
            if child is None:
                continue
            if showing(child):
                yield from walk(child, depth + 1, count)
        except GLib.Error:
            continue


def described(node, depth=0):
    states = node.get_state_set()
    told = {
        "role": node.get_role_name(),
        "name": node.get_name(),
        "enabled": states.contains(Atspi.StateType.ENABLED) and states.contains(Atspi.StateType.SENSITIVE),
        "checked": states.contains(Atspi.StateType.CHECKED),
        "selected": states.contains(Atspi.StateType.SELECTED),
        "focused": states.contains(Atspi.StateType.FOCUSED),
        "depth": depth,
    }
    text = node.get_text_iface()
    if text is not None:
        told["text"] = Atspi.Text.get_text(text, 0, min(Atspi.Text.get_character_count(text), 2000))
    return told


def everything(pid, window):
    for application in applications(pid):
        application.clear_cache()
        for index in range(application.get_child_count()):
            top = application.get_child_at_index(index)
            if top is None or not showing(top):
                continue
            if window is None or top.get_name() == window:
                yield from walk(top)


def fits(node, wanted):
    name = node.get_name()
    if "name" in wanted and name != wanted["name"]:
        return False
    if "starts" in wanted and not name.startswith(wanted["starts"]):
        return False
    if "has" in wanted:
        text = node.get_text_iface()
        said = name if text is None else name + "\n" + Atspi.Text.get_text(text, 0, 2000)
        if wanted["has"] not in said:
            return False
    return "role" not in wanted or node.get_role_name() in wanted["role"].split("|")


def find(pid, wanted):
    for node, _ in everything(pid, wanted.get("window")):
        try:
            if fits(node, wanted):
                return node
        except GLib.Error:
            continue
    return None


def wait(pid, wanted, seconds, gone=False):
    end = time.monotonic() + seconds
    while True:
        try:
            node = find(pid, wanted)
        except GLib.Error:
            node = None
        if (node is None) == gone:
            return node
        if time.monotonic() > end:
            raise LookupError(f"{'still there' if gone else 'not found'} after {seconds} s: {wanted}")
        time.sleep(0.1)


def press(node):
    actions = node.get_action_iface()
    if actions is not None:
        names = [actions.get_action_name(index) for index in range(actions.get_n_actions())]
        for wanted in ("Press", "press", "click", "Toggle", "toggle", "activate"):
            if wanted in names:
                actions.do_action(names.index(wanted))
                return
    raise LookupError(f"{node.get_role_name()} {node.get_name()!r} cannot be pressed")


def select(node):
    """A row of a list: through its parent's selection, else by giving it the focus or pressing it."""
    parent = node.get_parent()
    selection = parent.get_selection_iface() if parent is not None else None
    if selection is not None and selection.select_child(node.get_index_in_parent()):
        return
    actions = node.get_action_iface()
    names = (
        [actions.get_action_name(i) for i in range(actions.get_n_actions())] if actions is not None else []
    )
    for wanted in ("Toggle", "Press", "SetFocus"):
        if wanted in names:
            actions.do_action(names.index(wanted))
            return
    raise LookupError(f"{node.get_role_name()} {node.get_name()!r} cannot be selected")


HEARD = []  # what the application had read aloud, oldest first


def listen(event):
    HEARD.append(event.any_data)


def heard(text, seconds):
    """All that was read aloud so far, once `text` is in one of them."""
    context, end = GLib.MainContext.default(), time.monotonic() + seconds
    while True:
        while context.pending():
            context.iteration(False)
        texts = [str(each) for each in HEARD]
        if any(text in each for each in texts):
            return texts
        if time.monotonic() > end:
            raise LookupError(f"not heard after {seconds} s: {text!r}; heard: {texts}")
        time.sleep(0.05)


def do(order):
    pid, wanted, seconds = order.get("pid"), order.get("wanted", {}), order.get("seconds", 10)
    action = order["do"]
    if action == "tree":
        return {"nodes": [described(node, depth) for node, depth in everything(pid, order.get("window"))]}
    if action == "heard":
        return {"texts": heard(order["has"], seconds)}
    if action == "gone":
        wait(pid, wanted, seconds, gone=True)
        return {}
    node = wait(pid, wanted, seconds)
    if action == "find":
        return {"node": described(node)}
    if action == "press":
        end = time.monotonic() + seconds
        while not described(node)["enabled"]:
            if time.monotonic() > end:
                raise LookupError(f"disabled: {wanted}")
            time.sleep(0.1)
            node = wait(pid, wanted, seconds)
        press(node)
    elif action == "select":
        select(node)
    elif action == "type":
        if not Atspi.EditableText.set_text_contents(node.get_editable_text_iface(), order["text"]):
            raise LookupError(f"cannot be typed into: {wanted}")
    elif action == "focus":
        Atspi.Component.grab_focus(node.get_component_iface())
    else:
        raise ValueError(action)
    return {"node": described(node)}


Atspi.init()
Atspi.set_timeout(8000, 15000)
ears = Atspi.EventListener.new(listen)
ears.register("object:announcement")
print(json.dumps({"ok": True}), flush=True)
for line in sys.stdin:
    began = time.monotonic()
    try:
        answer = {"ok": True, **do(json.loads(line))}
    except Exception as error:
        answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    answer["took"] = time.monotonic() - began
    print(json.dumps(answer), flush=True)
