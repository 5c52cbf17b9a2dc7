// The example of README.md, so that it compiles: tsc -p test.

import { createPublicClient, createWalletClient, erc20Abi, http, parseEther } from "viem";
import { generateSm2PrivateKey, jialing, sm2Account } from "@jialing/sm2";

const chain = jialing(20260, "http://127.0.0.1:8545");
const account = sm2Account(generateSm2PrivateKey());
const wallet = createWalletClient({ account, chain, transport: http() });
const reader = createPublicClient({ chain, transport: http() });

const hash = await wallet.sendTransaction({ to: "0x000000000000000000000000000000000000beef", value: parseEther("1") });
const receipt = await reader.waitForTransactionReceipt({ hash });
if (receipt.type !== "sm2") throw new Error(receipt.type);

const token = "0x00000000000000000000000000000000000000aa";
await wallet.writeContract({ address: token, abi: erc20Abi, functionName: "transfer", args: [account.address, 7n] });

const tx = await reader.getTransaction({ hash });
if (tx.type === "sm2") console.log(tx.publicKey, tx.maxFeePerGas);
const block = await reader.getBlock({ includeTransactions: true });
console.log(block.transactions.map((t) => t.hash));
