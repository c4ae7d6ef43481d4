"""nginx: `auth_request`, or, to keep decisions in memory, its Lua module."""

from __future__ import annotations

from collections.abc import Iterable

from keyfob.gateway.engine_config.plan import ASKED_WITH, NEVER_BACK, NEVER_PASSED, Plan

HEAD = """\
# Made by {made_by}.
# Include this file inside http {{ }}, for example as /etc/nginx/conf.d/keyfob.conf. It needs
# `keyfob serve` at {gateway} on this computer.
# nginx looks the names of the APIs up when it starts, so reload it now and then (nginx -s reload).
"""
SERVER = """
upstream keyfob {{ server {gateway}; keepalive 64; }}

map $http_upgrade $keyfob_upgrade {{ "~*^websocket$" websocket; default ""; }}
map $http_upgrade $keyfob_connection {{ "~*^websocket$" upgrade; default ""; }}

# Another name than the server's: a page in a browser could come under it.
server {{
    listen {listen}{tls} default_server;
    {other}
}}

server {{
    listen {listen}{tls};
    server_name {names};
{certificate}
    # A query can hold what is private. Keyfob's own log names the path of each request alone.
    access_log off;
    client_max_body_size 0;
    # Slow clients hold a connection of nginx, and nothing of Keyfob.
    client_header_timeout 15s;
    send_timeout 60s;

    error_page 401 = @keyfob_401;
    error_page 403 = @keyfob_403;
    error_page 500 = @keyfob_500;

    location / {{
        if ($keyfob_account = "") {{ return 404; }}
{ask}
        # The path and query as the caller sent them, below the API's address.
        proxy_pass $keyfob_group$keyfob_target;
        proxy_http_version 1.1;
        proxy_set_header Host $keyfob_host;
        proxy_set_header Upgrade $keyfob_upgrade;
        proxy_set_header Connection $keyfob_connection;
        # The account's credentials.
{credentials}
        # The caller's credentials, and what says where a request came from, never reach the provider.
{dropped}
        # Each byte leaves as it comes, in both directions, and nothing touches the disk.
        proxy_buffering off;
        proxy_request_buffering off;
        proxy_cache off;
        proxy_max_temp_file_size 0;
        proxy_read_timeout 600s;
        proxy_send_timeout 600s;
        proxy_next_upstream error;  # another address of the API, if one cannot be reached
        proxy_next_upstream_tries 3;
        gzip off;
        # The provider is who it should be.
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 4;
        proxy_ssl_trusted_certificate "{upstream_ca}";
        proxy_ssl_server_name on;
        proxy_ssl_name $keyfob_name;
        proxy_ssl_protocols TLSv1.2 TLSv1.3;
        # A redirect within the API leads through here again.
        proxy_redirect $keyfob_upstream/ /$keyfob_account/;
        proxy_redirect $keyfob_path/ /$keyfob_account/;
{hidden}
    }}

    # Asks Keyfob. `internal`: from outside, this address does not exist.
    location = /keyfob-decide {{
        internal;
        proxy_pass http://keyfob/decide;
        proxy_method GET;
        proxy_http_version 1.1;
        proxy_pass_request_body off;
        proxy_pass_request_headers off;
        proxy_buffering on;
        proxy_cache off;
        proxy_max_temp_file_size 0;
        proxy_read_timeout 60s;
        include "{secret_file}";  # X-Keyfob-Engine
        proxy_set_header Host {gateway};
        proxy_set_header Connection "";
        proxy_set_header X-Original-Method $request_method;
        proxy_set_header X-Original-URI $request_uri;
        proxy_set_header X-Keyfob-Account $keyfob_account;
        proxy_set_header X-Keyfob-Upstream $keyfob_upstream;
        proxy_set_header X-Keyfob-Client $remote_addr;
{asked_with}
    }}

    # auth_request knows 401 and 403 alone: the whole refusal comes in headers.
    location @keyfob_401 {{
        default_type application/problem+json;
        add_header Cache-Control no-store always;
        add_header WWW-Authenticate $keyfob_www_authenticate always;
        return 401 $keyfob_problem;
    }}
    location @keyfob_403 {{
        default_type application/problem+json;
        add_header Cache-Control no-store always;
        add_header Retry-After $keyfob_retry_after always;
{statuses}
        return 403 $keyfob_problem;
    }}
    location @keyfob_500 {{
        default_type application/problem+json;
        add_header Cache-Control no-store always;
        return 503
            '{{"code": "gateway_unavailable", "detail": "The gateway cannot be asked now.", "status": 503}}';
    }}
}}
"""
# `ngx.shared` lives in memory, is never written to a file, and counts milliseconds.
LUA = """\
        # A decision is kept in memory for {cache:g} s. A revoked key is refused that much later.
        access_by_lua_block {{
            local var, kept = ngx.var, ngx.shared.keyfob_decisions
            local mark = ngx.sha1_bin(table.concat({{
                var.keyfob_account, var.request_method, var.request_uri, {marks}
            }}, "\\n"))
            local names = {{ {names} }}
            local known = kept:get(mark)
            if not known then
                local answer = ngx.location.capture("/keyfob-decide", {{ share_all_vars = true }})
                local header = answer.header
                if answer.status ~= 200 then
                    var.keyfob_status = header["X-Keyfob-Status"] or ""
                    var.keyfob_problem = header["X-Keyfob-Problem"] or ""
                    var.keyfob_retry_after = header["Retry-After"] or ""
                    var.keyfob_www_authenticate = header["WWW-Authenticate"] or ""
                    local refused = answer.status == 401 or answer.status == 403
                    return ngx.exit(refused and answer.status or 500)
                end
                local values = {{}}
                for at, name in ipairs(names) do values[at] = header[name] or "" end
                known = table.concat(values, "\\n")
                local life = math.min({cache:g}, tonumber(header["X-Keyfob-Fresh-For"]) or 0)
                if life > 0 then kept:set(mark, known, life) end
            end
            local at = 0
            for value in (known .. "\\n"):gmatch("(.-)\\n") do
                at = at + 1
                var[({{ {variables} }})[at]] = value
            end
        }}"""
STATUSES = (400, 404, 429, 502, 503)


def configuration(plan: Plan) -> str:
    """The whole file."""
    tls = " ssl" if plan.certificate else ""
    certificate = (
        f'    ssl_certificate "{plan.certificate}";\n    ssl_certificate_key "{plan.certificate_key}";\n'
        "    ssl_protocols TLSv1.2 TLSv1.3;\n"
        if plan.certificate
        else ""
    )
    statuses = "\n".join(
        f'        if ($keyfob_status = "{status}") {{ return {status} $keyfob_problem; }}'
        for status in STATUSES
    )
    return (
        HEAD.format(made_by=plan.made_by, gateway=plan.gateway)
        + _maps(plan)
        + SERVER.format(
            gateway=plan.gateway,
            listen=plan.listen,
            tls=tls,
            other="ssl_reject_handshake on;" if tls else "return 421;",
            names=" ".join(plan.names),
            certificate=certificate,
            ask=_ask(plan),
            credentials=_lines(f"{name} ${_used(plan, name)}" for name in _headers(plan)),
            dropped=_lines(f'{name} ""' for name in _dropped(plan)),
            upstream_ca=plan.upstream_ca,
            hidden="\n".join(f"        proxy_hide_header {name};" for name in NEVER_BACK),
            secret_file=plan.secret_file,
            asked_with=_lines(f"{name} {_http(name)}" for name in ASKED_WITH),
            statuses=statuses,
        )
    )


def _lines(pairs: Iterable[str]) -> str:
    return "\n".join(f"        proxy_set_header {pair};" for pair in pairs)


def _headers(plan: Plan) -> list[str]:
    """Names that a decision sets for any of the accounts."""
    return list({name.lower(): name for route in plan.routes for name in route.headers}.values())


def _dropped(plan: Plan) -> list[str]:
    ours = {name.lower() for name in _headers(plan)}
    return [name for name in NEVER_PASSED if name.lower() not in ours]


def _word(name: str) -> str:
    return name.lower().replace("-", "_")


def _http(name: str) -> str:
    return f"$http_{_word(name)}"


def _set(name: str) -> str:
    return f"keyfob_set_{_word(name)}"


def _falls_back(plan: Plan, name: str) -> bool:
    """Whether the caller's own header stands where an account's decision sets none: `Accept`, but never
    credentials.
    """
    private = {one.lower() for one in NEVER_PASSED}
    private |= {one.lower() for route in plan.routes for one in (*route.secret, *route.optional)}
    return name.lower() not in private and not all(name in route.headers for route in plan.routes)


def _used(plan: Plan, name: str) -> str:
    return f"keyfob_use_{_word(name)}" if _falls_back(plan, name) else _set(name)


def _maps(plan: Plan) -> str:
    parts = []
    for number, route in enumerate(plan.routes, 1):
        parts.append(f"upstream keyfob_{number} {{ server {route.address}; keepalive 64; }}")
    tables = {
        "keyfob_upstream": {route.account: route.base for route in plan.routes},
        "keyfob_group": {
            route.account: f"{'https' if route.tls else 'http'}://keyfob_{number}"
            for number, route in enumerate(plan.routes, 1)
        },
        "keyfob_path": {route.account: route.path for route in plan.routes},
        "keyfob_host": {route.account: route.host for route in plan.routes},
        "keyfob_name": {route.account: route.name for route in plan.routes},
    }
    parts.append("\n# The accounts. Keyfob checks the account again, in the address as it was sent.")
    parts.append('map $uri $keyfob_account {\n    default "";')
    parts += [f'    "~^/{_escaped(route.account)}/" "{route.account}";' for route in plan.routes]
    parts.append("}")
    for variable, rows in tables.items():
        parts.append(f'map $keyfob_account ${variable} {{\n    default "";')
        parts += [f'    "{account}" "{value}";' for account, value in rows.items()]
        parts.append("}")
    for name in _headers(plan):
        if _falls_back(plan, name):
            own = f"${_set(name)}"
            parts.append(f'map {own} ${_used(plan, name)} {{ "" {_http(name)}; default {own}; }}')
    if plan.cache:
        parts.append("lua_shared_dict keyfob_decisions 16m;")
    return "\n" + "\n".join(parts) + "\n"


def _escaped(account: str) -> str:
    """For a regular expression. A label has letters, digits and . _ @ - alone."""
    return account.replace(".", "\\.")


def _ask(plan: Plan) -> str:
    values = {"keyfob_target": "X-Keyfob-Target"} | {_set(name): name for name in _headers(plan)}
    refusals = {
        "keyfob_status": "X-Keyfob-Status",
        "keyfob_problem": "X-Keyfob-Problem",
        "keyfob_retry_after": "Retry-After",
        "keyfob_www_authenticate": "WWW-Authenticate",
    }
    if not plan.cache:
        lines = ["        auth_request /keyfob-decide;"]
        lines += [
            f"        auth_request_set ${variable} $upstream_http_{_word(name)};"
            for variable, name in (values | refusals).items()
        ]
        return "\n".join(lines)
    lines = [f'        set ${variable} "";' for variable in values | refusals]
    lines.append(
        LUA.format(
            cache=plan.cache,
            marks=", ".join(f'var.http_{_word(name)} or ""' for name in ASKED_WITH),
            names=", ".join(f'"{name}"' for name in values.values()),
            variables=", ".join(f'"{variable}"' for variable in values),
        )
    )
    return "\n".join(lines)
