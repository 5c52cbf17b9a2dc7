// ethers v6.

import assert from "node:assert/strict";
import { Contract, ContractFactory, JsonRpcProvider, Signature, Wallet } from "ethers";
import { WebSocketProvider, ZeroAddress, ZeroHash } from "ethers";
import * as t from "./steps.mjs";

// By default ethers repeats an answer for 250 ms, and a nonce is older than that on a chain that is faster.
const provider = new JsonRpcProvider(t.http, undefined, { cacheTimeout: -1, polling: true, pollingInterval: 50 });
const wallet = new Wallet(t.key, provider);
const me = wallet.address;
let probe;

async function mine(mined, sent) {
  const receipt = await sent.wait();
  mined(receipt.hash);
  return receipt;
}

await t.run({
  async chain() {
    assert.equal((await provider.getNetwork()).chainId, BigInt(t.chainId));
    const block = await provider.getBlock("latest");
    assert.equal(typeof block.baseFeePerGas, "bigint");
    assert.equal(block.baseFeePerGas > 0n, t.fees);
    assert.equal(await provider.getBlock(block.number + 1_000_000), null);
    assert.equal(await provider.getTransactionReceipt(ZeroHash), null);
    assert.equal(await provider.getTransaction(ZeroHash), null);
  },

  async deploy(mined) {
    const contract = await new ContractFactory(t.probe.abi, t.probe.bytecode, wallet).deploy(41, { value: 7 });
    const receipt = await mine(mined, contract.deploymentTransaction());
    assert.equal(receipt.contractAddress, await contract.getAddress());
    assert.notEqual(await provider.getCode(contract), "0x");
    assert.equal(await provider.getBalance(contract), 7n);
    probe = contract;
  },

  async call() {
    assert.equal(await probe.value(), 41n);
    assert.equal(BigInt(await provider.getStorage(probe, 0)), 41n);
  },

  async send(mined) {
    const before = await provider.getBalance(me);
    const receipt = await mine(mined, await probe.set(42, "first"));
    assert.equal(receipt.status, 1);
    assert.equal(await probe.value(), 42n);
    assert.equal(await probe.value({ blockTag: receipt.blockNumber - 1 }), 41n);
    t.checkCost(before, await provider.getBalance(me), receipt.gasUsed, receipt.gasPrice, 0n);
    const block = await provider.getBlock(receipt.blockNumber, true);
    assert.equal(block.hash, receipt.blockHash);
    assert.equal(block.getPrefetchedTransaction(receipt.hash).from, me);
  },

  async types(mined) {
    for (const type of [0, 1, 2]) {
      const accessList = type === 1 ? [{ address: await probe.getAddress(), storageKeys: [ZeroHash] }] : undefined;
      const receipt = await mine(mined, await probe.set(42, `type ${type}`, { type, accessList }));
      assert.equal(receipt.type, type);
      const tx = await provider.getTransaction(receipt.hash);
      assert.equal(tx.type, type);
      assert.equal(tx.chainId, BigInt(t.chainId));
      assert.deepEqual(tx.accessList?.length ?? 0, type === 1 ? 1 : 0);
    }
  },

  async reason(mined) {
    for (const attempt of ["staticCall", "estimateGas", "send"]) {
      const err = await t.throwsError(() => probe.failWithReason[attempt]("not enough stamps"));
      assert.equal(err.code, "CALL_EXCEPTION", attempt);
      assert.equal(err.reason, "not enough stamps", attempt);
    }
    const sent = await probe.failWithReason("on chain", { gasLimit: 100_000 });
    const err = await t.throwsError(() => sent.wait());
    assert.equal(err.receipt.status, 0);
    mined(sent.hash, false);
  },

  async error() {
    for (const attempt of ["staticCall", "estimateGas"]) {
      const err = await t.throwsError(() => probe.failWithError[attempt](7));
      if (attempt === "staticCall") {
        assert.equal(err.revert.name, "Refused");
        assert.deepEqual([...err.revert.args], [me, 7n, t.refusal]);
      }
      const parsed = probe.interface.parseError(err.data);
      assert.deepEqual([parsed.name, ...parsed.args], ["Refused", me, 7n, t.refusal], attempt);
    }
  },

  async panic() {
    const err = await t.throwsError(() => probe.failWithPanic.staticCall(1));
    assert.equal(err.revert.name, "Panic");
    assert.deepEqual([...err.revert.args], [0x12]);
  },

  async payable(mined) {
    const before = await provider.getBalance(me);
    const held = await provider.getBalance(probe);
    const receipt = await mine(mined, await probe.deposit({ value: 1000 }));
    t.checkCost(before, await provider.getBalance(me), receipt.gasUsed, receipt.gasPrice, 1000n);
    assert.equal((await provider.getBalance(probe)) - held, 1000n);
    const err = await t.throwsError(() => probe.set.staticCall(1, "takes none", { value: 1 }));
    assert.equal(err.code, "CALL_EXCEPTION");
  },

  async estimate(mined) {
    const receipt = await mine(mined, await probe.nested(2000));
    // The call inside gets 63/64 of the rest: what the transaction used would not have been enough.
    assert.ok((await receipt.getTransaction()).gasLimit > receipt.gasUsed);
  },

  async rejected() {
    const spent = (await provider.getTransactionCount(me)) - 1;
    const again = await t.throwsError(() => wallet.sendTransaction({ to: me, nonce: spent, gasLimit: 21_000 }));
    assert.equal(again.code, "NONCE_EXPIRED");
    const value = (await provider.getBalance(me)) * 2n;
    const poor = await t.throwsError(() => wallet.sendTransaction({ to: me, value, gasLimit: 21_000 }));
    assert.equal(poor.code, "INSUFFICIENT_FUNDS");
  },

  async logs(mined) {
    const receipt = await mine(mined, await probe.set(77, "收据"));
    const filter = probe.filters.ValueSet(me, 42);
    const found = await probe.queryFilter(filter, receipt.blockNumber, "latest");
    assert.equal(found.length, 1);
    assert.deepEqual([...found[0].args], [me, 42n, 77n, "收据"]);
    assert.equal(found[0].transactionHash, receipt.hash);
    assert.equal(found[0].blockHash, receipt.blockHash);
    const none = await probe.queryFilter(probe.filters.ValueSet(me, 43), 0, "latest");
    assert.equal(none.length, 0);
  },

  async subscribe(mined) {
    const socket = new WebSocketProvider(t.ws);
    const subscribed = new t.Seen(); // ethers subscribes in the background
    const send = socket.send.bind(socket);
    socket.send = async (method, params) => {
      const reply = await send(method, params);
      if (method === "eth_subscribe") subscribed.add(params[0]);
      return reply;
    };
    const heads = new t.Seen();
    const events = new t.Seen();
    await socket.on("block", (number) => heads.add(number));
    await new Contract(probe.target, t.probe.abi, socket).on("ValueSet", (...args) => events.add(args));
    for (const kind of ["newHeads", "logs"]) await subscribed.find(kind, (k) => k === kind);

    const receipt = await mine(mined, await probe.set(78, "over the socket"));
    const [by, before, value, note, { log }] = await events.find("event", () => true);
    assert.deepEqual([by, before, value, note], [me, 77n, 78n, "over the socket"]);
    assert.equal(log.transactionHash, receipt.hash);
    assert.equal(log.blockNumber, receipt.blockNumber);
    await heads.find("head", (number) => number === receipt.blockNumber);
    await socket.destroy();
  },

  async typedData(mined) {
    const delivery = { from: me, to: probe.target, document: "提单 B/L 7", amount: 12345n };
    const domain = t.deliveryDomain(probe.target);
    const signature = await wallet.signTypedData(domain, t.deliveryTypes, delivery);
    const { r, s, v } = Signature.from(signature);
    const digest = await probe.digestOf(delivery);
    const receipt = await mine(mined, await probe.accept(delivery, v, r, s));
    const [log] = receipt.logs.map((l) => probe.interface.parseLog(l));
    assert.deepEqual([log.name, ...log.args], ["Accepted", me, digest, 12345n]);

    const forged = { ...delivery, amount: 1n };
    const err = await t.throwsError(() => probe.accept.staticCall(forged, v, r, s));
    assert.equal(err.revert.name, "WrongSigner");
    assert.equal(err.revert.args[1], me);
  },

  async setCode(mined) {
    const target = await new ContractFactory(t.delegate.abi, t.delegate.bytecode, wallet).deploy();
    await mine(mined, target.deploymentTransaction());
    const account = new Contract(me, t.delegate.abi, wallet);
    const input = probe.interface.encodeFunctionData("set", [79, "by a delegate"]);

    const nonce = await wallet.getNonce();
    const authorizationList = [await wallet.authorize({ address: target.target, nonce: nonce + 1, chainId: t.chainId })];
    const calls = [{ to: probe.target, value: 0, data: input }];
    const receipt = await mine(mined, await account.executeBatch(calls, { type: 4, nonce, authorizationList, gasLimit: 300_000 }));
    assert.equal(receipt.type, 4);
    assert.equal(await provider.getCode(me), "0xef0100" + target.target.slice(2).toLowerCase());
    const [set, executed] = receipt.logs;
    assert.deepEqual([...probe.interface.parseLog(set).args], [me, 78n, 79n, "by a delegate"]);
    assert.deepEqual([...account.interface.parseLog(executed).args], [me, 1n]);
    const tx = await provider.getTransaction(receipt.hash);
    assert.equal(tx.authorizationList[0].address, target.target);

    const back = [await wallet.authorize({ address: ZeroAddress, nonce: nonce + 3, chainId: t.chainId })];
    await mine(mined, await wallet.sendTransaction({ to: me, type: 4, nonce: nonce + 2, authorizationList: back, gasLimit: 100_000 }));
    assert.equal(await provider.getCode(me), "0x");
  },
});
