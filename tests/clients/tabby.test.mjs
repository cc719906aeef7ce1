// Tabby's own agent, the part of its plugins that talks to a server.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { temporary, Service } from "./foretype.mjs";

let service, agent, home;

before(async () => {
  service = await Service.start();
  // It keeps its settings in the home folder.
  home = temporary();
  process.env.HOME = home.folder;
  // It never stops some of these, which would keep this process alive.
  const unref = (make) => (...what) => make(...what).unref();
  fs.watch = unref(fs.watch);
  globalThis.setInterval = unref(globalThis.setInterval);
  const { TabbyAgent } = await import("tabby-agent");
  agent = new TabbyAgent();
  const config = {
    server: { endpoint: service.url },
    anonymousUsageTracking: { disable: true },
    completion: { debounce: { mode: "fixed", interval: 0 } },
  };
  assert(await agent.initialize({ config }));
});
after(async () => {
  await agent.finalize();
  await service.stop();
  home.remove();
});

const complete = (before, behind = "\n") =>
  agent.provideCompletions({
    filepath: "/home/ann/notes.md",
    language: "markdown",
    text: before + behind,
    position: before.length,
  });

test("it connects", async () => {
  assert.equal(agent.getStatus(), "ready");
  assert.match(agent.getServerHealthState().model, /^foretype /);
  // It asks for the server's settings after that.
  for (let tries = 0; tries < 100 && !agent.serverProvidedConfig.anonymousUsageTracking; tries++) await setTimeout(20);
  assert.equal(agent.serverProvidedConfig.anonymousUsageTracking.disable, true, "it is told to keep to itself");
});

test("a text goes on, and what became of it is heard", async () => {
  const answer = await complete("# Calls\n\nThanks for calling, I can he");
  assert.match(answer.choices[0].text, /^lp /);
  const event = { completion_id: answer.id, choice_index: 0, view_id: "v-1" };
  for (const [type, more] of [["view", {}], ["select", {}], ["select", { select_kind: "line" }], ["dismiss", {}]]) {
    assert(await agent.postEvent({ type, ...event, ...more }), type);
  }
  for (const outcome of ["accepted", "partial", "rejected"]) {
    assert.equal(await service.metric(`foretype_outcomes_total{outcome="${outcome}"}`), 1, outcome);
  }
});

test("a newer keystroke cancels an older one", async () => {
  const texts = ["We will re", "We will rev", "We will revi"];
  const outcomes = await Promise.allSettled(texts.map((text) => complete(text)));
  assert.deepEqual(outcomes.map((outcome) => outcome.status), ["rejected", "rejected", "fulfilled"]);
  assert.match((await complete("We will review the num")).choices[0].text, /^ber/);
});
