// A running `foretype serve` for the tests beside this file.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** The binary under test. */
export const BINARY = process.env.FORETYPE_BINARY ?? join(ROOT, "target", "debug", "foretype");

// The protocols are under test here, not the speed of a machine that also compiles; and the GPT-2 takes a second to load.
export const QUICK = ["--predictors", "personal,domain,charlm"];

/** A folder that is there until `remove` is called. */
export function temporary() {
  const folder = mkdtempSync(join(tmpdir(), "foretype-clients-"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** The service on free ports with an empty data folder. */
export class Service {
  static async start(...options) {
    const service = new Service();
    service.data = temporary();
    const ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    const command = ["serve", ...ports, ...QUICK, "--budget-ms", "500", "--data", service.data.folder, ...options];
    service.process = spawn(BINARY, command, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: service.process.stdout })) {
      const [, what, url] = /(open|operators) +(http:\S+)/.exec(line) ?? [];
      if (what === "open") service.url = url;
      if (what === "operators") service.admin = new URL(url).origin;
      if (service.url && service.admin) return service;
    }
    throw new Error(`${BINARY} did not start`);
  }

  /** Posts JSON to our own API; the answer's JSON, or nothing if it has none. */
  async post(path, body) {
    const headers = { "content-type": "application/json" };
    const reply = await fetch(this.url + path, { method: "POST", headers, body: JSON.stringify(body) });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${text}`);
    return text && JSON.parse(text);
  }

  /** Adds an API key, and waits until it is needed. */
  async addKey(...options) {
    const command = ["keys", "add", "--data", this.data.folder, ...options];
    const key = spawnSync(BINARY, command, { encoding: "utf8" }).stdout.trim();
    while ((await fetch(`${this.url}/v1/models`)).status !== 401) await setTimeout(20);
    return key;
  }

  /** A sample of /metrics; 0 if there is none of it. */
  async metric(name) {
    const text = await (await fetch(`${this.admin}/metrics`)).text();
    const line = text.split("\n").find((line) => line.startsWith(`${name} `));
    return line ? Number(line.slice(name.length)) : 0;
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGTERM");
    await ended;
    this.data.remove();
  }
}
