"""Proves that the judge lets good calls pass and catches seeded mistakes."""

import contextlib
import io
import json
import os
import sys
import tempfile

import judge


def button(**fields):
    return {"inline_keyboard": [[fields]]}


def message(**fields):
    return {"method": "sendMessage", "params": {"chat_id": 1, "text": "hello", **fields}}


def bold(offset, length, kind="bold"):
    return {"type": kind, "offset": offset, "length": length}


GOOD = [
    message(),
    message(text="😀 code", entities=[bold(0, 2), {**bold(3, 4, "pre"), "language": "rust"}]),
    message(text="quoted code", entities=[bold(0, 11, "blockquote"), bold(7, 4, "code")]),
    message(text="x" * 4096),
    message(reply_markup=button(text="Go", callback_data="ä" * 32)),
    message(reply_parameters={"message_id": 5, "allow_sending_without_reply": True}),
    {"method": "editMessageText", "params": {"chat_id": 1, "message_id": 2, "text": "x"}},
    {"method": "getUpdates", "params": {"offset": 7, "timeout": 30, "allowed_updates": ["message", "tomorrow"]}},
    {"method": "sendDocument", "params": {"chat_id": "1"}, "files": [["document", "a.txt", 3]]},
    {"method": "sendMessageDraft", "params": {"chat_id": 1, "draft_id": 3, "text": ""}},
    {"method": "file", "params": {"path": "documents/file_1"}},
]
# A mistake, and what the judge must say of it.
BAD = [
    (message(text=""), "text is empty"),
    (message(text=" \n"), "text is empty"),
    (message(text="😀" * 2049), "4098 units"),
    (message(entities=[bold(3, 3)]), "out of the text"),
    (message(entities=[bold(0, 0)]), "out of the text"),
    (message(text="😀x", entities=[bold(1, 1)]), "cuts a surrogate pair"),
    (message(entities=[bold(0, 5, "code"), bold(1, 2)]), "nested"),
    (message(entities=[bold(0, 3), bold(1, 4, "italic")]), "cross"),
    (message(entities=[bold(0, 1)] * 101), "101 entities"),
    (message(entities=[bold(0, 5, "text_link")]), "without url"),
    (message(entities=[{"offset": 0, "length": 1}]), "entities.0.type"),
    (message(entities=[bold(0, 1)], parse_mode="HTML"), "parse_mode"),
    (message(text="\ud800"), "lone surrogate"),
    (message(reply_markup=button(text="Go", callback_data="ä" * 33)), "66 bytes"),
    (message(reply_markup=button(text="Go", callback_data="")), "0 bytes"),
    (message(reply_markup=button(callback_data="go")), "text"),
    (message(reply_markup=button(text=" ", callback_data="go")), "without text"),
    (message(reply_markup=button(text="Go")), "0 actions"),
    (message(reply_markup={"inline_keyboards": []}), "reply_markup"),
    (message(reply_to="5"), "unknown field reply_to"),
    (message(reply_parameters={"message_id": 5, "allow": True}), "unknown field reply_parameters.allow"),
    (message(reply_parameters={"message_id": "five"}), "reply_parameters.message_id"),
    ({"method": "sendMessage", "params": {"text": "x"}}, "chat_id"),
    ({"method": "sendMessage", "params": {"chat_id": [1], "text": "x"}}, "chat_id"),
    ({"method": "editMessageText", "params": {"chat_id": 1, "message_id": "two", "text": "x"}}, "message_id"),
    ({"method": "sendDocument", "params": {"chat_id": 1}}, "document"),
    ({"method": "sendDocument", "params": {"chat_id": 1, "document": "id", "caption": "x" * 1025}}, "1025 units"),
    ({"method": "answerCallbackQuery", "params": {"callback_query_id": "1", "text": "x" * 201}}, "201 units"),
    ({"method": "sendTelepathy", "params": {}}, "no such method"),
    ({"params": {}}, "unreadable"),
]


def wrong():
    """What the judge gets wrong."""
    for call in GOOD:
        _, found = judge.judge([json.dumps(call)])
        if found:
            yield f"a good call was refused: {call}: {found}"
    for call, wanted in BAD:
        _, found = judge.judge([json.dumps(call)])
        if not any(wanted in what for _, _, what in found):
            yield f"a mistake was missed: {str(call)[:200]}: wanted {wanted!r}, found {found}"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "calls.jsonl")
        cases = [([], 2, "no calls"), (GOOD, 0, "0 faults"), ([GOOD[0], BAD[0][0]], 1, ":2: sendMessage: text is empty")]
        for calls, code, words in cases:
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(call) + "\n" for call in calls)
            with contextlib.redirect_stdout(io.StringIO()) as said:
                ended = judge.main([path])
            if ended != code or words not in said.getvalue():
                yield f"the program ended with {ended}, not {code}, and said {said.getvalue()!r}"


failures = list(wrong())
for failure in failures:
    print(f"FAIL judge: {failure}")
if failures:
    sys.exit(1)
print(f"ok   judge: {len(BAD)} seeded mistakes caught, {len(GOOD)} good calls passed")
