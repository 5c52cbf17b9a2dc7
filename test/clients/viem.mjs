// viem.

import assert from "node:assert/strict";
import { createPublicClient, createWalletClient, defineChain, encodeFunctionData, isAddressEqual, parseSignature } from "viem";
import { BaseError, ContractFunctionRevertedError, InsufficientFundsError, NonceTooLowError, parseEventLogs } from "viem";
import { http, webSocket, zeroAddress, zeroHash } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import * as t from "./steps.mjs";

// The one line that a program changes for SM2, see TestViemStepsWithSM2Account.
const account = t.sm2Key ? (await import("../../client/js/dist/index.js")).sm2Account(t.sm2Key) : privateKeyToAccount(t.key);
const me = account.address;
const chain = defineChain({
  id: t.chainId,
  name: "Jialing",
  nativeCurrency: { name: "Jialing", symbol: "JL", decimals: 18 },
  rpcUrls: { default: { http: [t.http], webSocket: [t.ws] } },
});
const reader = createPublicClient({ chain, transport: http(undefined, { batch: true }), pollingInterval: 50, cacheTime: 0 });
const writer = createWalletClient({ chain, account, transport: http() });
const { abi } = t.probe;
let address;

const read = (functionName, args, rest) => reader.readContract({ address, abi, functionName, args, ...rest });
const simulate = (functionName, args, rest) => reader.simulateContract({ account, address, abi, functionName, args, ...rest });

async function mine(mined, hash) {
  const receipt = await reader.waitForTransactionReceipt({ hash });
  mined(hash, receipt.status === "success");
  return receipt;
}
const write = async (mined, functionName, args, rest) =>
  mine(mined, await writer.writeContract({ address, abi, functionName, args, ...rest }));

// revertOf digs the decoded revert out of viem's chain of errors.
function revertOf(err) {
  assert.ok(err instanceof BaseError, String(err));
  const reverted = err.walk((e) => e instanceof ContractFunctionRevertedError);
  assert.ok(reverted, err.message);
  return reverted;
}

await t.run({
  async chain() {
    assert.equal(await reader.getChainId(), t.chainId);
    const block = await reader.getBlock();
    assert.equal(typeof block.baseFeePerGas, "bigint");
    assert.equal(block.baseFeePerGas > 0n, t.fees);
    await assert.rejects(reader.getBlock({ blockNumber: block.number + 1_000_000n }), { name: "BlockNotFoundError" });
    await assert.rejects(reader.getTransactionReceipt({ hash: zeroHash }), { name: "TransactionReceiptNotFoundError" });
    await assert.rejects(reader.getTransaction({ hash: zeroHash }), { name: "TransactionNotFoundError" });
    const history = await reader.getFeeHistory({ blockCount: 1, rewardPercentiles: [50] });
    assert.equal(history.baseFeePerGas.length, 2);
  },

  async deploy(mined) {
    const hash = await writer.deployContract({ abi, bytecode: t.probe.bytecode, args: [41n], value: 7n });
    const receipt = await mine(mined, hash);
    address = receipt.contractAddress;
    assert.ok((await reader.getCode({ address })).length > 2);
    assert.equal(await reader.getBalance({ address }), 7n);
  },

  async call() {
    assert.equal(await read("value"), 41n);
    assert.equal(BigInt(await reader.getStorageAt({ address, slot: "0x0" })), 41n);
    const stateDiff = [{ slot: zeroHash, value: "0x" + "2b".padStart(64, "0") }];
    assert.equal(await read("value", [], { stateOverride: [{ address, stateDiff }] }), 0x2bn);
  },

  async send(mined) {
    const before = await reader.getBalance({ address: me });
    const receipt = await write(mined, "set", [42n, "first"]);
    assert.equal(receipt.status, "success");
    assert.equal(await read("value"), 42n);
    assert.equal(await read("value", [], { blockNumber: receipt.blockNumber - 1n }), 41n);
    t.checkCost(before, await reader.getBalance({ address: me }), receipt.gasUsed, receipt.effectiveGasPrice, 0n);
    const block = await reader.getBlock({ blockNumber: receipt.blockNumber, includeTransactions: true });
    assert.equal(block.hash, receipt.blockHash);
    assert.ok(isAddressEqual(block.transactions.find((tx) => tx.hash === receipt.transactionHash).from, me));
  },

  async types(mined) {
    for (const type of ["legacy", "eip2930", "eip1559"]) {
      const accessList = type === "eip2930" ? [{ address, storageKeys: [zeroHash] }] : undefined;
      const receipt = await write(mined, "set", [42n, type], { type, accessList });
      assert.equal(receipt.type, type);
      const tx = await reader.getTransaction({ hash: receipt.transactionHash });
      assert.equal(tx.type, type);
      assert.equal(tx.chainId, t.chainId);
      assert.equal(tx.accessList?.length ?? 0, type === "eip2930" ? 1 : 0);
    }
  },

  async reason(mined) {
    const call = { account, address, abi, functionName: "failWithReason", args: ["not enough stamps"] };
    for (const attempt of [() => reader.simulateContract(call), () => reader.estimateContractGas(call), () => writer.writeContract(call)]) {
      const err = await t.throwsError(attempt);
      assert.equal(revertOf(err).reason, "not enough stamps");
    }
    const receipt = await write(mined, "failWithReason", ["on chain"], { gas: 100_000n });
    assert.equal(receipt.status, "reverted");
  },

  async error() {
    const call = { account, address, abi, functionName: "failWithError", args: [7n] };
    for (const attempt of [() => reader.simulateContract(call), () => reader.estimateContractGas(call)]) {
      const { errorName, args } = revertOf(await t.throwsError(attempt)).data;
      assert.deepEqual([errorName, ...args], ["Refused", me, 7n, t.refusal]);
    }
  },

  async panic() {
    const { errorName, args } = revertOf(await t.throwsError(() => simulate("failWithPanic", [1n]))).data;
    assert.deepEqual([errorName, ...args], ["Panic", 0x12n]);
  },

  async payable(mined) {
    const before = await reader.getBalance({ address: me });
    const held = await reader.getBalance({ address });
    const receipt = await write(mined, "deposit", [], { value: 1000n });
    t.checkCost(before, await reader.getBalance({ address: me }), receipt.gasUsed, receipt.effectiveGasPrice, 1000n);
    assert.equal((await reader.getBalance({ address })) - held, 1000n);
    revertOf(await t.throwsError(() => simulate("set", [1n, "takes none"], { value: 1n })));
  },

  async estimate(mined) {
    const receipt = await write(mined, "nested", [2000n]);
    assert.equal(receipt.status, "success");
    // The call inside gets 63/64 of the rest: what the transaction used would not have been enough.
    assert.ok((await reader.getTransaction({ hash: receipt.transactionHash })).gas > receipt.gasUsed);
  },

  async rejected() {
    const spent = (await reader.getTransactionCount({ address: me })) - 1;
    const again = await t.throwsError(() => writer.sendTransaction({ to: me, nonce: spent, gas: 21_000n }));
    assert.ok(again.walk((e) => e instanceof NonceTooLowError), again.message);
    const value = (await reader.getBalance({ address: me })) * 2n;
    const poor = await t.throwsError(() => writer.sendTransaction({ to: me, value, gas: 21_000n }));
    assert.ok(poor.walk((e) => e instanceof InsufficientFundsError), poor.message);
  },

  async logs(mined) {
    const receipt = await write(mined, "set", [77n, "收据"]);
    const query = { address, abi, eventName: "ValueSet", fromBlock: receipt.blockNumber };
    const found = await reader.getContractEvents({ ...query, args: { by: me, before: 42n } });
    assert.equal(found.length, 1);
    assert.deepEqual(found[0].args, { by: me, before: 42n, value: 77n, note: "收据" });
    assert.equal(found[0].transactionHash, receipt.transactionHash);
    assert.equal(found[0].blockHash, receipt.blockHash);
    assert.deepEqual(await reader.getContractEvents({ ...query, fromBlock: 0n, args: { before: 43n } }), []);

    const filter = await reader.createContractEventFilter({ address, abi, eventName: "ValueSet" });
    const next = await write(mined, "set", [77n, "filtered"]);
    const changes = await reader.getFilterChanges({ filter });
    assert.deepEqual(changes.map((l) => [l.transactionHash, l.args.note]), [[next.transactionHash, "filtered"]]);
    assert.deepEqual(await reader.getFilterChanges({ filter }), []);
    assert.equal(await reader.uninstallFilter({ filter }), true);
  },

  async subscribe(mined) {
    const socket = createPublicClient({ chain, transport: webSocket() });
    const [heads, events, hashes] = [new t.Seen(), new t.Seen(), new t.Seen()];
    const rpc = await socket.transport.getRpcClient();
    const subscribed = new t.Seen(); // viem subscribes in the background
    const { subscribe } = socket.transport;
    socket.transport.subscribe = async (args) => {
      const reply = await subscribe(args);
      subscribed.add(args.params[0]);
      return reply;
    };
    const onError = (err) => events.add(err);
    socket.watchBlocks({ onBlock: (block) => heads.add(block), onError });
    socket.watchContractEvent({ address, abi, onLogs: (logs) => logs.forEach((l) => events.add(l)), onError });
    socket.watchPendingTransactions({ batch: false, onTransactions: (found) => found.forEach((h) => hashes.add(h)), onError });
    for (const kind of ["newHeads", "logs", "newPendingTransactions"]) await subscribed.find(kind, (k) => k === kind);

    const receipt = await write(mined, "set", [78n, "over the socket"]);
    const event = await events.find("event", () => true);
    assert.deepEqual(event.args, { by: me, before: 77n, value: 78n, note: "over the socket" });
    assert.equal(event.transactionHash, receipt.transactionHash);
    assert.equal(event.blockHash, receipt.blockHash);
    const head = await heads.find("head", (block) => block.number === receipt.blockNumber);
    assert.equal(head.hash, receipt.blockHash);
    await hashes.find("pending transaction", (hash) => hash === receipt.transactionHash);
    rpc.close();
  },

  async typedData(mined) {
    const delivery = { from: me, to: address, document: "提单 B/L 7", amount: 12345n };
    const typed = { domain: t.deliveryDomain(address), types: t.deliveryTypes, primaryType: "Delivery" };
    const { r, s, v } = parseSignature(await writer.signTypedData({ ...typed, message: delivery }));
    const digest = await read("digestOf", [delivery]);
    const receipt = await write(mined, "accept", [delivery, Number(v), r, s]);
    const [log] = parseEventLogs({ abi, logs: receipt.logs });
    assert.deepEqual([log.eventName, log.args], ["Accepted", { signer: me, digest, amount: 12345n }]);

    const forged = { ...delivery, amount: 1n };
    const { errorName, args } = revertOf(await t.throwsError(() => simulate("accept", [forged, Number(v), r, s]))).data;
    assert.deepEqual([errorName, args[1]], ["WrongSigner", me]);
  },

  async setCode(mined) {
    const deployed = await mine(mined, await writer.deployContract({ abi: t.delegate.abi, bytecode: t.delegate.bytecode }));
    const target = deployed.contractAddress;
    const data = encodeFunctionData({ abi, functionName: "set", args: [79n, "by a delegate"] });
    const authorization = await writer.signAuthorization({ contractAddress: target, executor: "self" });
    const hash = await writer.writeContract({
      address: me,
      abi: t.delegate.abi,
      functionName: "executeBatch",
      args: [[{ to: address, value: 0n, data }]],
      authorizationList: [authorization],
    });
    const receipt = await mine(mined, hash);
    assert.equal(receipt.type, "eip7702");
    assert.equal(await reader.getCode({ address: me }), "0xef0100" + target.slice(2).toLowerCase());
    assert.ok(isAddressEqual(await reader.getDelegation({ address: me }), target));
    const [set, executed] = parseEventLogs({ abi: [...abi, ...t.delegate.abi], logs: receipt.logs });
    assert.deepEqual(set.args, { by: me, before: 78n, value: 79n, note: "by a delegate" });
    assert.deepEqual(executed.args, { account: me, calls: 1n });
    const tx = await reader.getTransaction({ hash });
    assert.ok(isAddressEqual(tx.authorizationList[0].address, target));

    const back = await writer.signAuthorization({ contractAddress: zeroAddress, executor: "self" });
    await mine(mined, await writer.sendTransaction({ to: me, authorizationList: [back] }));
    assert.equal(await reader.getCode({ address: me }), undefined);
  },
});
