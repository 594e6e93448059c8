"""An authorization server of others for the tests: PyPI `authlib`, with PKCE, rotation and revocation.

It takes secrets in the body alone, prints the port that it listens on, agrees to everything in the name of one person, and
ends when its input does.
"""

import os
import sys
import threading
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
SECRET = "s3cret & of a client"
CODES, TOKENS = {}, []


class Client:
    client_id = "us"
    scope = "files:read files:write"

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        # Less than was asked for.
        return "files:read" if scope else ""

    def check_redirect_uri(self, uri):
        return uri == "http://127.0.0.1:7777/callback"

    def check_client_secret(self, secret):
        return secret == SECRET

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_post"

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in ("authorization_code", "refresh_token")


CLIENT = Client()


class Kept(dict):
    """A code or a token, with what authlib asks of either."""

    def get_redirect_uri(self):
        return self["redirect_uri"]

    def get_scope(self):
        return self["scope"]

    def check_client(self, client):
        return client is CLIENT

    def get_expires_in(self):
        return self["expires_in"]

    def is_expired(self):
        return self["made"] + self["expires_in"] < time.time()

    def is_revoked(self):
        return self["revoked"]

    def get_user(self):
        return "somebody"

    def get_client(self):
        return CLIENT

    def __getattr__(self, name):
        return self.get(name)


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_post"]

    def save_authorization_code(self, code, request):
        data = request.payload.data
        CODES[code] = Kept(
            redirect_uri=request.payload.redirect_uri,
            scope=request.payload.scope,
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"),
        )

    def query_authorization_code(self, code, client):
        return CODES.get(code)

    def delete_authorization_code(self, code):
        CODES.clear()

    def authenticate_user(self, code):
        return "somebody"


class RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_post"]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, token):
        live = (it for it in TOKENS if not it["revoked"])
        return next((it for it in live if it["refresh_token"] == token), None)

    def authenticate_user(self, token):
        return "somebody"

    def revoke_old_credential(self, token):
        token["revoked"] = True


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = ["client_secret_post"]

    def query_token(self, text, hint):
        return next((it for it in TOKENS if text in (it["access_token"], it["refresh_token"])), None)

    def revoke_token(self, token, request):
        token["revoked"] = True


app = Flask(__name__)
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
server = AuthorizationServer(
    app,
    query_client=lambda id: CLIENT if id == CLIENT.client_id else None,
    save_token=lambda token, request: TOKENS.append(
        Kept(token, made=time.time(), revoked=False, refresh_token=token.get("refresh_token"))
    ),
)
server.register_grant(CodeGrant, [CodeChallenge(required=True)])
server.register_grant(RefreshGrant)
server.register_endpoint(Revocation)


@app.get("/.well-known/oauth-authorization-server")
def metadata():
    origin = request.host_url.rstrip("/")
    return jsonify(
        issuer=origin,
        authorization_endpoint=f"{origin}/authorize",
        token_endpoint=f"{origin}/token",
        revocation_endpoint=f"{origin}/revoke",
        token_endpoint_auth_methods_supported=["client_secret_post"],
        code_challenge_methods_supported=["S256"],
    )


@app.get("/authorize")
def authorize():
    return server.create_authorization_response(grant_user="somebody")


@app.post("/token")
def token():
    return server.create_token_response()


@app.post("/revoke")
def revoke():
    return server.create_endpoint_response("revocation")


def watch():
    sys.stdin.read()
    os._exit(0)


listener = make_server("127.0.0.1", 0, app)
threading.Thread(target=watch, daemon=True).start()
print(listener.port, flush=True)
listener.serve_forever()
