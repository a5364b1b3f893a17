// grammY against the server. Run with the path of the server's program; grammY is found through NODE_PATH.
"use strict";

const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { readFileSync } = require("node:fs");
const { dirname, join } = require("node:path");
const readline = require("node:readline");
const { Bot, GrammyError, InlineKeyboard, InputFile } = require("grammy");
// Its package.json is not among its exports.
const { version } = JSON.parse(readFileSync(join(dirname(require.resolve("grammy")), "../package.json")));

const ANN = 1001;
const SOON = 20_000; // ms after which a check fails

async function main(program) {
  // It ends when its standard input does, so none is left behind.
  const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const [line] = await once(readline.createInterface({ input: child.stdout }), "line");
  const { url, token } = JSON.parse(line);

  const sim = async (route, body) => {
    const answer = await fetch(`${url}/sim/${route}`, body && { method: "POST", body: JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`/sim/${route}: ${text}`);
    return JSON.parse(text);
  };
  const shown = async (id) => (await sim(`messages?chat=${ANN}`)).find((m) => m.message_id === id);
  const equal = (found, wanted) => {
    if (JSON.stringify(found) !== JSON.stringify(wanted)) {
      throw new Error(`found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
    }
  };
  const refused = async (call) => {
    let result;
    try {
      result = await call;
    } catch (error) {
      if (error instanceof GrammyError) return error;
      throw error;
    }
    throw new Error(`${JSON.stringify(result)} instead of an error`);
  };
  const check = async (name, test) => {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("too late")), SOON);
    });
    try {
      await Promise.race([test(), late]);
      console.log(`ok   grammY ${version}: ${name}`);
    } catch (error) {
      console.log(`FAIL grammY ${version}: ${name}: ${error}`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  };

  const client = { apiRoot: url };
  const { api } = new Bot(token, { client });
  const go = () => new InlineKeyboard().text("Go", "go");

  try {
    await check("getMe", async () => {
      const me = await api.getMe();
      equal([me.is_bot, me.username, me.has_topics_enabled], [true, "telexd_test_bot", false]);
    });

    await check("poll, echo, callback answer", async () => {
      const bot = new Bot(token, { client });
      const answered = deferred();
      const pressed = deferred();
      bot.on("message:text", async (ctx) => {
        answered.resolve(await ctx.reply(`you said ${ctx.msg.text}`, { reply_markup: go() }));
      });
      bot.on("callback_query:data", async (ctx) => {
        await ctx.answerCallbackQuery("pressed");
        await ctx.editMessageText("done");
        pressed.resolve();
      });
      bot.catch((error) => { throw error; });
      const running = bot.start();
      await sim("wait_polled");
      await sim("message", { from: ANN, text: "hello" });
      const answer = await answered.promise;
      equal((await shown(answer.message_id)).text, "you said hello");
      await sim("press", { from: ANN, message_id: answer.message_id, data: "go" });
      await pressed.promise;
      equal((await shown(answer.message_id)).text, "done");
      equal((await sim("callback_answers"))[0].text, "pressed");
      await bot.stop();
      await running;
    });

    await check("send", async () => {
      const sent = await api.sendMessage(ANN, "hello", { reply_markup: go() });
      equal(sent.reply_markup.inline_keyboard[0][0].callback_data, "go");
      equal((await shown(sent.message_id)).buttons[0][0].text, "Go");
      equal((await refused(api.sendMessage(ANN, "x".repeat(4097)))).description, "Bad Request: message is too long");
      await api.sendChatAction(ANN, "typing");
      equal((await api.getChat(ANN)).first_name, "Ann");
      await api.setMyCommands([{ command: "help", description: "shows help" }]);
      equal((await api.getMyCommands())[0].command, "help");
    });

    await check("edit with entities", async () => {
      const sent = await api.sendMessage(ANN, "one");
      const entities = [
        { type: "pre", offset: 3, length: 4, language: "rust" },
        { type: "bold", offset: 0, length: 2 },
      ];
      const edited = await api.editMessageText(ANN, sent.message_id, "😀 code", { entities });
      equal(edited.entities.map((e) => [e.type, e.offset]), [["bold", 0], ["pre", 3]]);
      const again = await refused(api.editMessageText(ANN, sent.message_id, "😀 code", { entities }));
      equal(again.description.includes("message is not modified"), true);
      await api.deleteMessage(ANN, sent.message_id);
      equal((await shown(sent.message_id)).deleted, true);
    });

    await check("file up and down", async () => {
      const file = new InputFile(Buffer.from("some bytes"), "notes.txt");
      const sent = await api.sendDocument(ANN, file, { caption: "look" });
      equal([sent.document.file_name, sent.document.file_size, sent.caption], ["notes.txt", 10, "look"]);
      const { file_path } = await api.getFile(sent.document.file_id);
      equal(await (await fetch(`${url}/file/bot${token}/${file_path}`)).text(), "some bytes");
    });

    await check("409", async () => {
      const older = refused(api.getUpdates({ timeout: 15 }));
      await sim("wait_polled");
      const newer = api.getUpdates({ offset: 5, timeout: 15 });
      equal((await older).error_code, 409);
      await sim("message", { from: ANN, text: "for the newer" });
      equal((await newer).at(-1).message.text, "for the newer");
    });

    await check("429", async () => {
      await sim("flood", { per_chat_per_second: 1, least_retry_after: 9 });
      await api.sendMessage(ANN, "first");
      equal((await refused(api.sendMessage(ANN, "second"))).parameters.retry_after, 9);
      await sim("flood", {});
    });
  } finally {
    child.stdin.end();
    const [code] = await ended;
    if (code !== 0) throw new Error(`the server ended with ${code}`);
  }
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

main(process.argv[2]).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
