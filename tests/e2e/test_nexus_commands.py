"""`keyfob nexus` from end to end: real processes, a real home, our server."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.nexus_machine import NexusMachine, nexus_machine
from support.nexus_server import NexusServer
from support.running import finish, until

pytestmark = pytest.mark.network
SKYRIM = "skyrimspecialedition"


@pytest.fixture
def server() -> Iterator[NexusServer]:
    with NexusServer() as made:
        yield made
        assert made.site.offences == []


@pytest.fixture
def home(server: NexusServer) -> Iterator[NexusMachine]:
    with nexus_machine(server) as made:
        yield made


def test_signed_out_it_says_what_an_account_gives(home: NexusMachine) -> None:
    ran = home.nexus("whoami")
    assert (ran.code, ran.out) == (7, "")
    assert ran.last == (
        "keyfob: No account of Nexus Mods is connected. Run `keyfob connect nexusmods`. Keyfob then shows "
        "which of your mods have newer files and what is trending, and downloads files."
    )
    assert home.nexus("updates", "--json").error["code"] == "nexus_signed_out"


def test_with_a_key_from_the_list_to_the_file(home: NexusMachine, server: NexusServer) -> None:
    home.connect()
    said = home.nexus("whoami").out
    assert re.search(r"^Name +Aldis$", said, re.MULTILINE)
    assert re.search(r"^Membership +Premium$", said, re.MULTILINE)
    assert "of 20,000" in said
    document = home.nexus("whoami", "--json").json
    assert (document["member_id"], document["limits"]["hourly_limit"]) == (1, 500)
    assert "key-of-aldis" not in said + str(document)

    added = home.nexus(
        "mods", "add", f"https://www.nexusmods.com/{SKYRIM}/mods/10?tab=files", "--installed", "v1.8"
    )
    assert added.out == f"Added Quiet Roads ({SKYRIM}/10)\n"
    assert home.nexus("mods", "installed", f"{SKYRIM}/10", "1.8.0").code == 0
    found = home.nexus("updates", "--json").json
    assert [(each["mod_id"], each["newest"], each["state"]) for each in found["mods"]] == [
        (10, "1.9.2", "update")
    ]
    assert home.nexus("updates").out.splitlines()[1].split() == [
        f"{SKYRIM}/10",
        "Quiet",
        "Roads",
        "1.8.0",
        "1.9.2",
    ]
    assert [game["domain"] for game in home.nexus("games", "--json").json["games"]] == [SKYRIM]

    folder = home.root / "my mods"
    assert home.nexus("downloads", "folder", SKYRIM, str(folder)).out == f"{folder}\n"
    fetched = home.nexus("updates", SKYRIM, "--download")
    assert fetched.code == 0, fetched.err
    path = Path(fetched.out.rstrip("\n"))
    assert path.parent == folder
    assert path.read_bytes() == server.site.find(103)[2].content
    assert home.nexus("updates").out == "No newer files for your 2 mods.\n"
    assert "current" in home.nexus("mods").out
    (done,) = home.nexus("downloads", "--json").json["downloads"]
    assert (done["state"], done["md5_checked"], done["path"]) == ("done", True, str(path))
    assert re.search(r"done .*, checked$", home.nexus("downloads").out, re.MULTILINE)
    assert home.nexus("downloads", "clear").code == 0
    assert home.nexus("downloads").out == "There are no downloads.\n"
    assert home.nexus("mods", "remove", f"{SKYRIM}/10").code == 0
    assert (SKYRIM, 10) not in server.site.members[1].tracked


def test_lists_of_a_game_and_the_files_of_a_mod(home: NexusMachine) -> None:
    home.connect()
    assert "Night Life" not in home.nexus("trending", SKYRIM).out
    assert "Night Life" in home.nexus("trending", SKYRIM, "--new", "--adult").out
    files = home.nexus("files", f"{SKYRIM}/12", "--json").json["files"]
    assert [(each["file_id"], each["category"]) for each in files] == [(121, "main"), (122, "optional")]
    wrong = home.nexus("trending", "nosuchgame")
    assert (wrong.code, wrong.last) == (
        7,
        "keyfob: Nexus Mods does not have the game nosuchgame. Check it on the site. `keyfob nexus games "
        "--all` lists the games, `keyfob nexus files` the files of a mod.",
    )
    assert home.nexus("files", "https://example.org/a/mods/1").code == 2


def test_a_token_that_expires_on_the_way_is_renewed(home: NexusMachine, server: NexusServer) -> None:
    home.connect(oauth=True)
    account = home.run("accounts", "--json").json["accounts"][0]
    assert (account["id"], account["method"], account["plan"]) == ("nexusmods/aldis", "oauth", "premium")
    assert home.nexus("whoami", "--json").json["limits"]["daily_left"] == 19_999
    process = home.start("nexus", "download", f"{SKYRIM}/10", f"{SKYRIM}/13")
    # Between two requests of one command, the token ends before its time.
    until(lambda: any("/mods/10" in path for path in server.site.paths()))
    server.site.tokens.update({token: (member, 0.0) for token, (member, _) in server.site.tokens.items()})
    ran = finish(process)
    assert ran.code == 0, ran.err
    assert len(ran.out.splitlines()) == 2
    assert server.site.paths().count("POST /oauth/token") == 2
    assert all(Path(line).read_bytes() for line in ran.out.splitlines())


def test_a_free_member_is_told_to_use_the_button(home: NexusMachine, server: NexusServer) -> None:
    home.connect(2)
    ran = home.nexus("download", f"{SKYRIM}/13")
    page = f"https://www.nexusmods.com/{SKYRIM}/mods/13?tab=files&file_id=130&nmm=1"
    assert (ran.code, ran.out) == (5, "")
    assert ran.last == (
        "keyfob: Nexus Mods gives free members a link only by the button on its page. Click Mod Manager "
        f"Download on {page}, then run `keyfob nexus open 'LINK'`. After `keyfob nexus links on`, the button "
        "does this."
    )
    assert "needs the site's button" in home.nexus("downloads").out
    opened = home.nexus("open", server.site.nxm(2, SKYRIM, 13, 130))
    assert opened.code == 0, opened.err
    assert Path(opened.out.strip()).read_bytes() == server.site.find(130)[2].content
    assert len(home.nexus("downloads", "--json").json["downloads"]) == 1

    late = home.nexus("open", server.site.nxm(2, SKYRIM, 13, 130, life=-10))
    assert (late.code, late.last) == (
        5,
        f"keyfob: The download link has expired. Click Mod Manager Download again on {page}.",
    )
    other = home.nexus("open", server.site.nxm(1, SKYRIM, 13, 130))
    assert (other.code, "for another member" in other.err) == (8, True)
    for text in (
        "nxm://",
        "nxm://a/mods/1/files/2?key=x",
        f"nxm://{SKYRIM}/collections/abc/revisions/1",
        "x" * 5000,
    ):
        ran = home.nexus("open", text)
        assert ran.code == 2
        assert text not in ran.err


def test_s99_the_key_of_a_link_is_nowhere(home: NexusMachine, server: NexusServer) -> None:
    """Neither in the log nor in what the command says or saves, also if the CDN refuses."""
    home.connect(2)
    link = server.site.nxm(2, SKYRIM, 13, 130)
    server.site.cdn_life = -1  # what the API gives has ended already
    ran = home.run("--verbose", "nexus", "open", link)
    assert ran.code == 5
    assert "The download link has expired" in ran.err
    key = link.partition("key=")[2].partition("&")[0]
    signatures = {each.path.partition("md5=")[2][:32] for each in server.site.asked if each.host == "cdn"}
    assert signatures
    files = [path for path in home.root.rglob("*") if path.is_file()]
    for secret in (key, *signatures):
        assert secret not in ran.out + ran.err
        assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_a_command_that_is_killed_goes_on_where_it_was(home: NexusMachine, server: NexusServer) -> None:
    home.connect()
    server.site.cdn_rate = 500_000
    process = home.start("nexus", "download", f"{SKYRIM}/10")
    folder = home.home / "downloads" / "Nexus Mods" / SKYRIM

    def received() -> int:
        return sum(path.stat().st_size for path in folder.glob("*.part")) if folder.exists() else 0

    until(lambda: received() > 200_000)
    # Another command sees it run.
    (item,) = home.nexus("downloads", "--json").json["downloads"]
    assert item["state"] == "running"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    had = received()
    assert 200_000 < had < 2_000_000
    server.site.cdn_rate = None
    ran = home.nexus("downloads", "resume")
    assert ran.code == 0, ran.err
    assert Path(ran.out.strip()).read_bytes() == server.site.find(103)[2].content
    asked = [each for each in server.site.asked if each.host == "cdn"][-1]
    assert int(asked.headers["range"].removeprefix("bytes=").removesuffix("-")) >= had - 64 * 1024


def test_ctrl_c_keeps_what_was_received(home: NexusMachine, server: NexusServer) -> None:
    home.connect()
    server.site.cdn_rate = 300_000
    process = home.start("nexus", "download", f"{SKYRIM}/10")
    until(lambda: any(each.host == "cdn" for each in server.site.asked))
    process.send_signal(signal.SIGINT)
    ran = finish(process)
    assert ran.code == 5
    assert ran.last.startswith("keyfob: Interrupted. To go on where it was, run the command again")
    (item,) = home.nexus("downloads", "--json").json["downloads"]
    assert item["state"] == "waiting"


def test_limits_are_said_before_they_run_out(home: NexusMachine, server: NexusServer) -> None:
    home.connect()
    server.site.members[1].daily_left = 813
    ran = home.nexus("mods")
    assert ran.code == 0
    assert re.search(r"^Only 81\d of 20,000 requests are left today, until ", ran.err, re.MULTILINE)
    server.site.members[1].daily_left = server.site.members[1].hourly_left = 0
    spent = home.nexus("trending", SKYRIM)
    assert spent.code == 5
    assert spent.last.startswith("keyfob: The requests that Nexus Mods allows are used up until ")


def test_the_agent_signs_if_it_runs(home: NexusMachine, server: NexusServer) -> None:
    home.connect()
    agent = home.start("agent")
    assert agent.stderr is not None
    assert "answers your tools" in agent.stderr.readline()
    # This command has no passphrase: it cannot open the encrypted file.
    ran = home.run("nexus", "whoami", "--json", KEYFOB_PASSPHRASE_FD="")
    assert ran.json["name"] == "Aldis"


def test_progress_is_for_terminals(home: NexusMachine, server: NexusServer) -> None:
    home.connect()
    server.site.cdn_rate = 1_500_000
    shown, terminal = pty.openpty()
    process = home.start("nexus", "download", f"{SKYRIM}/10", stderr=terminal, TERM="xterm")
    os.close(terminal)
    out, _ = process.communicate(timeout=60)
    written = b""
    with contextlib.suppress(OSError):  # the terminal ends with the process
        while piece := os.read(shown, 65_536):
            written += piece
    os.close(shown)
    assert process.returncode == 0
    assert re.search(
        rb"\rQuiet Roads 1\.9\.2: [0-9.]+ [kM]B of 2\.0 MB, [0-9.]+ [kM]B/s, \d+ s left", written
    )
    assert written.endswith(b"\r\x1b[K")  # the line is gone
    assert out.count("\n") == 1


def test_the_shell_completes_games_and_mods(home: NexusMachine) -> None:
    home.connect()
    home.nexus("games", "--all")
    home.nexus("mods", "add", "eldenring/20")

    def completed(*words: str) -> list[str]:
        env = {
            "_KEYFOB_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        return home.run(**env).out.split()

    assert completed("keyfob", "nexus", "trending", "sky") == [f"plain,{SKYRIM}"]
    assert completed("keyfob", "nexus", "download", "eld") == ["plain,eldenring/20"]
    assert completed("keyfob", "nexus", "dow") == ["plain,download", "plain,downloads"]
