import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import hardhatEthers from "@nomicfoundation/hardhat-ethers";

const here = import.meta.dirname;
const scratch = process.env.JIALING_SCRATCH; // a folder of the harness

// Hardhat compiles only what lies inside its project.
mkdirSync(join(here, "contracts"), { recursive: true });
copyFileSync(join(here, "../contract/Probe.sol"), join(here, "contracts/Probe.sol"));

export default {
  plugins: [hardhatEthers],
  solidity: {
    version: "0.8.37",
    path: join(here, "node_modules/solc/soljson.js"), // instead of a download
    settings: { optimizer: { enabled: true, runs: 200 }, evmVersion: "cancun" },
  },
  paths: { artifacts: join(scratch, "artifacts"), cache: join(scratch, "cache") },
  networks: {
    jialing: {
      type: "http",
      chainType: "l1",
      url: process.env.JIALING_HTTP_URL,
      chainId: Number(process.env.JIALING_CHAIN_ID),
      accounts: [process.env.JIALING_KEY],
      gasPrice: process.env.JIALING_CHARGES_TIP === "true" ? 0n : "auto",
    },
  },
};
