// Bodies as llama.vim and llama.vscode build them, sent as they send them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Service } from "./foretype.mjs";

let service;

before(async () => (service = await Service.start()));
after(() => service.stop());

/** What llama.vim pipes into curl at a key. */
const vim = (lines, column, more = {}) => ({
  input_prefix: lines.slice(0, -1).map((line) => `${line}\n`).join(""),
  input_suffix: `${lines.at(-1).slice(column)}\n`,
  input_extra: [{ text: "The quarterly zorbex review\nis on Monday.\n", time: [12, 34], filename: "plan.md" }],
  prompt: lines.at(-1).slice(0, column),
  n_predict: 128,
  stop: [],
  n_indent: 0,
  top_k: 40,
  top_p: 0.99,
  samplers: ["top_k", "top_p", "infill"],
  stream: false,
  cache_prompt: true,
  t_max_prompt_ms: 500,
  t_max_predict_ms: 500,
  response_fields: ["content", "timings/prompt_n", "timings/prompt_ms", "timings/predicted_n", "timings/predicted_ms",
    "timings/predicted_per_second", "truncated", "tokens_cached"],
  ...more,
});

test("llama.vim: a line goes on", async () => {
  const line = "Thanks for calling, I can he";
  const answer = await service.post("/infill", vim(["# Calls", "", line], line.length));
  assert.match(answer.content, /^lp /);
  assert.equal(answer["timings/predicted_n"], answer.content.trim().split(" ").length);
  assert.equal(answer.truncated, false);
  assert(answer["timings/predicted_ms"] < 500);
});

test("llama.vim: what stands in other texts is known", async () => {
  const line = "Before the quarterly zor";
  assert.match((await service.post("/infill", vim([line], line.length))).content, /^bex/);
});

test("llama.vim: a warm-up is answered at once, with nothing", async () => {
  const warmUp = vim([""], 0, { n_predict: 0, samplers: [], t_max_prompt_ms: 1, t_max_predict_ms: 1, response_fields: [""] });
  assert.deepEqual(await service.post("/infill", warmUp), {});
});

test("llama.vscode: the whole answer", async () => {
  const body = {
    input_prefix: "Dear all,\n", input_suffix: "\n", input_extra: [], prompt: "We will rev", n_predict: 128, top_k: 40,
    top_p: 0.99, stream: false, samplers: ["top_k", "top_p", "infill"], cache_prompt: true, t_max_prompt_ms: 500,
    t_max_predict_ms: 500,
  };
  const answer = await service.post("/infill", body);
  assert.match(answer.content, /^iew/);
  assert.equal(typeof answer.timings.predicted_per_second, "number");
});
