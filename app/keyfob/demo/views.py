"""The pages that users see: choosing an account, allowing an app, a device's code, and the playground.

Forms are plain HTML. A form is accepted only from this server's own pages (Origin, or Fetch Metadata if a
browser sends no Origin), so that no other web page can submit it.
"""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, g, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from keyfob.demo.authority import Authority
from keyfob.demo.clients import KEYFOB
from keyfob.demo.settings import SLOW_SECONDS
from keyfob.demo.store import Device, digest
from keyfob.demo.users import PEOPLE, Person

COOKIE = "keyfob_demo"
LIFETIMES = (10, 60, 600, 3600)
SCOPE_WORDS = {
    "openid": "Know who you are",
    "profile": "See your name and picture",
    "email": "See your email address",
    "offline_access": "Stay connected while you are away",
}
ENDED_WORDS = {
    "revoked": "revoked",
    "reuse": "ended: a used refresh token was used again",
    "code_reuse": "ended: a sign-in code was used twice",
    "signed_out": "signed out everywhere",
}


class Pages:
    """The pages that the demo's people see, and what their forms do. Each request holds the store's lock."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.store = authority.store
        self.settings = authority.settings

    def open(self, app: Flask) -> None:
        """Add the pages to the application."""
        app.extensions["keyfob.rooms"] = self
        app.add_url_rule("/", "playground", self.playground, methods=["GET"])
        app.add_url_rule("/playground/<action>", "action", self.action, methods=["POST"])
        app.add_url_rule("/authorize", "authorize", self.authorize, methods=["GET"])
        app.add_url_rule("/authorize", "decide", self.decide, methods=["POST"])
        app.add_url_rule("/device", "device", self.device, methods=["GET"])
        app.add_url_rule("/device", "device_decide", self.device_decide, methods=["POST"])
        app.add_url_rule("/sign-out", "sign_out", self.sign_out, methods=["GET", "POST"])

    # --- authorization (RFC 6749 §4.1) ----------------------------------------------------------------------

    def authorize(self) -> Any:
        """GET /authorize: who signs in, then what the app asks for."""
        person = self._visitor()
        try:
            grant = self.authority.server.get_consent_grant(end_user=person)
        except OAuth2Error as error:
            return self._refuse(error)
        except ValueError:  # Authlib's, for text that its own error message cannot carry
            return self._message("Something went wrong", "The app sent a request that cannot be read.", 400)
        prompts = (request.args.get("prompt") or "").split()
        if person is not None and prompts == ["none"]:
            return self._back(grant.redirect_uri, {"error": "consent_required"})
        self._may_return_to(grant.redirect_uri)
        if person is None or "login" in prompts or "select_account" in prompts:
            return self._choose("authorize", grant.client.title)
        return self._consent(grant, person)

    def decide(self) -> Any:
        """POST /authorize: the user's answer, which sends the browser back to the app."""
        if refused := self._foreign():
            return refused
        person = PEOPLE.get(request.form.get("person", ""))
        decision = request.form.get("decision")
        if decision == "leave":
            query = [(k, v) for k, v in request.args.items(multi=True) if k != "prompt"]
            return redirect("/authorize?" + urlencode([*query, ("prompt", "select_account")]), 303)
        try:
            grant = self.authority.server.get_consent_grant(end_user=person)
        except OAuth2Error as error:
            return self._refuse(error)
        except ValueError:
            return self._message("Something went wrong", "The app sent a request that cannot be read.", 400)
        self._may_return_to(grant.redirect_uri)
        if person is None:
            return self._choose("authorize", grant.client.title)
        if decision == "choose":
            return self._remember(self._consent(grant, person), person)
        if decision not in ("allow", "deny"):
            return self._consent(grant, person)
        self.settings.count("allowed" if decision == "allow" else "denied")
        allowed = person if decision == "allow" else None
        response = self.authority.server.create_authorization_response(grant_user=allowed, grant=grant)
        return self._with_iss(response)

    def _consent(self, grant: Any, person: Person) -> Any:
        scopes = grant.client.get_allowed_scope(grant.request.payload.scope).split()
        return render_template(
            "consent.html",
            person=person,
            app=grant.client.title,
            asks=[SCOPE_WORDS[word] for word in scopes if word in SCOPE_WORDS],
            action="/authorize?" + request.query_string.decode(),
            back=urlsplit(grant.redirect_uri).netloc,
            code=None,
        )

    def _choose(self, room: str, app: str) -> Any:
        hint = request.args.get("login_hint", "")
        people = sorted(PEOPLE.values(), key=lambda p: hint.lower() not in (p.id, p.sub, p.email))
        return render_template(
            "choose.html", people=people, app=app, action=f"/{room}?" + request.query_string.decode()
        )

    def _refuse(self, error: OAuth2Error) -> Any:
        if error.redirect_uri:
            return self._with_iss(self.authority.server.handle_error_response(None, error))
        return self._message(
            "This app cannot sign you in here", error.description or "Its request is not valid.", 400
        )

    def _back(self, redirect_uri: str, params: dict[str, str]) -> Any:
        if state := request.args.get("state"):
            params = params | {"state": state}
        mark = "&" if urlsplit(redirect_uri).query else "?"
        return self._with_iss(redirect(f"{redirect_uri}{mark}{urlencode(params)}", 303))

    def _with_iss(self, response: BaseResponse) -> BaseResponse:
        """RFC 9207: the answer names its issuer, errors too. 303, so that
        a form's POST comes back as a GET.
        """
        location = response.headers.get("Location")
        if location:
            mark = "&" if urlsplit(location).query else "?"
            response.headers["Location"] = f"{location}{mark}{urlencode({'iss': self.settings.issuer})}"
            response.status_code = 303
            self._may_return_to(location)
        return response

    @staticmethod
    def _may_return_to(address: str) -> None:
        """Browsers hold a form's redirect to the page's `form-action` as well."""
        parts = urlsplit(address)
        g.return_to = f" {parts.scheme}://{parts.netloc}"

    # --- device grant (RFC 8628 §3.3) -----------------------------------------------------------------------

    def device(self) -> Any:
        """GET /device: the code, then who signs in, then what the device asks for."""
        code = request.args.get("user_code", "")
        device = self._device(code)
        if device is None:
            return render_template("device.html", code=code, wrong=bool(code))
        person = self._visitor()
        if person is None or request.args.get("prompt"):
            return self._choose("device", self._app(device.client_id))
        return self._device_consent(device, person)

    def device_decide(self) -> Any:
        """POST /device: the user's answer for the device."""
        if refused := self._foreign():
            return refused
        code = request.args.get("user_code", "")
        device, person = self._device(code), PEOPLE.get(request.form.get("person", ""))
        decision = request.form.get("decision")
        if device is None:
            return render_template("device.html", code=code, wrong=True)
        if decision == "leave" or person is None:
            return redirect("/device?" + urlencode({"user_code": code, "prompt": "select_account"}), 303)
        if decision == "choose":
            return self._remember(self._device_consent(device, person), person)
        if decision not in ("allow", "deny"):
            return self._device_consent(device, person)
        device.person, device.allowed = person.id, decision == "allow"
        self.store.save()
        self.settings.count("allowed" if device.allowed else "denied")
        if device.allowed:
            return self._message(
                "You are connected", "Go back to your app. It continues automatically.", 200, True
            )
        return self._message("Not connected", "You denied access. You can close this page.")

    def _device_consent(self, device: Device, person: Person) -> Any:
        scopes = [word for word in device.scope.split() if word in SCOPE_WORDS]
        return render_template(
            "consent.html",
            person=person,
            app=self._app(device.client_id),
            asks=[SCOPE_WORDS[word] for word in scopes],
            action="/device?" + urlencode({"user_code": device.user_code}),
            back=None,
            code=device.user_code,
        )

    def _device(self, typed: str) -> Device | None:
        """The waiting device of a code as users type it: small letters, no dash, blanks."""
        plain = "".join(char for char in typed.upper() if char.isalnum())
        now = self.store.now()
        for device in self.store.devices.values():
            if device.user_code.replace("-", "") == plain and now < device.expires_at:
                return device if device.allowed is None else None
        return None

    def _app(self, client_id: str) -> str:
        client = self.authority.clients.get(client_id)
        return client.title if client else client_id

    # --- who is signed in at this provider in this browser --------------------------------------------------

    def _visitor(self) -> Person | None:
        cookie = request.cookies.get(COOKIE)
        return PEOPLE.get(self.store.visits.get(digest(cookie), "")) if cookie else None

    def _remember(self, page: str, person: Person) -> Response:
        cookie = secrets.token_urlsafe(24)
        old = request.cookies.get(COOKIE)
        if old:
            self.store.visits.pop(digest(old), None)
        self.store.visits[digest(cookie)] = person.id
        self.store.save()
        response = Response(page)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="Lax", path="/")
        return response

    def sign_out(self) -> Any:
        """RP-initiated logout, without a return address: the browser's sign-in ends, grants stay."""
        if request.method == "GET":
            return render_template("sign_out.html", person=self._visitor())
        if refused := self._foreign():
            return refused
        cookie = request.cookies.get(COOKIE)
        if cookie and self.store.visits.pop(digest(cookie), None):
            self.store.save()
        response = Response(
            self._message("Signed out", "This browser is signed out. Connected apps stay connected.")
        )
        response.delete_cookie(COOKIE, path="/")
        return response

    # --- the playground -------------------------------------------------------------------------------------

    def playground(self) -> Any:
        """GET /: who is connected, and the switches for trouble."""
        families = sorted(self.store.families.values(), key=lambda f: -f.created_at)
        return render_template(
            "playground.html",
            people=[
                (person, [f for f in families if f.person == person.id and f.ended is None])
                for person in PEOPLE.values()
            ],
            ended=[(f, PEOPLE[f.person], ENDED_WORDS[f.ended]) for f in families if f.ended][:5],
            app_title=self._app,
            settings=self.settings,
            counters=self.settings.counters,
            lifetimes=LIFETIMES,
            slow_seconds=int(SLOW_SECONDS),
            live=request.args.get("live") == "1",
            issuer=self.settings.issuer,
            keyfob=KEYFOB.client_id,
        )

    def action(self, action: str) -> Any:
        """POST /playground/…: one button of the playground."""
        if refused := self._foreign():
            return refused
        match action:
            case "revoke":
                family = self.store.families.get(request.form.get("family", ""))
                if family is not None:
                    self.store.end(family, "revoked")
                    self.store.save()
            case "sign-out-everywhere":
                self.sign_out_everywhere(request.form.get("person", ""))
            case "expire":
                family = self.store.families.get(request.form.get("family", ""))
                if family is not None:
                    family.access.clear()
                    self.store.save()
            case "slow":
                self.settings.slow = not self.settings.slow
            case "down":
                self.settings.down = not self.settings.down
            case "lifetime":
                wanted = request.form.get("seconds", "")
                if wanted.isdecimal() and int(wanted) in LIFETIMES:
                    self.settings.access_lifetime = int(wanted)
            case _:
                return Response("Not found.\n", 404, mimetype="text/plain")
        return redirect("/?live=1" if request.args.get("live") == "1" else "/", 303)

    def sign_out_everywhere(self, person: str) -> int:
        """End all of a user's grants and browser sign-ins; returns how many grants. Takes the lock."""
        with self.store.lock:
            ended = [f for f in self.store.families.values() if f.person == person and f.ended is None]
            for family in ended:
                self.store.end(family, "signed_out")
            self.store.visits = {key: who for key, who in self.store.visits.items() if who != person}
            self.store.save()
        return len(ended)

    # --- common ---------------------------------------------------------------------------------------------

    def _foreign(self) -> Any:
        """The refusal of a form that did not come from our own page, or None."""
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site")
        if origin == self.settings.issuer or (origin is None and site == "same-origin"):
            return None
        return self._message(
            "Request refused", "This form did not come from one of this server's pages.", 403
        )

    def _message(self, title: str, text: str, status: int = 200, good: bool = False) -> Any:
        page = render_template("message.html", title=title, text=text, good=good)
        return Response(page, status) if status != 200 else page
