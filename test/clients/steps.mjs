// What the JavaScript clients share: the node and account they were given, the contracts, and how they report.
//
// A client is a list of named steps, run in order. Each step that holds is one line of JSON on stdout, with the
// transactions it had mined; the harness looks those up on the node itself and fails a client that skipped a step.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this through "go test ./test/clients"`);
  return value;
}

export const http = required("JIALING_HTTP_URL");
export const ws = required("JIALING_WS_URL");
export const key = required("JIALING_KEY"); // of an account with 10 ether that nobody else uses
export const sm2Key = process.env.JIALING_SM2_KEY; // of an account to use instead, where the client can
export const chainId = Number(required("JIALING_CHAIN_ID"));
export const fees = required("JIALING_FEES") === "true";

function artifact(name) {
  return JSON.parse(readFileSync(new URL(`contract/artifacts/${name}.json`, import.meta.url), "utf8"));
}

export const probe = artifact("Probe");
export const delegate = artifact("Delegate");

// What Probe.failWithError answers.
export const refusal = "拒绝: not today";

// Probe's EIP-712 domain and the one type that it verifies.
export const deliveryTypes = {
  Delivery: [
    { name: "from", type: "address" },
    { name: "to", type: "address" },
    { name: "document", type: "string" },
    { name: "amount", type: "uint256" },
  ],
};
export const domainTypes = [
  { name: "name", type: "string" },
  { name: "version", type: "string" },
  { name: "chainId", type: "uint256" },
  { name: "verifyingContract", type: "address" },
];
export const deliveryDomain = (address) => ({
  name: "Jialing Probe",
  version: "1",
  chainId,
  verifyingContract: address,
});

// The balance moved by exactly what the receipt says it cost, and that is nothing where gas is free.
export function checkCost(before, after, gasUsed, gasPrice, value) {
  assert.equal(gasPrice > 0n, fees, `effective gas price ${gasPrice} on a chain with fees: ${fees}`);
  assert.equal(before - after, gasUsed * gasPrice + value);
}

// throwsError runs f, which must fail, and returns the error for a closer look.
export async function throwsError(f) {
  let result;
  try {
    result = await f();
  } catch (err) {
    return err;
  }
  assert.fail(`expected an error, got ${String(result)}`);
}

// within fails when the promise takes longer than a node could reasonably need.
export function within(what, promise, milliseconds = 20_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Seen keeps what a subscription delivered, for a test to wait for the one delivery that it means.
export class Seen {
  #all = [];
  #wake = () => {};

  add(item) {
    this.#all.push(item);
    this.#wake();
  }

  // find resolves with the first delivery, past or future, for which matches holds.
  find(what, matches) {
    const search = async () => {
      for (;;) {
        const found = this.#all.find(matches);
        if (found !== undefined) return found;
        await new Promise((resolve) => (this.#wake = resolve));
      }
    };
    return within(what, search());
  }
}

// run executes the steps in order. A step gets mined(hash, ok = true), to report a transaction that it had mined and
// whether it succeeded. The first step that fails ends the run with exit code 1. The harness names the steps to leave out.
export async function run(steps) {
  const without = (process.env.JIALING_WITHOUT ?? "").split(",");
  for (const [step, body] of Object.entries(steps).filter(([name]) => !without.includes(name))) {
    const started = performance.now();
    const transactions = [];
    try {
      await body((hash, ok = true) => transactions.push({ hash, ok }));
    } catch (err) {
      console.log(JSON.stringify({ step, error: String(err?.stack ?? err) }));
      process.exit(1);
    }
    console.log(JSON.stringify({ step, ms: Math.round(performance.now() - started), transactions }));
  }
  process.exit(0);
}
