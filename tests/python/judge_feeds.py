"""Others' tools judge the feeds of a server: schema.org's vocabulary and a JSON-LD processor the product,
a client of endoflife.date's API that API's shape, CSAF's own validator the advisories and their provider,
a client of the Transparency Exchange API the CLE document, a YANG parser the MUD file, a checker of
security.txt that file. No program that reads OpenEoX is to be had; JSON Schema judges it by what the
specification says.

Usage: judge_feeds.py SERVER MODEL ENDS
Ends with an error if anything is wrong.
"""

import asyncio
import csv
import datetime
import enum
import io
import json
import subprocess
import sys
import tempfile
import typing
import urllib.request
from pathlib import Path

import aiohttp
import jsonschema
import pydantic
import schema_org
from csaf._distribute import validate_feed
from csaf.csaf.v21._validator import validate
from eoltracker.api import EOLClient
from libtea.models import CLE, CLEEventType
from pyld import jsonld
from sectxt import Parser

VOCABULARY = {"@context": {"@vocab": "https://schema.org/", "id": "@id", "type": "@type"}}


def get(server, path):
    with urllib.request.urlopen(server + path) as answer:
        return answer.read()


def build(thing):
    """A thing of schema.org's, made by its vocabulary, which refuses unknown properties and values."""
    if isinstance(thing, list):
        return [build(one) for one in thing]
    if not isinstance(thing, dict):
        return thing
    kind = getattr(schema_org, thing["@type"])
    names = {field.alias: name for name, field in kind.model_fields.items()}
    fields = {}
    for key, value in thing.items():
        if not key.startswith("@"):
            assert key in names, f"schema.org's {thing['@type']} has no property {key}"
            fields[names[key]] = typed(kind.model_fields[names[key]], build(value))
    return kind(**fields)


def typed(field, value):
    """Days and members of enumerations as what they are."""
    for kind in kinds(field.annotation):
        if isinstance(value, str) and kind is datetime.date:
            return datetime.date.fromisoformat(value)
        if isinstance(value, str) and issubclass(kind, enum.Enum):
            return next((member for member in kind if str(member.value).endswith(value)), value)
    return value


def kinds(annotation):
    """The classes that an annotation is made of."""
    parts = typing.get_args(annotation)
    if not parts:
        return [annotation] if isinstance(annotation, type) else []
    return [kind for part in parts for kind in kinds(part)]


def judge_product(server, model, ends):
    product = json.loads(get(server, f"/p/{model}/product.jsonld"))
    build(product)
    jsonld.set_document_loader(
        lambda url, options: {"contextUrl": None, "documentUrl": url, "document": VOCABULARY})
    (expanded,) = jsonld.expand(product)
    assert expanded["@type"] == ["https://schema.org/ProductModel"], expanded
    until = [
        one["https://schema.org/value"][0]["@value"]
        for one in expanded["https://schema.org/additionalProperty"]
        if one["https://schema.org/propertyID"][0]["@value"] == "securityUpdatesUntil"
    ]
    assert until == [ends], until
    quads = jsonld.to_rdf(product)["@default"]
    assert len(quads) > 20, "what a processor makes no sense of is dropped"
    try:
        build({**product, "supportedUntil": ends})
    except AssertionError:
        return
    sys.exit("the vocabulary lets anything pass")


async def judge_endoflife(server, model, ends):
    async with aiohttp.ClientSession() as session:
        client = EOLClient(session)
        base = f"{server}/feeds/endoflife/v1/products/{model}"
        found = await client.fetch_all(f"{base}/releases/latest")
        assert (found["release"]["eolFrom"], found["release"]["isEol"]) == (ends, False), found
        assert found["product"]["name"] == model, found


def judge_table(server, ends):
    rows = list(csv.reader(io.StringIO(get(server, "/feeds/retailers.csv").decode(), newline=""), strict=True))
    assert len(rows) > 1 and all(len(row) == len(rows[0]) for row in rows), rows
    assert rows[1][rows[0].index("security_updates_until")] == ends


def judge_advisories(server):
    """Follows a reader's way: security.txt, the provider, its feed, each document."""
    here = lambda url: get(server, url.removeprefix(server))
    text = get(server, "/.well-known/security.txt").decode()
    (url,) = [line.removeprefix("CSAF: ") for line in text.splitlines() if line.startswith("CSAF: ")]
    provider = json.loads(here(url))
    judge_provider(provider)
    feed = json.loads(here(provider["distributions"][0]["rolie"]["feeds"][0]["url"]))["feed"]
    assert feed["entry"], "there is no advisory to judge"
    for entry in feed["entry"]:
        document = json.loads(here(entry["content"]["src"]))
        report = validate(document, path=entry["content"]["src"].rsplit("/", 1)[1])
        assert report.overall_valid, [result for result in report.results if "FAIL" in str(result).upper()]
        broken = json.loads(json.dumps(document))
        del broken["document"]["tracking"]
        assert not validate(broken).overall_valid, "the validator lets anything pass"


def judge_security_txt(server):
    """By RFC 9116. The address of a server under test is none of HTTPS, which it asks for."""
    place = "/.well-known/security.txt"
    over_https = lambda text: text.replace("http://", "https://")
    text = over_https(get(server, place).decode())

    def faults(text):
        return {fault["code"] for fault in Parser(text.encode(), urls=over_https(server) + place).errors}

    assert not faults(text), faults(text)
    without = lambda field: "".join(line for line in text.splitlines(True) if not line.startswith(field))
    for broken, code in (
        (without("Contact:"), "no_contact"),
        (without("Expires:"), "no_expire"),
        (without("Expires:") + "Expires: 2020-01-01T00:00:00Z\n", "expired"),
        (text.replace("Canonical: https://", "Canonical: https://other."), "no_canonical_match"),
    ):
        assert faults(broken) == {code}, f"{faults(broken)} is found where {code} is wrong"


def judge_provider(provider):
    """By CSAF's published schema. The address of a server under test is none of HTTPS, which it asks for."""
    over_https = json.dumps(provider).replace('"http://', '"https://')
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        for text, is_good in ((over_https, True), (over_https.replace("csaf_provider", "csaf_seller"), False)):
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()
            assert validate_feed(file.name, "provider")[0] == is_good, validate_feed(file.name, "provider")


def judge_openeox(server, model, ends):
    """By the fields of OpenEoX Core 1.0 (CSD01)."""
    instant = {"type": "string", "format": "date-time"}
    stages = ["end_of_life", "end_of_sales", "end_of_security_support", "general_availability"]
    schema = {
        "type": "object",
        "properties": {
            "$schema": {"const": "https://docs.oasis-open.org/openeox/v1.0/schema/core.json"},
            "last_updated": instant,
            **{stage: {"anyOf": [instant, {"const": "tba"}]} for stage in stages},
        },
        "required": ["$schema", "end_of_life", "end_of_security_support", "last_updated"],
        "additionalProperties": False,
    }
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    document = json.loads(get(server, f"/p/{model}/openeox.json"))
    validator.validate(document)
    assert document["end_of_security_support"].startswith(ends), document
    for broken in ({**document, "fingerprint": "x"}, {**document, "end_of_life": "two years"}):
        assert not validator.is_valid(broken), "the schema lets anything pass"


def judge_cle(server, model, ends):
    document = json.loads(get(server, f"/p/{model}/cle.json"))
    read = CLE.model_validate(document)
    last = max((event for event in read.events if event.type == CLEEventType.END_OF_SUPPORT), key=lambda event: event.id)
    assert last.effective.date().isoformat() == ends, read
    assert last.support_id in [policy.id for policy in read.definitions.support], read
    del document["events"][0]["effective"]
    try:
        CLE.model_validate(document)
    except pydantic.ValidationError:
        return
    sys.exit("the client lets anything pass")


def judge_mud(server, model):
    """By RFC 8520's modules, which pyang brings; RFC 9472's extension is not among them."""
    modules = Path(sys.prefix) / "share/yang/modules/ietf"

    def is_valid(mud):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"ietf-mud:mud": mud}, file)
            file.flush()
            judge = ["yanglint", "-p", str(modules), str(modules / "ietf-mud.yang"), "-t", "data", file.name]
            return subprocess.run(judge, capture_output=True).returncode == 0

    mud = json.loads(get(server, f"/p/{model}/mud.json"))["ietf-mud:mud"]
    assert mud.pop("ietf-mud-transparency:transparency"), "the way to the list of parts is missing"
    assert is_valid(mud), mud
    unsaid = {name: value for name, value in mud.items() if name != "is-supported"}
    for broken in (unsaid, {**mud, "cache-validity": 500}, {**mud, "supported-until": "2033"}):
        assert not is_valid(broken), "the modules let anything pass"


def main(server, model, ends):
    judge_product(server, model, ends)
    asyncio.run(judge_endoflife(server, model, ends))
    judge_table(server, ends)
    judge_openeox(server, model, ends)
    judge_cle(server, model, ends)
    judge_mud(server, model)
    judge_security_txt(server)
    judge_advisories(server)
    print("good")


if __name__ == "__main__":
    main(*sys.argv[1:])
