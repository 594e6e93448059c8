"""Reads and writes with jsonapi-client, a JSON:API client that knows nothing of Linkspan.

    python jsonapi_client_suite.py http://127.0.0.1:8787 lsk_...
"""

import logging
import sys
import uuid

from jsonapi_client import Filter, Inclusion, Modifier, Session
from jsonapi_client.exceptions import DocumentError
from requests.exceptions import JSONDecodeError

URL, KEY = sys.argv[1:]

# The client wants to know which fields of a type are relationships before it writes one.
SCHEMA = {
    "workspace_connector": {
        "properties": {
            "name": {"type": "string"},
            "config": {"type": "object", "properties": {}},
            "connector": {"relation": "to-one", "resource": ["connector"]},
        }
    }
}

# It warns of every attribute that the schema above leaves out.
logging.getLogger("jsonapi_client").setLevel(logging.ERROR)

ACTIVATIONS = f"{URL}/v1/workspace-connectors"


def session():
    headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/vnd.api+json"}
    return Session(f"{URL}/v1", schema=SCHEMA, request_kwargs={"headers": headers, "timeout": 30})


def status_of(call):
    """The status of a call that must be refused."""
    try:
        call()
    except DocumentError as error:
        return error.errors["status_code"]
    raise AssertionError("the call was not refused")


def connector_of(api, service):
    resources = api.get("connectors", Filter(f"filter[service_id]={service}")).resources
    assert len(resources) == 1, resources
    return resources[0]


def activate(api, service, name):
    fields = {"name": name, "config": {}, "connector": connector_of(api, service)}
    activation = api.create("workspace_connector", fields=fields)
    # Left alone, the client would post to a path that is spelled like the type.
    activation.commit(ACTIVATIONS)
    return activation


def delete(resource):
    resource.delete()
    try:
        resource.commit()
    except JSONDecodeError:
        # The client parses every body, even the empty one of a 204.
        pass


def a_list_is_walked_page_by_page():
    api = session()
    first = api.get("connectors", Modifier("page[size]=50"))
    assert len(first.resources) == 50
    resources = list(first.iterator())
    total = first.meta.page["total"]
    assert total >= 290, total
    assert len({it.id for it in resources}) == len(resources) == total
    assert {it.type for it in resources} == {"connector"}


def filters_narrow():
    found = session().get("connectors", Filter("filter[transport]=mcp&filter[provider]=well&page[size]=500"))
    assert len(found.resources) >= 130, len(found.resources)
    assert {it["transport"] for it in found.resources} == {"mcp"}


def what_is_unknown_is_refused():
    assert status_of(lambda: session().get("connectors", Filter("filter[colour]=red"))) == 400
    assert status_of(lambda: session().get("connectors", str(uuid.uuid4()))) == 404


def an_activation_is_written_and_read_back():
    api = session()
    name = f"jsonapi-client {uuid.uuid4()}"
    activation = activate(api, "delay", name)
    assert activation.id
    assert activation.url == f"{ACTIVATIONS}/{activation.id}", activation.url

    reader = session()
    document = reader.get("workspace-connectors", Modifier(f"filter[name]={name}") + Inclusion("connector"))
    read = document.resource
    assert read.id == activation.id
    assert [it["service_id"] for it in document.included] == ["delay"]
    assert read.relationships["connector"].resource.id == document.included[0].id

    read["name"] = f"{name}, renamed"
    read.commit()
    assert session().get("workspace-connectors", read.id).resource["name"] == f"{name}, renamed"

    delete(read)
    assert status_of(lambda: session().get("workspace-connectors", activation.id)) == 404


def two_activations_cannot_share_a_name():
    api = session()
    name = f"twin {uuid.uuid4()}"
    first = activate(api, "delay", name)
    assert status_of(lambda: activate(session(), "delay", name)) == 409
    delete(first)


def a_wrong_key_is_refused():
    api = Session(f"{URL}/v1", request_kwargs={"headers": {"Authorization": "Bearer lsk_wrong"}})
    assert status_of(lambda: api.get("connectors")) == 401


SUITE = [
    a_list_is_walked_page_by_page,
    filters_narrow,
    what_is_unknown_is_refused,
    an_activation_is_written_and_read_back,
    two_activations_cannot_share_a_name,
    a_wrong_key_is_refused,
]

for check in SUITE:
    promise = check.__name__.replace("_", " ")
    try:
        check()
    except DocumentError as error:
        answer = getattr(error.response, "text", "")
        raise SystemExit(f"not ok - {promise}: {error}\n{answer}") from error
    print(f"ok - {promise}", flush=True)
