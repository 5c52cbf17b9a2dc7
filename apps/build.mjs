// Compiles the Solidity contracts with the pinned solc and writes one artifact each: name, source, compiler, settings,
// ABI and creation bytecode. The artifacts are checked in, so that building the node needs no Solidity compiler.
//
//   node build.mjs           compile and write the artifacts
//   node build.mjs --check   compile and fail if an artifact is not what the sources give
//
// The same sources, solc and settings give the same bytes on every machine.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const apps = dirname(fileURLToPath(import.meta.url));
const root = dirname(apps);

// Source file (from the repository's root) and the contracts wanted from it.
const wanted = {
  "apps/token/JialingToken.sol": ["JialingToken"],
  "apps/evidence/Evidence.sol": ["Evidence"],
  "apps/guomi/Guomi.sol": [], // libraries that contracts hold
  "apps/guomi/GuomiView.sol": ["GuomiView"],
  "apps/guomi/SM2Wallet.sol": ["SM2Wallet"],
  "test/clients/contract/Probe.sol": ["Probe", "Delegate"],
  "internal/govern/contract/Validators.sol": ["Validators"],
  "internal/govern/contract/Organisations.sol": ["Organisations"],
  "internal/govern/contract/Evidence.sol": [], // a library that Staking holds
  "internal/govern/contract/EvidenceView.sol": ["EvidenceView"],
  "internal/govern/contract/Staking.sol": ["Staking"],
  "internal/govern/contract/Engines.sol": ["Engines"],
};

// Contracts that the genesis holds: nobody deploys them, so their artifact has the code that runs as well.
const inGenesis = ["Validators", "Organisations", "Staking", "Engines"];

const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "cancun",
  // Without the metadata trailer the bytecode depends on the code alone, not on comments or paths.
  metadata: { bytecodeHash: "none", appendCBOR: false },
};

const artifactPath = (source, name) => join(root, dirname(source), "artifacts", `${name}.json`);

// Sources name OpenZeppelin as a package; its version is pinned by package-lock.json.
function readImport(path) {
  if (!path.startsWith("@openzeppelin/")) return { error: `only @openzeppelin/ may be imported, not ${path}` };
  try {
    return { contents: readFileSync(join(apps, "node_modules", path), "utf8") };
  } catch (err) {
    return { error: `${err.message} (run "npm ci" in apps/)` };
  }
}

// compile returns a map from artifact path to the artifact's text. A warning is an error.
function compile() {
  const sources = {};
  for (const path of Object.keys(wanted)) sources[path] = { content: readFileSync(join(root, path), "utf8") };
  const outputSelection = { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } };
  const input = { language: "Solidity", sources, settings: { ...settings, outputSelection } };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));
  if (output.errors?.length) throw new Error(output.errors.map((e) => e.formattedMessage).join("\n"));

  const artifacts = new Map();
  for (const [source, names] of Object.entries(wanted)) {
    for (const name of names) {
      const { abi, evm } = output.contracts[source][name];
      const artifact = {
        contractName: name,
        sourceName: source,
        compiler: solc.version(),
        settings,
        abi,
        bytecode: "0x" + evm.bytecode.object,
      };
      if (inGenesis.includes(name)) artifact.deployedBytecode = "0x" + evm.deployedBytecode.object;
      artifacts.set(artifactPath(source, name), JSON.stringify(artifact, null, 2) + "\n");
    }
  }
  return artifacts;
}

function readOrNull(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (err) {
    if (err.code === "ENOENT") return null;
    throw err;
  }
}

function main(args) {
  const check = args[0] === "--check";
  if (args.length > (check ? 1 : 0)) throw new Error("usage: node build.mjs [--check]");
  let stale = 0;
  for (const [path, text] of compile()) {
    const shown = relative(root, path);
    if (readOrNull(path) === text) {
      console.log(`unchanged  ${shown}`);
    } else if (check) {
      stale++;
      console.error(`stale      ${shown}`);
    } else {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      console.log(`written    ${shown}`);
    }
  }
  if (stale > 0) throw new Error(`${stale} artifact(s) differ from their sources: run "npm run build" in apps/ and commit`);
}

try {
  main(process.argv.slice(2));
} catch (err) {
  console.error(err.message);
  process.exit(1);
}
