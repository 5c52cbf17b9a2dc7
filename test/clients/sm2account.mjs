// A viem program whose account was swapped: what it does with a secp256k1 account it does with one of SM2, by the same code. The account and the chain
// come from client/js (@jialing/sm2), everything else is viem.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createPublicClient, createWalletClient, encodeFunctionData, hashMessage, http, InsufficientFundsError, isAddressEqual, keccak256 } from "viem";
import { NonceTooLowError, parseAbi, parseEventLogs, webSocket } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { hashSm3, jialing, parseSm2Transaction, sm2Account, sm2WalletAccount, verifySm2 } from "../../client/js/dist/index.js";
import * as t from "./steps.mjs";

const artifact = (path) => JSON.parse(readFileSync(new URL(`../../apps/${path}`, import.meta.url), "utf8"));
const token = artifact("token/artifacts/JialingToken.json");
const walletArtifact = artifact("guomi/artifacts/SM2Wallet.json");
const viewArtifact = artifact("guomi/artifacts/GuomiView.json");

const chain = jialing(t.chainId, t.http, { webSocketUrl: t.ws });
const reader = createPublicClient({ chain, transport: http(), pollingInterval: 50, cacheTime: 0 });
const sm2 = sm2Account(process.env.JIALING_SM2_KEY);
const secp = privateKeyToAccount(t.key);
const stranger = "0x000000000000000000000000000000000000beef";

// The program. Nothing here knows what kind of account it has.
function program(account) {
  const writer = createWalletClient({ chain, account, transport: http() });
  const wait = (hash) => reader.waitForTransactionReceipt({ hash });
  let address;
  const read = (functionName, args) => reader.readContract({ address, abi: token.abi, functionName, args });
  return {
    writer, wait, read,
    async deploy() {
      const receipt = await wait(await writer.deployContract({ abi: token.abi, bytecode: token.bytecode, args: [1000n] }));
      address = receipt.contractAddress;
      return receipt;
    },
    async transfer(to, amount, rest) {
      return wait(await writer.writeContract({ address, abi: token.abi, functionName: "transfer", args: [to, amount], ...rest }));
    },
    get address() { return address; },
  };
}

const [mine, theirs] = [program(sm2), program(secp)];
let transferred;

await t.run({
  async deploy(mined) {
    for (const [p, account, type] of [[mine, sm2, "sm2"], [theirs, secp, "eip1559"]]) {
      const receipt = await p.deploy();
      assert.deepEqual([receipt.status, receipt.type], ["success", type]);
      assert.ok(isAddressEqual(receipt.from, account.address));
      assert.equal(await p.read("balanceOf", [account.address]), 1000n);
      if (account === sm2) mined(receipt.transactionHash);
    }
  },

  async transfer(mined) {
    for (const [p, account, type] of [[mine, sm2, "sm2"], [theirs, secp, "eip1559"]]) {
      const before = await reader.getBalance({ address: account.address });
      const receipt = await p.transfer(stranger, 7n);
      assert.deepEqual([receipt.status, receipt.type], ["success", type]);
      const [log] = parseEventLogs({ abi: token.abi, logs: receipt.logs });
      assert.equal(log.eventName, "Transfer");
      assert.ok(isAddressEqual(log.args.from, account.address) && isAddressEqual(log.args.to, stranger));
      assert.equal(await p.read("balanceOf", [stranger]), 7n);
      assert.equal(await p.read("balanceOf", [account.address]), 993n);
      t.checkCost(before, await reader.getBalance({ address: account.address }), receipt.gasUsed, receipt.effectiveGasPrice, 0n);
      if (account === sm2) mined((transferred = receipt).transactionHash);
    }
  },

  async block() {
    const tx = await reader.getTransaction({ hash: transferred.transactionHash });
    assert.deepEqual([tx.type, tx.typeHex, tx.publicKey, tx.nonce], ["sm2", "0x50", sm2.publicKey, 1]);
    assert.ok(isAddressEqual(tx.from, sm2.address) && isAddressEqual(tx.to, mine.address));
    const block = await reader.getBlock({ blockNumber: transferred.blockNumber, includeTransactions: true });
    const inBlock = block.transactions.find(({ hash }) => hash === tx.hash);
    assert.deepEqual([inBlock.type, inBlock.publicKey, inBlock.input, inBlock.gas], ["sm2", sm2.publicKey, tx.input, tx.gas]);
    assert.deepEqual((await reader.getBlock({ blockHash: block.hash })).transactions, block.transactions.map(({ hash }) => hash));
  },

  async send(mined) {
    const value = 12345n;
    const before = await reader.getBalance({ address: stranger });
    const fee = t.fees ? await reader.getGasPrice() : 0n;
    for (const rest of [{}, { gasPrice: 2n * fee }, { data: "0x1234", accessList: [{ address: stranger, storageKeys: [] }] }]) {
      const receipt = await mine.wait(await mine.writer.sendTransaction({ to: stranger, value, ...rest }));
      assert.deepEqual([receipt.status, receipt.type], ["success", "sm2"]);
      mined(receipt.transactionHash);
    }
    assert.equal((await reader.getBalance({ address: stranger })) - before, 3n * value);
  },

  async reverted(mined) {
    const err = await t.throwsError(() => mine.transfer(stranger, 10_000n));
    assert.match(err.message, /ERC20InsufficientBalance/);
    const receipt = await mine.transfer(stranger, 10_000n, { gas: 100_000n });
    assert.equal(receipt.status, "reverted");
    mined(receipt.transactionHash, false);
  },

  async rejected() {
    const again = await t.throwsError(() => mine.writer.sendTransaction({ to: stranger, nonce: 0, gas: 21_000n }));
    assert.ok(again.walk((e) => e instanceof NonceTooLowError), again.message);
    const value = (await reader.getBalance({ address: sm2.address })) * 2n;
    const poor = await t.throwsError(() => mine.writer.sendTransaction({ to: stranger, value, gas: 21_000n }));
    assert.ok(poor.walk((e) => e instanceof InsufficientFundsError), poor.message);
    const foreign = createWalletClient({ chain: jialing(t.chainId + 1, t.http), account: sm2, transport: http() });
    await assert.rejects(foreign.sendTransaction({ to: stranger, gas: 21_000n, nonce: 99 }));
  },

  async subscribe(mined) {
    const socket = createPublicClient({ chain, transport: webSocket() });
    const rpc = await socket.transport.getRpcClient();
    const [heads, ready] = [new t.Seen(), new t.Seen()];
    const { subscribe } = socket.transport; // viem subscribes in the background
    socket.transport.subscribe = async (args) => {
      const reply = await subscribe(args);
      ready.add(args.params[0]);
      return reply;
    };
    socket.watchBlocks({ includeTransactions: true, onBlock: (block) => heads.add(block), onError: (err) => heads.add(err) });
    await ready.find("subscription", (kind) => kind === "newHeads");
    const receipt = await mine.transfer(stranger, 1n);
    mined(receipt.transactionHash);
    const block = await heads.find("block", (b) => b.number === receipt.blockNumber);
    assert.equal(block.transactions.find(({ hash }) => hash === receipt.transactionHash).type, "sm2");
    rpc.close();
  },

  async raw() {
    const raw = await reader.request({ method: "eth_getRawTransactionByHash", params: [transferred.transactionHash] });
    const parsed = parseSm2Transaction(raw);
    assert.equal(parsed.hash, transferred.transactionHash);
    assert.equal(parsed.hash, keccak256(raw));
    assert.ok(isAddressEqual(parsed.from, sm2.address));
    assert.equal(parsed.publicKey, sm2.publicKey);
  },

  // What the account signs off the chain a contract verifies: GuomiView over the precompiles.
  async messages(mined) {
    const receipt = await mine.wait(await mine.writer.deployContract({ abi: viewArtifact.abi, bytecode: viewArtifact.bytecode }));
    mined(receipt.transactionHash);
    const view = (functionName, args) => reader.readContract({ address: receipt.contractAddress, abi: viewArtifact.abi, functionName, args });
    const [hash, signature] = [hashMessage("提单 7"), await mine.writer.signMessage({ message: "提单 7" })];
    assert.ok(verifySm2({ hash, signature, publicKey: sm2.publicKey }));
    const words = (hex) => [hex.slice(0, 66), `0x${hex.slice(66)}`];
    const id = `0x${Buffer.from("1234567812345678").toString("hex")}`;
    assert.equal(await view("verify", [hash, id, ...words(signature), ...words(sm2.publicKey)]), true);
    assert.equal(await view("verify", [hashMessage("提单 8"), id, ...words(signature), ...words(sm2.publicKey)]), false);
    assert.equal(await view("sm3", ["0x616263"]), hashSm3("0x616263"));
    assert.equal(await view("addressOf", words(sm2.publicKey)), sm2.address);
  },

  // A contract wallet of the same key: signatures by ERC-1271 through viem, a command that another account presents.
  async wallet(mined) {
    const { abi, bytecode } = walletArtifact;
    const words = [sm2.publicKey.slice(0, 66), `0x${sm2.publicKey.slice(66)}`];
    const deployed = await mine.wait(await mine.writer.deployContract({ abi, bytecode, args: words }));
    mined(deployed.transactionHash);
    const address = deployed.contractAddress;
    const wallet = sm2WalletAccount({ owner: sm2, address, chainId: t.chainId });
    const signature = await wallet.signMessage({ message: "嘉陵" });
    assert.equal(await reader.verifyMessage({ address, message: "嘉陵", signature }), true);
    assert.equal(await reader.verifyMessage({ address, message: "嘉陵江", signature }), false);
    const typed = { domain: { name: "Bid", chainId: t.chainId }, types: { Bid: [{ name: "amount", type: "uint256" }] }, primaryType: "Bid", message: { amount: 5n } };
    assert.equal(await reader.verifyTypedData({ address, ...typed, signature: await wallet.signTypedData(typed) }), true);
    assert.equal(await reader.verifyTypedData({ address, ...typed, message: { amount: 6n }, signature: await wallet.signTypedData(typed) }), false);

    await mine.transfer(address, 50n);
    const data = encodeFunctionData({ abi: parseAbi(["function transfer(address, uint256)"]), functionName: "transfer", args: [stranger, 50n] });
    const command = { to: mine.address, value: 0n, data, nonce: 0n, deadline: 1n << 40n };
    const signed = await wallet.signExecute(command);
    const before = await mine.read("balanceOf", [stranger]);
    const present = (writer) => writer.writeContract({ address, abi, functionName: "executeSigned", args: [command.to, 0n, data, command.deadline, signed] });
    assert.equal((await theirs.wait(await present(theirs.writer))).status, "success");
    assert.equal((await mine.read("balanceOf", [stranger])) - before, 50n);
    assert.match((await t.throwsError(() => present(theirs.writer))).message, /WrongSignature/);
    // The key's own account commands without a signature.
    const receipt = await mine.wait(
      await mine.writer.writeContract({ address, abi, functionName: "execute", args: [mine.address, 0n, encodeFunctionData({ abi: token.abi, functionName: "totalSupply" })] }),
    );
    assert.equal(receipt.status, "success");
    mined(receipt.transactionHash);
  },
});
