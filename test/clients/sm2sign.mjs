// Signs the transactions that come on stdin with their keys, by client/js, and prints the raw forms.

import { readFileSync } from "node:fs";
import { sm2Account } from "../../client/js/dist/index.js";

const numbers = ["maxPriorityFeePerGas", "maxFeePerGas", "gas", "value"];
const raws = [];
for (const { key, to, ...said } of JSON.parse(readFileSync(0, "utf8"))) {
  for (const name of numbers) said[name] = BigInt(said[name]);
  raws.push(await sm2Account(key).signTransaction({ type: "eip1559", ...said, ...(to ? { to } : {}) }));
}
console.log(JSON.stringify(raws));
