// OpenAI's own client.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { Service } from "./foretype.mjs";

const PROMPT = "Thanks for calling, I can he";
let service, client;

before(async () => {
  service = await Service.start();
  client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: "none", maxRetries: 0 });
});
after(() => service.stop());

const complete = (more) => client.completions.create({ model: "foretype", prompt: PROMPT, ...more });

test("a text goes on", async () => {
  const answer = await complete({ n: 1, user: "ann", max_tokens: 64, temperature: 0 });
  assert.match(answer.choices[0].text, /^lp /);
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.usage.prompt_tokens, 6);
  const short = (await complete({ max_tokens: 1 })).choices[0];
  assert.deepEqual([short.text, short.finish_reason], ["lp", "length"]);
});

test("a streamed answer is the same", async () => {
  const whole = (await complete()).choices[0].text;
  const stream = await complete({ stream: true, stream_options: { include_usage: true } });
  let [text, finish, usage] = ["", null, null];
  for await (const part of stream) {
    text += part.choices[0]?.text ?? "";
    finish = part.choices[0]?.finish_reason ?? finish;
    usage = part.usage ?? usage;
  }
  assert.deepEqual([text, finish, usage.prompt_tokens], [whole, "stop", 6]);
});

test("what follows the cursor is not said again", async () => {
  const after = (await complete()).choices[0].text;
  const marked = `<fim_prefix>${PROMPT}<fim_suffix>${after}<fim_middle>`;
  assert.equal((await complete({ prompt: marked })).choices[0].text, (await complete({ suffix: after })).choices[0].text);
  assert.notEqual((await complete({ suffix: after })).choices[0].text, after);
});

test("a user is a writer", async () => {
  for (const text of ["The zorbex is calibrated.", "We cleaned the zorbex."]) {
    await service.post("/v1/learn", { writer: "ann", text });
  }
  const goesOn = async (user) => (await complete({ prompt: "Please look at the zorb", user })).choices[0].text;
  assert.match(await goesOn("ann"), /^ex/);
  assert.doesNotMatch(await goesOn("ben"), /^ex/);
});

test("a bad body is a bad request that names the field", async () => {
  await assert.rejects(complete({ n: 99 }), (error) => {
    assert(error instanceof OpenAI.BadRequestError);
    assert.deepEqual([error.param, error.code, error.type], ["n", "invalid", "invalid_request_error"]);
    assert.match(error.message, /between 1 and 10/);
    return true;
  });
  await assert.rejects(complete({ prompt: [1, 2, 3] }), OpenAI.BadRequestError);
});

test("there is one model", async () => {
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  assert.deepEqual(models, ["foretype"]);
});

test("with a key bound to a writer it is personal", async () => {
  const keyed = await Service.start();
  try {
    for (const text of ["The zorbex is calibrated.", "We cleaned the zorbex."]) {
      await keyed.post("/v1/learn", { writer: "ann", text });
    }
    const apiKey = await keyed.addKey("--writer", "ann");
    const ask = (apiKey, more) => {
      const client = new OpenAI({ baseURL: `${keyed.url}/v1`, apiKey, maxRetries: 0 });
      return client.completions.create({ model: "foretype", prompt: "Please look at the zorb", ...more });
    };
    assert.match((await ask(apiKey)).choices[0].text, /^ex/);
    await assert.rejects(ask("none"), OpenAI.AuthenticationError);
    await assert.rejects(ask(apiKey, { user: "ben" }), OpenAI.PermissionDeniedError);
  } finally {
    await keyed.stop();
  }
});
