"""aiogram against the server: every answer must parse into its models."""

import asyncio
import sys

import aiogram
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramBadRequest, TelegramConflictError, TelegramRetryAfter
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    MessageEntity,
)

from server import ANN, Checks, Server, equal, refused

GO = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Go", callback_data="go")]])


async def main(program):
    server = Server(program)
    check = Checks(f"aiogram {aiogram.__version__}")
    bot = Bot(server.token, session=AiohttpSession(api=TelegramAPIServer.from_base(server.url)))

    async def get_me():
        me = await bot.get_me()
        equal((me.is_bot, me.username), (True, "telexd_test_bot"))
        equal(me.has_topics_enabled, False)

    async def poll():
        dispatcher, answered, pressed = Dispatcher(), asyncio.Event(), asyncio.Event()

        @dispatcher.message()
        async def echo(message: Message):
            await message.answer(f"you said {message.text}", reply_markup=GO)
            answered.set()

        @dispatcher.callback_query()
        async def press(query: CallbackQuery):
            await query.answer("pressed")
            await query.message.edit_text("done")
            pressed.set()

        polling = asyncio.create_task(dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False))
        await server.look("wait_polled")
        await server.act("message", **{"from": ANN, "text": "hello"})
        await answered.wait()
        shown = (await server.look(f"messages?chat={ANN}"))[-1]
        equal(shown["text"], "you said hello")
        await server.act("press", **{"from": ANN, "message_id": shown["message_id"], "data": "go"})
        await pressed.wait()
        equal((await server.shown(shown["message_id"]))["text"], "done")
        equal((await server.look("callback_answers"))[0]["text"], "pressed")
        await dispatcher.stop_polling()
        await polling

    async def send():
        sent = await bot.send_message(ANN, "hello", reply_markup=GO)
        equal(sent.reply_markup.inline_keyboard[0][0].callback_data, "go")
        equal((await server.shown(sent.message_id))["buttons"][0][0]["text"], "Go")
        error = await refused(bot.send_message(ANN, "x" * 4097), TelegramBadRequest)
        equal(error.message, "Bad Request: message is too long")
        await bot.send_chat_action(ANN, "typing")
        equal((await bot.get_chat(ANN)).first_name, "Ann")
        await bot.set_my_commands([BotCommand(command="help", description="shows help")])
        equal((await bot.get_my_commands())[0].command, "help")
        await bot.send_message_draft(chat_id=ANN, draft_id=1, text="thinking")

    async def edit():
        sent = await bot.send_message(ANN, "one")
        entities = [MessageEntity(type="pre", offset=3, length=4, language="rust"), MessageEntity(type="bold", offset=0, length=2)]
        edited = await bot.edit_message_text("😀 code", chat_id=ANN, message_id=sent.message_id, entities=entities)
        equal([(e.type, e.offset, e.language) for e in edited.entities], [("bold", 0, None), ("pre", 3, "rust")])
        again = bot.edit_message_text("😀 code", chat_id=ANN, message_id=sent.message_id, entities=entities)
        equal("message is not modified" in (await refused(again, TelegramBadRequest)).message, True)
        split = [MessageEntity(type="bold", offset=1, length=2)]
        error = await refused(bot.send_message(ANN, "😀 code", entities=split), TelegramBadRequest)
        equal("in a middle of a UTF-16 symbol" in error.message, True)
        await bot.delete_message(ANN, sent.message_id)
        equal((await server.shown(sent.message_id))["deleted"], True)

    async def files():
        sent = await bot.send_document(ANN, BufferedInputFile(b"some bytes", "notes.txt"), caption="look")
        equal((sent.document.file_name, sent.document.file_size, sent.caption), ("notes.txt", 10, "look"))
        equal((await bot.download(sent.document)).read(), b"some bytes")
        again = await bot.send_document(ANN, sent.document.file_id)
        equal(again.document.file_unique_id, sent.document.file_unique_id)

    async def beside():
        # The server goes on with the kinds that were asked for last: those of the dispatcher above.
        kinds = ["message", "edited_message"]
        offset = [u.update_id + 1 for u in await bot.get_updates(allowed_updates=kinds)][-1:] or [None]
        first = (await server.act("message", **{"from": ANN, "text": "all of it"}))["message_id"]
        await server.act("message", **{"from": ANN, "text": "why?", "reply_to": first, "quote": "of"})
        await server.act("message", **{"from": ANN, "text": "hi", "forwarded_from": "Eve"})
        await server.act("album", **{"from": ANN, "contents": ["a", "b"], "caption": "both"})
        await server.act("edit", **{"from": ANN, "message_id": first, "text": "some of it"})
        # Whoever asks again at once is given one at a time, as by Telegram.
        updates, at = [], offset[0]
        while len(updates) < 6:
            more = await bot.get_updates(offset=at, timeout=5, allowed_updates=kinds)
            equal(bool(more), True)
            updates += more
            at = more[-1].update_id + 1
        equal(await bot.get_updates(offset=at, timeout=0, allowed_updates=kinds), [])
        _, reply, forward, one, two, edit = updates
        equal((reply.message.reply_to_message.text, reply.message.quote.text), ("all of it", "of"))
        equal((reply.message.quote.position, reply.message.quote.is_manual), (4, True))
        equal(forward.message.forward_origin.sender_user_name, "Eve")
        equal((one.message.media_group_id, one.message.caption), (two.message.media_group_id, "both"))
        equal((edit.edited_message.message_id, edit.edited_message.text), (first, "some of it"))

    async def conflict():
        older = asyncio.create_task(bot.get_updates(timeout=15))
        await server.look("wait_polled")
        newer = asyncio.create_task(bot.get_updates(offset=5, timeout=15))
        await refused(older, TelegramConflictError)
        await server.act("message", **{"from": ANN, "text": "for the newer"})
        equal((await newer)[-1].message.text, "for the newer")

    async def flood():
        await server.act("flood", per_chat_per_second=1, least_retry_after=9)
        await bot.send_message(ANN, "first")
        equal((await refused(bot.send_message(ANN, "second"), TelegramRetryAfter)).retry_after, 9)
        await server.act("flood")

    try:
        await check("getMe", get_me())
        await check("poll, echo, callback answer", poll())
        await check("send", send())
        await check("edit with entities", edit())
        await check("file up and down", files())
        await check("forwards, replies, albums, edits", beside())
        await check("409", conflict())
        await check("429", flood())
    finally:
        await bot.session.close()
        server.close()


asyncio.run(main(sys.argv[1]))
