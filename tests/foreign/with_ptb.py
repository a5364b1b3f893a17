"""python-telegram-bot against the server."""

import asyncio
import sys

import telegram
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity, Update
from telegram.error import BadRequest, Conflict, RetryAfter
from telegram.ext import ApplicationBuilder, CallbackQueryHandler, MessageHandler, filters

from server import ANN, Checks, Server, equal, refused

GO = InlineKeyboardMarkup([[InlineKeyboardButton("Go", callback_data="go")]])


async def main(program):
    server = Server(program)
    check = Checks(f"python-telegram-bot {telegram.__version__}")
    builder = ApplicationBuilder().token(server.token)
    # Two polls at once in the conflict check.
    builder = builder.get_updates_connection_pool_size(2)
    app = builder.base_url(f"{server.url}/bot").base_file_url(f"{server.url}/file/bot").build()
    bot = app.bot

    async def get_me():
        me = await bot.get_me()
        equal((me.is_bot, me.username), (True, "telexd_test_bot"))

    async def poll():
        answered, pressed = asyncio.Event(), asyncio.Event()

        async def echo(update: Update, _):
            await update.message.reply_text(f"you said {update.message.text}", reply_markup=GO)
            answered.set()

        async def press(update: Update, _):
            await update.callback_query.answer("pressed")
            await update.callback_query.edit_message_text("done")
            pressed.set()

        app.add_handler(MessageHandler(filters.TEXT, echo))
        app.add_handler(CallbackQueryHandler(press))
        await app.start()
        await app.updater.start_polling(timeout=15)
        await server.look("wait_polled")
        await server.act("message", **{"from": ANN, "text": "hello"})
        await answered.wait()
        shown = (await server.look(f"messages?chat={ANN}"))[-1]
        equal(shown["text"], "you said hello")
        await server.act("press", **{"from": ANN, "message_id": shown["message_id"], "data": "go"})
        await pressed.wait()
        equal((await server.shown(shown["message_id"]))["text"], "done")
        equal((await server.look("callback_answers"))[0]["text"], "pressed")
        await app.updater.stop()
        await app.stop()

    async def send():
        sent = await bot.send_message(ANN, "hello", reply_markup=GO)
        equal(sent.reply_markup.inline_keyboard[0][0].callback_data, "go")
        equal((await server.shown(sent.message_id))["buttons"][0][0]["text"], "Go")
        error = await refused(bot.send_message(ANN, "x" * 4097), BadRequest)
        equal(error.message, "Message is too long")
        await bot.send_chat_action(ANN, "typing")
        equal((await bot.get_chat(ANN)).first_name, "Ann")
        await bot.set_my_commands([("help", "shows help")])
        equal((await bot.get_my_commands())[0].command, "help")
        equal((await bot.get_webhook_info()).url, "")

    async def edit():
        sent = await bot.send_message(ANN, "one")
        entities = [MessageEntity("pre", 3, 4, language="rust"), MessageEntity("bold", 0, 2)]
        edited = await bot.edit_message_text("😀 code", ANN, sent.message_id, entities=entities)
        equal([(str(e.type), e.offset, e.language) for e in edited.entities], [("bold", 0, None), ("pre", 3, "rust")])
        again = bot.edit_message_text("😀 code", ANN, sent.message_id, entities=entities)
        equal("is not modified" in (await refused(again, BadRequest)).message, True)
        await bot.delete_message(ANN, sent.message_id)
        equal((await server.shown(sent.message_id))["deleted"], True)

    async def files():
        sent = await bot.send_document(ANN, b"some bytes", filename="notes.txt", caption="look")
        equal((sent.document.file_name, sent.document.file_size, sent.caption), ("notes.txt", 10, "look"))
        file = await sent.document.get_file()
        equal(bytes(await file.download_as_bytearray()), b"some bytes")

    async def conflict():
        older = asyncio.create_task(bot.get_updates(timeout=15))
        await server.look("wait_polled")
        newer = asyncio.create_task(bot.get_updates(offset=5, timeout=15))
        await refused(older, Conflict)
        await server.act("message", **{"from": ANN, "text": "for the newer"})
        equal((await newer)[-1].message.text, "for the newer")

    async def flood():
        await server.act("flood", per_chat_per_second=1, least_retry_after=9)
        await bot.send_message(ANN, "first")
        waited = (await refused(bot.send_message(ANN, "second"), RetryAfter)).retry_after
        equal(int(getattr(waited, "total_seconds", lambda: waited)()), 9)
        await server.act("flood")

    try:
        async with app:
            await check("getMe", get_me())
            await check("poll, echo, callback answer", poll())
            await check("send", send())
            await check("edit with entities", edit())
            await check("file up and down", files())
            await check("409", conflict())
            await check("429", flood())
    finally:
        server.close()


asyncio.run(main(sys.argv[1]))
