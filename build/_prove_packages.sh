# What build/prove-packages does on the bare system, as root: prove OLDER.deb [NEWER.deb]
#
# Each step prints one line, `ok` or `FAILED`, and what it ran goes into the log. Exits 1 if a step failed.
set -u
first=$1
newer=${2:-}
failed=0
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
TOOLS='libsecret-tools xvfb xdotool imagemagick dbus libglib2.0-bin curl procps'
RUN=/run/user/1000

# A step: its title, then a command. A function or a program.
step() {
  title=$1
  shift
  if "$@"; then echo "ok     $title"; else echo "FAILED $title"; failed=1; fi
}

not() { ! "$@"; }

# A command of the person, in their session. The path has no folder of ours but what the package put into the system's.
mia() {
  setpriv --reuid=mia --regid=mia --init-groups env -i HOME=/home/mia USER=mia LANG=C.UTF-8 PATH=/usr/bin:/bin \
    XDG_RUNTIME_DIR=$RUN DBUS_SESSION_BUS_ADDRESS=unix:path=$RUN/bus DISPLAY=":$(cat /tmp/display 2>/dev/null)" XDG_CURRENT_DESKTOP=GNOME "$@"
}

session() {
  mkdir -p $RUN /tmp/.X11-unix && chmod 1777 /tmp/.X11-unix && chown mia: $RUN && chmod 700 $RUN || return 1
  Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp 3>/tmp/display &
  until_true test -s /tmp/display || return 1
  mia dbus-daemon --session --address=unix:path=$RUN/bus --fork || return 1
  printf secret | mia gnome-keyring-daemon --unlock --components=secrets --daemonize
}

# Waits for at most a minute.
until_true() {
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.2
  done
  return 1
}

window() { mia xdotool search --onlyvisible --name '^Keyfob$'; }

quit() {
  pids=$(pgrep -u mia -x keyfob)
  [ -n "$pids" ] || return 0
  # shellcheck disable=SC2086  # one word each
  kill $pids
  until_true not pgrep -u mia -x keyfob
}

version_is() { [ "$(mia keyfob --version)" = "keyfob $1" ]; }

# What a browser does with the demo provider's two pages: choose Alice, press Allow.
make_browser() {
  cat >/usr/local/bin/browser <<'BROWSER'
#!/bin/sh
jar=$(mktemp)
press() {  # a button of the page's form
  action=$(printf %s "$page" | grep -o 'action="[^"]*"' | head -1 | cut -d'"' -f2 | sed 's/&amp;/\&/g')
  curl -s -b "$jar" -c "$jar" -H 'Origin: http://127.0.0.1:9899' -H 'Sec-Fetch-Site: same-origin' --data "$@" \
    "http://127.0.0.1:9899$action"
}
page=$(curl -s -b "$jar" -c "$jar" "$1")
page=$(press 'decision=choose&person=alice')
to=$(press 'decision=allow&person=alice' -o /dev/null -w '%{redirect_url}')
curl -s -o /dev/null -H 'Sec-Fetch-Site: cross-site' -H 'Sec-Fetch-Mode: navigate' -H 'Sec-Fetch-Dest: document' "$to"
BROWSER
  chmod 755 /usr/local/bin/browser
}

# The window with the demo provider, which ends with it.
demo_window() {
  mia keyfob demo &
  until_true window && until_true curl -sf http://127.0.0.1:9899/.well-known/openid-configuration
}

has_token() { mia keyfob token demo | grep -Eq '^[A-Za-z0-9._~-]{16,}$'; }

launcher_has_token() { has_token && [ "$(mia keyfob-token demo)" = "$(mia keyfob token demo)" ]; }

environment_is_the_persons() {
  # Nothing of the frozen app's own libraries reaches other programs; what the person has set does.
  found=$(mia LD_LIBRARY_PATH=/opt/mine keyfob exec demo -- env) || return 1
  [ "$(printf '%s\n' "$found" | grep '^LD_LIBRARY_PATH=')" = LD_LIBRARY_PATH=/opt/mine ] &&
    ! printf '%s\n' "$found" | grep -Eq '^_(PYI|MEI)'
}

asks_the_api() { mia keyfob request demo GET http://127.0.0.1:9899/userinfo --jq .sub | grep -q .; }

login_names_the_command() {
  mia keyfob settings set start_at_login true &&
    grep -q '^Exec=.*/usr/bin/keyfob' /home/mia/.config/autostart/*.desktop &&
    mia keyfob settings set start_at_login false
}

no_login_entry() { [ -z "$(find /etc/xdg/autostart /home/mia/.config/autostart -name '*eyfob*' 2>/dev/null)" ]; }

# A server with a certificate of an authority that only this system's administrator has added.
private_authority() {
  place=$(mktemp -d) && cd "$place" || return 1
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out /usr/local/share/ca-certificates/proof.crt -days 2 \
    -subj '/CN=Proof' -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' || return 1
  update-ca-certificates || return 1
  printf 'HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n' >answer
  openssl s_server -accept 8443 -key ca.key -cert /usr/local/share/ca-certificates/proof.crt -www -quiet &
  until_true curl -s https://localhost:8443/ || return 1
  said=$(mia keyfob providers add work --issuer https://localhost:8443 --client-id x 2>&1)
  cd /packages || return 1
  echo "$said"
  ! printf %s "$said" | grep -qi certificate
}

left() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /home -o -path /packages -o -path /tmp -o -path /var/log \
    -o -path /var/cache -o -path /usr/local -o -path /run/user -o -path /var/lib/apt \) -prune -o -iname '*keyfob*' -print
}

nothing_left() { found=$(left) && echo "$found" && [ -z "$found" ]; }

# The store, and something of it in the keychain.
home_is_kept() {
  [ -n "$(find /home/mia/.local/share/keyfob -name '*.db' -size +0 2>/dev/null)" ] &&
    mia secret-tool search --all application 'Python keyring library' 2>&1 | grep -q Keyfob
}

named() { dpkg-deb -f "$1" Version | sed 's/-1$//'; }

step 'the system has no Python' not command -v python3
step 'apt update' apt-get -q update
step "apt install ./$first" apt-get -q install -y "./$first"
step 'there is still no Python' not command -v python3
step 'tools for this proof are installed' apt-get -q install -y --no-install-recommends $TOOLS openssl
make_browser
step 'a session with a screen, a bus and a keychain' session
step 'keyfob --version' version_is "$(named "$first")"
step 'every command has its help' mia sh -c 'for verb in $(keyfob --help | sed -n "s/^  \([a-z][a-z-]*\)  .*/\1/p"); do keyfob "$verb" --help >/dev/null || exit 1; done'
step 'nothing starts at login before it is chosen' no_login_entry
step 'opened from its menu entry' mia gio launch /usr/share/applications/org.keyfob.Keyfob.desktop
step 'the window is shown' until_true window
sleep 8
mia import -window root /tmp/before.png
step 'it ends when the session asks it to' quit
step 'keyfob demo --headless' mia keyfob demo --headless
step 'keyfob doctor' mia keyfob doctor
step 'keyfob demo, the window with the provider' demo_window
step 'keyfob connect demo' mia BROWSER='/usr/local/bin/browser %s' keyfob connect demo
step 'keyfob token demo' has_token
step 'keyfob-token demo gives the same' launcher_has_token
step 'keyfob request --jq' asks_the_api
step 'keyfob exec leaves the environment as it was' environment_is_the_persons
step 'git-credential-keyfob' mia sh -c 'printf "protocol=https\nhost=unknown.example\n\n" | git-credential-keyfob get'
step 'docker-credential-keyfob' mia docker-credential-keyfob list
step 'keyfob-keyring has nothing for an unknown host' mia sh -c '! keyfob-keyring get https://unknown.example/ x'
step 'start at login names the command' login_names_the_command
step 'a certificate authority of the system is trusted' private_authority
if [ -n "$newer" ]; then
  step "apt install ./$newer, while the app runs" apt-get -q install -y "./$newer"
  step 'the command is the new one' version_is "$(named "$newer")"
  step 'the app that ran before still answers' has_token
  step 'keyfob doctor' mia keyfob doctor
  step 'the app before ends' quit
  step 'the new app opens' demo_window
  step 'the account is still connected' has_token
  step 'and is renewed' mia keyfob renew demo
fi
sleep 5
mia import -window root /tmp/after.png
quit
step 'apt remove keyfob' apt-get -q remove -y keyfob
step 'the command is gone' not command -v keyfob
step "the person's accounts are kept" home_is_kept
step 'apt purge keyfob' apt-get -q purge -y keyfob
step "nothing is left but the person's own data" nothing_left
step "the person's accounts are still kept" home_is_kept
# The same person changes their mind: with their yes, the removal deletes the accounts first.
step 'apt install again' apt-get -q install -y "./${newer:-$first}"
echo 'keyfob keyfob/remove-accounts boolean true' | debconf-set-selections
step 'apt purge keyfob, with a yes to deleting the accounts' env SUDO_USER=mia apt-get -q purge -y keyfob
step 'no account and no key is left' not home_is_kept
step 'and nothing else' nothing_left
exit $failed
