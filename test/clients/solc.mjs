#!/usr/bin/env node
// Gives forge the solc of npm under the two flags of the native compiler that forge uses, instead of a download.

import { readFileSync } from "node:fs";
import solc from "solc";

const args = process.argv.slice(2);
if (args.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (args.includes("--standard-json")) {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
} else {
  console.error(`unknown arguments: ${args.join(" ")}`);
  process.exit(1);
}
