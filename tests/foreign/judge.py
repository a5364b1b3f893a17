#!/usr/bin/env python3
"""Judges recorded calls of a bot: JSON lines with `method`, `params` and perhaps `files`.

Each call is validated with aiogram's models of the Bot API and with the rules that the models do not know: lengths and
entity bounds in UTF-16 units, buttons, texts that are there. Prints every offending call; ends with 1 if there is one,
with 2 if there is nothing to judge.
"""

import json
import sys

import aiogram.methods
from aiogram.types import InlineKeyboardMarkup, TelegramObject
from pydantic import ValidationError

# Which texts a method carries: name, name of its entities, most UTF-16 units, whether it must be there.
TEXTS = {
    "sendMessage": ("text", "entities", 4096, True),
    "editMessageText": ("text", "entities", 4096, True),
    "sendMessageDraft": ("text", "entities", 4096, False),
    "sendDocument": ("caption", "caption_entities", 1024, False),
    "sendPhoto": ("caption", "caption_entities", 1024, False),
    "editMessageCaption": ("caption", "caption_entities", 1024, False),
    "answerCallbackQuery": ("text", None, 200, False),
}
# Fields that carry a file: it may come as a part of the request.
FILES = {"sendDocument": "document", "sendPhoto": "photo"}
ACTIONS = (
    "callback_data", "url", "copy_text", "web_app", "login_url", "switch_inline_query",
    "switch_inline_query_current_chat", "switch_inline_query_chosen_chat", "callback_game", "pay",
)
FENCES = ("pre", "code")


def units(text):
    """Length in UTF-16 units. Lone surrogates count, they are found elsewhere."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def strings(value):
    """Every string inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def unknown_fields(value, path):
    """Fields that the models do not have, at any depth."""
    if isinstance(value, (TelegramObject, aiogram.methods.TelegramMethod)):
        for name in value.model_extra or {}:
            yield f"unknown field {path}{name}"
        for name in type(value).model_fields:
            yield from unknown_fields(getattr(value, name), f"{path}{name}.")
    elif isinstance(value, list):
        for item in value:
            yield from unknown_fields(item, path)


def entity_faults(text, entities):
    """What is wrong with the entities of a text."""
    if len(entities) > 100:
        yield f"{len(entities)} entities, Telegram ignores those beyond 100"
    total = units(text)
    # Offsets that begin a character, or end the text.
    starts, at = {total}, 0
    for character in text:
        starts.add(at)
        at += units(character)
    spans = []
    for entity in entities:
        kind, offset, length = entity["type"], entity["offset"], entity["length"]
        if length < 1 or offset < 0 or offset + length > total:
            yield f"{kind} [{offset}, {offset + length}) is out of the text's {total} units"
        elif offset not in starts or offset + length not in starts:
            yield f"{kind} [{offset}, {offset + length}) cuts a surrogate pair"
        if kind == "text_link" and not entity.get("url"):
            yield "text_link without url"
        spans.append((kind, offset, offset + length))
    for number, (kind, begin, end) in enumerate(spans):
        for other, other_begin, other_end in spans[number + 1:]:
            overlap = begin < other_end and other_begin < end
            crossing = overlap and not (
                (begin <= other_begin and other_end <= end) or (other_begin <= begin and end <= other_end)
            )
            quotes = ("blockquote", "expandable_blockquote")
            if crossing:
                yield f"{kind} and {other} cross"
            elif overlap and (kind in FENCES or other in FENCES) and kind not in quotes and other not in quotes:
                yield f"{kind} and {other} are nested; Telegram drops one"
            elif overlap and kind in quotes and other in quotes:
                yield "a quote in a quote"


def markup_faults(markup):
    """What is wrong with an inline keyboard."""
    try:
        keyboard = InlineKeyboardMarkup.model_validate(markup)
    except ValidationError as error:
        yield f"reply_markup: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
        return
    yield from unknown_fields(keyboard, "reply_markup.")
    count = 0
    for row in markup["inline_keyboard"]:
        for button in row:
            count += 1
            if not str(button.get("text") or "").strip():
                yield "a button without text"
            actions = [name for name in ACTIONS if button.get(name) is not None]
            if len(actions) != 1:
                yield f"a button with {len(actions)} actions"
            data = button.get("callback_data")
            if data is not None and not 1 <= len(data.encode("utf-8", "surrogatepass")) <= 64:
                yield f"callback_data of {len(data.encode('utf-8', 'surrogatepass'))} bytes"
    if count > 100:
        yield f"{count} buttons"


def faults(call):
    """Everything that is wrong with one call."""
    method, params = call["method"], dict(call["params"])
    if method == "file":
        return  # A download, no method.
    model = getattr(aiogram.methods, method[:1].upper() + method[1:], None)
    if model is None:
        yield "no such method"
        return
    for text in strings(params):
        try:
            text.encode()
        except UnicodeEncodeError:
            yield "a lone surrogate"
    field = FILES.get(method)
    if field and field not in params and any(part == field for part, *_ in call.get("files", [])):
        params[field] = f"attach://{field}"
    try:
        yield from unknown_fields(model.model_validate(params), "")
    except ValidationError as error:
        for item in error.errors():
            yield f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
        return
    if method in TEXTS:
        name, entities, most, needed = TEXTS[method]
        text = str(params.get(name) or "")
        if needed and not text.strip():
            yield f"{name} is empty"
        if units(text.strip(" \n")) > most:
            yield f"{name} has {units(text.strip(' ' + chr(10)))} units, {most} are allowed"
        if entities and params.get(entities):
            yield from entity_faults(text, params[entities])
            if params.get("parse_mode"):
                yield "entities and parse_mode at once"
    markup = params.get("reply_markup")
    if isinstance(markup, dict) and not any(k in markup for k in ("keyboard", "remove_keyboard", "force_reply")):
        yield from markup_faults(markup)


def judge(lines):
    """Number of calls, and the offending ones as (line, method, what)."""
    count, found = 0, []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        count += 1
        try:
            call = json.loads(line)
            method = call["method"]
            found.extend((number, method, what) for what in faults(call))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found.append((number, "?", f"unreadable: {type(error).__name__}: {error}"))
    return count, found


def main(paths):
    count, offending = 0, 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            calls, found = judge(file)
        count += calls
        offending += len(found)
        for number, method, what in found:
            print(f"{path}:{number}: {method}: {what}")
    if count == 0:
        print("no calls to judge")
        return 2
    print(f"judged {count} calls, {offending} faults")
    return 1 if offending else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
