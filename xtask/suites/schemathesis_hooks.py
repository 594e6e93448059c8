"""What Schemathesis cannot guess: things that exist, in the state that an operation needs.

Every second valid request is aimed at things that are made for it; the others go out as they were generated. At the end
a tally of all answers is written: an operation that never succeeded was not really tested.
"""

import atexit
import itertools
import json
import os
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from secrets import token_urlsafe
from urllib.parse import parse_qs, urlsplit

import requests
import schemathesis

URL, KEY = os.environ["LINKSPAN_URL"], os.environ["LINKSPAN_API_KEY"]

# Where the tests' PostgreSQL is.
POSTGRES = os.environ.get("LINKSPAN_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")

COUNTER = itertools.count()
TALLY = Counter()
TURNS = Counter()


def forwarding(send):
    """Has every request come from another address, as through a proxy, and every wrong key be another one.

    The API keeps an address waiting that tries wrong keys, and whoever tries keys that begin alike.
    """

    def forward(session, request, **kwargs):
        request.headers["X-Forwarded-For"] = str(ip_address(next(ADDRESSES)))
        if request.headers.get("Authorization") not in (None, f"Bearer {KEY}"):
            request.headers["Authorization"] = f"Bearer {token_urlsafe()}"
        return send(session, request, **kwargs)

    return forward


ADDRESSES = itertools.count(int(ip_address("10.0.0.0")))
requests.Session.send = forwarding(requests.Session.send)

SESSION = requests.Session()
SESSION.headers["Authorization"] = f"Bearer {KEY}"


def send(method, path, body=None):
    answer = SESSION.request(method, f"{URL}/v1/{path}", json=body, timeout=30)
    assert answer.ok, f"{method} {path} was refused: {answer.text}"
    return answer.json()["data"]["id"] if answer.content else None


def upload(rows="1,Ada\n2,Grace\n"):
    """Uploads a file and returns what the server says of it."""
    headers = {"Content-Type": "text/csv"}
    answer = SESSION.post(f"{URL}/v1/files?name=people.csv", data=f"id,name\n{rows}", headers=headers, timeout=30)
    assert answer.ok, f"the upload was refused: {answer.text}"
    return answer.json()["data"]


# A file for connectors to read.
SETTINGS = {"path": upload()["attributes"]["path"]}

DIAGNOSTICS = []
ENTITIES = []

MAPPING = {"target_model": "people", "expression": "{ \"external_id\": $string(id), \"full_name\": name }"}

SCHEDULE = {"interval_secs": 86400, "mode": "full"}


def unique(word):
    return f"{word}-{os.getpid()}-{next(COUNTER)}"


def make(kind):
    """Makes a thing and returns its identifier."""
    singular = "person" if kind == "people" else kind[:-1].replace("-", "_")
    return send("POST", kind, {"data": {"type": singular, "attributes": FRESH[kind]()}})


def run():
    """Starts a sync and returns the identifier of its log."""
    return send("POST", f"workspace-connectors/{make('workspace-connectors')}/syncs")


def over(log):
    """Waits until a run is over."""
    for _ in range(100):
        answer = SESSION.get(f"{URL}/v1/workspace-connector-sync-logs/{log}", timeout=30).json()
        if answer["data"]["attributes"]["status"] in ("success", "error"):
            return
        time.sleep(0.1)


def broken():
    """Syncs what is not there any more, points the activation at what is, and returns the run that broke off."""
    gone = upload()
    attributes = FRESH["workspace-connectors"]() | {"config": {"path": gone["attributes"]["path"]}}
    activation = send("POST", "workspace-connectors", {"data": {"type": "workspace_connector", "attributes": attributes}})
    send("DELETE", f"files/{gone['id']}")
    log = send("POST", f"workspace-connectors/{activation}/syncs")
    over(log)
    data = {"type": "workspace_connector", "id": activation, "attributes": {"config": SETTINGS}}
    send("PATCH", f"workspace-connectors/{activation}", {"data": data})
    return log


def nowhere():
    """A secret that does not work."""
    return {"connection_string": f"postgres://{unique('role')}@127.0.0.1:1/none"}


def secretive():
    """Makes an activation with a secret that works, and rotates to one that does not. Returns what names both in a path."""
    kind = {"connector_type": "postgresql", "category_id": "test", "provider": "well", "status": "available"}
    attributes = kind | {"name": unique("connector"), "service_id": unique("service")}
    connector = send("POST", "connectors", {"data": {"type": "connector", "attributes": attributes}})
    config = {"connection_string": POSTGRES}
    attributes = {"connector_id": connector, "name": unique("activation"), "config": config}
    body = {"data": {"type": "workspace_connector", "attributes": attributes}}
    activation = send("POST", "workspace-connectors", body)
    send("POST", f"workspace-connectors/{activation}/rotate", {"config": nowhere(), "force_save": True})
    listed = f"{URL}/v1/workspace-connectors/{activation}/secret-history?filter[state]=inactive"
    return {"id": activation, "history_id": SESSION.get(listed, timeout=30).json()["data"][0]["id"]}


def diagnose():
    """Syncs what has no records, and returns the identifier of what is noticed then."""
    if not DIAGNOSTICS:
        attributes = FRESH["workspace-connectors"]() | {"config": {"path": upload(rows="")["attributes"]["path"]}}
        body = {"data": {"type": "workspace_connector", "attributes": attributes}}
        activation = send("POST", "workspace-connectors", body)
        send("POST", f"workspace-connectors/{activation}/syncs")
        listed = f"{URL}/v1/connector-sync-diagnostics?filter[workspace_connector_id]={activation}"
        for _ in range(100):
            DIAGNOSTICS.extend(it["id"] for it in SESSION.get(listed, timeout=30).json()["data"])
            if DIAGNOSTICS:
                break
            time.sleep(0.1)
    return DIAGNOSTICS[0]


def synced():
    """Syncs an activation, and returns what names one of its streams in a path."""
    identifier = make("workspace-connectors")
    over(send("POST", f"workspace-connectors/{identifier}/syncs"))
    streams = SESSION.get(f"{URL}/v1/workspace-connectors/{identifier}/streams", timeout=30).json()
    return {"id": identifier, "stream": streams["data"][0]["id"]}


def entity():
    """Maps what a sync reads, and returns the identifier of an entity that is made then."""
    if not ENTITIES:
        activation = make("workspace-connectors")
        stream = SESSION.get(f"{URL}/v1/workspace-connectors/{activation}/models", timeout=30).json()["data"][0]["id"]
        attributes = MAPPING | {"workspace_connector_id": activation, "stream": stream}
        send("POST", "connector-mappings", {"data": {"type": "connector_mapping", "attributes": attributes}})
        send("POST", f"workspace-connectors/{activation}/syncs")
        listed = f"{URL}/v1/entities?filter[workspace_connector_id]={activation}"
        for _ in range(100):
            ENTITIES.extend(it["id"] for it in SESSION.get(listed, timeout=30).json()["data"])
            if ENTITIES:
                break
            time.sleep(0.1)
    return ENTITIES[0]


# The attributes of new things, by their collection.
FRESH = {
    "api-keys": lambda: {"name": unique("key"), "permissions": ["connector:read"]},
    "connectors": lambda: {
        "name": unique("connector"),
        "provider": "well",
        "category_id": "test",
        "service_id": unique("service"),
        "connector_type": "csv",
        "status": "available",
    },
    "connector-mappings": lambda: MAPPING
    | {"workspace_connector_id": make("workspace-connectors"), "stream": "people"},
    "connector-filters": lambda: {"connector_id": make("connectors"), "config": {"name": {"_eq": "Ada"}}},
    "people": lambda: {"name": "Ada", "email": f"{unique('ada')}@example.com", "role": "analyst"},
    "provider-connectors": lambda: {"provider_id": make("providers"), "connector_id": make("connectors")},
    "providers": lambda: {"name": unique("provider"), "slug": unique("provider")},
    "workspace-connectors": lambda: {
        "connector_id": make("connectors"),
        "name": unique("activation"),
        "config": SETTINGS,
    },
    "workspace-connector-sync-targets": lambda: {
        "workspace_connector_id": make("workspace-connectors"),
        "target_workspace_id": make("workspaces"),
    },
    "workspaces": lambda: {"name": unique("workspace"), "slug": unique("workspace")},
}

# What a body of these operations has to refer to, or to say.
NEEDED = {
    "create_api_key": {"permissions": ["connector:read"], "workspaces": [], "person_id": None, "expires_at": None},
    "create_connector": {"connector_type": "csv"},
    "create_connector_mapping": {"status": "active"},
    "bootstrap_workspace_connector": {"person_id": None, "streams": []},
    "create_connector_filter": {"workspace_id": None, "template": False},
    "create_person": {"workspaces": []},
    "create_workspace": {"parent_id": None},
    "create_workspace_connector": {"person_id": None, "streams": []},
    "update_connector_mapping": {"expression": "{ \"external_id\": $string(id) }"},
    "update_person": {"workspaces": []},
    "update_workspace": {"parent_id": None},
    "update_workspace_connector": {"person_id": None, "config": SETTINGS, "status": "disabled", "streams": []},
}
REFERRING = {
    "bootstrap_workspace_connector",
    "create_connector_filter",
    "create_connector_mapping",
    "create_provider_connector",
    "create_workspace_connector",
    "create_workspace_connector_sync_target",
}


PLACEABLE = {*FRESH, "connector-sync-diagnostics", "entities", "files", "key-rotations", "workspace-connector-sync-logs"}


class Provider(BaseHTTPRequestHandler):
    """Gives tokens to whoever asks."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        tokens = {"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 3600}
        body = json.dumps(tokens).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


PROVIDER = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=PROVIDER.serve_forever, daemon=True).start()


def agreeable(slug=None):
    """Makes an activation whose provider has a person agree, and returns its identifier."""
    provider = f"http://127.0.0.1:{PROVIDER.server_port}"
    endpoints = {name: f"{provider}/{name}" for name in ("authorization_endpoint", "token_endpoint")}
    attributes = FRESH["connectors"]() | {
        "slug": slug or unique("provider"),
        "authorization_flow": "oauth-manual",
        "auth_config": {"oauth_config": endpoints},
    }
    connector = send("POST", "connectors", {"data": {"type": "connector", "attributes": attributes}})
    attributes = FRESH["workspace-connectors"]() | {"connector_id": connector}
    return send("POST", "workspace-connectors", {"data": {"type": "workspace_connector", "attributes": attributes}})


def asked(slug=None):
    """Begins to send a person to a provider, and returns the ticket of the link that they are given."""
    path = f"{URL}/v1/workspace-connectors/{agreeable(slug)}/authorize"
    answer = SESSION.post(path, json={"client_id": "linkspan"}, timeout=30)
    assert answer.ok, f"nobody could be asked: {answer.text}"
    return parse_qs(urlsplit(answer.json()["url"]).query)["ticket"][0]


def away(slug=None):
    """Sends a person to a provider. Returns what they come back with, and the cookie of their browser."""
    answer = requests.get(f"{URL}/v1/oauth/start", params={"ticket": asked(slug)}, allow_redirects=False, timeout=30)
    assert answer.status_code == 303, f"nobody was sent: {answer.text}"
    state = parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]
    return {"state": state, "code": "agreed"}, answer.headers["Set-Cookie"].partition(";")[0]


def installable():
    """What names, in a path, a connector whose provider knows us, and the workspace that callers act in."""
    slug = unique("provider")
    query, cookie = away(slug)
    answer = requests.get(f"{URL}/v1/oauth/callback", params=query, headers={"Cookie": cookie}, timeout=30)
    assert answer.ok, f"nothing was connected: {answer.text}"
    main = SESSION.get(f"{URL}/v1/workspaces?filter[slug]=main", timeout=30).json()["data"][0]["id"]
    return {"id": main, "slug": slug}


def place(kind, action):
    """The identifier of a thing to which `action` can be done."""
    if action == "authorize":
        return agreeable()
    if kind == "workspace-connector-sync-logs":
        return broken() if action == "resume" else run()
    if kind == "connector-sync-diagnostics":
        return diagnose()
    if kind == "entities":
        return entity()
    if kind == "key-rotations":
        return send("POST", "keys/rotate")
    identifier = upload()["id"] if kind == "files" else make(kind)
    if action in ("restore", "purge"):
        send("DELETE", f"{kind}/{identifier}")
    if action == "schedule":
        send("PUT", f"{kind}/{identifier}/schedule", SCHEDULE)
    return identifier


def aim_body(case, operation, kind):
    if operation in ("revert_connector_mapping", "try_connector_mapping", "suggest_mappings"):
        draft = MAPPING | {"records": [{"id": 1, "name": "Ada"}]}
        bodies = {"revert_connector_mapping": {"version": 1}, "try_connector_mapping": draft}
        case.body = bodies.get(operation, {"target_models": ["people"]})
        return
    if operation == "rotate_credentials":
        case.body = {"config": nowhere(), "force_save": True}
        return
    if operation == "roll_back_credentials":
        case.body = {"reason": "it worked"}
        return
    if operation == "authorize_workspace_connector":
        case.body = {"client_id": "linkspan"}
        return
    if operation == "set_stream_cursor":
        case.body = {"cursor_after": None}
        return
    if operation in ("test_draft", "test_workspace_connector", "start_sync", "set_schedule"):
        draft = {"connector_id": make("connectors"), "config": SETTINGS}
        bodies = {"test_draft": draft, "start_sync": {"mode": "full"}, "set_schedule": SCHEDULE}
        case.body = bodies.get(operation, {"config": SETTINGS})
        return
    if operation == "query_records":
        case.body = {"where": {"name": {"_like": "A%"}}, "include_deleted": True}
        return
    if operation == "query_entities":
        case.body = {"model": "people", "where": {"full_name": {"_like": "A%"}}, "include_deleted": True}
        return
    if "data" not in case.body:
        # There is nothing to say.
        return
    data = case.body["data"]
    if "id" in data:
        data["id"] = case.path_parameters.get("id", data["id"])
    if set(data) <= {"type", "id"} and operation not in NEEDED and operation not in REFERRING:
        return
    attributes = data.setdefault("attributes", {})
    attributes |= {name: it for name, it in NEEDED.get(operation, {}).items() if name in attributes}
    if operation in REFERRING:
        attributes |= FRESH[kind]()
    if operation == "bootstrap_workspace_connector":
        attributes["schedule"] = SCHEDULE
    # What is said twice has to agree.
    data.pop("relationships", None)


@schemathesis.hook
def before_call(context, case, kwargs):
    # Where people are sent is none of the document's business.
    kwargs["allow_redirects"] = False
    operation = case.operation.definition.raw["operationId"]
    _, _, kind, *rest = case.operation.path.split("/") + [None]
    if not case.meta or not case.meta.generation.mode.is_positive:
        return
    if case.meta.phase.name.value == "stateful":
        # The thing is known from the step before; only its body is not.
        if case.operation.body and isinstance(case.body, dict):
            aim_body(case, operation, kind)
        return
    TURNS[operation] += 1
    if TURNS[operation] % 2 == 0:
        return
    if "id" in case.path_parameters and kind in PLACEABLE and operation != "access_connector":
        case.path_parameters["id"] = place(kind, rest[-2])
    if case.query:
        # A cursor is nothing that could be made up.
        case.query.pop("page[after]", None)
        case.query.pop("page[before]", None)
    if "stream" in case.path_parameters:
        case.path_parameters |= synced()
    if operation == "rotate_credentials":
        case.path_parameters["id"] = secretive()["id"]
    if operation == "access_connector":
        case.path_parameters |= installable()
        case.query = {}
    if operation == "complete_authorization":
        case.query, cookie = away()
        case.headers = (case.headers or {}) | {"Cookie": cookie}
    if operation in ("start_authorization", "show_authorization", "cancel_authorization"):
        case.query = {"ticket": asked()}
    if "history_id" in case.path_parameters:
        case.path_parameters |= secretive()
    if operation == "list_quarantined_records":
        case.query = {"filter[workspace_connector_id]": make("workspace-connectors"), "filter[stream]": "people"}
    if "key" in case.path_parameters:
        case.path_parameters["key"] = "people" if kind == "target-models" else "csv"
    if case.headers and "If-Match" in case.headers:
        case.headers["If-Match"] = "*"
    if case.operation.body and isinstance(case.body, dict):
        aim_body(case, operation, kind)


@schemathesis.hook
def after_call(context, case, response):
    TALLY[case.operation.definition.raw["operationId"], response.status_code] += 1


@atexit.register
def tell():
    with open(os.environ["LINKSPAN_TALLY"], "w", encoding="utf-8") as tally:
        for (operation, status), count in sorted(TALLY.items()):
            print(operation, status, count, file=tally)
